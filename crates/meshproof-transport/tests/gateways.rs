//! What gateways do beyond the recorded vectors: conditions, weights, ports of Services.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{find, injected, mesh, networking, pod, service};
use meshproof_ir::{ClientTls, Layer, Mesh};
use meshproof_transport::{Arrival, Arriving, GatewayRefusal, RouteTarget, Taken, Transport};

fn build(gateway: &str, more: &[String]) -> Mesh {
    let proxy = "apiVersion: v1\nkind: Pod\nmetadata: {name: g, namespace: in, labels: {istio: gw}, annotations: {inject.istio.io/templates: gateway}}\n\
                 spec: {containers: [{name: istio-proxy, image: auto}]}\n---\n\
                 apiVersion: v1\nkind: Service\nmetadata: {name: g, namespace: in}\n\
                 spec: {selector: {istio: gw}, ports: [{name: http, port: 80, targetPort: 8080}]}\n---\n";
    let gateway = networking("Gateway", "in", "g", &format!("selector: {{istio: gw}}, servers: [{gateway}]"));
    let base =
        [injected("a"), pod("a", "x", "x", ""), service("a", "x", "http", ""), proxy.to_owned(), gateway];
    mesh(&(base.concat() + &more.concat()))
}

fn arrive(mesh: &Mesh, port: u16, host: &str) -> Arrival {
    let arriving =
        Arriving { gateway: find(mesh, "in/g"), port, host, tls: ClientTls::None, speaks: Layer::Http };
    Transport::new(mesh).arrive(&arriving)
}

fn route(http: &str) -> String {
    networking(
        "VirtualService",
        "a",
        "v",
        &format!("hosts: [shop.example], gateways: [in/g], http: [{http}]"),
    )
}

const HTTP: &str = "{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example]}";

#[test]
fn service_ports_become_ports_of_the_pods() {
    let mesh = build(HTTP, &[route("{route: [{destination: {host: x}}]}")]);
    assert_eq!(arrive(&mesh, 80, "shop.example").taken, Taken::Refused(GatewayRefusal::NoListener));
    let arrival = arrive(&mesh, 8080, "shop.example:80");
    assert_eq!(arrival.taken, Taken::Plaintext(Layer::Http));
    let target = &arrival.targets[0];
    assert_eq!((target.host.as_str(), target.port), ("x.a.svc.cluster.local", 80), "its only port");
}

#[test]
fn every_route_that_may_be_taken_is_told() {
    let conditional = "{match: [{uri: {prefix: /a}}], route: [{destination: {host: x, subset: v1}, weight: 1}, {destination: {host: y}, weight: 9}]}";
    let last = "{match: [{uri: {prefix: /}}], route: [{destination: {host: z, port: {number: 90}}}]}, {route: [{destination: {host: never}}]}";
    let mesh = build(HTTP, &[route(&format!("{conditional}, {last}"))]);
    let arrival = arrive(&mesh, 8080, "shop.example");
    let told = |target: &RouteTarget| {
        (target.host.split('.').next().unwrap().to_owned(), target.port, target.is_conditional)
    };
    let targets: Vec<_> = arrival.targets.iter().map(told).collect();
    let expected = [("x", 80, true), ("y", 80, true), ("z", 90, false)];
    assert_eq!(targets, expected.map(|(host, port, conditional)| (host.to_owned(), port, conditional)));
    assert_eq!(arrival.targets[0].subset.as_deref(), Some("v1"));
}

#[test]
fn routes_that_ask_who_sends_are_not_for_everybody() {
    for condition in ["sourceLabels: {app: web}", "sourceNamespace: a"] {
        let first = format!("{{match: [{{{condition}}}], route: [{{destination: {{host: x}}}}]}}");
        let mesh = build(HTTP, &[route(&format!("{first}, {{route: [{{destination: {{host: y}}}}]}}"))]);
        let arrival = arrive(&mesh, 8080, "shop.example");
        let told = |target: &RouteTarget| (target.host.clone(), target.is_conditional);
        let expected = [("x", true), ("y", false)];
        assert_eq!(
            arrival.targets.iter().map(told).collect::<Vec<_>>(),
            expected.map(|(host, conditional)| (format!("{host}.a.svc.cluster.local"), conditional))
        );
    }
}

#[test]
fn answers_and_delegates_are_told() {
    let mesh = build(HTTP, &[route("{redirect: {uri: /b}}")]);
    let arrival = arrive(&mesh, 8080, "shop.example");
    assert!(arrival.answered && arrival.targets.is_empty());
    let mesh = build(HTTP, &[route("{delegate: {name: d}}")]);
    assert_eq!(arrive(&mesh, 8080, "shop.example").unknown.len(), 1);
}

#[test]
fn what_is_no_gateway_is_said() {
    let mesh = build(HTTP, &[]);
    let arriving = Arriving {
        gateway: find(&mesh, "a/x"),
        port: 8080,
        host: "shop.example",
        tls: ClientTls::None,
        speaks: Layer::Http,
    };
    let arrival = Transport::new(&mesh).arrive(&arriving);
    assert_eq!(arrival.unknown.len(), 1);
}
