//! `meshproof reach`: the scenarios, single questions, ways over several hops, names that do not exist, set-ups, JSON.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use serde_json::Value;
use support::{Project, from_root, root, text};

const SCENARIOS: &str = "testdata/scenarios";

fn snapshot(name: &str, arguments: &[&str]) {
    let told = from_root(&[&["reach", "--render", "never"], arguments].concat());
    assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{arguments:?}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join(SCENARIOS).join("expected"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(format!("reach-{name}"), told.stdout));
}

#[test]
fn the_scenarios() {
    for (name, scenario) in [
        ("bookinfo", "bookinfo"),
        ("workshop-1-permissive", "workshop/1-permissive"),
        ("workshop-3-closed", "workshop/3-closed"),
        ("workshop-4-allowed", "workshop/4-allowed"),
        ("dgraph", "dgraph"),
        ("federation", "federation"),
        ("namespace-isolation-right", "namespace-isolation/right"),
        ("namespace-isolation-wrong", "namespace-isolation/wrong"),
    ] {
        snapshot(name, &[&format!("{SCENARIOS}/{scenario}")]);
    }
    let cluster = |name: &str| format!("{name}={SCENARIOS}/two-clusters/{name}");
    snapshot("two-clusters", &["--cluster", &cluster("gke"), "--cluster", &cluster("aks")]);
}

/// What one observes: whether a request gets through.
const OBSERVED: &[(&str, &str, &str, bool)] = &[
    ("workshop/1-permissive", "plaintext", "default/articles:8080", true),
    ("workshop/2-strict", "default/web-api", "default/articles:8080", true),
    ("workshop/2-strict", "plaintext", "default/articles:8080", false),
    ("workshop/3-closed", "default/web-api", "default/articles:8080", false),
    ("workshop/4-allowed", "default/web-api", "default/articles:8080", true),
    ("workshop/4-allowed", "default/articles", "default/articles:8080", false),
    ("bookinfo", "bookinfo/productpage", "bookinfo/details-v1:9080", true),
    ("bookinfo", "bookinfo/reviews", "bookinfo/details-v1:9080", false),
    ("bookinfo", "bookinfo/reviews", "bookinfo/ratings-v1:9080", false),
    ("dgraph", "workload:pydgraph-allow/pydgraph-client", "dgraph/dgraph-alpha:8080", true),
    ("dgraph", "plaintext", "dgraph/dgraph-alpha:8080", false),
    ("dgraph", "workload:pydgraph-deny/pydgraph-client", "dgraph/dgraph-zero:5080", true),
    ("namespace-isolation/right", "frontend/web", "backend/api:8080", true),
    ("namespace-isolation/right", "frontend/web", "backend/ledger:5432", false),
];

#[test]
fn single_questions_are_answered_as_one_observes() {
    for (scenario, from, to, reaches) in OBSERVED {
        let folder = format!("{SCENARIOS}/{scenario}");
        let told = from_root(&["reach", "--from", from, "--to", to, "-o", "json", &folder]).json();
        let edges = told["edges"].as_array().unwrap();
        assert_eq!(!edges.is_empty(), *reaches, "{scenario}: {from} to {to}: {told:#}");
        for edge in edges {
            let (name, port) = to.rsplit_once(':').unwrap();
            assert_eq!((text(&edge["from"]).as_str(), text(&edge["to"]).as_str()), (*from, name));
            assert_eq!(edge["port"].to_string(), port);
            assert!(edge["witness"].is_object(), "{edge:#}");
        }
    }
}

#[test]
fn the_keys_of_an_edge() {
    let folder = format!("{SCENARIOS}/workshop/4-allowed");
    let told = from_root(&["reach", "--to", "default/articles:8080", "-o", "json", &folder]).json();
    assert_eq!((told["format"].as_u64(), told["edges"].as_array().unwrap().len()), (Some(1), 1));
    let edge = &told["edges"][0];
    assert_eq!((&edge["from"], &edge["who"]), (&"default/web-api".into(), &"sa default/web-api".into()));
    assert_eq!((&edge["to"], &edge["port"]), (&"default/articles".into(), &8080.into()));
    assert_eq!((&edge["transport"], &edge["certain"]), (&"mtls".into(), &true.into()));
    assert_eq!(edge["requests"], serde_json::json!(["GET, POST"]));
    assert_eq!(
        (&edge["witness"]["from"], &edge["witness"]["method"]),
        (&"default/web-api".into(), &"GET".into())
    );
    let objects: Vec<String> =
        edge["because"].as_array().unwrap().iter().map(|one| text(&one["object"])).collect();
    assert!(objects.contains(&"AuthorizationPolicy default/articlesaccess".to_owned()), "{objects:?}");
    let rule = edge["because"].as_array().unwrap().last().unwrap();
    assert_eq!(rule["place"]["line"], 11);
}

/// A gateway that leads to `web`, which calls `cart`, which calls `db`.
fn chain(more: &str) -> Project {
    let mut all = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: enabled}}\n---\n\
        apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system}\n---\n\
        apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: istio-system}\nspec: {mtls: {mode: STRICT}}\n---\n\
        apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: ingress, namespace: istio-system}\nspec:\n  selector: {matchLabels: {istio: ingressgateway}}\n  template:\n    metadata: {labels: {istio: ingressgateway}, annotations: {inject.istio.io/templates: gateway}}\n    spec: {serviceAccountName: ingress, containers: [{name: istio-proxy, image: auto, ports: [{containerPort: 8080}]}]}\n---\n\
        apiVersion: v1\nkind: Service\nmetadata: {name: ingress, namespace: istio-system}\nspec: {selector: {istio: ingressgateway}, ports: [{name: http2, port: 80, targetPort: 8080}]}\n---\n\
        apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: front, namespace: istio-system}\nspec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example]}]}\n---\n\
        apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: front, namespace: shop}\nspec: {hosts: [shop.example], gateways: [istio-system/front], http: [{route: [{destination: {host: web.shop.svc.cluster.local, port: {number: 80}}}]}]}\n---\n"
        .to_owned();
    for (name, caller) in
        [("web", "istio-system/sa/ingress"), ("cart", "shop/sa/web"), ("db", "shop/sa/cart")]
    {
        all.push_str(&format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec: {{serviceAccountName: {name}, containers: [{{name: a, image: a, ports: [{{containerPort: 8080}}]}}]}}\n---\n\
             apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}\n---\n\
             apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{selector: {{matchLabels: {{app: {name}}}}}, rules: [{{from: [{{source: {{principals: [cluster.local/ns/{caller}]}}}}]}}]}}\n---\n"
        ));
    }
    Project::new(&[("a.yaml", &(all + more))])
}

/// The stations of each way.
fn stations(told: &Value) -> Vec<String> {
    let paths = told["paths"].as_array().unwrap().iter();
    paths
        .map(|path| {
            let hops = path["hops"].as_array().unwrap();
            let mut stations = vec![text(&hops[0]["from"])];
            stations.extend(hops.iter().map(|hop| format!("{}:{}", text(&hop["to"]), hop["port"])));
            stations.join(" > ")
        })
        .collect()
}

#[test]
fn from_outside_to_the_database() {
    let project = chain("");
    let ask = |more: &[&str]| project.run(&[&["reach", "--transitive", "-o", "json"], more].concat());
    let ways = stations(&ask(&["--from", "plaintext", "--to", "shop/db:8080"]).json());
    let way = "plaintext > istio-system/ingress:8080 > shop/web:8080 > shop/cart:8080 > shop/db:8080";
    assert_eq!(ways, [way]);
    // A workload that nobody lets in may call the gateway all the same, as clients from outside do.
    let of_workload = |from: &str, is_through: bool| {
        let mut told = ask(&["--from", from]).json();
        let paths = told["paths"].as_array_mut().unwrap();
        paths.retain(|path| (path["hops"][0]["to"] == "istio-system/ingress") == is_through);
        stations(&told)
    };
    assert_eq!(of_workload("shop/db", false), [] as [&str; 0]);
    assert_eq!(of_workload("shop/db", true).last().unwrap(), &way.replace("plaintext", "shop/db"));
    assert_eq!(of_workload("shop/cart", false), ["shop/cart > shop/db:8080"]);
    let to = stations(&ask(&["--to", "shop/db"]).json());
    assert_eq!(to.len(), 4, "{to:?}");
    assert!(
        to[3].ends_with("istio-system/ingress:8080 > shop/web:8080 > shop/cart:8080 > shop/db:8080"),
        "{to:?}"
    );
    // One refusal on the way closes it.
    let deny = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: no, namespace: shop}\nspec: {selector: {matchLabels: {app: cart}}, action: DENY, rules: [{from: [{source: {namespaces: [shop]}}]}]}\n";
    let closed =
        chain(deny).run(&["reach", "--transitive", "--from", "plaintext", "--to", "shop/db", "-o", "json"]);
    assert_eq!(stations(&closed.json()), [] as [&str; 0]);
    let plain = project.run(&["reach", "--transitive", "--from", "plaintext", "--to", "shop/db:8080"]).stdout;
    assert!(plain.starts_with("plaintext → istio-system/ingress:8080 → shop/web:8080"), "{plain}");
}

#[test]
fn routes_of_the_gateway_api_lead_on() {
    let front = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: door, namespace: shop}\nspec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}\n---\n\
        apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: door, namespace: shop}\nspec: {parentRefs: [{name: door}], rules: [{backendRefs: [{name: cart, port: 80}]}]}\n---\n\
        apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: door-istio, namespace: shop}\nspec:\n  selector: {matchLabels: {gateway.networking.k8s.io/gateway-name: door}}\n  template:\n    metadata: {labels: {gateway.networking.k8s.io/gateway-name: door}, annotations: {inject.istio.io/templates: gateway}}\n    spec: {serviceAccountName: web, containers: [{name: istio-proxy, image: auto}]}\n";
    let told = chain(front).run(&[
        "reach",
        "--transitive",
        "--from",
        "plaintext",
        "--to",
        "shop/cart",
        "-o",
        "json",
    ]);
    let ways = stations(&told.json());
    assert_eq!(ways, ["plaintext > shop/door-istio:80 > shop/cart:8080"]);
}

#[test]
fn names_that_do_not_exist_are_errors_with_a_suggestion() {
    let folder = format!("{SCENARIOS}/workshop/2-strict");
    for (arguments, meant) in [
        (["--to", "default/web-apo"], "did you mean default/web-api?"),
        (["--to", "default/web-api:1"], "it has 9080"),
        (["--from", "default/articels"], "did you mean default/articles?"),
    ] {
        let told = from_root(&[&["reach"], &arguments[..], &[folder.as_str()][..]].concat());
        assert_eq!((told.code, told.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(told.stderr.contains(meant), "{}", told.stderr);
    }
    assert_eq!(from_root(&["reach", "-o", "concise", &folder]).code, 2);
    assert_eq!(from_root(&["reach", "--transitive", &folder]).code, 2);
    assert_eq!(Project::new(&[("README.md", "nothing here\n")]).run(&["reach"]).code, 3);
}

#[test]
fn clusters_are_told_apart() {
    let cluster = |name: &str| format!("{name}={SCENARIOS}/two-clusters/{name}");
    let ask = |more: &[&str]| {
        let both = [
            "reach",
            "--render",
            "never",
            "-o",
            "json",
            "--cluster",
            &cluster("gke"),
            "--cluster",
            &cluster("aks"),
        ];
        from_root(&[&both, more].concat())
    };
    let everything = ask(&[]).json();
    let edge =
        everything["edges"].as_array().unwrap().iter().find(|edge| edge["cluster"] == "gke").unwrap().clone();
    let name = text(&edge["to"]);
    let near = ask(&["--to", &name, "--to-cluster", "gke"]).json();
    let edges = near["edges"].as_array().unwrap();
    assert!(!edges.is_empty() && edges.iter().all(|edge| edge["cluster"] == "gke"), "{near:#}");
    let nowhere = ask(&["--to", &name, "--to-cluster", "eks"]);
    assert!(nowhere.code == 2 && nowhere.stderr.contains("the input has"), "{}", nowhere.stderr);
    assert_eq!(ask(&["--to-cluster", "gke"]).code, 2);
}

#[test]
fn missing_namespaces_are_assumed_and_the_assumption_is_told() {
    let all = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: a, image: a, ports: [{containerPort: 8080}]}]}\n---\n\
        apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: none, namespace: shop}\nspec: {}\n";
    let project = Project::new(&[("a.yaml", all)]);
    let ask =
        |more: &[&str]| project.run(&[&["reach", "--to", "shop/web", "-o", "json"], more].concat()).json();
    let with_sidecars = ask(&[]);
    assert_eq!(with_sidecars["closed"].as_array().unwrap().len(), 1, "{with_sidecars:#}");
    assert!(text(&with_sidecars["notes"][0]).contains("--assume says otherwise"), "{with_sidecars:#}");
    let without = ask(&["--assume", "none"]);
    let edge = &without["edges"][0];
    assert_eq!((&edge["transport"], &edge["certain"]), (&"plaintext".into(), &true.into()), "{without:#}");
    let unknown = ask(&["--assume", "unknown"]);
    let note = text(&unknown["notes"][0]);
    assert!(
        note.starts_with("that nobody reaches shop/web:8080 hangs on what is not known: "),
        "{unknown:#}"
    );
}

#[test]
fn holders_of_tokens_are_callers() {
    let more = "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: jwt, namespace: shop}\nspec: {selector: {matchLabels: {app: web}}, jwtRules: [{issuer: https://issuer.example, jwksUri: https://issuer.example/keys}]}\n---\n\
        apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users, namespace: shop}\nspec: {selector: {matchLabels: {app: web}}, rules: [{from: [{source: {requestPrincipals: [\"https://issuer.example/*\"]}}], to: [{operation: {paths: [/me]}}]}]}\n";
    let project = chain(more);
    let ask = |token: &str| project.run(&["reach", "--token", token, "-o", "json"]).json();
    let told = ask("https://issuer.example/alice");
    let edges = told["edges"].as_array().unwrap();
    assert!(!edges.is_empty(), "{told:#}");
    for edge in edges {
        assert_eq!(
            (&edge["to"], &edge["tokens"][0]),
            (&"shop/web".into(), &"token of https://issuer.example".into())
        );
        assert_eq!(edge["requests"][0], "anything on /me");
        assert_eq!(edge["witness"]["claims"]["iss"], "https://issuer.example", "{edge:#}");
    }
    assert_eq!(ask("https://other.example")["edges"], serde_json::json!([]));
    let from = |more: &[&str]| {
        let ask = ["reach", "--from", "token:https://issuer.example/alice", "-o", "json"];
        project.run(&[&ask, more].concat())
    };
    assert_eq!(from(&[]).json()["edges"], told["edges"]);
    assert_eq!(told["edges"][0]["witness"]["claims"]["sub"], "alice", "{told:#}");
    // Behind what the token opens the workload calls on, without it.
    let ways = from(&["--transitive"]).json();
    let ends: Vec<String> = ways["paths"]
        .as_array()
        .unwrap()
        .iter()
        .map(|way| {
            let hops = way["hops"].as_array().unwrap();
            assert_eq!(hops[0]["witness"]["claims"]["sub"], "alice", "{way:#}");
            text(&hops[hops.len() - 1]["to"])
        })
        .collect();
    assert!(["shop/web", "shop/db"].iter().all(|end| ends.contains(&(*end).to_owned())), "{ends:?}");
    assert_eq!(from(&["--token", "https://issuer.example"]).code, 2);
    assert_eq!(from(&["--from-cluster", "east"]).code, 2);
    let graph = project.run(&["graph", "-o", "json", "--token", "https://issuer.example"]).json();
    let nodes = graph["nodes"].as_array().unwrap();
    let kinds: Vec<String> =
        nodes.iter().map(|node| format!("{}: {}", text(&node["kind"]), text(&node["label"]))).collect();
    assert_eq!(kinds, ["workload: web", "token: token of https://issuer.example"]);
    let token = serde_json::json!({ "issuer": "https://issuer.example", "subject": null, "from": "token:https://issuer.example" });
    assert_eq!(nodes[1]["token"], token);
}

#[test]
fn what_gets_through_a_gateway_is_told() {
    let more = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: edge, namespace: istio-system}\nspec: {selector: {matchLabels: {istio: ingressgateway}}, rules: [{to: [{operation: {paths: [\"/shop/*\", /health]}}]}]}\n---\n\
        apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: no, namespace: shop}\nspec: {selector: {matchLabels: {app: web}}, action: DENY, rules: [{to: [{operation: {paths: [\"/shop/admin*\"]}}]}]}\n";
    let told = chain(more)
        .run(&["reach", "--transitive", "--from", "plaintext", "--to", "shop/web:8080", "-o", "json"])
        .json();
    let through = &told["paths"][0]["through"][0];
    assert_eq!(
        (&through["first"], &through["last"], &through["certain"]),
        (&0.into(), &1.into(), &true.into())
    );
    assert_eq!(
        through["requests"],
        serde_json::json!(["anything on /shop/*, /health but not /shop/admin* at host shop.example"])
    );
    let path = |at: usize| text(&told["paths"][0]["hops"][at]["witness"]["path"]);
    assert_eq!(path(0), path(1));
    // Nothing gets through where the two have nothing in common.
    let closed = more.replace("paths: [\"/shop/*\", /health]", "paths: [\"/shop/admin/*\"]");
    let told = chain(&closed).run(&[
        "reach",
        "--transitive",
        "--from",
        "plaintext",
        "--to",
        "shop/web:8080",
        "-o",
        "json",
    ]);
    assert_eq!(stations(&told.json()), [] as [&str; 0]);
}
