//! Sizes, not times: equal things are one, and what is drawn grows with what is written.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::fmt::Write;

use common::gateways::{FRONT, from_outside, gateway_pods, routes, servers, through};
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

#[test]
fn routes_that_all_meet_each_other_are_followed_as_far_as_there_is_room() {
    let told = |count: usize| {
        let rule = |at: usize| {
            let to = if at + 1 == count { "two" } else { "one" };
            format!(
                "{{match: [{{headers: {{x-{at}: {{exact: v}}}}}}], route: [{{destination: {{host: {to}.shop.svc.cluster.local, port: {{number: 80}}}}}}]}}"
            )
        };
        let rules: Vec<String> = (0..count).map(rule).collect();
        let mesh = mesh(&(servers() + &gateway_pods() + FRONT + &routes(&rules)));
        let graph = Graph::new(&mesh);
        let reach = from_outside(&graph, "shop/two:8080");
        through(&reach).unwrap().through[0].may.join("; ")
    };
    assert_eq!(told(50), "", "the last of fifty takes what the others leave");
    // Each of 900 alone has few enough in front of it; all of them together do not.
    assert_eq!(told(900), "earlier routes have many conditions");
}
