//! Waypoints and gateways beyond what is recorded: what the input leaves open, and what documentation alone tells.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::mesh;
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{
    Attachments, Called, Canary, ClusterId, Fact, GatewayId, GatewayRole, IngressRoute, Mesh, NoWaypoint,
    Origin, WaypointBinding,
};

fn namespace(name: &str, labels: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n---\n")
}

fn gateway(name: &str, metadata: &str, spec: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: {name}, namespace: a{metadata}}}\n\
         spec: {{{spec}}}\n---\n"
    )
}

fn waypoint(name: &str, routes: &str) -> String {
    let spec = format!(
        "gatewayClassName: istio-waypoint, listeners: [{{name: mesh, port: 15008, protocol: HBONE{routes}}}]"
    );
    gateway(name, "", &spec)
}

fn ingress(name: &str, metadata: &str) -> String {
    let listeners = "listeners: [{name: http, port: 80, protocol: HTTP}]";
    gateway(name, metadata, &format!("gatewayClassName: istio, {listeners}"))
}

fn service(namespace: &str, metadata: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: x, namespace: {namespace}, labels: {{app: x}}}}\n\
         spec: {{containers: [{{name: app, ports: [{{containerPort: 8080}}]}}]}}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: svc, namespace: {namespace}{metadata}}}\n\
         spec: {{selector: {{app: x}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}\n---\n"
    )
}

fn policy(kind: &str, namespace: &str, name: &str, references: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{targetRefs: [{references}]}}\n---\n"
    )
}

const SERVICE_REF: &str = "{kind: Service, name: svc}";
const GATEWAY_REF: &str = "{group: gateway.networking.k8s.io, kind: Gateway, name: wp}";
const CLASS_REF: &str = "{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio-waypoint}";

fn id(mesh: &Mesh, name: &str) -> GatewayId {
    mesh.gateway_named(mesh.namespace_by_name(ClusterId(0), "a").unwrap(), name).unwrap()
}

fn svc(mesh: &Mesh, namespace: &str) -> Called {
    mesh.service_called(mesh.namespace_by_name(ClusterId(0), namespace).unwrap(), "svc").unwrap()
}

fn binding(mesh: &Mesh, called: Called) -> WaypointBinding {
    match mesh.waypoint_of(called) {
        Fact::Known(binding, _) => binding,
        Fact::Unknown(reason) => panic!("unknown: {reason}"),
    }
}

fn names(mesh: &Mesh, attached: &Attachments) -> Vec<String> {
    let name = |attached: &meshproof_ir::Attachment| {
        let name = mesh.resource(attached.policy).meta.name();
        if attached.certain.is_ok() { name.to_owned() } else { format!("{name}?") }
    };
    attached.iter().map(name).collect()
}

#[test]
fn a_namespace_that_is_not_in_the_input_leaves_the_waypoint_open_unless_the_object_says_it() {
    let open = mesh(&(waypoint("wp", "") + &service("a", "")));
    assert!(matches!(open.waypoint_of(svc(&open, "a")), Fact::Unknown(_)));
    let labelled = mesh(&(waypoint("wp", "") + &service("a", ", labels: {istio.io/use-waypoint: wp}")));
    let fact = labelled.waypoint_of(svc(&labelled, "a"));
    assert!(matches!(fact, Fact::Known(_, Origin::Written(_))), "{fact:?}");
    assert_eq!(binding(&labelled, svc(&labelled, "a")).waypoint, Ok(id(&labelled, "wp")));
    let out = mesh(&(waypoint("wp", "") + &service("a", ", labels: {istio.io/use-waypoint: none}")));
    assert_eq!(binding(&out, svc(&out, "a")).waypoint, Err(NoWaypoint::OptedOut));
}

#[test]
fn the_name_of_a_namespace_is_known_without_its_object() {
    let labels = ", labels: {istio.io/use-waypoint: wp, istio.io/use-waypoint-namespace: a}";
    let admitted = |selector: &str| {
        let routes = format!(", allowedRoutes: {{namespaces: {{from: Selector, selector: {{{selector}}}}}}}");
        let mesh = mesh(&(waypoint("wp", &routes) + &service("b", labels)));
        match mesh.waypoint_of(svc(&mesh, "b")) {
            Fact::Known(binding, _) => Some(binding.waypoint.is_ok()),
            Fact::Unknown(_) => None,
        }
    };
    assert_eq!(admitted("matchLabels: {kubernetes.io/metadata.name: b}"), Some(true));
    assert_eq!(admitted("matchLabels: {kubernetes.io/metadata.name: c}"), Some(false));
    assert_eq!(admitted("matchLabels: {team: red}"), None);
    assert_eq!(admitted("matchExpressions: [{key: team, operator: Around}]"), None);
}

#[test]
fn a_missing_gateway_is_told_by_name() {
    let text = namespace("a", "istio.io/use-waypoint: gone, istio.io/use-waypoint-namespace: other");
    let mesh = mesh(&(text + &service("a", "")));
    let reason = binding(&mesh, svc(&mesh, "a")).waypoint.unwrap_err();
    let missing = NoWaypoint::NoSuchGateway { namespace: Some("other".to_owned()), name: "gone".to_owned() };
    assert_eq!(reason, missing);
    assert_eq!(reason.condition(), Some("WaypointIsNotReady"));
}

/// A namespace with metadata, two waypoints and a Service.
fn with_canary(of_namespace: &str, of_service: &str) -> (Mesh, Option<Result<u8, NoWaypoint>>) {
    let head = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: a, {of_namespace}}}\n---\n");
    let mesh = mesh(&(head + &waypoint("wp", "") + &waypoint("wp2", "") + &service("a", of_service)));
    let canary = binding(&mesh, svc(&mesh, "a")).canary;
    if let Some(Ok(Canary { waypoint, .. })) = canary {
        assert_eq!(waypoint, id(&mesh, "wp2"));
    }
    (mesh, canary.map(|canary| canary.map(|canary| canary.weight)))
}

#[test]
fn canaries_of_a_namespace_are_for_those_that_take_their_waypoint_from_it() {
    let labels = "labels: {istio.io/use-waypoint: wp, istio.io/use-waypoint-canary: wp2}";
    let weighted = format!("{labels}, annotations: {{istio.io/use-waypoint-canary-weight: '30'}}");
    let own = ", labels: {istio.io/use-waypoint: wp}";
    assert_eq!(with_canary(&weighted, "").1, Some(Ok(30)));
    assert_eq!(with_canary(&weighted, own).1, None);
    let (mesh, weight) = with_canary(labels, "");
    assert_eq!(weight, Some(Ok(0)), "without a weight the canary gets nothing");
    let shares: Vec<_> = binding(&mesh, svc(&mesh, "a")).shares().collect();
    assert_eq!(shares, [(id(&mesh, "wp"), 100), (id(&mesh, "wp2"), 0)]);
    let annotation = ", annotations: {istio.io/use-waypoint-canary-weight: '7'}";
    assert_eq!(with_canary(&weighted, annotation).1, Some(Ok(7)), "each half is inherited by itself");
    let off = ", labels: {istio.io/use-waypoint-canary: none}";
    assert_eq!(with_canary(&weighted, off).1, None);
    for weight in ["101", "-1", "half", "256", "1000000000000000000000"] {
        let bad = format!("{labels}, annotations: {{istio.io/use-waypoint-canary-weight: '{weight}'}}");
        assert_eq!(with_canary(&bad, "").1, Some(Err(NoWaypoint::CanaryInvalidWeight)), "{weight}");
    }
    let same = "labels: {istio.io/use-waypoint: wp, istio.io/use-waypoint-canary: wp}";
    assert_eq!(with_canary(same, "").1, Some(Err(NoWaypoint::CanarySameAsPrimary)));
    let missing = "labels: {istio.io/use-waypoint: wp, istio.io/use-waypoint-canary: gone}";
    assert!(matches!(with_canary(missing, "").1, Some(Err(NoWaypoint::NoSuchGateway { .. }))));
}

#[test]
fn a_policy_with_several_references_stands_in_a_chain_once() {
    let text = namespace("a", "istio.io/use-waypoint: wp")
        + &waypoint("wp", "")
        + &service("a", "")
        + &policy("AuthorizationPolicy", "a", "both", &format!("{SERVICE_REF}, {GATEWAY_REF}"))
        + &policy("AuthorizationPolicy", "a", "gateway", GATEWAY_REF)
        + &policy("AuthorizationPolicy", "a", "service", SERVICE_REF)
        + &policy("AuthorizationPolicy", "a", "class-elsewhere", CLASS_REF)
        + &policy("AuthorizationPolicy", "istio-system", "class", CLASS_REF)
        + &policy("RequestAuthentication", "a", "tokens", SERVICE_REF);
    let mesh = mesh(&text);
    let (wp, svc) = (id(&mesh, "wp"), svc(&mesh, "a"));
    let attached = mesh.waypoint_policies(wp, svc);
    assert_eq!(names(&mesh, &attached.authorization), ["both", "gateway", "service", "class"]);
    assert_eq!(names(&mesh, &attached.request_authentication), ["tokens"]);
    let direct = mesh.direct_policies(wp);
    assert_eq!(names(&mesh, &direct.authorization), ["both", "gateway", "class"]);
    assert!(direct.request_authentication.is_empty());
    assert_eq!(mesh.served_by(wp), [svc]);
    assert_eq!(mesh.chain_ports(svc)[0].class, ProtocolClass::Http);
    let identity = mesh.gateway_identity(wp).unwrap();
    assert_eq!(identity.spiffe_id().as_deref(), Some("spiffe://cluster.local/ns/a/sa/wp"));
}

#[test]
fn policies_for_one_revision_are_attached_for_a_reason_only() {
    let text = waypoint("wp", "")
        + &policy("AuthorizationPolicy", "a", "p, labels: {istio.io/rev: canary}", GATEWAY_REF);
    let mesh = mesh(&text);
    assert_eq!(names(&mesh, &mesh.direct_policies(id(&mesh, "wp")).authorization), ["p?"]);
}

#[test]
fn a_gateway_that_is_no_waypoint_is_bound_and_enforces_nothing() {
    let text = namespace("a", "istio.io/use-waypoint: wp")
        + &service("a", "")
        + &policy("AuthorizationPolicy", "a", "p", SERVICE_REF);
    let of_class = |class: &str| {
        let mesh = mesh(&(text.clone() + &gateway("wp", "", &format!("gatewayClassName: {class}"))));
        let binding = binding(&mesh, svc(&mesh, "a"));
        let wp = id(&mesh, "wp");
        assert_eq!(binding.waypoint, Ok(wp));
        let enforced = mesh.enforcing_waypoints(&binding).count();
        (mesh.gateway(wp).role, enforced, mesh.waypoint_policies(wp, svc(&mesh, "a")).authorization.len())
    };
    assert_eq!(of_class("istio-waypoint"), (GatewayRole::Waypoint, 1, 1));
    assert_eq!(of_class("istio"), (GatewayRole::Ingress, 0, 0));
    assert_eq!(of_class("mine"), (GatewayRole::Unknown, 0, 0));
}

#[test]
fn ingress_gateways_and_false_waypoints() {
    let labels = "istio.io/use-waypoint: wp, istio.io/ingress-use-waypoint: 'T'";
    let route = |gateway: String| {
        let mesh = mesh(&(namespace("a", labels) + &service("a", "") + &gateway));
        mesh.ingress_route(svc(&mesh, "a"))
    };
    let known = |fact: Fact<IngressRoute>| match fact {
        Fact::Known(route, _) => route,
        Fact::Unknown(reason) => panic!("unknown: {reason}"),
    };
    assert!(matches!(known(route(waypoint("wp", ""))), IngressRoute::Waypoints(_)));
    assert_eq!(known(route(ingress("wp", ""))), IngressRoute::Endpoints);
    let internal = ", annotations: {networking.istio.io/service-type: ClusterIP}";
    assert!(matches!(known(route(ingress("wp", internal))), IngressRoute::Nowhere(_)));
    let elsewhere = "gatewayClassName: istio, addresses: [{type: Hostname, value: front}]";
    assert!(matches!(route(gateway("wp", "", elsewhere)), Fact::Unknown(_)));
    let port =
        gateway("wp", "", "gatewayClassName: istio-waypoint, listeners: [{port: 15009, protocol: HBONE}]");
    assert!(matches!(known(route(port)), IngressRoute::Nowhere(_)));
}

/// Numbers and chains (HTTP, TCP) of the ports of Gateway `a/gw`.
fn ports(text: &str) -> Vec<(u16, bool, bool)> {
    let mesh = mesh(text);
    mesh.gateway_ports(id(&mesh, "gw")).into_iter().map(|port| (port.number, port.http, port.tcp)).collect()
}

#[test]
fn listeners_without_routes_are_not_there_for_tls_and_tcp() {
    let listener = "listeners: [{name: web, port: 443, protocol: HTTPS}, {name: tls, port: 443, hostname: '*.x.org', \
        protocol: TLS, tls: {mode: Passthrough}}, {name: raw, port: 9000, protocol: TCP}, {port: 53, protocol: UDP}]";
    let gw = gateway("gw", "", &format!("gatewayClassName: istio, {listener}"));
    let route = |kind: &str, namespace: &str, rest: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{name: r, namespace: {namespace}}}\n\
             spec: {{parentRefs: [{{name: gw, namespace: a}}]{rest}}}\n---\n"
        )
    };
    let with = |route: String| ports(&(gw.clone() + &route));
    assert_eq!(with(String::new()), [(443, true, false)]);
    assert_eq!(with(route("TLSRoute", "a", ", hostnames: [y.x.org]")), [(443, true, true)]);
    assert_eq!(with(route("TLSRoute", "a", ", hostnames: [y.org]")), [(443, true, false)]);
    assert_eq!(with(route("TLSRoute", "b", "")), [(443, true, false)]);
    assert_eq!(with(route("TCPRoute", "a", "")), [(443, true, false), (9000, false, true)]);
}

#[test]
fn a_gateway_behind_a_service_of_its_own_listens_on_target_ports() {
    let behind = |address: &str, namespace: &str| {
        let gw = format!(
            "gatewayClassName: istio, addresses: [{{type: Hostname, value: {address}}}], \
             listeners: [{{port: 80, protocol: HTTP}}, {{port: 81, protocol: HTTP}}]"
        );
        ports(&(gateway("gw", "", &gw) + &service(namespace, "")))
    };
    assert_eq!(behind("svc.a.svc.cluster.local", "a"), [(8080, true, false)]);
    assert_eq!(behind("svc", "a"), [(8080, true, false)]);
    assert_eq!(behind("svc.b.svc.cluster.local", "b"), []);
    assert_eq!(behind("svc.a.example.org", "a"), []);
}

#[test]
fn policies_for_all_waypoints_are_stored_once_for_all_services() {
    const COUNT: usize = 3_000;
    let mut text = namespace("a", "istio.io/use-waypoint: wp") + &waypoint("wp", "");
    for at in 0..COUNT {
        text += &format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: s{at}, namespace: a}}\nspec: {{ports: [{{port: 80}}]}}\n---\n"
        );
        text += &policy("AuthorizationPolicy", "istio-system", &format!("c{at}"), CLASS_REF);
        text += &policy(
            "AuthorizationPolicy",
            "a",
            &format!("p{at}"),
            &format!("{{kind: Service, name: s{at}}}"),
        );
    }
    let mesh = mesh(&text);
    let wp = id(&mesh, "wp");
    let served = mesh.served_by(wp);
    assert_eq!(served.len(), COUNT);
    let attached: Vec<_> = served.iter().map(|called| mesh.waypoint_policies(wp, *called)).collect();
    assert!(attached.iter().all(|attached| attached.authorization.len() == COUNT + 1));
    let shared = attached[0].authorization.sharing_key()[0];
    assert!(attached.iter().all(|attached| attached.authorization.sharing_key()[0] == shared));
}
