//! From YAML text to a mesh.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod gateways;
#[path = "../../../meshproof-transport/tests/common/objects.rs"]
mod objects;

use meshproof_ir::{BuildOptions, Mesh};
use meshproof_resources::{Decoded, decode};
use meshproof_source::{Origin, SourceMap, split_documents};

pub use objects::*;

/// The mesh of one file.
pub fn mesh(text: &str) -> Mesh {
    build(text, false)
}

/// The same where gateways stand for pods that the file does not hold.
pub fn mesh_presuming(text: &str) -> Mesh {
    build(text, true)
}

fn build(text: &str, presumes_gateways: bool) -> Mesh {
    let mut sources = SourceMap::new();
    let mut decoded = Decoded::default();
    let id = sources.add("manifests/all.yaml", text, Origin::File);
    for document in split_documents(text) {
        let parsed = meshproof_yaml::parse(id, text, document.range);
        let tree = parsed.tree.unwrap_or_else(|| panic!("{:?}", parsed.problems));
        decode(tree.root(), &mut decoded);
    }
    let options = BuildOptions { presumes_gateways, ..BuildOptions::for_sources(&sources) };
    Mesh::build(decoded.resources.into_iter().map(Into::into).collect(), &options)
}

/// An AuthorizationPolicy.
pub fn policy(of: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}, namespace: {of}}}\nspec: {{{spec}}}\n---\n"
    )
}

/// A NetworkPolicy.
pub fn network_policy(of: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {of}}}\nspec: {{{spec}}}\n---\n"
    )
}
