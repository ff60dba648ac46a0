//! From YAML text to answers.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod objects;

use meshproof_ir::{BuildOptions, Fact, Layer, Mesh};
use meshproof_resources::{Decoded, decode};
use meshproof_source::{Origin, SourceMap, split_documents};
use meshproof_transport::{Call, Client, Delivery, Outcome, Target, Transport};

pub use objects::*;

/// The mesh of one file.
pub fn mesh(text: &str) -> Mesh {
    let mut sources = SourceMap::new();
    let mut decoded = Decoded::default();
    let id = sources.add("manifests/all.yaml", text, Origin::File);
    for document in split_documents(text) {
        let parsed = meshproof_yaml::parse(id, text, document.range);
        let tree = parsed.tree.unwrap_or_else(|| panic!("{:?}", parsed.problems));
        decode(tree.root(), &mut decoded);
    }
    let options = BuildOptions::for_sources(&sources);
    Mesh::build(decoded.resources.into_iter().map(Into::into).collect(), &options)
}

/// Any other object of networking.istio.io.
pub fn networking(kind: &str, of: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {of}}}\nspec: {{{spec}}}\n---\n"
    )
}

/// Asks for a host, over HTTP.
pub fn ask(mesh: &Mesh, from: &str, host: &str, subset: Option<&str>) -> Outcome {
    let call = Call {
        client: Client::Workload(find(mesh, from)),
        target: Target::Host(host),
        port: 80,
        subset,
        speaks: Layer::Http,
    };
    Transport::new(mesh).call(&call)
}

/// Wire and result at each endpoint, and who the server sees.
pub fn told(outcome: &Outcome) -> Vec<String> {
    let of = |endpoint: &meshproof_transport::EndpointOutcome| {
        let wire = endpoint.wire.known().map_or("?", |wire| wire.as_str());
        let result = match &endpoint.result {
            Fact::Known(Delivery::Mutual(_), _) => "mutual".to_owned(),
            Fact::Known(Delivery::Plaintext(_), _) => "plaintext".to_owned(),
            Fact::Known(Delivery::Unopened, _) => "unopened".to_owned(),
            Fact::Known(Delivery::Application, _) => "application".to_owned(),
            Fact::Known(Delivery::Refused(by), _) => format!("refused, {by}"),
            Fact::Unknown(_) => "?".to_owned(),
        };
        let identity = endpoint.identity.as_deref().and_then(|id| id.rsplit('/').next());
        let seen = identity.map_or(String::new(), |account| format!(" as {account}"));
        format!("{wire}: {result}{seen}")
    };
    outcome.endpoints.iter().map(of).collect()
}
