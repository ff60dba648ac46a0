//! Placement, Services, attachment and identities.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{mesh, mesh_of_files, mesh_with, policies, port, workload};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{ClusterId, Fact};

fn deployment(name: &str, namespace: &str, labels: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{template: \
         {{metadata: {{labels: {{{labels}}}}}, spec: {{serviceAccountName: {name}, containers: [{{name: app, ports: \
         [{{name: web, containerPort: 8080}}, {{name: dns, containerPort: 53, protocol: UDP}}]}}]}}}}}}\n---\n"
    )
}

fn service(name: &str, selector: &str, created: &str, ports: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: a{created}}}\nspec: {{selector: \
         {{{selector}}}, ports: [{ports}]}}\n---\n"
    )
}

fn policy(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}, namespace: \
         {namespace}}}\nspec: {{{spec}}}\n---\n"
    )
}

fn injected(namespace: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}, labels: {{istio-injection: enabled}}}}\n---\n"
    )
}

#[test]
fn named_target_ports_need_name_and_transport() {
    let ports = "{name: http, port: 80, targetPort: web}, {name: udp-dns, port: 53, targetPort: dns}, \
                 {name: dns, port: 54, targetPort: web, protocol: UDP}";
    let mesh = mesh(&(deployment("x", "a", "app: x") + &service("s", "app: x", "", ports)));
    let workload = workload(&mesh, "x");
    let web = port(workload, 8080);
    assert_eq!(web.protocol.known(), Some(&ProtocolClass::Http));
    assert_eq!(web.bindings.len(), 1);
    // The Service says TCP for a UDP port, and UDP for a TCP port: neither leads anywhere.
    assert!(port(workload, 53).bindings.is_empty());
    assert_eq!(port(workload, 53).protocol.known(), Some(&ProtocolClass::Udp));
    assert_eq!(mesh.services[0].fqdn.as_deref(), Some("s.a.svc.cluster.local"));
    assert_eq!(mesh.services[0].workloads.len(), 1);
}

#[test]
fn ports_without_service_are_sniffed() {
    let mesh = mesh(&deployment("x", "a", "app: x"));
    assert_eq!(port(workload(&mesh, "x"), 8080).protocol.known(), Some(&ProtocolClass::Auto));
}

#[test]
fn the_oldest_service_says_the_protocol() {
    let time = |second| format!(", creationTimestamp: \"2026-01-01T00:00:0{second}Z\"");
    let tcp = "{name: tcp-x, port: 1, targetPort: 8080}";
    let http = "{name: http-x, port: 2, targetPort: 8080}";
    let base = deployment("x", "a", "app: x");
    let dated =
        base.clone() + &service("s1", "app: x", &time(2), tcp) + &service("s2", "app: x", &time(1), http);
    let mesh_dated = mesh(&dated);
    assert_eq!(port(workload(&mesh_dated, "x"), 8080).protocol.known(), Some(&ProtocolClass::Http));
    let undated = base + &service("s1", "app: x", "", tcp) + &service("s2", "app: x", "", http);
    let mesh_undated = mesh(&undated);
    let Fact::Unknown(reason) = &port(workload(&mesh_undated, "x"), 8080).protocol else { panic!("known") };
    assert!(reason.contains("s1, s2"), "{reason}");
}

#[test]
fn policies_attach_by_namespace_root_and_labels() {
    let text = injected("a")
        + &injected("b")
        + &deployment("x", "a", "app: x, tier: web")
        + &deployment("y", "b", "app: y")
        + &policy("own", "a", "selector: {matchLabels: {app: x, tier: web}}")
        + &policy("other", "a", "selector: {matchLabels: {app: x, tier: db}}")
        + &policy("all", "a", "")
        + &policy("empty", "a", "selector: {}")
        + &policy("root", "istio-system", "")
        + &policy("root-x", "istio-system", "selector: {matchLabels: {app: x}}")
        + &policy("refs", "a", "targetRefs: [{kind: Service, name: x}]")
        + &policy("elsewhere", "c", "");
    let mesh = mesh(&text);
    assert_eq!(policies(&mesh, workload(&mesh, "x")), ["all", "empty", "own", "root", "root-x"]);
    assert_eq!(policies(&mesh, workload(&mesh, "y")), ["root"]);
}

#[test]
fn ztunnel_takes_neither_targets_nor_audits_nor_empty_selectors() {
    let ambient = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {istio.io/dataplane-mode: ambient}}\n---\n";
    let text = ambient.to_owned()
        + &deployment("x", "a", "app: x")
        + "apiVersion: v1\nkind: Pod\nmetadata: {name: bare, namespace: a}\nspec: {}\n---\n"
        + &policy("all", "a", "")
        + &policy("nil", "a", "selector: {}")
        + &policy("empty", "a", "selector: {matchLabels: {}}")
        + &policy("audit", "a", "action: AUDIT")
        + &policy("other", "a", "selector: {matchLabels: {app: other}}")
        + &policy("x", "a", "selector: {matchLabels: {app: x}}")
        + &policy("refs", "a", "targetRefs: [{kind: Service, name: x}]");
    let mesh = mesh(&text);
    assert_eq!(policies(&mesh, workload(&mesh, "x")), ["all", "empty", "x"]);
    // istiod applies no label filter to pods without labels.
    assert_eq!(policies(&mesh, workload(&mesh, "bare")), ["all", "empty", "other", "x"]);
}

#[test]
fn nothing_is_evaluated_outside_the_mesh() {
    let outside = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n";
    let mesh = mesh(&(outside.to_owned() + &deployment("x", "a", "app: x") + &policy("all", "a", "")));
    assert!(workload(&mesh, "x").policies.is_empty());
}

#[test]
fn gateways_take_references_and_selectors() {
    let gateway = "apiVersion: v1\nkind: Pod\nmetadata: {name: g, namespace: a, labels: {app: x, \
                   gateway.networking.k8s.io/gateway-name: gw}}\nspec: {}\n---\n";
    let refs = |name: &str| {
        format!("targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: {name}}}]")
    };
    let text = gateway.to_owned()
        + &policy("ours", "a", &refs("gw"))
        + &policy("theirs", "a", &refs("other"))
        + &policy("far", "istio-system", &refs("gw"))
        + &policy("label", "a", "selector: {matchLabels: {app: x}}");
    let mesh = mesh(&text);
    assert_eq!(policies(&mesh, workload(&mesh, "g")), ["label", "ours"]);
}

#[test]
fn waypoints_take_references_alone() {
    let waypoint = "apiVersion: v1\nkind: Pod\nmetadata: {name: g, namespace: a, labels: {app: x, \
                    gateway.networking.k8s.io/gateway-name: wp, gateway.istio.io/managed: istio.io-mesh-controller}}\n\
                    spec: {}\n---\n";
    let refs = |kind: &str, name: &str| {
        format!("targetRefs: [{{group: gateway.networking.k8s.io, kind: {kind}, name: {name}}}]")
    };
    let text = waypoint.to_owned()
        + &policy("gateway", "a", &refs("Gateway", "wp"))
        + &policy("class", "istio-system", &refs("GatewayClass", "istio-waypoint"))
        + &policy("class-elsewhere", "a", &refs("GatewayClass", "istio-waypoint"))
        + &policy("all", "a", "")
        + &policy("label", "a", "selector: {matchLabels: {app: x}}");
    let mesh = mesh(&text);
    assert_eq!(policies(&mesh, workload(&mesh, "g")), ["class", "gateway"]);
}

#[test]
fn unknown_namespaces_are_one_per_folder_and_reach_others_perhaps() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, labels: {app: x}}\nspec: {}\n";
    let here =
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: here}\nspec: {}\n";
    let there =
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: there}\nspec: {}\n";
    let other = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: other}\nspec: \
                 {selector: {matchLabels: {app: y}}}\n";
    let named = policy("named", "b", "");
    let files = [
        ("one/pod.yaml", pod),
        ("one/here.yaml", here),
        ("two/a.yaml", there),
        ("two/b.yaml", other),
        ("b.yaml", &named),
    ];
    let mesh = mesh_of_files(&files);
    assert_eq!(policies(&mesh, workload(&mesh, "x")), ["here", "named?", "there?"]);
    let placed = mesh_with(&files, |options| options.namespace = Some("shop".to_owned()));
    assert_eq!(policies(&placed, workload(&placed, "x")), ["here", "there"]);
}

#[test]
fn identities_are_accounts_that_exist() {
    let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: idle, namespace: a}\n";
    let mesh = mesh(&(deployment("x", "a", "app: x") + account));
    let mut ids: Vec<_> = mesh.identities().iter().filter_map(|identity| identity.spiffe_id()).collect();
    ids.sort_unstable();
    let expected =
        ["default", "idle", "x"].map(|account| format!("spiffe://cluster.local/ns/a/sa/{account}"));
    assert_eq!(ids, expected);
    let used = mesh.accounts_named("a", "x").next().unwrap();
    assert_eq!(used.workloads.len(), 1);
    assert_eq!(mesh.identity_of(used.workloads[0]), Some(used));
}

#[test]
fn namespaces_know_their_name_label_and_disagreements() {
    let one = injected("a");
    let mesh = mesh_of_files(&[("one.yaml", &one)]);
    let id = mesh.namespace_by_name(ClusterId(0), "a").unwrap();
    let labels = mesh.namespace(id).labels.known().unwrap();
    assert_eq!(labels.get("kubernetes.io/metadata.name").unwrap().value, "a");
    let plain = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n";
    let twice = mesh_of_files(&[("one.yaml", &one), ("two.yaml", plain)]);
    let id = twice.namespace_by_name(ClusterId(0), "a").unwrap();
    assert!(matches!(twice.namespace(id).labels, Fact::Unknown(_)));
}

#[test]
fn unrendered_folders_are_told() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: a}\nspec: {}\n";
    let mesh = mesh_with(&[("overlays/prod/x.yaml", pod), ("overlays-other/y.yaml", pod)], |options| {
        options.unrendered = vec![("overlays".to_owned(), "patches".to_owned())];
    });
    assert_eq!(mesh.unrendered(mesh.workloads[0].resource), Some("patches"));
    assert_eq!(mesh.unrendered(mesh.workloads[1].resource), None);
}
