//! Building grows with the objects, not with products of them; hostile meshes stay small.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{ask, find, injected, mesh, pod, rule, service, told};
use meshproof_transport::Transport;

/// Far above what it takes, and far below what a product would.
const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn many_clients_and_rules_for_some_of_them() {
    let count = 4_000;
    let mut text = injected("a") + &service("a", "x", "http", "");
    for at in 0..count {
        text += &pod("a", &format!("p{at}"), "c", "");
        text += &rule(
            "a",
            &format!("r{at}"),
            &format!("host: h{at}.example, workloadSelector: {{matchLabels: {{app: c}}}}"),
        );
    }
    let mesh = mesh(&text);
    let start = Instant::now();
    let transport = Transport::new(&mesh);
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    assert_eq!(transport.client_classes().count(), 1, "one selector, one class");
}

#[test]
fn many_rules_for_one_host() {
    let count = 4_000;
    let mut text = injected("a") + &injected("s") + &pod("a", "x", "x", "") + &service("a", "x", "http", "");
    text += &pod("s", "c", "c", "");
    for at in 0..count {
        // Each with an exportTo of its own, so that none merges, and then with one, so that all do.
        let export = if at % 2 == 0 { format!("exportTo: [n{at}, s],") } else { String::new() };
        let subset = format!("{{name: v{at}, labels: {{v: v{at}}}}}");
        text += &rule("a", &format!("r{at:05}"), &format!("host: x, {export} subsets: [{subset}]"));
    }
    let mesh = mesh(&text);
    let start = Instant::now();
    let outcome = ask(&mesh, "s/c", "x.a.svc.cluster.local", None);
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    assert_eq!(told(&outcome), ["istio-mtls: mutual as c"]);
    assert!(outcome.unknown.iter().any(|text| text.contains("side by side")), "{:?}", outcome.unknown);
}

#[test]
fn many_wildcards_and_hosts() {
    let count = 4_000;
    let mut text = injected("s") + &pod("s", "c", "c", "");
    for at in 0..count {
        text += &rule("s", &format!("r{at}"), &format!("host: '*.n{at}.svc.cluster.local'"));
        text += &service(&format!("n{at}"), "x", "http", "");
    }
    let mesh = mesh(&text);
    let start = Instant::now();
    let transport = Transport::new(&mesh);
    let client = meshproof_transport::Client::Workload(find(&mesh, "s/c"));
    for at in 0..count {
        let host = format!("x.n{at}.svc.cluster.local");
        let target = meshproof_transport::Target::Host(&host);
        let call = meshproof_transport::Call {
            client,
            target,
            port: 80,
            subset: None,
            speaks: meshproof_ir::Layer::Http,
        };
        assert_eq!(transport.call(&call).path, meshproof_transport::Path::Cluster);
    }
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
}
