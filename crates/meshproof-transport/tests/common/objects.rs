//! Objects of manifests as text, each with the line that ends a document, and what became of one. The tests of graphs use them too.
#![allow(dead_code)]

use meshproof_ir::{Mesh, WorkloadId};

/// A namespace.
pub fn namespace(name: &str, labels: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n---\n")
}

/// A namespace in which sidecars are injected.
pub fn injected(name: &str) -> String {
    namespace(name, "istio-injection: enabled")
}

/// A namespace that ztunnel captures.
pub fn ambient(name: &str) -> String {
    namespace(name, "istio.io/dataplane-mode: ambient")
}

/// A pod `name` with label `app` and an account of its name, on port 8080.
pub fn pod(of: &str, name: &str, app: &str, annotations: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {of}, labels: {{app: {app}, pod: {name}}}, annotations: {{{annotations}}}}}\n\
         spec: {{serviceAccountName: {name}, containers: [{{name: app, image: app:1, ports: [{{containerPort: 8080}}]}}]}}\n---\n"
    )
}

/// A Service with port 80 over port 8080 of pods with the label; `rest` follows in its spec.
pub fn service(of: &str, app: &str, protocol: &str, rest: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {app}, namespace: {of}}}\n\
         spec: {{selector: {{app: {app}}}, ports: [{{name: {protocol}, port: 80, targetPort: 8080}}]{rest}}}\n---\n"
    )
}

/// A PeerAuthentication.
pub fn peer_authentication(of: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: {name}, namespace: {of}}}\nspec: {{{spec}}}\n---\n"
    )
}

/// A DestinationRule.
pub fn rule(of: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {name}, namespace: {of}}}\nspec: {{{spec}}}\n---\n"
    )
}

/// A workload by `namespace/name`.
pub fn find(mesh: &Mesh, name: &str) -> WorkloadId {
    let found = mesh.workloads_with_ids().find(|(id, _)| mesh.workload_display(*id) == name);
    found.unwrap_or_else(|| panic!("no workload {name}")).0
}
