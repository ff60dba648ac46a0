//! From YAML text to answers.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use meshproof_ir::{BuildOptions, Fact, Layer, Mesh, WorkloadId};
use meshproof_resources::{Decoded, decode};
use meshproof_source::{Origin, SourceMap, split_documents};
use meshproof_transport::{Call, Client, Delivery, Outcome, Target, Transport};

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

/// Any other object of networking.istio.io.
pub fn networking(kind: &str, of: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {of}}}\nspec: {{{spec}}}\n---\n"
    )
}

/// A workload by `namespace/name`.
pub fn find(mesh: &Mesh, name: &str) -> WorkloadId {
    let found = mesh.workloads_with_ids().find(|(id, _)| mesh.workload_display(*id) == name);
    found.unwrap_or_else(|| panic!("no workload {name}")).0
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
