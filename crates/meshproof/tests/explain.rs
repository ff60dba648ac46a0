//! `meshproof explain` as scripts and people in a hurry use it: exit codes, names that do not exist, JSON.

#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use support::Project;

const SHOP: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: frontend, namespace: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: cart, namespace: shop, labels: {app: cart}}
spec:
  serviceAccountName: cart
  containers: [{name: a, image: a, ports: [{name: http, containerPort: 8080}, {containerPort: 9090}]}]
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  selector: {app: cart}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: search, namespace: shop}
spec:
  selector: {app: search}
  ports: [{name: http, port: 80}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: cart, namespace: shop}
spec:
  rules:
  - from: [{source: {serviceAccounts: [frontend]}}]
    to: [{operation: {methods: [GET]}}]
";

fn shop() -> Project {
    Project::new(&[("shop.yaml", SHOP)])
}

const ASK: [&str; 5] = ["explain", "--from", "shop/frontend", "--to", "shop/cart:8080"];

#[test]
fn an_answer_is_no_failure_unless_another_one_is_expected() {
    let shop = shop();
    let code = |more: &[&str]| shop.run(&[&ASK[..], more].concat()).code;
    assert_eq!(code(&[]), 0);
    assert_eq!(code(&["--method", "POST"]), 0);
    assert_eq!(code(&["--expect", "allow"]), 0);
    assert_eq!(code(&["--expect", "deny"]), 1);
    assert_eq!(code(&["--method", "POST", "--expect", "allow"]), 1);
    assert_eq!(code(&["--method", "POST", "--expect", "deny", "-o", "json"]), 0);
}

#[test]
fn nothing_to_ask_is_3() {
    let run = Project::new(&[("README.md", "nothing\n")]).run(&ASK);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""));
}

/// Names that do not exist, with what was meant.
#[test]
fn unknown_names_get_a_suggestion() {
    let shop = shop();
    for (arguments, wanted) in [
        (&["--from", "shop/frontnd", "--to", "shop/cart:8080"][..], "did you mean shop/frontend?"),
        (&["--from", "shop/frontend", "--to", "shop/crat:8080"], "did you mean shop/cart?"),
        (&["--from", "shop/frontend", "--to", "other/cart:8080"], "did you mean shop/cart?"),
        (&["--from", "workload:shop/nobody", "--to", "shop/cart:8080"], "namespace shop has cart"),
        (&["--from", "shop/frontend", "--to", "shop/cart"], "shop/cart has the ports 8080, 9090"),
        (
            &["--from", "shop/frontend", "--to", "shop/cart:8080", "--service", "crat"],
            "did you mean cart.shop?",
        ),
        (
            &["--from", "shop/frontend", "--to", "shop/cart:8080", "--service", "search"],
            "search does not lead to shop/cart",
        ),
        (&["--from", "shop/frontend", "--to", "shop/cart:8080", "--service", "cart:81"], "port 80 does"),
        (&["--from", "frontend", "--to", "shop/cart:8080"], "write NAMESPACE/SERVICEACCOUNT"),
        (&["--from", "plaintext:10.0.0", "--to", "shop/cart:8080"], "is no IP address"),
        (&["--from", "spiffe://a/b", "--to", "shop/cart:8080"], "is no SPIFFE id"),
        (&["--from", "shop/frontend", "--to", "shop/cart:0"], "is no port"),
        (&["--from", "shop/frontend", "--to", "shop/cart:8080", "--claim", "sub"], "write NAME=VALUE"),
        (&["--from", "shop/frontend", "--to", "shop/cart:8080", "-o", "concise"], "use text or json"),
    ] {
        let run = shop.run(&[&["explain"], arguments].concat());
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(run.stderr.contains(wanted), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn json_has_the_promised_keys() {
    let shop = shop();
    let run = shop.run(&[&ASK[..], &["--method", "POST", "--output", "json"]].concat());
    let answer = run.json();
    assert_eq!(answer["format"], 1);
    assert_eq!(answer["decision"], "deny");
    assert_eq!(answer["transport"], "mtls");
    assert_eq!(answer["port"], 8080);
    assert_eq!(answer["policy"], serde_json::Value::Null);
    assert_eq!(answer["service"], "cart.shop.svc.cluster.local:80");
    let entry = &answer["trace"][0];
    assert_eq!(
        (&entry["policy"], &entry["rule"], &entry["result"]),
        (&"shop/cart".into(), &1.into(), &"failed".into())
    );
    assert_eq!(entry["test"]["field"], "methods");
    assert_eq!(entry["test"]["wants"], "wants `GET`");
    assert_eq!(entry["test"]["has"], "the request is `POST`");
    assert_eq!(entry["test"]["place"]["line"], 36);
    let allowed = shop.run(&[&ASK[..], &["--output", "json"]].concat()).json();
    assert_eq!(
        (&allowed["decision"], &allowed["policy"], &allowed["rule"]),
        (&"allow".into(), &"shop/cart".into(), &1.into())
    );
}

/// Overlays are set-ups of their own.
#[test]
fn set_ups_that_answer_differently_are_not_mixed() {
    let open = SHOP.replace("methods: [GET]", "methods: [GET, POST]");
    let project = Project::new(&[("dev/all.yaml", open.as_str()), ("prod/all.yaml", SHOP)]);
    let ask = |more: &[&str]| project.run(&[&ASK[..], more].concat());
    assert_eq!(ask(&["--method", "GET", "--expect", "allow"]).code, 0);
    let both = ask(&["--method", "POST"]);
    assert_eq!((both.code, both.stdout.as_str()), (2, ""));
    assert!(both.stderr.contains("pass the folder of the one you mean"), "{}", both.stderr);
    assert_eq!(ask(&["--method", "POST", "--expect", "deny", "prod"]).code, 0);
    assert_eq!(ask(&["--method", "POST", "--expect", "allow", "dev"]).code, 0);
}

#[test]
fn a_report_goes_to_a_file_and_one_to_the_screen() {
    let shop = shop();
    let run = shop.run(&[&ASK[..], &["-o", "text", "-o", "json=answer.json"]].concat());
    assert_eq!(run.code, 0);
    assert!(run.stdout.starts_with("ALLOWED  shop/frontend → shop/cart:8080   GET /\n"), "{}", run.stdout);
    let written = std::fs::read_to_string(shop.path().join("answer.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap()["decision"], "allow");
}

/// Hostile names do not reach the terminal as they are.
#[test]
fn control_characters_are_shown_not_sent() {
    let shop = shop();
    let run = shop.run(&[&ASK[..], &["--path", "/\u{1b}[31mred"]].concat());
    assert!(!run.stdout.contains('\u{1b}'), "{:?}", run.stdout);
}

/// A policy whose selector hangs on a label that pods get later counts only where it makes a difference.
#[test]
fn policies_that_only_may_apply_are_in_doubt_where_it_matters() {
    let ask = |action: &str, path: &str| {
        let policy = format!(
            "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: open, namespace: shop}}\n\
             spec: {{action: {action}, selector: {{matchLabels: {{app: cart, pod-template-hash: x}}}}, \
             rules: [{{to: [{{operation: {{paths: [{path}]}}}}]}}]}}\n"
        );
        let shop = Project::new(&[("shop.yaml", format!("{SHOP}{policy}").as_str())]);
        let answer = shop.run(&[&ASK[..], &["--path", "/pay", "-o", "json"]].concat()).json();
        let unknown: Vec<String> = answer["unknown"]
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect();
        (answer["certain"].as_bool().unwrap(), unknown.join("\n"))
    };
    let (certain, unknown) = ask("DENY", "/pay");
    assert!(!certain && unknown.contains("whether shop/open applies"), "{unknown}");
    assert_eq!(ask("DENY", "/other"), (true, String::new()));
    // Another rule lets the request in already.
    assert_eq!(ask("ALLOW", "/pay"), (true, String::new()));
}

/// The answer of a provider is nowhere in manifests, at none of the hops.
#[test]
fn providers_are_in_doubt_unless_something_denies_anyway() {
    let config = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n\
        data: {mesh: \"extensionProviders: [{name: sso, envoyExtAuthzHttp: {service: sso.shop.svc.cluster.local, port: 80}}]\"}\n";
    let custom = "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: login, namespace: shop}\n\
        spec: {action: CUSTOM, provider: {name: sso}, rules: [{to: [{operation: {paths: [/pay]}}]}]}\n";
    let shop = Project::new(&[("shop.yaml", format!("{SHOP}{config}{custom}").as_str())]);
    let ask = |more: &[&str]| shop.run(&[&ASK[..], &["-o", "json"], more].concat()).json();
    let asked = ask(&["--path", "/pay"]);
    assert_eq!((&asked["decision"], &asked["certain"]), (&"allow".into(), &false.into()));
    assert_eq!(asked["unknown"][0], "what the provider sso answers", "{asked}");
    assert_eq!(ask(&["--path", "/other"])["certain"], true);
}
