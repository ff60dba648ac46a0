//! The vectors of the mutual-TLS reference: modes in force on sidecars and in ambient mode.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{known, mesh, mesh_of_files, mode_at, workload};
use meshproof_ir::{Fact, Mesh, Origin, Workload};
use meshproof_resources::MtlsMode::{self, Disable, Permissive, Strict};

const SIDECAR: &str = "istio-injection: enabled";
const AMBIENT: &str = "istio.io/dataplane-mode: ambient";

/// A PeerAuthentication: namespace, name, selector (`-` none, `{}` empty, else `app` label), creation second, spec.
fn pa(namespace: &str, name: &str, selector: &str, age: u32, rest: &str) -> String {
    let selector = match selector {
        "-" => String::new(),
        "{}" => "  selector: {}\n".to_owned(),
        app => format!("  selector: {{matchLabels: {{app: {app}}}}}\n"),
    };
    let body = format!("{selector}{rest}");
    let spec = if body.is_empty() { "spec: {}\n".to_owned() } else { format!("spec:\n{body}") };
    format!(
        "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata:\n  name: {name}\n  \
         namespace: {namespace}\n  creationTimestamp: \"2026-01-01T00:00:{age:02}Z\"\n{spec}"
    )
}

fn mtls(mode: &str) -> String {
    format!("  mtls: {{mode: {mode}}}\n")
}

fn port(number: u16, mode: &str) -> String {
    format!("  portLevelMtls: {{{number}: {{mode: {mode}}}}}\n")
}

fn build(namespace_label: &str, policies: &[String]) -> Mesh {
    let pods = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: a, labels: {{{namespace_label}}}}}\n---\n\
         apiVersion: v1\nkind: Namespace\nmetadata: {{name: istio-system}}\n---\n\
         apiVersion: v1\nkind: Pod\nmetadata: {{name: x, namespace: a, labels: {{app: x}}}}\n\
         spec: {{containers: [{{name: app, ports: [{{containerPort: 8080}}, {{containerPort: 9090}}]}}]}}\n"
    );
    mesh(&(pods + &policies.concat()))
}

#[track_caller]
fn expect(label: &str, policies: &[String], general: MtlsMode, at_8080: MtlsMode) -> Mesh {
    let mesh = build(label, policies);
    let workload = workload(&mesh, "x");
    assert_eq!(known(&workload.mode), general, "mode of the workload");
    assert_eq!(known(mode_at(workload, 9090)), general, "mode of port 9090");
    assert_eq!(known(mode_at(workload, 8080)), at_8080, "mode of port 8080");
    mesh
}

fn decider<'m>(mesh: &'m Mesh, workload: &'m Workload) -> Option<&'m str> {
    workload.mode.decided_by.map(|id| mesh.resource(id).meta.name())
}

#[test]
fn vector_1_no_policy_is_permissive() {
    let mesh = expect(SIDECAR, &[], Permissive, Permissive);
    assert_eq!(workload(&mesh, "x").mode.mode, Fact::Known(Permissive, Origin::Default));
}

#[test]
fn vector_2_mesh_unset() {
    expect(SIDECAR, &[pa("istio-system", "m", "-", 1, "")], Permissive, Permissive);
}

#[test]
fn vector_3_mesh_strict() {
    let mesh = expect(SIDECAR, &[pa("istio-system", "m", "-", 1, &mtls("STRICT"))], Strict, Strict);
    assert_eq!(decider(&mesh, workload(&mesh, "x")), Some("m"));
    assert!(matches!(workload(&mesh, "x").mode.mode, Fact::Known(_, Origin::Inherited(_))));
}

#[test]
fn vector_4_namespace_unset_inherits_the_mesh() {
    let policies = [pa("istio-system", "m", "-", 1, &mtls("STRICT")), pa("a", "n", "-", 2, "")];
    expect(SIDECAR, &policies, Strict, Strict);
}

#[test]
fn vector_5_namespace_disable_beats_mesh_strict() {
    let policies = [pa("istio-system", "m", "-", 1, &mtls("STRICT")), pa("a", "n", "-", 2, &mtls("DISABLE"))];
    expect(SIDECAR, &policies, Disable, Disable);
}

#[test]
fn vector_6_workload_unset_inherits_the_namespace() {
    let policies = [
        pa("istio-system", "m", "-", 1, &mtls("STRICT")),
        pa("a", "n", "-", 2, &mtls("PERMISSIVE")),
        pa("a", "w", "x", 3, &mtls("UNSET")),
    ];
    expect(SIDECAR, &policies, Permissive, Permissive);
}

#[test]
fn vector_7_port_disable_under_strict_is_lost_in_ambient_mode() {
    let policies = [pa("a", "n", "-", 1, &mtls("STRICT")), pa("a", "w", "x", 2, &port(8080, "DISABLE"))];
    expect(SIDECAR, &policies, Strict, Disable);
    expect(AMBIENT, &policies, Strict, Strict);
}

#[test]
fn vector_8_port_unset_takes_the_mode_of_the_workload() {
    let workload = mtls("STRICT") + &port(8080, "UNSET");
    let policies = [pa("a", "n", "-", 1, &mtls("PERMISSIVE")), pa("a", "w", "x", 2, &workload)];
    expect(SIDECAR, &policies, Strict, Strict);
}

#[test]
fn vector_9_port_strict_under_permissive() {
    let policies = [pa("a", "w", "x", 1, &(mtls("PERMISSIVE") + &port(8080, "STRICT")))];
    expect(SIDECAR, &policies, Permissive, Strict);
    expect(AMBIENT, &policies, Permissive, Strict);
}

#[test]
fn vector_10_the_oldest_workload_policy_wins_as_a_whole() {
    let policies = [
        pa("a", "w2", "x", 2, &(mtls("STRICT") + &port(8080, "DISABLE"))),
        pa("a", "w3", "x", 1, &mtls("PERMISSIVE")),
    ];
    let mesh = expect(SIDECAR, &policies, Permissive, Permissive);
    let shadowed = &workload(&mesh, "x").mode.shadowed;
    assert_eq!(shadowed.iter().map(|id| mesh.resource(*id).meta.name()).collect::<Vec<_>>(), ["w2"]);
}

#[test]
fn vector_11_selectors_in_the_root_namespace_are_ignored() {
    expect(SIDECAR, &[pa("istio-system", "m", "x", 1, &mtls("STRICT"))], Permissive, Permissive);
}

#[test]
fn vector_12_an_older_unset_policy_shadows_a_strict_one() {
    let policies = [pa("a", "z", "-", 1, ""), pa("a", "b", "-", 2, &mtls("STRICT"))];
    let mesh = expect(SIDECAR, &policies, Permissive, Permissive);
    assert_eq!(workload(&mesh, "x").mode.shadowed.len(), 1);
}

#[test]
fn vector_13_an_empty_selector_in_root_counts_for_sidecars_alone() {
    let policies = [pa("istio-system", "m", "{}", 1, &mtls("STRICT"))];
    expect(SIDECAR, &policies, Strict, Strict);
    expect(AMBIENT, &policies, Permissive, Permissive);
}

#[test]
fn vector_14_an_unset_namespace_policy_opens_an_ambient_workload() {
    let policies = [
        pa("istio-system", "m", "-", 1, &mtls("STRICT")),
        pa("a", "n", "-", 2, ""),
        pa("a", "w", "x", 3, &port(8080, "PERMISSIVE")),
    ];
    expect(SIDECAR, &policies, Strict, Permissive);
    let mesh = expect(AMBIENT, &policies, Permissive, Permissive);
    assert!(workload(&mesh, "x").ambient.as_ref().unwrap().missing);
}

#[test]
fn vector_15_strict_workload_with_an_open_port_in_ambient_mode() {
    let policies = [pa("a", "w", "x", 1, &(mtls("STRICT") + &port(8080, "DISABLE")))];
    // The written mode stays: to ztunnel DISABLE means what PERMISSIVE means.
    expect(AMBIENT, &policies, Strict, Disable);
}

#[test]
fn a_strict_port_under_a_permissive_ambient_workload_is_open_when_the_mesh_is_strict() {
    let workload = mtls("PERMISSIVE") + &port(8080, "STRICT");
    let policies = [pa("istio-system", "m", "-", 1, &mtls("STRICT")), pa("a", "w", "x", 2, &workload)];
    expect(SIDECAR, &policies, Permissive, Strict);
    expect(AMBIENT, &policies, Permissive, Permissive);
}

#[test]
fn without_creation_times_names_decide_and_the_losers_are_named() {
    let undated = |text: String| -> String {
        text.lines()
            .filter(|line| !line.contains("creationTimestamp"))
            .map(|line| format!("{line}\n"))
            .collect()
    };
    let policies =
        [undated(pa("a", "z", "-", 1, &mtls("STRICT"))), undated(pa("a", "b", "-", 2, &mtls("DISABLE")))];
    let mesh = expect(SIDECAR, &policies, Disable, Disable);
    assert_eq!(decider(&mesh, workload(&mesh, "x")), Some("b"));
    assert_eq!(workload(&mesh, "x").mode.shadowed.len(), 1);
}

#[test]
fn workloads_in_the_root_namespace_have_the_mode_of_the_mesh() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: g, namespace: istio-system, labels: {app: x}}\n\
               spec: {containers: [{name: app, ports: [{containerPort: 8080}]}]}\n";
    let policies =
        pa("istio-system", "w", "x", 1, &mtls("DISABLE")) + &pa("istio-system", "m", "-", 2, &mtls("STRICT"));
    let mesh = mesh(&(pod.to_owned() + &policies));
    assert_eq!(known(&workload(&mesh, "g").mode), Strict);
}

#[test]
fn entries_for_ports_that_nothing_declares_are_ports_of_their_own() {
    let mesh = build(SIDECAR, &[pa("a", "w", "x", 1, &(mtls("STRICT") + &port(80, "DISABLE")))]);
    let port = common::port(workload(&mesh, "x"), 80);
    assert_eq!(known(&port.mode), Disable);
    assert!(port.declared.is_none() && port.bindings.is_empty());
}

#[test]
fn a_policy_without_namespace_makes_other_namespaces_uncertain() {
    let pods = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: a, labels: {app: x}}\n\
                spec: {containers: [{name: app, ports: [{containerPort: 8080}]}]}\n";
    let strict = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p}\n\
                  spec: {mtls: {mode: STRICT}}\n";
    let mesh = mesh_of_files(&[("app/pod.yaml", pods), ("policies/pa.yaml", strict)]);
    let workload = workload(&mesh, "x");
    assert!(matches!(workload.mode.mode, Fact::Unknown(_)), "{:?}", workload.mode);
    assert!(matches!(common::port(workload, 8080).mode.mode, Fact::Unknown(_)));
}

#[test]
fn a_policy_without_namespace_that_changes_nothing_leaves_no_doubt() {
    let pods = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: a, labels: {app: x}}\nspec: {}\n"
        .to_owned()
        + &pa("a", "n", "-", 1, &mtls("STRICT"));
    let strict = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p}\n\
                  spec: {mtls: {mode: STRICT}}\n";
    let mesh = mesh_of_files(&[("app/pod.yaml", &pods), ("policies/pa.yaml", strict)]);
    assert_eq!(known(&workload(&mesh, "x").mode), Strict);
}

#[test]
fn in_one_folder_objects_without_namespace_belong_together() {
    let pods = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, labels: {app: x}}\nspec: {}\n";
    let strict = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p}\n\
                  spec: {mtls: {mode: STRICT}}\n";
    let mesh = mesh_of_files(&[("app/pod.yaml", pods), ("app/pa.yaml", strict)]);
    assert_eq!(known(&workload(&mesh, "x").mode), Strict);
}

#[test]
fn a_workload_without_namespace_may_be_in_any_that_has_policies() {
    let pods = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, labels: {app: x}}\nspec: {}\n";
    let strict = pa("b", "p", "-", 1, &mtls("STRICT"));
    let mesh = mesh_of_files(&[("app/pod.yaml", pods), ("policies/pa.yaml", &strict)]);
    assert!(matches!(workload(&mesh, "x").mode.mode, Fact::Unknown(_)));
    let placed = common::mesh_with(&[("app/pod.yaml", pods), ("policies/pa.yaml", &strict)], |options| {
        options.namespace = Some("a".to_owned());
    });
    assert_eq!(known(&workload(&placed, "x").mode), Permissive);
}
