//! What is told for certain, and what is not: properties that callers do not choose or the input does not tell.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::gateways::{FRONT, gateway_pods, routes};
use common::{injected, mesh, namespace, peer_authentication, pod, policy, service};
use meshproof_graph::{Graph, Reach, ReachQuestion, Scope};

/// A server with rules and a client, both with sidecars that take nothing but mutual TLS.
fn world(spec: &str) -> String {
    let strict = peer_authentication("istio-system", "m", "mtls: {mode: STRICT}");
    let server = pod("shop", "web", "web", "") + &service("shop", "web", "http", "");
    let client = pod("shop", "client", "client", "");
    namespace("istio-system", "") + &injected("shop") + &strict + &server + &client + spec
}

fn rules(action: &str, rules: &str) -> String {
    policy(
        "shop",
        &action.to_lowercase(),
        &format!("selector: {{matchLabels: {{pod: web}}}}, action: {action}, rules: [{rules}]"),
    )
}

fn reach(text: &str, from: Option<&str>, to: &str, transitive: bool) -> Reach {
    let mesh = mesh(text);
    let scope = Scope {
        from: from.map(|from| from.parse().unwrap()),
        to: Some(to.parse().unwrap()),
        ..Scope::default()
    };
    Graph::new(&mesh).reach(&ReachQuestion { scope, transitive, names: 3 }).unwrap()
}

/// Why it is not certain that the client gets in; nothing where nothing of it is told.
fn doubts(text: &str) -> Option<Vec<String>> {
    reach(text, Some("workload:shop/client"), "shop/web:8080", false).edges.pop().map(|edge| edge.told.may)
}

#[test]
fn nobody_has_an_identity_of_a_trust_domain_that_is_not_trusted() {
    let foreign = world(&rules("ALLOW", "{from: [{source: {principals: [other.domain/ns/q/sa/q]}}]}"));
    assert!(reach(&foreign, None, "shop/web:8080", false).edges.is_empty());
    let left = rules("ALLOW", "{from: [{source: {namespaces: [q]}}]}")
        + &rules("DENY", "{from: [{source: {principals: [cluster.local/*]}}]}");
    assert!(reach(&world(&left), None, "shop/web:8080", false).edges.is_empty());
    // An alias is trusted.
    let alias = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {name: i, namespace: istio-system}\n\
                 spec: {meshConfig: {trustDomainAliases: [other.domain]}}\n---\n";
    let told = reach(&(foreign + alias), None, "shop/web:8080", false).edges;
    let identity = told[0].told.witness.clone().unwrap().identity.unwrap();
    assert!(identity.ends_with("/ns/q/sa/q"), "{identity}");
}

#[test]
fn what_clients_of_the_mesh_do_not_choose_is_not_certain() {
    let refused = |key: &str, value: &str| {
        world(&rules("DENY", &format!("{{when: [{{key: {key}, values: [\"{value}\"]}}]}}")))
    };
    let allowed = |key: &str, value: &str| {
        world(&rules("ALLOW", &format!("{{when: [{{key: {key}, values: [\"{value}\"]}}]}}")))
    };
    let name = ["a rule asks for the server name (SNI), which proxies of the mesh set".to_owned()];
    let address = ["a rule asks for the address of the pod".to_owned()];
    assert_eq!(doubts(&refused("connection.sni", "foo.com")).unwrap(), name);
    assert_eq!(doubts(&allowed("connection.sni", "foo.com")).unwrap(), name);
    assert_eq!(doubts(&allowed("destination.ip", "192.168.1.1")).unwrap(), address);
    // Another rule lets the rest in.
    let both = world(&rules(
        "ALLOW",
        "{to: [{operation: {methods: [GET]}}]}, {when: [{key: destination.ip, values: [192.168.1.1]}]}",
    ));
    assert_eq!(doubts(&both).unwrap(), [""; 0]);
}

#[test]
fn witnesses_tell_what_rules_ask_for() {
    let shown = |rule: &str| {
        let told = reach(&world(&rules("ALLOW", rule)), Some("workload:shop/client"), "shop/web:8080", false);
        told.edges[0].told.witness.clone().unwrap()
    };
    assert_eq!(shown("{to: [{operation: {hosts: [example.com]}}]}").host.as_deref(), Some("example.com"));
    assert_eq!(shown("{from: [{source: {ipBlocks: [10.0.0.1]}}]}").source.as_deref(), Some("10.0.0.1"));
    let plain = shown("{}");
    assert_eq!((plain.host, plain.source), (None, None));
}

#[test]
fn exceptions_are_of_the_requests_that_are_let_in() {
    let each = |rule: &dyn Fn(usize) -> String| (0..12).map(rule).collect::<Vec<_>>().join(", ");
    let allowed = each(&|at| {
        let who = if at == 11 { "client".to_owned() } else { format!("c{at}") };
        format!(
            "{{from: [{{source: {{principals: [cluster.local/ns/shop/sa/{who}]}}}}], to: [{{operation: {{paths: [\"/p{at}/*\"]}}}}]}}"
        )
    });
    let refused = each(&|at| format!("{{to: [{{operation: {{paths: [\"/p{at}/admin*\"]}}}}]}}"));
    let text = world(&(rules("ALLOW", &allowed) + &rules("DENY", &refused)));
    let told = reach(&text, Some("workload:shop/client"), "shop/web:8080", false);
    assert_eq!(told.edges[0].told.except, ["anything on /p11/admin*"]);
}

#[test]
fn workloads_may_call_gateways_as_clients_from_outside_do() {
    let route = "{route: [{destination: {host: web.shop.svc.cluster.local, port: {number: 80}}}]}".to_owned();
    let only = rules("ALLOW", "{from: [{source: {principals: [cluster.local/ns/istio-system/sa/gw]}}]}");
    let text = world(&only) + &gateway_pods() + FRONT + &routes(&[route]);
    let told = reach(&text, Some("workload:shop/client"), "istio-system/gw:8080", false);
    assert!(told.edges[0].told.may[0].contains("whether the workload calls the gateway"), "{told:#?}");
    let told = reach(&text, Some("workload:shop/client"), "shop/web:8080", true);
    assert_eq!(told.paths.len(), 1, "{told:#?}");
    assert_eq!(told.paths[0].hops.len(), 2);
}
