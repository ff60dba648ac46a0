//! `meshproof tls`: the tables of the scenarios, the same answers as `explain`, names that do not exist, set-ups, JSON.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use serde_json::Value;
use support::{Project, from_root, root};

const SCENARIOS: &str = "testdata/scenarios";

/// What to read for a scenario.
fn inputs(scenario: &str) -> Vec<String> {
    let folder = format!("{SCENARIOS}/{scenario}");
    if scenario != "two-clusters" {
        return vec![folder];
    }
    let cluster = |name: &str| ["--cluster".to_owned(), format!("{name}={folder}/{name}")];
    [cluster("gke"), cluster("aks")].concat()
}

fn with_inputs<'a>(arguments: &[&'a str], inputs: &'a [String]) -> Vec<&'a str> {
    arguments.iter().copied().chain(inputs.iter().map(String::as_str)).collect()
}

#[test]
fn the_scenarios_as_tables() {
    for (name, scenario) in [
        ("workshop-1-permissive", "workshop/1-permissive"),
        ("workshop-2-strict", "workshop/2-strict"),
        ("two-clusters", "two-clusters"),
        ("dgraph", "dgraph"),
        ("federation", "federation"),
    ] {
        let inputs = inputs(scenario);
        let told = from_root(&with_inputs(&["tls", "--render", "never"], &inputs));
        assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{scenario}");
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(root().join(SCENARIOS).join("expected"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(format!("tls-{name}"), told.stdout));
    }
}

/// What one observes with `curl` from a client, in each step of each scenario: the connection works over mutual TLS, works
/// as plaintext, or does not come about.
const OBSERVED: &[(&str, &str, &str, &str)] = &[
    ("workshop/1-permissive", "default/web-api", "default/articles:8080", "mtls"),
    ("workshop/1-permissive", "plaintext", "default/articles:8080", "plaintext"),
    ("workshop/2-strict", "default/web-api", "default/articles:8080", "mtls"),
    ("workshop/2-strict", "plaintext", "default/articles:8080", "refused"),
    ("workshop/2-strict", "default/articles", "default/web-api:9080", "refused"),
    ("workshop/4-allowed", "default/web-api", "default/articles:8080", "mtls"),
    ("two-clusters", "multi-cluster/sleep-aks", "multi-cluster/helloworld-v1:5000", "mtls"),
    ("two-clusters", "multi-cluster/sleep-aks", "multi-cluster/helloworld-v2:5000", "mtls"),
    ("two-clusters", "plaintext", "multi-cluster/helloworld-v1:5000", "refused"),
    ("dgraph", "workload:pydgraph-allow/pydgraph-client", "dgraph/dgraph-alpha:8080", "mtls"),
    ("dgraph", "workload:pydgraph-deny/pydgraph-client", "dgraph/dgraph-alpha:8080", "refused"),
    ("dgraph", "plaintext", "dgraph/dgraph-alpha:8080", "refused"),
    ("dgraph", "workload:pydgraph-deny/pydgraph-client", "dgraph/dgraph-zero:5080", "plaintext"),
];

#[test]
fn the_scenarios_as_one_observes_them() {
    for (scenario, from, to, observed) in OBSERVED {
        let inputs = inputs(scenario);
        let question = ["--from", from, "--to", to, "-o", "json"];
        let told = from_root(&with_inputs(&[&["tls"], &question[..]].concat(), &inputs));
        let group = &told.json()["rows"][0]["clients"][0];
        assert!(group["via"][0].as_str().is_some_and(|via| via != "address"), "{scenario}: {group:#}");
        assert_eq!(group["outcome"], *observed, "tls: {scenario}, {from} to {to}: {group:#}");
        let methods = ["--method", "HEAD"];
        let question = [&["explain"], &question[..], &methods[..]].concat();
        let explained = from_root(&with_inputs(&question, &inputs)).json();
        match *observed {
            "refused" => assert_eq!(explained["decision"], "deny", "explain: {scenario}, {from} to {to}"),
            _ => assert_eq!(explained["transport"], *observed, "explain: {scenario}, {from} to {to}"),
        }
    }
}

#[test]
fn what_decides_is_told_with_its_place() {
    let folder = format!("{SCENARIOS}/workshop/2-strict");
    let told = from_root(&["tls", "--to", "default/web-api", "-o", "json", &folder]).json();
    let row = &told["rows"][0];
    assert_eq!((told["format"].as_u64(), row["mode"].as_str()), (Some(1), Some("STRICT")));
    assert_eq!(row["decidedBy"], "PeerAuthentication default/default");
    assert_eq!(row["place"]["line"], 8);
    let group = &row["clients"][0];
    assert_eq!((group["wire"].as_str(), group["outcome"].as_str()), (Some("plain"), Some("refused")));
    let rule = &group["because"][0];
    assert_eq!(
        (rule["object"].as_str(), rule["place"]["line"].as_u64()),
        (Some("DestinationRule default/web-api"), Some(19))
    );
    let file = rule["place"]["file"].as_str().unwrap();
    assert!(file.ends_with("workshop/2-strict/mtls.yaml"), "{file}");
}

#[test]
fn identities_are_told_of_one_client_and_of_many() {
    let folder = format!("{SCENARIOS}/workshop/2-strict");
    let identity = |more: &[&str]| {
        let arguments =
            [&["tls", "--to", "default/articles", "-o", "json"], more, &[folder.as_str()][..]].concat();
        from_root(&arguments).json()["rows"][0]["clients"][0]["identity"].clone()
    };
    assert_eq!(identity(&["--from", "default/web-api"]), "spiffe://cluster.local/ns/default/sa/web-api");
    assert_eq!(identity(&[]), "own");
    assert_eq!(identity(&["--from", "plaintext"]), Value::Null);
    assert_eq!(identity(&["--from", "cluster.local/ns/x/sa/y"]), "spiffe://cluster.local/ns/x/sa/y");
}

#[test]
fn names_that_do_not_exist_are_errors_with_a_suggestion() {
    let folder = format!("{SCENARIOS}/workshop/2-strict");
    for (arguments, meant) in [
        (["--to", "default/web-apo"], "did you mean default/web-api?"),
        (["--from", "default/articels"], "did you mean default/articles?"),
        (["--from", "workload:default/web"], "there is no workload default/web"),
    ] {
        let told = from_root(&[&["tls"], &arguments[..], &[folder.as_str()][..]].concat());
        assert_eq!((told.code, told.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(told.stderr.contains(meant), "{}", told.stderr);
    }
    assert_eq!(from_root(&["tls", "-o", "concise", &folder]).code, 2);
    assert_eq!(from_root(&["tls", "no/such/path"]).code, 2);
    assert_eq!(Project::new(&[("README.md", "nothing here\n")]).run(&["tls"]).code, 3);
}

#[test]
fn a_port_that_nobody_declares_can_be_asked_for() {
    let folder = format!("{SCENARIOS}/workshop/2-strict");
    let told = from_root(&["tls", "--to", "default/articles:9999", "-o", "json", &folder]).json();
    assert_eq!(
        (told["rows"].as_array().unwrap().len(), &told["rows"][0]["mode"]),
        (1, &Value::from("STRICT"))
    );
}

const NAMESPACE: &str =
    "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: enabled}}\n---\n";

fn pods(name: &str, count: usize) -> String {
    let of = |at: usize| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}-{at}, namespace: shop}}\nspec:\n  selector: {{matchLabels: {{app: {name}}}}}\n  \
             template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      serviceAccountName: {name}\n      \
             containers: [{{name: a, image: a, ports: [{{containerPort: 8080}}]}}]\n---\n"
        )
    };
    (0..count).map(of).collect()
}

#[test]
fn long_lists_are_counted_unless_all_is_asked_for() {
    let project = Project::new(&[("a.yaml", &(NAMESPACE.to_owned() + &pods("cart", 14)))]);
    let group = |more: &[&str]| {
        let told = project.run(&[&["tls", "--to", "shop/cart-0", "-o", "json"], more].concat()).json();
        let groups = told["rows"][0]["clients"].as_array().unwrap().clone();
        groups.into_iter().find(|group| group["count"] == 14).unwrap_or_else(|| panic!("{told:#}"))
    };
    assert_eq!(group(&[])["names"].as_array().unwrap().len(), 10);
    assert_eq!(group(&["-v"])["names"].as_array().unwrap().len(), 14);
    let text = project.run(&["tls", "--to", "shop/cart-0"]).stdout;
    assert!(text.contains("14 sidecar workloads") && !text.contains("shop/cart-13"), "{text}");
    assert!(project.run(&["tls", "-v", "--to", "shop/cart-0"]).stdout.contains("shop/cart-13"));
}

#[test]
fn set_ups_have_a_table_each_with_the_name_of_their_folder() {
    let strict = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: shop}\nspec: {mtls: {mode: STRICT}}\n---\n";
    let app = NAMESPACE.to_owned() + &pods("cart", 1);
    let (dev, prod) = (app.clone(), app + strict);
    let project = Project::new(&[("overlays/dev/app.yaml", &dev), ("overlays/prod/app.yaml", &prod)]);
    let told = project.run(&["tls"]);
    let headings: Vec<&str> = told.stdout.lines().filter(|line| line.starts_with("== ")).collect();
    assert_eq!(headings, ["== overlays/dev", "== overlays/prod"], "{}", told.stdout);
    let rows = project.run(&["tls", "-o", "json"]).json()["rows"].clone();
    let modes: Vec<String> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {}", support::text(&row["setUp"]), support::text(&row["mode"])))
        .collect();
    assert_eq!(modes, ["overlays/dev PERMISSIVE", "overlays/prod STRICT"]);
}

#[test]
fn lines_fit_and_hostile_names_do_no_harm() {
    let long = "x".repeat(200);
    let text = NAMESPACE.to_owned() + &pods("cart", 1).replace("cart-0", &format!("\"{long}\\x1b[31m\""));
    let project = Project::new(&[("a.yaml", &text)]);
    let told = project.run(&["tls"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(!told.stdout.contains('\u{1b}'), "{}", told.stdout);
}

#[test]
fn routes_to_subsets_are_told_with_their_own_tls() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\n\
        spec: {selector: {app: cart}, ports: [{name: http, port: 80, targetPort: 8080}]}\n---\n";
    let route = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v, namespace: shop}\n\
        spec: {hosts: [cart], exportTo: [shop], http: [{route: [{destination: {host: cart, subset: v1}}]}]}\n---\n\
        apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d, namespace: shop}\n\
        spec: {host: cart, subsets: [{name: v1, labels: {app: cart}, trafficPolicy: {tls: {mode: DISABLE}}}]}\n---\n\
        apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p, namespace: shop}\n\
        spec: {mtls: {mode: STRICT}}\n---\n";
    let other = format!("{NAMESPACE}{}", pods("front", 1)).replace("shop", "web");
    let all = [NAMESPACE, &pods("cart", 1), service, route, &other].concat();
    let project = Project::new(&[("a.yaml", &all)]);
    let clients = |from: &str| {
        let told = project.run(&["tls", "--to", "shop/cart-0:8080", "--from", from, "-o", "json"]).json();
        told["rows"][0]["clients"].as_array().unwrap().clone()
    };
    let inside = clients("workload:shop/cart-0");
    let via = |group: &Value| group["via"][0].as_str().unwrap().to_owned();
    assert_eq!(via(&inside[0]), "cart.shop.svc.cluster.local:80 → subset v1", "{inside:#?}");
    assert_eq!(inside[0]["outcome"], "refused");
    assert!(
        inside[0]["because"][0]["text"].as_str().unwrap().contains("sends it to subset v1"),
        "{inside:#?}"
    );
    assert!(!inside.iter().any(|group| via(group) == "cart.shop.svc.cluster.local:80"), "{inside:#?}");
    // Others do not see the route.
    let outside = clients("workload:web/front-0");
    assert_eq!(via(&outside[0]), "cart.shop.svc.cluster.local:80");
    assert_eq!(outside[0]["outcome"], "mtls", "{outside:#?}");
}

#[test]
fn ports_of_which_the_same_is_told_are_one_row() {
    let project = Project::new(&[("a.yaml", &(NAMESPACE.to_owned() + &pods("cart", 3) + &pods("till", 1)))]);
    let told = project.run(&["tls", "-o", "json"]).json();
    let rows = told["rows"].as_array().unwrap();
    let alike: Vec<&str> =
        rows[0]["alike"].as_array().unwrap().iter().map(|port| port["to"].as_str().unwrap()).collect();
    assert_eq!((rows.len(), rows[0]["to"].as_str()), (1, Some("shop/cart-0")), "{told:#}");
    assert_eq!(alike, ["shop/cart-1", "shop/cart-2", "shop/till-0"]);
    let text = project.run(&["tls"]).stdout;
    assert!(
        text.starts_with("4 ports   PERMISSIVE by default\n   shop/cart-0:8080, shop/cart-1:8080, "),
        "{text}"
    );
    assert!(text.ends_with("4 ports: 4 PERMISSIVE\n"), "{text}");
}

#[test]
fn steps_of_a_walk_through_are_set_ups_of_their_own() {
    let told = from_root(&["tls", "-o", "json", &format!("{SCENARIOS}/workshop")]).json();
    let mut steps: Vec<(String, String)> = Vec::new();
    for row in told["rows"].as_array().unwrap() {
        let set_up = row["setUp"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let alike = row["alike"].as_array().unwrap().iter();
        let names = std::iter::once(&row["to"]).chain(alike.map(|port| &port["to"]));
        steps.extend(names.map(|name| (set_up.clone(), name.as_str().unwrap().to_owned())));
    }
    let each = steps.len();
    steps.sort();
    steps.dedup();
    assert_eq!((steps.len(), each), (8, 8), "two workloads in each of four steps: {steps:?}");
}
