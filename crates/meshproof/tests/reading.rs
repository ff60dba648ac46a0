//! Hostile and odd input: every file is analysed, skipped with a reason, or reported, and nothing panics.

#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use support::{BROKEN, Project, REFUSED, SERVICE, text};

#[test]
fn a_bad_document_does_not_hide_its_neighbours() {
    let other = REFUSED.replace("name: web", "name: other");
    let project = Project::new(&[("a.yaml", &format!("{REFUSED}---\n{BROKEN}---\n{other}"))]);
    let run = project.check(&[]);
    assert_eq!(
        run.findings(),
        ["invalid-object a.yaml:10", "yaml-syntax a.yaml:15", "invalid-object a.yaml:26"]
    );
}

#[test]
fn byte_order_marks_and_utf16_are_read() {
    let project = Project::new(&[]);
    let mut utf16 = vec![0xff, 0xfe];
    utf16.extend(REFUSED.encode_utf16().flat_map(u16::to_le_bytes));
    project.write("le.yaml", &utf16);
    project.write("bom.yaml", format!("\u{feff}{REFUSED}").as_bytes());
    project.write("crlf.yaml", REFUSED.replace('\n', "\r\n").as_bytes());
    let findings = project.check(&["-A", "conflicting-rules"]).findings();
    let refused: Vec<&String> =
        findings.iter().filter(|finding| finding.starts_with("invalid-object")).collect();
    assert_eq!(
        refused,
        ["invalid-object bom.yaml:10", "invalid-object crlf.yaml:10", "invalid-object le.yaml:10"]
    );
}

#[test]
fn what_is_no_text_is_reported_with_its_place() {
    let project = Project::new(&[("a.yaml", SERVICE)]);
    project.write("b.yaml", b"kind: Service\nname: \xff\n");
    project.write("c.yaml", b"kind: \0\n");
    let run = project.check(&[]);
    assert_eq!(run.findings(), ["unreadable-file b.yaml:1", "unreadable-file c.yaml:1"]);
    assert!(text(&run.json()["findings"][0]["message"]).contains("line 2, column 7"), "{}", run.stdout);
    assert_eq!(run.code, 1);
}

#[test]
fn positions_inside_lists_and_json_are_exact() {
    let indented: String = REFUSED.lines().map(|line| format!("  {line}\n")).collect();
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}", indented.trim_start());
    let json = r#"[
  {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
   "metadata": {"name": "json", "namespace": "shop"},
   "spec": {"action": "PERMIT"}}
]"#;
    let run = Project::new(&[("a.yaml", &list), ("b.json", json)]).check(&[]);
    assert_eq!(run.findings(), ["invalid-object a.yaml:13", "invalid-object b.json:4"]);
    let report = run.json();
    assert_eq!(report["findings"][1]["column"], 23);
    assert_eq!(report["findings"][0]["resource"]["name"], "web");
}

#[test]
fn templates_are_listed_and_not_judged() {
    let helm = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: {{ .Values.name }}\nspec:\n  action: {{ .Values.action }}\n";
    let variables = REFUSED.replace("name: web", "name: ${NAME}");
    let run = Project::new(&[
        ("helm.yaml", helm),
        ("sound.yaml", SERVICE),
        ("variables.yaml", &variables),
        ("x.yaml.tmpl", "kind: {{ a }}\n"),
    ])
    .check(&[]);
    assert_eq!(run.findings(), [""; 0]);
    assert_eq!(
        run.skipped(),
        ["helm-template helm.yaml", "placeholder variables.yaml", "template-file x.yaml.tmpl"]
    );
}

#[test]
fn a_document_that_does_not_concern_us_may_be_broken() {
    let run = Project::new(&[("a.yaml", SERVICE), ("b.yaml", "hello: [\n")]).check(&[]);
    assert_eq!((run.code, run.findings()), (0, vec![]));
    assert_eq!(run.skipped(), ["unreadable-document b.yaml"]);
}

#[test]
fn a_broken_document_makes_absences_uncertain() {
    let level = |run: &support::Run| -> Vec<String> {
        let report = run.json();
        let all = report["findings"].as_array().unwrap().iter();
        all.filter(|finding| finding["lint"] == "deny-all-gap")
            .map(|finding| text(&finding["level"]))
            .collect()
    };
    let project = Project::new(&[("a.yaml", UNREACHABLE)]);
    assert_eq!(level(&project.check(&[])), ["error"]);
    project.write("accounts.yaml", BROKEN.as_bytes());
    assert!(!level(&project.check(&[])).contains(&"error".to_owned()));
}

/// A workload whose only policy names an account that is not there.
const UNREACHABLE: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: cart, namespace: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec:
      serviceAccountName: cart
      containers: [{name: app, image: cart, ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  selector: {app: cart}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: cart-callers, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  rules:
  - from:
    - source: {principals: [cluster.local/ns/shop/sa/gone]}
";

#[test]
fn random_bytes_never_panic() {
    // xorshift: the same bytes on every machine.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let alphabet: Vec<char> =
        "kindapiVersion: \n-[]{}\"'|>&*!%#@`,?\t~0<".chars().chain(['é', '\u{2028}']).collect();
    let project = Project::new(&[]);
    for file in 0..200 {
        let mut bytes = Vec::new();
        match file % 3 {
            0 => (0..400).for_each(|_| bytes.push(next() as u8)),
            1 => {
                let word: String = (0..600).map(|_| alphabet[next() as usize % alphabet.len()]).collect();
                bytes = format!("kind: AuthorizationPolicy\n{word}").into_bytes();
            }
            _ => {
                // A sound document with a few bytes changed.
                bytes = REFUSED.as_bytes().to_vec();
                for _ in 0..4 {
                    let at = next() as usize % bytes.len();
                    bytes[at] = next() as u8;
                }
            }
        }
        project.write(&format!("{file}.yaml"), &bytes);
    }
    let run = project.check(&[]);
    assert!(run.code == 0 || run.code == 1, "{} {}", run.code, run.stderr);
    assert!(!run.findings().iter().any(|finding| finding.starts_with("internal-error")), "{}", run.stdout);
}

#[test]
fn results_do_not_depend_on_threads() {
    let many: Vec<(String, String)> = (0..300)
        .map(|at| (format!("{at}.yaml"), REFUSED.replace("name: web", &format!("name: web-{at}"))))
        .collect();
    let files: Vec<(&str, &str)> = many.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let project = Project::new(&files);
    let one = project.check(&["--jobs", "1"]);
    assert_eq!(one.findings().len(), 300);
    assert_eq!(one.stdout, project.check(&["--jobs", "4"]).stdout);
    assert_eq!(one.stdout, project.check(&[]).stdout);
}
