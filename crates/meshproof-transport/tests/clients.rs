//! Who sends what: rows of mutual-TLS reference §3.1 and §3.3, scopes, and what goes around proxies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{
    ambient, ask, find, injected, mesh, namespace, networking, peer_authentication, pod, rule, service, told,
};
use meshproof_ir::{Layer, Mesh};
use meshproof_transport::{Call, Client, Outcome, Path, Target, Transport};

const X: &str = "x.a.svc.cluster.local";
const STRICT: &str = "mtls: {mode: STRICT}";

/// Clients `s/c` with a sidecar, `m/c` in ambient, `n/c` without a proxy, and server `a/x` in a namespace like this.
fn mixed(server: &str, more: &[String]) -> Mesh {
    let base = [
        injected("s"),
        ambient("m"),
        namespace("n", ""),
        server.to_owned(),
        pod("s", "c", "c", ""),
        pod("m", "c", "c", ""),
        pod("n", "c", "c", ""),
        pod("a", "x", "x", ""),
        service("a", "x", "http", ""),
    ];
    mesh(&(base.concat() + &more.concat()))
}

fn rows(mesh: &Mesh) -> [String; 3] {
    ["s/c", "m/c", "n/c"].map(|client| told(&ask(mesh, client, X, None)).join(" "))
}

#[test]
fn clients_against_sidecars() {
    let strict = peer_authentication("a", "p", STRICT);
    assert_eq!(
        rows(&mixed(&injected("a"), &[])),
        ["istio-mtls: mutual as c", "plain: plaintext", "plain: plaintext"]
    );
    assert_eq!(
        rows(&mixed(&injected("a"), &[strict])),
        ["istio-mtls: mutual as c", "plain: refused, no chain", "plain: refused, no chain"]
    );
    let off = peer_authentication("a", "p", "selector: {matchLabels: {app: x}}, mtls: {mode: DISABLE}");
    assert_eq!(
        rows(&mixed(&injected("a"), &[off])),
        ["plain: plaintext", "plain: plaintext", "plain: plaintext"]
    );
}

#[test]
fn clients_against_sidecars_that_take_tunnels() {
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n\
                  data: {mesh: 'defaultConfig: {proxyMetadata: {ISTIO_META_ENABLE_HBONE: \"true\"}}'}\n---\n";
    let mesh = mixed(&injected("a"), &[config.to_owned(), peer_authentication("a", "p", STRICT)]);
    assert_eq!(
        rows(&mesh),
        ["istio-mtls: mutual as c", "hbone: mutual as c", "plain: refused, no chain"],
        "mutual TLS of sidecars is preferred where both are there"
    );
}

#[test]
fn clients_against_ambient() {
    let strict = peer_authentication("a", "p", STRICT);
    assert_eq!(
        rows(&mixed(&ambient("a"), &[strict])),
        ["hbone: mutual as c", "hbone: mutual as c", "plain: refused, TLS required"]
    );
    let simple = rule("a", "x", "host: x, trafficPolicy: {tls: {mode: SIMPLE}}");
    assert_eq!(
        rows(&mixed(&ambient("a"), &[simple])),
        ["hbone+tls: mutual as c", "hbone: mutual as c", "plain: plaintext"],
        "ztunnel knows no DestinationRules"
    );
}

#[test]
fn clients_against_no_proxy() {
    let mesh = mixed(&namespace("a", ""), &[peer_authentication("a", "p", STRICT)]);
    let application = "plain: application".to_owned();
    assert_eq!(rows(&mesh), [application.clone(), application.clone(), application]);
}

#[test]
fn what_is_not_known_of_a_server_is_not_guessed() {
    let mesh = mixed("", &[]);
    let outcome = ask(&mesh, "s/c", X, None);
    assert_eq!(told(&outcome), ["?: ?"]);
    let meshproof_ir::Fact::Unknown(reason) = &outcome.endpoints[0].wire else { panic!("known") };
    assert!(reason.contains("namespace a is not in the input"), "{reason}");
}

#[test]
fn a_rule_of_an_unknown_namespace_may_decide() {
    let rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: r}\n\
                spec: {host: '*.local', trafficPolicy: {tls: {mode: DISABLE}}}\n---\n";
    let outcome = ask(&mixed(&injected("a"), &[rule.to_owned()]), "s/c", X, None);
    assert_eq!(outcome.unknown.len(), 1, "{:?}", outcome.unknown);
    assert!(outcome.unknown[0].contains("DestinationRule r"), "{:?}", outcome.unknown);
}

#[test]
fn sidecar_objects_hide_hosts() {
    let own = networking("Sidecar", "s", "own", "egress: [{hosts: ['./*']}]");
    let outcome = ask(&mixed(&injected("a"), std::slice::from_ref(&own)), "s/c", X, None);
    assert_eq!((outcome.path, told(&outcome)), (Path::Direct, vec!["plain: plaintext".to_owned()]));
    let closed = networking(
        "Sidecar",
        "s",
        "own",
        "egress: [{hosts: ['./*']}], outboundTrafficPolicy: {mode: REGISTRY_ONLY}",
    );
    let outcome = ask(&mixed(&injected("a"), &[closed]), "s/c", X, None);
    assert_eq!((outcome.path, outcome.endpoints.len()), (Path::Blackhole, 0));
    assert!(outcome.evidence[0].object.is_some());
    // A route that leads there brings the host along.
    let route = networking(
        "VirtualService",
        "s",
        "v",
        &format!("hosts: [y.example.com], http: [{{route: [{{destination: {{host: {X}}}}}]}}]"),
    );
    assert_eq!(ask(&mixed(&injected("a"), &[own, route.clone()]), "s/c", X, None).path, Path::Cluster);
    let narrow = networking("Sidecar", "s", "own", "egress: [{hosts: ['./z.example.com']}]");
    assert_eq!(ask(&mixed(&injected("a"), &[narrow, route]), "s/c", X, None).path, Path::Direct);
}

#[test]
fn annotations_take_connections_around_the_client() {
    let base = [
        injected("a"),
        pod("a", "c", "c", "traffic.sidecar.istio.io/excludeOutboundPorts: '80'"),
        pod("a", "r", "c", "traffic.sidecar.istio.io/includeOutboundIPRanges: 10.0.0.0/8"),
        pod("a", "x", "x", ""),
        service("a", "x", "http", ""),
    ];
    let mesh = mesh(&base.concat());
    let outcome = ask(&mesh, "a/c", X, None);
    assert_eq!(told(&outcome), ["plain: plaintext"]);
    assert!(outcome.evidence[0].span.is_some());
    assert_eq!(told(&ask(&mesh, "a/r", X, None)), ["?: ?"]);
}

fn to_pod(mesh: &Mesh, from: &str, port: u16) -> Outcome {
    let call = Call {
        client: Client::Workload(find(mesh, from)),
        target: Target::Workload(find(mesh, "a/x")),
        port,
        subset: None,
        speaks: Layer::Tcp,
    };
    Transport::new(mesh).call(&call)
}

#[test]
fn addresses_of_pods_are_passed_through() {
    let mesh = mixed(&injected("a"), &[]);
    assert_eq!(told(&to_pod(&mesh, "s/c", 9999)), ["plain: plaintext"]);
    let headless = "apiVersion: v1\nkind: Service\nmetadata: {name: h, namespace: a}\n\
                    spec: {clusterIP: None, selector: {app: x}, ports: [{name: tcp, port: 9999}]}\n---\n";
    let mesh = mixed(&injected("a"), &[headless.to_owned()]);
    let outcome = to_pod(&mesh, "s/c", 9999);
    assert_eq!(told(&outcome), ["istio-mtls: mutual as c"], "headless Services make them known");
    assert_eq!(outcome.path, Path::OriginalDestination);
    let tunnelled = mixed(&ambient("a"), &[]);
    assert_eq!(told(&to_pod(&tunnelled, "m/c", 9999)), ["hbone: mutual as c"]);
}

#[test]
fn outsiders_and_bare_identities() {
    let mesh = mixed(&injected("a"), &[peer_authentication("a", "p", STRICT)]);
    let transport = Transport::new(&mesh);
    let cluster = meshproof_ir::ClusterId(0);
    let call = |client| Call { client, target: Target::Host(X), port: 80, subset: None, speaks: Layer::Http };
    assert_eq!(told(&transport.call(&call(Client::Plaintext(cluster)))), ["plain: refused, no chain"]);
    let identity = mesh.identity_of(find(&mesh, "s/c")).unwrap().clone();
    let foreign = meshproof_ir::Identity { trust_domain: Some("elsewhere".to_owned()), ..identity.clone() };
    assert_eq!(
        told(&transport.call(&call(Client::Identity(cluster, &identity)))),
        ["istio-mtls: mutual as c"]
    );
    assert_eq!(
        told(&transport.call(&call(Client::Identity(cluster, &foreign)))),
        ["istio-mtls: refused, trust domain"]
    );
}

#[test]
fn waypoints_stand_in_the_way_and_send_as_they_can() {
    let gateway = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: w, namespace: a}\n\
                   spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}\n---\n";
    let used = "apiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: a, labels: {istio.io/use-waypoint: w}}\n\
                spec: {selector: {app: x}, ports: [{name: http, port: 80, targetPort: 8080}]}\n---\n";
    let base =
        [ambient("a"), injected("s"), pod("a", "c", "c", ""), pod("s", "c", "c", ""), pod("a", "x", "x", "")];
    let mesh = mesh(&(base.concat() + gateway + used));
    let outcome = ask(&mesh, "a/c", X, None);
    assert_eq!(outcome.through.len(), 1, "ztunnel sends to the waypoint first");
    assert!(ask(&mesh, "s/c", X, None).through.is_empty(), "sidecars go past it");
    assert_eq!(told(&ask(&mesh, "a/w", X, None)), ["hbone: mutual as w"]);
}

#[test]
fn aliases_stand_for_another_host() {
    let alias = "apiVersion: v1\nkind: Service\nmetadata: {name: y, namespace: a}\n\
                 spec: {type: ExternalName, externalName: x.a.svc.cluster.local}\n---\n";
    let lost = alias.replace("name: y", "name: z").replace("x.a.svc", "z.a.svc");
    let mesh = mixed(&injected("a"), &[alias.to_owned(), lost]);
    assert_eq!(told(&ask(&mesh, "s/c", "y.a.svc.cluster.local", None)), ["istio-mtls: mutual as c"]);
    assert!(ask(&mesh, "s/c", "z.a.svc.cluster.local", None).endpoints.is_empty(), "an alias of itself");
}

#[test]
fn clients_of_one_class_share_an_answer() {
    let selecting = rule(
        "s",
        "r",
        "host: x.a.svc.cluster.local, workloadSelector: {matchLabels: {pod: d}}, trafficPolicy: {tls: {mode: DISABLE}}",
    );
    let more = [pod("s", "d", "c", ""), pod("s", "e", "e", ""), selecting];
    let mesh = mixed(&injected("a"), &more);
    let transport = Transport::new(&mesh);
    let class = |name: &str| transport.client_class(find(&mesh, name));
    assert_eq!(class("s/c"), class("s/e"));
    assert_ne!(class("s/c"), class("s/d"), "a rule is for this one alone");
    assert_ne!(class("s/c"), class("m/c"));
    assert_eq!(told(&ask(&mesh, "s/d", X, None)), ["plain: plaintext"]);
    assert_eq!(told(&ask(&mesh, "s/e", X, None)), ["istio-mtls: mutual as e"]);
    let servers: Vec<_> = ["s/c", "s/d"].map(|name| transport.server_class(find(&mesh, name), 8080)).into();
    assert_eq!(servers[0], servers[1]);
    assert_ne!(servers[0], transport.server_class(find(&mesh, "m/c"), 8080));
}

#[test]
fn rules_side_by_side() {
    let tls =
        |mode: &str, export: &str| format!("host: x, {export} trafficPolicy: {{tls: {{mode: {mode}}}}}");
    let sent = |rules: &[String]| told(&ask(&mixed(&injected("a"), rules), "s/c", X, None)).join(" ");
    let disable = |export: &str| rule("a", "one", &tls("DISABLE", export));
    let mutual = |export: &str| rule("a", "two", &tls("ISTIO_MUTUAL", export));
    assert_eq!(sent(&[disable(""), mutual("")]), "plain: plaintext", "with equal exportTo the oldest counts");
    assert_eq!(
        sent(&[disable(""), mutual("exportTo: ['*'],")]),
        "istio-mtls: mutual as c",
        "with different ones the newest"
    );
    assert_eq!(sent(&[disable("exportTo: ['.'],")]), "istio-mtls: mutual as c", "kept in its own namespace");
    assert_eq!(sent(&[disable("exportTo: [s],")]), "plain: plaintext", "exported to the client");
}

#[test]
fn matches_that_name_gateways_ask_nothing_else_of_who_calls() {
    let sent = |kind: &str, speaks: Layer, one: &str| {
        let spec =
            format!("hosts: [{X}], {kind}: [{{match: [{{{one}}}], route: [{{destination: {{host: y}}}}]}}]");
        let mesh = mixed(&injected("a"), &[networking("VirtualService", "a", "v", &spec)]);
        let routed = Transport::new(&mesh).routed(find(&mesh, "s/c"), X, 80, speaks);
        routed.destinations.first().map(|to| to.host.clone())
    };
    let there = Some("y.a.svc.cluster.local".to_owned());
    let others = ["sourceLabels: {pod: other}", "sourceNamespace: other"];
    for other in others {
        assert_eq!(sent("http", Layer::Http, other), None, "{other}");
        assert_eq!(sent("http", Layer::Http, &format!("{other}, gateways: [mesh]")), there, "{other}");
        assert_eq!(sent("http", Layer::Http, &format!("{other}, gateways: [front]")), None, "{other}");
        assert_eq!(sent("tcp", Layer::Tcp, &format!("{other}, gateways: [mesh]")), None, "{other}");
    }
    assert_eq!(sent("http", Layer::Http, "sourceLabels: {pod: c}, sourceNamespace: s"), there);
    assert_eq!(sent("tcp", Layer::Tcp, "sourceLabels: {pod: c}, gateways: [mesh]"), there);
}
