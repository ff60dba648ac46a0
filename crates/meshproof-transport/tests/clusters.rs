//! Clusters that are read together: a Service that both have has the endpoints of both.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{ask, find, injected, pod, rule, service, told};
use meshproof_ir::{BuildOptions, Mesh, ResourceInput};
use meshproof_resources::{Decoded, decode};
use meshproof_source::{Origin, SourceMap, split_documents};
use meshproof_transport::{Callers, Transport, Wanted};

/// A mesh of several clusters by name.
fn clusters(texts: &[(&str, String)]) -> Mesh {
    let mut sources = SourceMap::new();
    let mut inputs = Vec::new();
    for (name, text) in texts {
        let id = sources.add(format!("{name}.yaml"), text.clone(), Origin::File);
        let mut decoded = Decoded::default();
        for document in split_documents(text) {
            let parsed = meshproof_yaml::parse(id, text, document.range);
            decode(parsed.tree.unwrap().root(), &mut decoded);
        }
        let input = |resource| ResourceInput { resource, cluster: Some((*name).to_owned()) };
        inputs.extend(decoded.resources.into_iter().map(input));
    }
    Mesh::build(inputs, &BuildOptions::for_sources(&sources))
}

fn system(network: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: istio-system, labels: {{topology.istio.io/network: {network}}}}}\n---\n"
    )
}

/// The client in the east, a server in each.
fn pair(networks: [&str; 2], more: &str) -> Mesh {
    let both = injected("a") + &service("a", "x", "http", "");
    let east = system(networks[0]) + &both + &pod("a", "c", "c", "") + &pod("a", "x-east", "x", "") + more;
    let west = system(networks[1]) + &both + &pod("a", "x-west", "x", "");
    clusters(&[("east", east), ("west", west)])
}

#[test]
fn proxies_are_told_the_endpoints_of_every_cluster() {
    let host = "x.a.svc.cluster.local";
    let flat = pair(["one", "one"], "");
    assert_eq!(told(&ask(&flat, "a/c", host, None)), ["istio-mtls: mutual as c", "istio-mtls: mutual as c"]);
    let apart = ask(&pair(["one", "two"], ""), "a/c", host, None);
    assert_eq!(told(&apart), ["istio-mtls: mutual as c", "istio-mtls: mutual as c"]);
    let texts = |at: usize| -> Vec<&str> {
        apart.endpoints[at].evidence.iter().map(|evidence| evidence.text.as_str()).collect()
    };
    assert!(texts(0).is_empty());
    assert_eq!(texts(1), ["the east-west gateway of network two passes it on unopened"]);
    assert_eq!(apart.tls.unwrap().server_names.len(), 2, "accounts of both clusters are good");
}

#[test]
fn plaintext_does_not_leave_the_network() {
    let plain = rule("a", "plain", "host: x, trafficPolicy: {tls: {mode: DISABLE}}");
    let host = "x.a.svc.cluster.local";
    let apart = ask(&pair(["one", "two"], &plain), "a/c", host, None);
    assert_eq!(told(&apart), ["plain: plaintext"]);
    let flat = ask(&pair(["one", "one"], &plain), "a/c", host, None);
    assert_eq!(told(&flat), ["plain: plaintext", "plain: plaintext"]);
}

#[test]
fn the_table_has_the_callers_of_other_clusters() {
    let mesh = pair(["one", "two"], "");
    let transport = Transport::new(&mesh);
    let west = [find(&mesh, "a/x-west")];
    let wanted = Wanted { to: Some(&west), port: None };
    let table = transport.table(&Callers::Workloads(&[find(&mesh, "a/c")]), wanted, |_| 0);
    let [row] = table.rows.as_slice() else { panic!("{table:#?}") };
    assert!(row.groups.iter().any(|group| group.reception.identified), "{row:#?}");
}
