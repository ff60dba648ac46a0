//! From YAML text to answers.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use meshproof_ir::{BuildOptions, Mesh, ResourceInput};
use meshproof_network::{End, Flow, Leg, Network, Passage, Verdict};
use meshproof_resources::{Decoded, Transport, decode};
use meshproof_source::{Origin, SourceMap, split_documents};

/// The mesh of several files, given as `(path, text)`.
pub fn mesh_of_files(files: &[(&str, &str)]) -> Mesh {
    mesh_with(files, |_, _| {})
}

/// The mesh of several files, with options and inputs changed by `change`.
pub fn mesh_with(files: &[(&str, &str)], change: impl Fn(&mut BuildOptions, &mut [ResourceInput])) -> Mesh {
    let mut sources = SourceMap::new();
    let mut decoded = Decoded::default();
    for (path, text) in files {
        let id = sources.add(*path, *text, Origin::File);
        for document in split_documents(text) {
            let parsed = meshproof_yaml::parse(id, text, document.range);
            let tree = parsed.tree.unwrap_or_else(|| panic!("{path}: {:?}", parsed.problems));
            decode(tree.root(), &mut decoded);
        }
    }
    assert!(decoded.not_objects.is_empty(), "{:?}", decoded.not_objects);
    assert!(decoded.unknown_kinds.is_empty(), "{:?}", decoded.unknown_kinds);
    let mut options = BuildOptions::for_sources(&sources);
    let mut inputs: Vec<ResourceInput> = decoded.resources.into_iter().map(Into::into).collect();
    change(&mut options, &mut inputs);
    Mesh::build(inputs, &options)
}

/// The mesh of one file.
pub fn mesh(text: &str) -> Mesh {
    mesh_of_files(&[("manifests/all.yaml", text)])
}

/// A namespace with labels, as a document.
pub fn namespace(name: &str, labels: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n---\n")
}

/// A Deployment with labels and one container port, as a document.
pub fn pods(namespace: &str, name: &str, labels: &str) -> String {
    pods_with(namespace, name, labels, "")
}

/// The same with more in the spec of its pods.
pub fn pods_with(namespace: &str, name: &str, labels: &str, spec: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  template:\n    \
         metadata: {{labels: {{{labels}}}}}\n    spec: {{{spec}containers: [{{name: app, image: app, ports: [{{name: web, \
         containerPort: 8080}}, {{name: dns, containerPort: 53, protocol: UDP}}]}}]}}\n---\n"
    )
}

/// A NetworkPolicy of Kubernetes, as a document.
pub fn policy(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{{spec}}}\n---\n"
    )
}

/// A NetworkPolicy of Calico, as a document.
pub fn calico(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{{spec}}}\n---\n"
    )
}

/// An object of Calico that lies in no namespace, as a document.
pub fn global(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: projectcalico.org/v3\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n---\n"
    )
}

/// `namespace/name` of a workload, an address, or `?` for one that is not known.
pub fn end(mesh: &Mesh, name: &str) -> End {
    if name == "?" {
        return End::External(None);
    }
    if let Ok(address) = name.parse() {
        return End::External(Some(address));
    }
    let found = mesh.workloads_with_ids().find(|(id, _)| mesh.workload_display(*id) == name);
    End::Workload(found.unwrap_or_else(|| panic!("no workload {name}")).0)
}

/// Asks for one flow.
pub fn ask_over(mesh: &Mesh, from: &str, to: &str, protocol: Transport, port: u16) -> Verdict {
    let flow = Flow { from: end(mesh, from), to: end(mesh, to), protocol, port };
    Network::new(mesh).verdict(&flow)
}

/// Asks for one flow over TCP.
pub fn ask(mesh: &Mesh, from: &str, to: &str, port: u16) -> Verdict {
    ask_over(mesh, from, to, Transport::Tcp, port)
}

/// One word for a leg.
pub fn word(leg: &Leg) -> &'static str {
    match leg.passage {
        Passage::Allowed => "allowed",
        Passage::Denied => "denied",
        Passage::Unknown => "unknown",
    }
}

/// What the destination's policies say, in one word.
pub fn ingress(mesh: &Mesh, from: &str, to: &str, port: u16) -> &'static str {
    word(&ask(mesh, from, to, port).ingress)
}

/// What the source's policies say, in one word.
pub fn egress(mesh: &Mesh, from: &str, to: &str, port: u16) -> &'static str {
    word(&ask(mesh, from, to, port).egress)
}
