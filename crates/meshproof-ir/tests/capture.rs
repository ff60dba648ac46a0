//! Who is in the mesh: injection gates, ambient mode, gateways, ports that go around the proxy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{mesh, mesh_with, port, workload};
use meshproof_ir::{Capture, Fact, Mesh, PortCapture};

fn pod(namespace: &str, labels: &str, annotations: &str, spec: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: x, namespace: {namespace}, labels: {{app: x{labels}}}, \
         annotations: {{{annotations}}}}}\nspec: {{{spec}containers: [{{name: app, image: app:1, ports: \
         [{{containerPort: 8080}}, {{containerPort: 9000}}]}}]}}\n---\n"
    )
}

fn namespace(name: &str, labels: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n")
}

fn captured(mesh: &Mesh) -> Fact<Capture> {
    workload(mesh, "x").capture.clone()
}

#[track_caller]
fn expect(namespace_labels: &str, pod_labels: &str, annotations: &str, capture: Capture) {
    let text = pod("a", pod_labels, annotations, "") + &namespace("a", namespace_labels);
    assert_eq!(captured(&mesh(&text)).known(), Some(&capture));
}

#[track_caller]
fn expect_unknown(namespace_labels: &str, pod_labels: &str) {
    let text = pod("a", pod_labels, "", "") + &namespace("a", namespace_labels);
    assert!(captured(&mesh(&text)).known().is_none());
}

#[test]
fn the_namespace_label_injects_unless_the_pod_refuses() {
    expect("istio-injection: enabled", "", "", Capture::Sidecar);
    expect("istio-injection: enabled", ", sidecar.istio.io/inject: \"false\"", "", Capture::None);
    expect("istio-injection: enabled", "", "sidecar.istio.io/inject: \"false\"", Capture::None);
    expect("", "", "", Capture::None);
}

#[test]
fn the_pod_label_injects_only_where_the_namespace_says_nothing() {
    expect("", ", sidecar.istio.io/inject: \"true\"", "", Capture::Sidecar);
    expect("istio-injection: disabled", ", sidecar.istio.io/inject: \"true\"", "", Capture::None);
}

#[test]
fn the_annotation_alone_never_injects() {
    expect("", "", "sidecar.istio.io/inject: \"true\"", Capture::None);
}

#[test]
fn the_label_beats_the_annotation() {
    let label = ", sidecar.istio.io/inject: \"true\"";
    expect("istio-injection: enabled", label, "sidecar.istio.io/inject: \"false\"", Capture::Sidecar);
}

#[test]
fn injection_label_beats_revision() {
    expect("istio-injection: disabled, istio.io/rev: default", "", "", Capture::None);
    expect("istio.io/rev: default", "", "", Capture::Sidecar);
    expect_unknown("istio.io/rev: canary", "");
    expect_unknown("", ", istio.io/rev: canary");
}

#[test]
fn a_revision_that_is_known_injects() {
    let text = pod("a", "", "", "") + &namespace("a", "istio.io/rev: canary");
    let mesh = mesh_with(&[("a.yaml", &text)], |options| {
        options.settings.revisions = Some(vec!["canary".to_owned()]);
    });
    assert_eq!(captured(&mesh).known(), Some(&Capture::Sidecar));
}

#[test]
fn a_namespace_that_is_not_in_the_input_leaves_it_open() {
    let mesh = mesh(&pod("a", "", "", ""));
    let Fact::Unknown(reason) = captured(&mesh) else { panic!("known") };
    assert!(reason.contains("namespace a is not in the input"), "{reason}");
}

#[test]
fn ambient_by_namespace_or_pod() {
    expect("istio.io/dataplane-mode: ambient", "", "", Capture::Ambient);
    expect("istio.io/dataplane-mode: ambient", ", istio.io/dataplane-mode: none", "", Capture::None);
    expect("istio.io/dataplane-mode: ambient", ", istio.io/dataplane-mode: other", "", Capture::Ambient);
    expect("", ", istio.io/dataplane-mode: ambient", "", Capture::Ambient);
    expect("istio.io/dataplane-mode: ambient, istio-injection: enabled", "", "", Capture::Sidecar);
}

#[test]
fn host_network_is_outside() {
    let text = pod("a", "", "", "hostNetwork: true, ") + &namespace("a", "istio-injection: enabled");
    assert_eq!(captured(&mesh(&text)).known(), Some(&Capture::None));
}

#[test]
fn system_namespaces_are_never_injected() {
    let text = pod("kube-system", "", "", "") + &namespace("kube-system", "istio-injection: enabled");
    assert_eq!(captured(&mesh(&text)).known(), Some(&Capture::None));
}

#[test]
fn gateways_are_recognised() {
    let label = ", gateway.networking.k8s.io/gateway-name: gw";
    expect("", label, "", Capture::Gateway);
    let managed =
        ", gateway.networking.k8s.io/gateway-name: wp, gateway.istio.io/managed: istio.io-mesh-controller";
    expect("", managed, "", Capture::Waypoint);
    expect("", "", "inject.istio.io/templates: gateway", Capture::Gateway);
}

#[test]
fn a_sidecar_that_is_written_down_needs_no_label() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: a}\nspec: {containers: [{name: app}, \
                {name: istio-proxy, image: proxyv2}]}\n";
    assert_eq!(captured(&mesh(text)).known(), Some(&Capture::Sidecar));
}

#[test]
fn grpc_templates_make_proxyless_workloads() {
    expect("istio-injection: enabled", "", "inject.istio.io/templates: grpc-agent", Capture::ProxylessGrpc);
}

fn ports_of(annotations: &str) -> (PortCapture, PortCapture, PortCapture) {
    let text = pod("a", "", annotations, "") + &namespace("a", "istio-injection: enabled");
    let mesh = mesh(&text);
    let workload = workload(&mesh, "x");
    (port(workload, 8080).capture.clone(), port(workload, 9000).capture.clone(), workload.other_ports.clone())
}

fn excluded(capture: &PortCapture) -> bool {
    matches!(capture, PortCapture::Excluded { by: Some(_) })
}

#[test]
fn excluded_ports_go_around_the_proxy() {
    let (web, raw, others) = ports_of("traffic.sidecar.istio.io/excludeInboundPorts: \"9000, 5432\"");
    assert!(!excluded(&web) && excluded(&raw) && !excluded(&others));
}

#[test]
fn a_list_of_included_ports_excludes_all_others_and_voids_exclusions() {
    let both = "traffic.sidecar.istio.io/includeInboundPorts: \"8080\", \
                traffic.sidecar.istio.io/excludeInboundPorts: \"8080\"";
    let (web, raw, others) = ports_of(both);
    assert!(!excluded(&web) && excluded(&raw) && excluded(&others));
    let (web, _, others) = ports_of("traffic.sidecar.istio.io/includeInboundPorts: \"\"");
    assert!(excluded(&web) && excluded(&others));
}

#[test]
fn interception_mode_none_captures_nothing() {
    let (web, _, others) = ports_of("sidecar.istio.io/interceptionMode: NONE");
    assert!(excluded(&web) && excluded(&others));
}

#[test]
fn ztunnel_captures_the_ports_that_sidecars_leave_out() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: a}\nspec: {containers: [{name: app, ports: \
               [{containerPort: 15020}]}]}\n---\n";
    let ambient = mesh(&(pod.to_owned() + &namespace("a", "istio.io/dataplane-mode: ambient")));
    assert_eq!(port(workload(&ambient, "x"), 15020).capture, PortCapture::Captured);
    let sidecar = mesh(&(pod.to_owned() + &namespace("a", "istio-injection: enabled")));
    assert_eq!(port(workload(&sidecar, "x"), 15020).capture, PortCapture::Excluded { by: None });
}

#[test]
fn ambient_pods_may_leave_their_inbound_traffic_out() {
    let bypass = "ambient.istio.io/bypass-inbound-capture: \"true\"";
    let text = pod("a", "", bypass, "") + &namespace("a", "istio.io/dataplane-mode: ambient");
    let mesh = mesh(&text);
    assert!(excluded(&port(workload(&mesh, "x"), 8080).capture));
}
