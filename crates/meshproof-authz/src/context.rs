//! Where a request is decided.

use std::collections::BTreeMap;

use crate::semantics::Semantics;

/// Who decides. The engines read the same policies differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Engine {
    /// The HTTP filter chain of a sidecar, gateway or waypoint.
    EnvoyHttp,
    /// The network filter chain of the same proxies: what is not HTTP.
    EnvoyTcp,
    /// The node proxy of ambient mode: connections only.
    Ztunnel,
    /// A gRPC server that istiod configures without any proxy.
    Grpc,
}

/// Where Envoy takes the identity of the peer from (Istio 1.32, `model/principal.go`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentityFlavour {
    /// The client certificate of the connection: sidecars and gateways. Every URI SAN, DNS SAN and the subject count.
    #[default]
    Certificate,
    /// Filter state `io.istio.peer_principal`: waypoints, and sidecars that take HBONE. Only URI SANs count, and several
    /// of them arrive as one text with commas.
    FilterState,
}

/// How a CUSTOM provider is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProviderKind {
    /// `envoyExtAuthzGrpc`.
    Grpc,
    /// `envoyExtAuthzHttp`: cannot be asked about TCP.
    Http,
}

/// What a provider would answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProviderAnswer {
    /// Not known; the evaluation goes on as if it said yes and names it in `Evaluation::delegated`.
    #[default]
    Unknown,
    /// Lets the request pass on to the other policies.
    Allow,
    /// Refuses it.
    Deny,
    /// Does not answer.
    Error,
}

/// A usable entry of `meshConfig.extensionProviders`. An unusable one is left out: it counts as missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its protocol.
    pub kind: ProviderKind,
    /// `failOpen`: a request passes when the provider does not answer.
    pub fail_open: bool,
    /// What it would say.
    pub answer: ProviderAnswer,
}

/// One enforcement point.
#[derive(Clone, Debug, PartialEq)]
pub struct Context {
    /// Who decides.
    pub engine: Engine,
    /// Where the identity comes from.
    pub identity: IdentityFlavour,
    /// The mesh's own trust domain first, then its aliases. Never empty in a mesh; empty means `cluster.local`.
    pub trust_domains: Vec<String>,
    /// What depends on version or mesh configuration.
    pub semantics: Semantics,
    /// The providers that CUSTOM policies may name.
    pub providers: BTreeMap<String, Provider>,
}

impl Context {
    /// An engine with Istio's defaults.
    pub fn new(engine: Engine) -> Context {
        Context {
            engine,
            identity: IdentityFlavour::default(),
            trust_domains: vec!["cluster.local".to_owned()],
            semantics: Semantics::default(),
            providers: BTreeMap::new(),
        }
    }
}
