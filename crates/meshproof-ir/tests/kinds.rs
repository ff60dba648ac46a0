//! Machines, deployed gateways, ServiceEntries, Sidecars, EnvoyFilters, mesh settings, cluster dumps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{mesh, mesh_of_files, mesh_with, policies, port, workload};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Capture, ClusterId, Fact, Mesh};

const INJECTED: &str =
    "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {istio-injection: enabled}}\n---\n";

fn pod(rest: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: x, namespace: a, labels: {{app: x}}{rest}}}\nspec: {{containers: \
         [{{name: app, ports: [{{containerPort: 8080}}]}}]}}\n---\n"
    )
}

fn protocol(mesh: &Mesh, name: &str, number: u16) -> Option<ProtocolClass> {
    port(workload(mesh, name), number).protocol.known().copied()
}

#[test]
fn workload_entries_merge_labels_and_map_named_ports() {
    let text = "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n\
        metadata: {name: vm, namespace: a, labels: {app: db}}\n\
        spec: {address: 10.0.0.1, labels: {app: other, tier: data}, serviceAccount: db, ports: {sql: 5433}}\n---\n\
        apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: a}\n\
        spec: {selector: {app: db, tier: data}, ports: [{name: tcp-x, port: 5432, targetPort: sql}, {name: http, port: 80}]}\n";
    let mesh = mesh(text);
    let vm = workload(&mesh, "vm");
    assert_eq!(vm.capture.known(), Some(&Capture::Sidecar));
    assert_eq!(vm.labels.get("app").unwrap().value, "db");
    assert_eq!(protocol(&mesh, "vm", 5433), Some(ProtocolClass::Tcp));
    assert_eq!(protocol(&mesh, "vm", 80), Some(ProtocolClass::Http));
    assert_eq!(mesh.accounts_named("a", "db").count(), 1);
}

#[test]
fn workload_groups_are_sidecars_with_the_labels_of_their_spec() {
    let text = "apiVersion: networking.istio.io/v1\nkind: WorkloadGroup\nmetadata: {name: g, namespace: a, labels: {app: no}}\n\
        spec: {metadata: {labels: {app: vm}}, template: {serviceAccount: vm}}\n";
    let mesh = mesh(text);
    let group = workload(&mesh, "g");
    assert_eq!(group.capture.known(), Some(&Capture::Sidecar));
    assert_eq!(group.labels.get("app").unwrap().value, "vm");
    assert_eq!(group.service_account.known().map(String::as_str), Some("vm"));
}

#[test]
fn machines_without_identity_may_have_no_proxy() {
    let entry = |labels: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: vm, namespace: a}}\nspec: \
             {{address: 10.0.0.1, labels: {{{labels}}}}}\n"
        )
    };
    let open = mesh(&entry("app: x"));
    assert!(matches!(workload(&open, "vm").capture, Fact::Unknown(_)));
    let outside = mesh(&entry("security.istio.io/tlsMode: disabled"));
    assert_eq!(workload(&outside, "vm").capture.known(), Some(&Capture::None));
}

#[test]
fn gateways_of_istiod_have_pods_accounts_and_policies() {
    let gateway = |name: &str, class: &str, extra: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: {name}, namespace: a, labels: \
             {{app: edge}}}}\nspec: {{gatewayClassName: {class}, listeners: []{extra}}}\n---\n"
        )
    };
    let text = gateway("gw", "istio", "")
        + &gateway("wp", "istio-waypoint", "")
        + &gateway("own", "istio", ", addresses: [{type: Hostname, value: ingress}]")
        + &gateway("foreign", "nginx", "")
        + &gateway("custom", "mine", "")
        + "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: mine}\n\
           spec: {controllerName: istio.io/mesh-controller}\n---\n\
           apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: ref, namespace: a}\n\
           spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: gw}]}\n---\n\
           apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: label, namespace: a}\n\
           spec: {selector: {matchLabels: {app: edge}}}\n";
    let mesh = mesh(&text);
    let names: Vec<&str> = mesh.workloads.iter().map(|workload| workload.name.as_str()).collect();
    assert_eq!(names, ["gw-istio", "wp", "custom"]);
    assert_eq!(workload(&mesh, "gw-istio").capture.known(), Some(&Capture::Gateway));
    assert_eq!(workload(&mesh, "wp").capture.known(), Some(&Capture::Waypoint));
    assert_eq!(workload(&mesh, "custom").capture.known(), Some(&Capture::Waypoint));
    assert_eq!(policies(&mesh, workload(&mesh, "gw-istio")), ["label", "ref"]);
    assert!(workload(&mesh, "wp").policies.is_empty());
    assert_eq!(mesh.accounts_named("a", "gw-istio").count(), 1);
    let (id, policy) = mesh.authorization_policies().next().unwrap();
    let target = mesh.target(id, &policy.target_refs[0]).unwrap();
    assert_eq!(mesh.resource(target).meta.name(), "gw");
}

#[test]
fn a_gateway_whose_pods_are_in_the_input_is_not_deployed_again() {
    let text = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw, namespace: a}\n\
        spec: {gatewayClassName: istio}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: gw-istio, namespace: a}\n\
        spec: {template: {metadata: {labels: {gateway.networking.k8s.io/gateway-name: gw}}, spec: {containers: []}}}\n";
    assert_eq!(mesh(text).workloads.len(), 1);
}

#[test]
fn service_entries_that_select_pods_say_their_protocol() {
    let entry = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: se, namespace: a}\n\
        spec: {hosts: [x.example], workloadSelector: {labels: {app: x}}, ports: [{number: 80, name: web, protocol: HTTP, \
        targetPort: 8080}]}\n";
    let mesh = mesh(&(pod("") + entry));
    assert_eq!(protocol(&mesh, "x", 8080), Some(ProtocolClass::Http));
    assert_eq!(port(workload(&mesh, "x"), 8080).service_entries.len(), 1);
}

#[test]
fn listeners_of_a_sidecar_object_replace_those_of_services() {
    let text = INJECTED.to_owned()
        + &pod("")
        + "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: a}\nspec: {selector: {app: x}, ports: [{name: http, \
           port: 8080}, {name: tcp, port: 9090}]}\n---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: \
           s, namespace: a}\nspec: {workloadSelector: {labels: {app: x}}, ingress: [{port: {number: 9090, protocol: HTTP, \
           name: web}, defaultEndpoint: 127.0.0.1:9090}]}\n";
    let mesh = mesh(&text);
    assert_eq!(protocol(&mesh, "x", 8080), Some(ProtocolClass::Auto));
    assert_eq!(protocol(&mesh, "x", 9090), Some(ProtocolClass::Http));
}

#[test]
fn envoy_filters_mark_what_they_touch() {
    let filter = |name: &str, namespace: &str, spec: &str| {
        format!(
            "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             spec: {{{spec}}}\n---\n"
        )
    };
    let inbound = "configPatches: [{applyTo: HTTP_FILTER, match: {context: SIDECAR_INBOUND}, patch: {operation: REMOVE}}]";
    let outbound = inbound.replace("INBOUND", "OUTBOUND");
    let text = INJECTED.to_owned()
        + &pod("")
        + &filter("mine", "a", &format!("workloadSelector: {{labels: {{app: x}}}}, {inbound}"))
        + &filter("other", "a", &format!("workloadSelector: {{labels: {{app: y}}}}, {inbound}"))
        + &filter("root", "istio-system", inbound)
        + &filter("out", "a", &outbound)
        + &filter("elsewhere", "b", inbound);
    let mesh = mesh(&text);
    let marks = &workload(&mesh, "x").envoy_filters;
    let mut names: Vec<&str> = marks.iter().map(|id| mesh.resource(*id).meta.name()).collect();
    names.sort_unstable();
    assert_eq!(names, ["mine", "root"]);
}

const MESH: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |-\n    \
                    trustDomain: td.example\n    rootNamespace: mesh-root\n    trustDomainAliases: [old.example]\n    \
                    extensionProviders: [{name: opa, envoyExtAuthzGrpc: {service: opa.a.svc.cluster.local, port: 9000}}]\n";

#[test]
fn settings_come_from_mesh_config_and_the_user_beats_them() {
    let policy = "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: all, namespace: mesh-root}\n\
                  spec: {}\n---\n";
    let text = MESH.to_owned() + policy + INJECTED + &pod("");
    let mesh = mesh(&text);
    assert_eq!(mesh.settings.root(), "mesh-root");
    assert!(mesh.settings.trust_domains().eq(["td.example", "old.example"]));
    assert_eq!(mesh.settings.provider_names, ["opa"]);
    assert_eq!(policies(&mesh, workload(&mesh, "x")), ["all"]);
    assert!(mesh.root_is_visible(ClusterId(0)));
    let id = mesh.workloads_with_ids().next().unwrap().0;
    assert_eq!(
        mesh.identity_of(id).unwrap().spiffe_id().as_deref(),
        Some("spiffe://td.example/ns/a/sa/default")
    );
    let told = mesh_with(&[("a.yaml", &text)], |options| {
        options.settings.root_namespace = Some("a".to_owned());
    });
    assert_eq!(told.settings.root(), "a");
    assert!(workload(&told, "x").policies.is_empty());
}

#[test]
fn settings_that_disagree_are_not_known() {
    let other = MESH.replace("mesh-root", "other-root");
    let files = [("one/m.yaml", MESH), ("two/m.yaml", other.as_str()), ("pod.yaml", &pod("") as &str)];
    let mesh = mesh_of_files(&files);
    assert!(mesh.settings.root_namespace.known().is_none());
    assert!(mesh.settings.trust_domain.known().is_some());
    assert!(workload(&mesh, "x").mode.mode.known().is_none());
}

#[test]
fn namespaces_that_discovery_leaves_out_have_no_policies() {
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |-\n    \
                  discoverySelectors: [{matchLabels: {istio-discovery: enabled}}]\n---\n";
    let policy = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: all, namespace: a}\nspec: {}\n---\n";
    let out = mesh(&(config.to_owned() + INJECTED + &pod("") + policy));
    assert!(workload(&out, "x").policies.is_empty());
    let labelled = INJECTED.replace("enabled}", "enabled, istio-discovery: enabled}");
    let within = mesh(&(config.to_owned() + &labelled + &pod("") + policy));
    assert_eq!(policies(&within, workload(&within, "x")), ["all"]);
}

#[test]
fn pods_of_a_dump_are_counted_once() {
    let owner = |kind: &str, name: &str| {
        format!(
            ", ownerReferences: [{{apiVersion: apps/v1, kind: {kind}, name: {name}, uid: u, controller: true}}]"
        )
    };
    let controller = |kind: &str, name: &str, owner: &str| {
        format!(
            "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: a{owner}}}\nspec: {{template: {{metadata: \
             {{labels: {{app: x}}}}, spec: {{containers: []}}}}}}\n---\n"
        )
    };
    let text = controller("Deployment", "x", "")
        + &controller("ReplicaSet", "x-1", &owner("Deployment", "x"))
        + &pod(&owner("ReplicaSet", "x-1"));
    assert_eq!(mesh(&text).workloads.len(), 1);
    let alone = mesh(&pod(&owner("ReplicaSet", "x-1")));
    assert_eq!(alone.workloads.len(), 1);
}

#[test]
fn clusters_have_settings_and_policies_of_their_own_and_share_identities() {
    use meshproof_ir::{BuildOptions, ResourceInput};
    let text = pod("")
        + "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: a}\nspec: {}\n";
    let one = mesh(&text);
    let inputs = ["east", "west"].into_iter().flat_map(|cluster| {
        // Policies stand in the east alone.
        let wanted = move |at: &usize| cluster == "east" || *at == 0;
        (0..one.resources.len()).filter(wanted).map(move |at| (at, cluster))
    });
    let inputs: Vec<ResourceInput> =
        inputs.map(|(at, cluster)| (one.resources[at].clone(), Some(cluster.to_owned())).into()).collect();
    let both = Mesh::build(inputs, &BuildOptions::default());
    assert_eq!(both.clusters.len(), 2);
    assert_eq!(both.workloads.len(), 2);
    let attached: Vec<usize> = both.workloads.iter().map(|workload| workload.policies.len()).collect();
    assert_eq!(attached, [1, 0]);
    let shared = both.accounts_named("a", "default").next().unwrap();
    assert_eq!((shared.namespaces.len(), shared.workloads.len()), (2, 2));
}
