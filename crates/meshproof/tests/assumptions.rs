//! What `explain` and `tls` assume, what they leave open, and how one says which of several is meant.

#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use serde_json::Value;
use support::{Project, text};

/// A workload of a kind with label `app` of its name, on port 8080, behind a Service.
fn app(kind: &str, namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  \
         selector: {{matchLabels: {{app: {name}, kind: {kind}}}}}\n  template:\n    \
         metadata: {{labels: {{app: {name}, kind: {kind}}}}}\n    spec:\n      serviceAccountName: {name}\n      \
         containers: [{{name: a, image: a, ports: [{{containerPort: 8080}}]}}]\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}\n---\n"
    )
}

fn namespace(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{istio-injection: enabled}}}}\n---\n"
    )
}

const STRICT: &str = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: shop}\n\
    spec: {mtls: {mode: STRICT}}\n---\n";
const FROM_WEB: [&str; 6] = ["--from", "workload:web/front", "--to", "shop/cart:8080", "-o", "json"];

fn ask(project: &Project, command: &str, more: &[&str]) -> Value {
    let run = project.run(&[&[command], &FROM_WEB[..], more].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    run.json()
}

fn listed(answer: &Value, key: &str) -> String {
    let of = |one: &Value| if one.is_string() { text(one) } else { text(&one["text"]) };
    answer[key].as_array().unwrap().iter().map(of).collect::<Vec<_>>().join("\n")
}

/// Without Namespace objects both commands take pods to have sidecars, and both say it.
#[test]
fn one_assumption_is_made_of_pods_whose_namespace_is_missing() {
    let all =
        [app("Deployment", "web", "front"), app("Deployment", "shop", "cart"), STRICT.to_owned()].concat();
    let project = Project::new(&[("all.yaml", &all)]);
    let outcomes = |more: &[&str]| {
        let told = ask(&project, "tls", more);
        let explained = ask(&project, "explain", more);
        (text(&told["rows"][0]["clients"][0]["outcome"]), text(&explained["transport"]), told, explained)
    };
    let (told, explained, table, answer) = outcomes(&[]);
    assert_eq!((told.as_str(), explained.as_str()), ("mtls", "mtls"), "{table}{answer}");
    assert!(
        listed(&table, "notes")
            .contains("shop, web are not in the input: their workloads are taken to have a sidecar")
    );
    assert!(
        listed(&answer, "unknown")
            .contains("namespace shop is not in the input, so shop/cart is taken to have a sidecar")
    );
    assert_eq!(answer["certain"], false);
    let (told, explained, table, answer) = outcomes(&["--assume", "none"]);
    assert_eq!((told.as_str(), explained.as_str()), ("plaintext", "plaintext"));
    // Said is said.
    assert_eq!((listed(&table, "notes").as_str(), &answer["certain"]), ("", &Value::Bool(true)));
    let (told, explained, _, answer) = outcomes(&["--assume", "unknown"]);
    assert_eq!(
        (told.as_str(), explained.as_str(), &answer["certain"]),
        ("unknown", "unknown", &Value::Bool(false))
    );
    project.write("meshproof.yaml", b"external: {dataplane: none}\n");
    let (told, explained, _, answer) = outcomes(&[]);
    assert_eq!(
        (told.as_str(), explained.as_str(), &answer["certain"]),
        ("plaintext", "plaintext", &Value::Bool(true))
    );
}

#[test]
fn a_client_of_one_cluster_can_be_meant() {
    let cluster = |labels: &str| {
        let web =
            format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: web, labels: {{{labels}}}}}\n---\n");
        [
            web,
            namespace("shop"),
            app("Deployment", "web", "front"),
            app("Deployment", "shop", "cart"),
            STRICT.to_owned(),
        ]
        .concat()
    };
    let project = Project::new(&[
        ("east/all.yaml", cluster("istio-injection: enabled").as_str()),
        ("west/all.yaml", cluster("istio-injection: disabled").as_str()),
    ]);
    let clusters = ["--cluster", "east=east", "--cluster", "west=west"];
    let of = |from: &str, to: &str| {
        let places = [&clusters[..], &["--from-cluster", from, "--to-cluster", to]].concat();
        let told = ask(&project, "tls", &places);
        let outcomes: Vec<String> = told["rows"][0]["clients"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| text(&group["outcome"]))
            .collect();
        (text(&ask(&project, "explain", &places)["decision"]), outcomes)
    };
    assert_eq!(of("east", "east").0, "allow");
    assert!(of("east", "east").1.contains(&"mtls".to_owned()));
    assert_eq!(of("west", "west"), ("deny".to_owned(), vec!["refused".to_owned()]));
    for (more, wanted) in [
        (["--from-cluster", "north"], "there is no cluster north; the input has east, west"),
        (["--to-cluster", "north"], "there is no cluster north"),
    ] {
        for command in ["explain", "tls"] {
            let run = project.run(&[&[command], &FROM_WEB[..], &clusters, &more].concat());
            assert_eq!(run.code, 2);
            assert!(run.stderr.contains(wanted), "{}", run.stderr);
        }
    }
}

#[test]
fn workloads_of_one_name_are_told_apart_by_kind() {
    let deny = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: no, namespace: shop}\n\
        spec: {action: DENY, selector: {matchLabels: {kind: StatefulSet}}, rules: [{}]}\n---\n";
    let all = [
        namespace("web"),
        namespace("shop"),
        app("Deployment", "web", "front"),
        app("Deployment", "shop", "cart"),
        app("StatefulSet", "shop", "cart").split_once("---\n").unwrap().0.to_owned() + "---\n",
        deny.to_owned(),
    ]
    .concat();
    let project = Project::new(&[("all.yaml", &all)]);
    let both = project.run(&[&["explain"], &FROM_WEB[..]].concat());
    assert_eq!(both.code, 2);
    assert!(both.stderr.contains("shop/StatefulSet/cart denies it"), "{}", both.stderr);
    assert!(both.stderr.contains("name the one you mean: --to shop/"), "{}", both.stderr);
    let of = |kind: &str| {
        let to = format!("shop/{kind}/cart:8080");
        project.run(&["explain", "--from", "workload:web/front", "--to", &to, "-o", "json"]).json()
    };
    assert_eq!(
        (&of("Deployment")["decision"], &of("statefulset")["decision"]),
        (&"allow".into(), &"deny".into())
    );
    let told =
        project.run(&["tls", "--to", "shop/StatefulSet/cart", "--from", "workload:shop/Deployment/cart"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
}

/// Git holds no creation times; of DestinationRules that differ the older one counts.
#[test]
fn destination_rules_of_unknown_age_are_in_doubt() {
    let rule = |name: &str, mode: &str, created: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
             metadata: {{name: {name}, namespace: shop{created}}}\n\
             spec: {{host: cart, trafficPolicy: {{tls: {{mode: {mode}}}}}}}\n---\n"
        )
    };
    let with = |rules: &[String]| {
        let base = [
            namespace("web"),
            namespace("shop"),
            app("Deployment", "web", "front"),
            app("Deployment", "shop", "cart"),
        ];
        Project::new(&[("all.yaml", &[base.concat(), rules.concat()].concat())])
    };
    let open = with(&[rule("a", "ISTIO_MUTUAL", ""), rule("b", "DISABLE", "")]);
    let answer = ask(&open, "explain", &[]);
    assert_eq!((&answer["transport"], &answer["certain"]), (&"mtls".into(), &false.into()));
    assert!(
        listed(&answer, "unknown").contains("which of the DestinationRules a and b is older"),
        "{answer}"
    );
    let told = ask(&open, "tls", &[]);
    assert!(told["rows"][0]["clients"][0]["unknown"][0].as_str().unwrap().contains("a and b"), "{told}");
    let same = with(&[rule("a", "DISABLE", ""), rule("b", "DISABLE", "")]);
    assert_eq!(ask(&same, "explain", &[])["certain"], true);
    let dated = |day: u8| format!(", creationTimestamp: '2026-01-0{day}T00:00:00Z'");
    let known = with(&[rule("a", "DISABLE", &dated(2)), rule("b", "ISTIO_MUTUAL", &dated(1))]);
    let answer = ask(&known, "explain", &[]);
    assert_eq!((&answer["transport"], &answer["certain"]), (&"mtls".into(), &true.into()), "{answer}");
}

/// What is not evaluated is named wherever an answer hangs on it.
#[test]
fn policies_of_other_kinds_are_named() {
    let admin = "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: quarantine}\n\
        spec: {priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}\n---\n";
    let base = [
        namespace("web"),
        namespace("shop"),
        app("Deployment", "web", "front"),
        app("Deployment", "shop", "cart"),
    ];
    let project = Project::new(&[("all.yaml", &[base.concat(), admin.to_owned()].concat())]);
    let answer = ask(&project, "explain", &[]);
    assert_eq!(answer["certain"], false);
    assert!(listed(&answer, "unknown").contains("AdminNetworkPolicy quarantine may have a say"), "{answer}");
    let told = ask(&project, "tls", &[]);
    let unknown = &told["rows"][0]["clients"][0]["unknown"];
    assert!(unknown[0].as_str().unwrap().contains("AdminNetworkPolicy quarantine"), "{told}");
}

/// An address block says nothing certain of pods, whose addresses no manifest tells.
#[test]
fn blocks_of_addresses_leave_pods_open() {
    let office = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: office, namespace: shop}\n\
        spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}\n---\n";
    let base = [
        namespace("web"),
        namespace("shop"),
        app("Deployment", "web", "front"),
        app("Deployment", "shop", "cart"),
    ];
    let project = Project::new(&[("all.yaml", &[base.concat(), office.to_owned()].concat())]);
    let answer = ask(&project, "explain", &["--source-ip", "10.1.1.1"]);
    assert_eq!(answer["certain"], false);
    assert!(listed(&answer, "unknown").contains("whether the network lets it pass"), "{answer}");
    let outside = |address: &str| {
        project.run(&["explain", "--from", address, "--to", "shop/cart:8080", "-o", "json"]).json()["certain"]
            .clone()
    };
    assert_eq!(outside("plaintext:10.1.1.1"), true);
    assert_eq!(outside("plaintext:192.0.2.1"), true);
}

#[test]
fn objects_of_no_namespace_are_told_of_with_what_to_do() {
    let web = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: a, image: a, ports: [{containerPort: 8080}]}]}\n";
    let project = Project::new(&[("a.yaml", web)]);
    let told = project.run(&["reach"]);
    assert!(told.stdout.starts_with("(no namespace)/web:8080"), "{}", told.stdout);
    let assumed =
        "note: workloads that name no namespace are taken to have a sidecar; --assume says otherwise";
    assert!(told.stdout.contains(assumed), "{}", told.stdout);
    assert!(told.stdout.contains("-n NAMESPACE says in which they are applied"), "{}", told.stdout);
    let named = project.run(&["reach", "-n", "shop"]).stdout;
    assert!(named.starts_with("shop/web:8080") && !named.contains("no namespace"), "{named}");
    let asked = project.run(&["reach", "--to", "(no namespace)/web"]);
    assert_eq!(asked.code, 2);
    assert!(asked.stderr.contains("say in which it is applied: -n NAMESPACE"), "{}", asked.stderr);
}
