//! Meshes so large that something is cut short: no claim that is not proven, and an end in time.

#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write as _;
use std::time::Duration;

use meshproof_diagnostics::Level;
use meshproof_lints::World;
use support::analyse;

/// One namespace with pods under STRICT, and so many Services in front of each. The last Service leads to a pod that
/// takes plaintext.
fn servers(pods: usize, services_each: usize) -> String {
    let mut text = "apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: shop}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: open, namespace: shop}
spec: {selector: {matchLabels: {app: open}}, mtls: {mode: PERMISSIVE}}
"
    .to_owned();
    let mut add = |pod: &str, services: &mut dyn Iterator<Item = String>| {
        writeln!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {pod}, namespace: shop, labels: {{app: {pod}}}}}\nspec: {{containers: [{{name: a, image: a}}]}}"
        )
        .unwrap();
        for service in services {
            writeln!(
                text,
                "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {service}, namespace: shop}}\nspec: {{selector: {{app: {pod}}}, ports: [{{name: http, port: 80}}]}}"
            )
            .unwrap();
        }
    };
    for pod in 0..pods {
        add(&format!("p{pod}"), &mut (0..services_each).map(|service| format!("s{pod}-{service}")));
    }
    add("open", &mut std::iter::once("open".to_owned()));
    text
}

/// Namespaces with a client, and a rule for every Service that makes it send plaintext.
fn clients(count: usize, host: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for at in 0..count {
        writeln!(
            text,
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: c{at}, labels: {{istio-injection: enabled}}}}\n---\n\
             apiVersion: v1\nkind: Pod\nmetadata: {{name: c, namespace: c{at}}}\nspec: {{containers: [{{name: a, image: a}}]}}\n---\n\
             apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r, namespace: c{at}}}\n\
             spec: {{host: '{}', trafficPolicy: {{tls: {{mode: DISABLE}}}}}}\n---",
            host(at)
        )
        .unwrap();
    }
    text
}

#[test]
fn a_wildcard_that_is_cut_short_proves_nothing() {
    let servers = servers(600, 10);
    let everything = |_| "*.svc.cluster.local".to_owned();
    let alone =
        analyse(&[("s.yaml", servers.as_str()), ("c.yaml", &clients(1, everything))], &World::default());
    assert!(alone.findings.iter().any(|finding| finding.lint == "conflicting-rules"));
    let all =
        analyse(&[("s.yaml", servers.as_str()), ("c.yaml", &clients(350, everything))], &World::default());
    let errors: Vec<_> = all.findings.iter().filter(|finding| finding.level == Level::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn thousands_of_wildcards_over_thousands_of_services_end_in_time() {
    let servers = servers(600, 10);
    for host in ["*.shop.svc.cluster.local", "*-7.shop.svc.cluster.local"] {
        let clients = clients(3_000, |_| host.to_owned());
        let all = analyse(&[("s.yaml", servers.as_str()), ("c.yaml", &clients)], &World::default());
        // A debug build on a busy machine; in fact it is a second or two.
        assert!(all.took < Duration::from_secs(20), "{host}: {:?}", all.took);
    }
}
