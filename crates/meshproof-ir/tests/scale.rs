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
    let key = mesh.workloads[0].policies.sharing_key();
    assert!(mesh.workloads.iter().all(|workload| workload.policies.sharing_key() == key));
    assert_eq!(mesh.selectors_tried(), 0);
}
