//! Work grows with the sum of workloads and policies, not with their product.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::mesh;
use meshproof_ir::Mesh;

const COUNT: usize = 20_000;

fn build(selector: impl Fn(usize) -> String, labels: impl Fn(usize) -> String) -> Mesh {
    let mut text = String::from(
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {istio-injection: enabled}}\n---\n",
    );
    for at in 0..COUNT {
        let (selector, labels) = (selector(at), labels(at));
        text += &format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: w{at}, namespace: a, labels: {{{labels}}}}}\nspec: {{}}\n---\n\
             apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: p{at}, namespace: a}}\n\
             spec: {{{selector}}}\n---\n"
        );
    }
    mesh(&text)
}

fn attached(mesh: &Mesh) -> usize {
    mesh.workloads.iter().map(|workload| workload.policies.len()).sum()
}

#[test]
fn selectors_that_share_a_common_pair_cost_one_check_each() {
    let mesh = build(
        |at| format!("selector: {{matchLabels: {{team: web, app: w{at}}}}}"),
        |at| format!("team: web, app: w{at}, version: v1"),
    );
    assert_eq!(attached(&mesh), COUNT);
    assert!(mesh.selectors_tried() <= 2 * COUNT as u64, "{}", mesh.selectors_tried());
}

#[test]
fn equal_selectors_that_match_nothing_are_tried_once_per_workload() {
    let mesh =
        build(|_| "selector: {matchLabels: {team: web, app: none}}".to_owned(), |_| "team: web".to_owned());
    assert_eq!(attached(&mesh), 0);
    assert!(mesh.selectors_tried() <= 2 * COUNT as u64, "{}", mesh.selectors_tried());
}

#[test]
fn policies_for_a_whole_namespace_are_stored_once() {
    let mesh = build(|_| String::new(), |at| format!("app: w{at}"));
    assert_eq!(attached(&mesh), COUNT * COUNT);
    let first = &mesh.workloads[0].policies;
    assert!(mesh.workloads.iter().all(|workload| workload.policies.is_shared_with(first)));
    assert_eq!(mesh.selectors_tried(), 0);
}

#[test]
fn policies_with_one_selector_over_workloads_that_all_have_it_are_stored_once() {
    let mesh =
        build(|_| "selector: {matchLabels: {team: web}}".to_owned(), |at| format!("team: web, app: w{at}"));
    assert_eq!(attached(&mesh), COUNT * COUNT);
    let first = &mesh.workloads[0].policies;
    assert!(mesh.workloads.iter().all(|workload| workload.policies.is_shared_with(first)));
    assert!(mesh.selectors_tried() <= COUNT as u64, "{}", mesh.selectors_tried());
}

#[test]
fn services_and_modes_over_workloads_that_all_have_them_stay_bounded() {
    let count = 5_000;
    let mut text = String::new();
    for at in 0..count {
        text += &format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: w{at}, namespace: a, labels: {{app: x}}}}\nspec: {{}}\n---\n\
             apiVersion: v1\nkind: Service\nmetadata: {{name: s{at}, namespace: a}}\nspec: {{selector: {{app: x}}, \
             ports: [{{port: 80}}]}}\n---\n\
             apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: p{at}, namespace: a}}\n\
             spec: {{selector: {{matchLabels: {{app: x}}}}, mtls: {{mode: STRICT}}}}\n---\n"
        );
    }
    let mesh = mesh(&text);
    let listed = |workload: &meshproof_ir::Workload| workload.services.len() + workload.mode.shadowed.len();
    assert!(mesh.workloads.iter().all(|workload| listed(workload) < 300));
    assert!(mesh.workloads.iter().all(|workload| workload.ports[0].protocol.known().is_none()));
}
