//! Findings to report on.

use std::time::Duration;

use meshproof_diagnostics::{Category, Decision, Finding, Label, Level, ResourceName, Witness};
use meshproof_report::{Skipped, Style, Summary, concise, json, text};
use meshproof_source::{Origin, SourceId, SourceMap, Span};

/// The span of the `nth` occurrence of `token`.
pub fn nth(sources: &SourceMap, source: SourceId, token: &str, nth: usize) -> Span {
    let (at, _) = sources.get(source).text.match_indices(token).nth(nth).expect("the token is in the text");
    Span::new(source, at as u32, (at + token.len()) as u32)
}

/// The span of the first occurrence of `token`.
pub fn find(sources: &SourceMap, source: SourceId, token: &str) -> Span {
    nth(sources, source, token, 0)
}

pub fn finding(primary: Span, text: &str) -> Finding {
    Finding::new(
        "deny-all-gap",
        Level::Error,
        Category::Outage,
        "nobody can reach payments/ledger",
        Label::new(primary, text),
    )
}

/// One finding over `token` of a file.
pub fn one(content: &str, token: &str, text: &str) -> (SourceMap, Vec<Finding>) {
    let mut sources = SourceMap::new();
    let id = sources.add("a.yaml", content, Origin::File);
    let span = find(&sources, id, token);
    (sources, vec![finding(span, text)])
}

const LEDGER: &str = r#"apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: ledger-callers
  namespace: payments
spec:
  selector:
    matchLabels:
      app: ledger
  action: ALLOW
  rules:
  - from:
    - source:
        principals: ["cluster.local/ns/web/sa/frontnd"]
    to:
    - operation:
        methods: ["GET"]
---
apiVersion: security.istio.io/v1beta1
kind: AuthorizationPolicy
metadata:
  name: ledger-readers
"#;

const FRONTEND: &str =
    "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: frontend\n  namespace: web\n";

/// A finding with everything: places in three files, a proof, a repair; and a plain one.
pub fn full() -> (SourceMap, Vec<Finding>, Summary) {
    let mut sources = SourceMap::new();
    let ledger = sources.add("payments/ledger-authz.yaml", LEDGER, Origin::File);
    let frontend = sources.add("web/frontend.yaml", FRONTEND, Origin::File);
    let chart = sources.add(
        "charts/web",
        "kind: Service\n",
        Origin::Rendered { by: "helm template charts/web".into() },
    );
    let wrong = find(&sources, ledger, "\"cluster.local/ns/web/sa/frontnd\"");
    let gap = Finding::new(
        "deny-all-gap",
        Level::Error,
        Category::Outage,
        "nobody can reach payments/ledger on port 8080",
        Label::new(wrong, "no service account web/frontnd; did you mean web/frontend?"),
    )
    .with_related(find(&sources, ledger, "ALLOW"), "an ALLOW policy closes the port for all others")
    .with_related(find(&sources, frontend, "frontend"), "the account it means")
    .with_related(find(&sources, chart, "Service"), "web/frontend is called through this")
    .with_resource(ResourceName {
        kind: "AuthorizationPolicy".into(),
        namespace: Some("payments".into()),
        name: "ledger-callers".into(),
    })
    .with_help("change the principal to cluster.local/ns/web/sa/frontend")
    .with_witness(Witness {
        from: "web/frontend".into(),
        to: "payments/ledger".into(),
        port: Some(8080),
        transport: Some("mtls"),
        method: Some("GET".into()),
        path: Some("/pay".into()),
        decision: Decision::Deny,
        because: vec![
            "1 ALLOW policy applies, none matches".into(),
            "ledger-callers rule 1: principal wants web/frontnd, the caller is web/frontend".into(),
        ],
    })
    .with_edit(wrong, "\"cluster.local/ns/web/sa/frontend\"");
    let old = Finding::new(
        "deprecated-version",
        Level::Warning,
        Category::Hygiene,
        "AuthorizationPolicy ledger-readers uses v1beta1",
        Label::new(nth(&sources, ledger, "security.istio.io/v1beta1", 0), ""),
    );
    let findings = vec![gap, old];
    let mut summary = Summary {
        files: 412,
        documents: 1204,
        workloads: 96,
        elapsed: Some(Duration::from_millis(210)),
        suppressed: 1,
        skipped: vec![
            skipped("charts/x/templates/a.yaml", None, "helm-template", "holds {{ … }}, which Helm fills in"),
            skipped("charts/x/templates/b.yaml", None, "helm-template", "holds {{ … }}, which Helm fills in"),
            skipped("overlay/p.yaml", Some(3), "patch", "is a patch of kustomize"),
        ],
        ..Summary::default()
    };
    summary.count(&findings);
    (sources, findings, summary)
}

fn skipped(file: &str, line: Option<usize>, reason_code: &'static str, reason: &str) -> Skipped {
    Skipped { file: file.into(), line, reason_code, reason: reason.into() }
}

pub fn text_of(findings: &[Finding], sources: &SourceMap, summary: &Summary, style: Style) -> String {
    let mut out = Vec::new();
    text::write(&mut out, findings, sources, summary, style).unwrap();
    String::from_utf8(out).unwrap()
}

/// Plain text without the closing lines.
pub fn body_of(findings: &[Finding], sources: &SourceMap, style: Style) -> String {
    let all = text_of(findings, sources, &Summary::default(), style);
    all.replace("checked 0 files, 0 documents, 0 workloads: no findings\n", "")
}

pub fn concise_of(findings: &[Finding], sources: &SourceMap, summary: &Summary) -> String {
    let mut out = Vec::new();
    concise::write(&mut out, findings, sources, summary, Style::default()).unwrap();
    String::from_utf8(out).unwrap()
}

pub fn json_of(findings: &[Finding], sources: &SourceMap, summary: &Summary) -> String {
    let mut out = Vec::new();
    json::write(&mut out, findings, sources, summary).unwrap();
    String::from_utf8(out).unwrap()
}
