//! Labels that pods get when they are made, and objects of other revisions: what may be in force, and says why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{known, mesh, mode_at, port, workload};
use meshproof_ir::{Fact, Mesh, is_given_later};
use meshproof_resources::MtlsMode;

fn namespace(labels: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: a, labels: {{{labels}}}}}\n---\n")
}

fn pods(name: &str, labels: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: {name}, namespace: a}}\nspec:\n  template:\n    \
         metadata: {{labels: {{{labels}}}}}\n    spec: {{containers: [{{name: app, ports: [{{containerPort: 8080}}]}}]}}\n---\n"
    )
}

fn object(kind: &str, namespace: &str, name: &str, labels: &str, spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}, labels: \
         {{{labels}}}}}\nspec: {{{spec}}}\n---\n"
    )
}

fn policy(name: &str, labels: &str, selector: &str) -> String {
    object("AuthorizationPolicy", "a", name, labels, &format!("selector: {{matchLabels: {{{selector}}}}}"))
}

/// Policies of a workload: `x` is certain, `x?` may be attached.
fn attached(mesh: &Mesh, name: &str) -> Vec<String> {
    let mark = |certain: &Result<(), String>| if certain.is_ok() { "" } else { "?" };
    let named = |policy: &meshproof_ir::Attachment| {
        format!("{}{}", mesh.resource(policy.policy).meta.name(), mark(&policy.certain))
    };
    workload(mesh, name).policies.iter().map(named).collect()
}

#[test]
fn selectors_on_labels_that_pods_get_later_may_select() {
    assert!(is_given_later("batch.kubernetes.io/job-name") && !is_given_later("app"));
    let text = namespace("istio-injection: enabled")
        + &pods("db", "app: db")
        + &pods("web", "app: web, apps.kubernetes.io/pod-index: '1'")
        + &policy("by-pod", "", "statefulset.kubernetes.io/pod-name: db-0")
        + &policy("of-db", "", "app: db, service.istio.io/canonical-name: db")
        + &policy("first", "", "apps.kubernetes.io/pod-index: '0'")
        + &policy("second", "", "apps.kubernetes.io/pod-index: '1'")
        + &policy("plain", "", "app: none");
    let mesh = mesh(&text);
    assert_eq!(attached(&mesh, "db"), ["by-pod?", "of-db?", "first?", "second?"]);
    assert_eq!(attached(&mesh, "web"), ["by-pod?", "second"]);
    let reason = workload(&mesh, "db").policies.iter().next().unwrap().certain.clone().unwrap_err();
    assert!(reason.contains("by-pod") && reason.contains("statefulset.kubernetes.io/pod-name"), "{reason}");
}

#[test]
fn policies_of_a_revision_are_certain_only_where_it_is_written() {
    let policies = policy("canary", "istio.io/rev: canary", "app: x") + &policy("all", "", "app: x");
    let of = |namespace_labels: &str, own: &str| {
        let text = namespace(namespace_labels) + &pods("x", &format!("app: x{own}")) + &policies;
        attached(&mesh(&text), "x")
    };
    assert_eq!(of("istio-injection: enabled", ""), ["canary?", "all"]);
    assert_eq!(of("istio.io/rev: canary", ""), ["canary", "all"]);
    assert_eq!(of("team: web", ", istio.io/rev: canary"), ["canary", "all"]);
    assert_eq!(of("istio.io/rev: stable", ", istio.io/rev: canary"), ["canary?", "all"]);
    assert_eq!(of("istio-injection: enabled", ", istio.io/rev: canary"), ["canary?", "all"]);
}

#[test]
fn modes_of_another_revision_are_open() {
    let base = |labels: &str| namespace(labels) + &pods("x", "app: x");
    let of_mesh = |name: &str, revision: &str, mode: &str| {
        object(
            "PeerAuthentication",
            "istio-system",
            name,
            &format!("istio.io/rev: {revision}"),
            &format!("mtls: {{mode: {mode}}}"),
        )
    };
    let both = of_mesh("old", "v1", "STRICT") + &of_mesh("new", "canary", "PERMISSIVE");
    let open = mesh(&(base("istio-injection: enabled") + &both));
    assert!(
        matches!(&workload(&open, "x").mode.mode, Fact::Unknown(reason) if reason.contains("revision v1"))
    );
    assert!(workload(&open, "x").mode.shadowed.is_empty());
    // What stands closer decides whatever the revision.
    let local = object("PeerAuthentication", "a", "own", "", "mtls: {mode: DISABLE}");
    let decided = mesh(&(base("istio-injection: enabled") + &both + &local));
    assert_eq!(known(&workload(&decided, "x").mode), MtlsMode::Disable);
    // One that says what holds anyway changes nothing.
    let same = mesh(&(base("istio-injection: enabled") + &of_mesh("new", "canary", "PERMISSIVE")));
    assert_eq!(known(&workload(&same, "x").mode), MtlsMode::Permissive);
    let written = mesh(&(base("istio.io/rev: v1") + &of_mesh("old", "v1", "STRICT")));
    assert_eq!(known(&workload(&written, "x").mode), MtlsMode::Strict);
}

#[test]
fn modes_by_labels_that_pods_get_later_are_open() {
    let peer = object(
        "PeerAuthentication",
        "a",
        "first",
        "",
        "selector: {matchLabels: {app: x, apps.kubernetes.io/pod-index: '0'}}, mtls: {mode: PERMISSIVE}, \
         portLevelMtls: {8080: {mode: STRICT}}",
    );
    let mesh =
        mesh(&(namespace("istio-injection: enabled") + &pods("x", "app: x") + &pods("y", "app: y") + &peer));
    assert_eq!(known(mode_at(workload(&mesh, "x"), 9000)), MtlsMode::Permissive);
    assert!(matches!(mode_at(workload(&mesh, "x"), 8080).mode, Fact::Unknown(_)));
    assert_eq!(known(mode_at(workload(&mesh, "y"), 8080)), MtlsMode::Permissive);
}

#[test]
fn services_of_single_pods_may_say_the_protocol() {
    let service = |name: &str, selector: &str, port: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: a}}\nspec: {{selector: {{{selector}}}, \
             ports: [{{name: {port}, port: 8080}}]}}\n---\n"
        )
    };
    let base = namespace("istio-injection: enabled") + &pods("x", "app: x") + &service("x", "app: x", "http");
    let by_pod = "statefulset.kubernetes.io/pod-name: x-0";
    let same = mesh(&(base.clone() + &service("x-0", by_pod, "http")));
    assert!(port(workload(&same, "x"), 8080).protocol.known().is_some());
    let other = mesh(&(base + &service("x-0", by_pod, "tcp")));
    assert!(
        matches!(&port(workload(&other, "x"), 8080).protocol, Fact::Unknown(reason) if reason.contains("x-0"))
    );
}

#[test]
fn thousands_of_policies_in_doubt_cost_their_sum() {
    let mut text = namespace("istio.io/rev: stable");
    for at in 0..4_000 {
        text += &pods(&format!("w{at}"), &format!("app: w{at}"));
        text +=
            &policy(&format!("p{at}"), &format!("istio.io/rev: r{at}"), "service.istio.io/canonical-name: x");
    }
    let mesh = mesh(&text);
    let first = &mesh.workloads[0].policies;
    assert_eq!(first.len(), 4_000);
    assert!(mesh.workloads.iter().all(|workload| workload.policies.is_shared_with(first)));
}
