//! What is measured: random policies of a usual shape, requests that come close to them, and a plain scan of the rules.
#![forbid(unsafe_code)]

pub mod scan;
pub mod shapes;
pub mod workload;

#[cfg(feature = "peers")]
pub mod peers;

use meshproof_authz::{Context, Engine, HttpRequest, Peer, Policy, Request, Token};
use meshproof_engine::{Connection, RequestAttributes};
use meshproof_resources::{Decoded, Spec};
use meshproof_source::SourceId;
use workload::{Case, Rules};

/// The allocator of the command, which compiles.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Policies, decoded as `meshproof` decodes manifests.
pub struct Decodes(Decoded);

impl Decodes {
    /// Decodes the policies of the rules.
    pub fn new(rules: &Rules) -> Decodes {
        Decodes::of(&rules.documents())
    }

    /// Decodes manifests.
    pub fn of(documents: &[String]) -> Decodes {
        let mut decoded = Decoded::default();
        for text in documents {
            let parsed = meshproof_yaml::parse(SourceId(0), text, 0..text.len());
            if let Some(tree) = parsed.tree {
                meshproof_resources::decode(tree.root(), &mut decoded);
            }
        }
        Decodes(decoded)
    }

    /// The policies, all at one workload.
    pub fn policies(&self) -> Vec<Policy<'_>> {
        let policies = self.0.resources.iter().filter_map(|resource| match &resource.spec {
            Spec::AuthorizationPolicy(spec) => Some(Policy::new(&resource.meta, spec, "bench")),
            _ => None,
        });
        policies.collect()
    }
}

/// The place that decides.
pub fn context() -> Context {
    Context::new(Engine::EnvoyHttp)
}

impl RequestAttributes for Case {
    fn method(&self) -> Option<&[u8]> {
        Some(self.method.as_bytes())
    }

    fn path(&self) -> Option<&[u8]> {
        Some(self.path.as_bytes())
    }

    fn authority(&self) -> Option<&[u8]> {
        Some(self.host.as_bytes())
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        for (key, value) in &self.headers {
            if key == name {
                each(value.as_bytes());
            }
        }
    }
}

/// The connection of a request; `names` holds its one name.
pub fn connection<'c>(case: &'c Case, names: &'c [&'c [u8]]) -> Connection<'c> {
    let source = case.source.into();
    Connection {
        names,
        source,
        remote: source,
        destination: [10, 0, 0, 1].into(),
        port: case.port,
        sni: None,
    }
}

/// The same for the evaluator.
pub fn request(case: &Case) -> Request {
    let mut headers = case.headers.clone();
    headers.push(("host".to_owned(), case.host.clone()));
    Request {
        peer: Peer::workload(case.name.trim_start_matches("spiffe://")),
        sni: None,
        source: case.source.into(),
        proxied_source: None,
        destination: ([10, 0, 0, 1], case.port).into(),
        metadata: Default::default(),
        http: Some(HttpRequest {
            method: case.method.clone(),
            target: case.path.clone(),
            headers,
            token: Token::None,
        }),
    }
}
