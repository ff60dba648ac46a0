//! Work grows with the sum of workloads and policies, not with their product.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{mesh, namespace};
use meshproof_ir::WorkloadId;
use meshproof_network::{End, Flow, Network, Passage};
use meshproof_resources::Transport;

const COUNT: usize = 5_000;

/// As many pods as policies, each with one question; the product would take minutes.
fn ask_each(selector: impl Fn(usize) -> String, labels: impl Fn(usize) -> String) -> Vec<Passage> {
    let mut text = namespace("a", "");
    for at in 0..COUNT {
        let (selector, labels) = (selector(at), labels(at));
        text += &format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: w{at}, namespace: a, labels: {{{labels}}}}}\nspec: {{}}\n---\n\
             apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p{at}, namespace: a}}\n\
             spec: {{podSelector: {{{selector}}}}}\n---\n"
        );
    }
    let mesh = mesh(&text);
    let start = Instant::now();
    let network = Network::new(&mesh);
    let ask = |at: usize| {
        let flow = Flow {
            from: End::External(None),
            to: End::Workload(WorkloadId(at as u32)),
            protocol: Transport::Tcp,
            port: 80,
        };
        network.verdict(&flow).passage()
    };
    let answers = (0..COUNT).map(ask).collect();
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    answers
}

#[test]
fn selectors_that_share_a_common_pair_are_found_by_the_rare_one() {
    let answers = ask_each(
        |at| format!("matchLabels: {{team: web, app: w{at}}}"),
        |at| format!("team: web, app: w{at}, version: v1"),
    );
    assert!(answers.iter().all(|answer| *answer == Passage::Denied));
}

#[test]
fn equal_selectors_that_match_nothing_are_tried_once() {
    let answers = ask_each(
        |_| "matchExpressions: [{key: app, operator: DoesNotExist}]".to_owned(),
        |at| format!("app: w{at}"),
    );
    assert!(answers.iter().all(|answer| *answer == Passage::Allowed));
}

#[test]
fn classes_cost_one_pass() {
    let mut text = namespace("a", "");
    for at in 0..COUNT {
        text += &format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: w{at}, namespace: a, labels: {{app: w{at}}}}}\nspec: {{}}\n---\n"
        );
    }
    text += &common::policy("a", "p", "podSelector: {matchLabels: {app: w7}}");
    let mesh = mesh(&text);
    let network = Network::new(&mesh);
    let mut classes: Vec<_> = (0..COUNT).map(|at| network.class(WorkloadId(at as u32))).collect();
    classes.sort_unstable();
    classes.dedup();
    assert_eq!(classes.len(), 2);
}

#[test]
fn a_receiver_tells_those_apart_that_its_rules_name() {
    let count = 500;
    let mut text = namespace("a", "") + &namespace("b", "");
    for at in 0..count {
        for place in ["a", "b"] {
            text += &format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: w{at}, namespace: {place}, labels: {{app: w{at}}}}}\nspec: {{}}\n---\n"
            );
        }
        let from = format!("from: [{{podSelector: {{matchLabels: {{app: w{}}}}}}}]", (at + 1) % count);
        let spec = format!("podSelector: {{matchLabels: {{app: w{at}}}}}, ingress: [{{{from}}}]");
        text += &common::policy("a", &format!("p{at}"), &spec);
    }
    let mesh = mesh(&text);
    let network = Network::new(&mesh);
    let senders = network.senders();
    for (id, workload) in mesh.workloads_with_ids() {
        let receiver = network.receiver(id, Transport::Tcp, 80);
        let apart = receiver.told_apart(&senders).unwrap();
        let is_ruled = mesh.namespace(workload.namespace).name.as_deref() == Some("a");
        // Labels or namespaces lead to the one that is admitted; both namespaces have a pod with its label.
        assert_eq!(apart.len(), if is_ruled { 2 } else { 0 });
    }
}
