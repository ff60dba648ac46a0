//! The vectors of mutual-TLS reference §12.1 that are about clients, by number; 1 to 15 are in meshproof-ir.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{ask, injected, mesh, namespace, networking, peer_authentication, pod, rule, service, told};

const X: &str = "x.a.svc.cluster.local";

/// Client `c/c` and server `a/x`, both with sidecars.
fn two(more: &[String]) -> meshproof_ir::Mesh {
    let base = [
        injected("a"),
        injected("c"),
        pod("c", "c", "c", ""),
        pod("a", "x", "x", ""),
        service("a", "x", "http", ""),
    ];
    mesh(&(base.concat() + &more.concat()))
}

#[test]
fn vector_16_a_strict_workload_in_a_namespace_with_mtls_off_cannot_be_called() {
    let mesh = two(&[
        peer_authentication("a", "all", "mtls: {mode: DISABLE}"),
        peer_authentication("a", "x", "selector: {matchLabels: {app: x}}, mtls: {mode: STRICT}"),
    ]);
    let outcome = ask(&mesh, "c/c", X, None);
    assert_eq!(told(&outcome), ["plain: refused, no chain"]);
    let name = |id| mesh.resource(id).meta.name().to_owned();
    let deciding: Vec<String> = outcome.evidence.iter().filter_map(|one| one.object.map(name)).collect();
    assert_eq!(deciding, ["all"], "the rule that makes the client send plaintext is named");
    let server: Vec<String> =
        outcome.endpoints[0].server.iter().filter_map(|one| one.object.map(name)).collect();
    assert_eq!(
        server,
        ["a", "x"],
        "the Namespace that gives it a sidecar and its PeerAuthentication are named"
    );
}

#[test]
fn vector_17_a_port_entry_without_tls_still_marks_endpoints() {
    let mesh = two(&[
        peer_authentication("a", "all", "mtls: {mode: STRICT}"),
        rule(
            "a",
            "x",
            "host: x, trafficPolicy: {tls: {mode: DISABLE}, portLevelSettings: [{port: {number: 80}, connectionPool: {tcp: {maxConnections: 1}}}]}",
        ),
    ]);
    assert_eq!(told(&ask(&mesh, "c/c", X, None)), ["plain: refused, no chain"]);
}

/// A subset `v1` with this policy under ISTIO_MUTUAL, in a mesh without automatic mutual TLS.
fn subset(policy: &str) -> meshproof_ir::Mesh {
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n\
                  data: {mesh: 'enableAutoMtls: false'}\n---\n";
    let spec = format!(
        "host: x, trafficPolicy: {{tls: {{mode: ISTIO_MUTUAL}}}}, subsets: [{{name: v1, labels: {{app: x}}, trafficPolicy: {{{policy}}}}}]"
    );
    two(&[config.to_owned(), rule("a", "x", &spec)])
}

#[test]
fn vector_18_a_subset_without_tls_has_that_of_the_rule() {
    let mesh = subset("loadBalancer: {simple: ROUND_ROBIN}");
    let outcome = ask(&mesh, "c/c", X, Some("v1"));
    assert_eq!(told(&outcome), ["istio-mtls: mutual as c"]);
    assert_eq!(outcome.tls.unwrap().sni, "outbound_.80_.v1_.x.a.svc.cluster.local");
}

#[test]
fn vector_19_a_port_entry_of_a_subset_takes_tls_away() {
    let mesh =
        subset("portLevelSettings: [{port: {number: 80}, connectionPool: {tcp: {maxConnections: 1}}}]");
    assert_eq!(told(&ask(&mesh, "c/c", X, Some("v1"))), ["plain: plaintext"], "without automatic mutual TLS");
    let other = subset("portLevelSettings: [{port: {number: 81}, tls: {mode: DISABLE}}]");
    assert_eq!(told(&ask(&other, "c/c", X, Some("v1"))), ["istio-mtls: mutual as c"], "other ports keep it");
}

#[test]
fn vector_20_a_wildcard_of_the_client_hides_the_rule_of_the_service() {
    let hidden = rule("a", "x", "host: x, trafficPolicy: {tls: {mode: DISABLE}}");
    let wide = "host: '*', trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1}}";
    let mesh = two(&[hidden.clone(), rule("c", "wide", wide)]);
    assert_eq!(told(&ask(&mesh, "c/c", X, None)), ["istio-mtls: mutual as c"]);
    assert_eq!(told(&ask(&two(&[hidden]), "c/c", X, None)), ["plain: plaintext"]);
}

#[test]
fn vector_21_tls_without_a_mode_is_plaintext() {
    let mesh = two(&[rule("a", "x", "host: x, trafficPolicy: {tls: {}}")]);
    assert_eq!(told(&ask(&mesh, "c/c", X, None)), ["plain: plaintext"]);
}

#[test]
fn vector_22_an_account_makes_an_endpoint_take_mutual_tls() {
    let entry = networking(
        "ServiceEntry",
        "a",
        "vm",
        "hosts: [vm.example], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], \
         endpoints: [{address: 10.0.0.1, serviceAccount: vm}, {address: 10.0.0.2}]",
    );
    let outcome = ask(&two(&[entry]), "c/c", "vm.example", None);
    assert_eq!(told(&outcome), ["istio-mtls: ?", "plain: ?"]);
    assert_eq!(outcome.tls.unwrap().server_names, ["spiffe://cluster.local/ns/a/sa/vm"]);
}

/// A headless Service over a pod with a sidecar and one without.
fn headless(client: &str) -> meshproof_ir::Mesh {
    let base = [
        injected("a"),
        injected("c"),
        client.to_owned(),
        pod("a", "x", "x", ""),
        pod("a", "bare", "x", "sidecar.istio.io/inject: 'false'"),
        service("a", "x", "http", ", clusterIP: None"),
    ];
    mesh(&base.concat())
}

#[test]
fn vector_23_one_endpoint_without_a_proxy_makes_headless_calls_plaintext() {
    let mesh = headless(&pod("c", "c", "c", ""));
    assert_eq!(told(&ask(&mesh, "c/c", X, None)), ["plain: plaintext", "plain: application"]);
}

#[test]
fn vector_24_gateways_send_plaintext_to_both_too() {
    let gateway = "apiVersion: v1\nkind: Pod\nmetadata: {name: g, namespace: c, annotations: {inject.istio.io/templates: gateway}}\n\
                   spec: {containers: [{name: istio-proxy, image: auto}]}\n---\n";
    let outcome = ask(&headless(gateway), "c/g", X, None);
    assert_eq!(outcome.path, meshproof_transport::Path::Cluster);
    assert_eq!(told(&outcome), ["plain: plaintext", "plain: application"]);
}

#[test]
fn accounts_of_pods_outside_the_mesh_are_names_of_servers_too() {
    let base = [
        injected("a"),
        namespace("n", ""),
        pod("a", "c", "c", ""),
        pod("n", "x", "x", ""),
        service("n", "x", "tcp", ""),
        rule("n", "x", "host: x, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}"),
    ];
    let outcome = ask(&mesh(&base.concat()), "a/c", "x.n.svc.cluster.local", None);
    assert_eq!(told(&outcome), ["istio-mtls: unopened"]);
    assert_eq!(outcome.tls.unwrap().server_names, ["spiffe://cluster.local/ns/n/sa/x"]);
}
