//! Sizes, not times: equal things are one, and what is drawn grows with what is written.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::fmt::Write;

use common::{injected, mesh, namespace, peer_authentication, pod, policy, service};
use meshproof_graph::Graph;

/// So many workloads in each of so many namespaces.
fn workloads(namespaces: usize, each: usize) -> String {
    let mut text = namespace("istio-system", "");
    for of in 0..namespaces {
        let of = format!("n{of}");
        text.push_str(&injected(&of));
        for at in 0..each {
            let name = format!("w{at}");
            text.push_str(&(pod(&of, &name, &name, "") + &service(&of, &name, "http", "")));
        }
    }
    text
}

#[test]
fn equal_ports_and_equal_callers_are_one() {
    for count in [2, 20] {
        let mesh = mesh(&workloads(count, 10));
        let graph = Graph::new(&mesh);
        assert_eq!((graph.places.len(), graph.edges.len(), graph.whos.len()), (1, 2, 2), "{count}");
        assert_eq!(graph.places[0].members.len(), count * 10);
    }
}

#[test]
fn edges_grow_with_rules_and_not_with_pairs() {
    let sizes = [5, 10, 20].map(|count| {
        let mut text =
            workloads(count, 10) + &peer_authentication("istio-system", "m", "mtls: {mode: STRICT}");
        for of in 0..count {
            for at in 0..10 {
                let mut callers = String::new();
                for next in 1..3 {
                    let _ = write!(
                        callers,
                        "\"cluster.local/ns/n{}/sa/w{}\", ",
                        (of + next) % count,
                        (at + next) % 10
                    );
                }
                let rules = format!("rules: [{{from: [{{source: {{principals: [{callers}]}}}}]}}]");
                let selector = format!("selector: {{matchLabels: {{pod: w{at}}}}}");
                text.push_str(&policy(&format!("n{of}"), &format!("p{at}"), &format!("{selector}, {rules}")));
            }
        }
        let mesh = mesh(&text);
        let graph = Graph::new(&mesh);
        (graph.places.len(), graph.edges.len())
    });
    assert_eq!(sizes, [(50, 50), (100, 100), (200, 200)]);
}
