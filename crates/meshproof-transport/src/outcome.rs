//! The answer: what is on the wire, what becomes of it, and why.

use std::fmt;

use meshproof_ir::{Fact, GatewayId, Layer, Refusal, ResourceId, WorkloadId};
use meshproof_source::Span;

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// How the client's proxy gets there.
    pub path: Path,
    /// Waypoints that it is sent to first, with their shares in percent. Each is a hop of its own: the way there is a
    /// call to its pods, and what it sends on a call by it. The endpoints below are told as if there were none.
    pub through: Vec<(GatewayId, u8)>,
    /// What the client sends to all endpoints alike; absent where it tells them apart, or is not known to send.
    pub wire: Option<Wire>,
    /// What TLS of the client asks of the server; none where no endpoint gets TLS.
    pub tls: Option<SentTls>,
    /// The endpoints that may be hit, in the order of the registry; empty when there are none.
    pub endpoints: Vec<EndpointOutcome>,
    /// What decides on the side of the client.
    pub evidence: Vec<Evidence>,
    /// What the input leaves open, for people; empty when everything is known.
    pub unknown: Vec<String>,
}

/// How the client's proxy gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Path {
    /// Over a cluster that tells endpoints apart.
    Cluster,
    /// Over a cluster that sends to whatever address was dialled, the same to all (`ORIGINAL_DST`).
    OriginalDestination,
    /// By ztunnel.
    Ztunnel,
    /// Passed through as the application wrote it: nothing that the client knows of, or no proxy.
    Direct,
    /// The client refuses destinations that it does not know (`REGISTRY_ONLY`).
    Blackhole,
    /// The client knows the host, and not the subset or the port.
    NoCluster,
}

/// What TLS of the client asks of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentTls {
    /// Server name indication; empty when the proxy takes it from the request.
    pub sni: String,
    /// Names of which the server's certificate must have one; empty means any.
    pub server_names: Vec<String>,
}

/// What a client puts on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wire {
    /// No TLS.
    Plain,
    /// Mutual TLS of the mesh, with Istio's ALPN.
    IstioMtls,
    /// TLS with a client certificate that a DestinationRule names.
    Mtls,
    /// TLS without a client certificate.
    Tls,
    /// A tunnel to port 15008 with mutual TLS of the mesh.
    Hbone,
    /// The same, with TLS of the DestinationRule inside.
    HboneTls,
}

impl Wire {
    /// As reports and recorded vectors write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Wire::Plain => "plain",
            Wire::IstioMtls => "istio-mtls",
            Wire::Mtls => "mtls",
            Wire::Tls => "tls",
            Wire::Hbone => "hbone",
            Wire::HboneTls => "hbone+tls",
        }
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One endpoint and what becomes of the call there.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointOutcome {
    /// Where it goes.
    pub endpoint: EndpointAddress,
    /// The port there.
    pub port: u16,
    /// What the client sends.
    pub wire: Fact<Wire>,
    /// What becomes of it.
    pub result: Fact<Delivery>,
    /// The identity that the server sees, as a SPIFFE id; none for plaintext and for TLS that the application ends.
    pub identity: Option<String>,
    /// What decides on the side of the client for this endpoint, beside the evidence of the whole.
    pub evidence: Vec<Evidence>,
    /// What decides on the side of the server.
    pub server: Vec<Evidence>,
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    /// A workload of the input.
    Workload(WorkloadId),
    /// An address or host name that a ServiceEntry or an Endpoints object writes.
    Address(String),
}

/// What becomes of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// The server's proxy ends mutual TLS, knows the client, and goes on in the chain of that layer.
    Mutual(Layer),
    /// The server's proxy takes it as plaintext, in the chain of that layer.
    Plaintext(Layer),
    /// TLS reaches the application unopened: it works where the application speaks that TLS.
    Unopened,
    /// Plaintext reaches the application; no proxy sees it.
    Application,
    /// It fails.
    Refused(RefusedBy),
}

impl Delivery {
    /// Whether the connection fails.
    pub fn is_refused(&self) -> bool {
        matches!(self, Delivery::Refused(_))
    }
}

/// Why a connection fails.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RefusedBy {
    /// The listener of the server's sidecar.
    Listener(Refusal),
    /// The client: the server's identity is none of those that it accepts.
    ServerIdentity,
    /// The server: its mesh does not trust the trust domain of the client.
    TrustDomain,
    /// ztunnel or the sidecar: plaintext where STRICT is in force.
    Plaintext,
    /// Nothing listens on the port of the tunnel.
    NoTunnel,
    /// The client's proxy: it knows no such destination, and passes through nothing that it does not know.
    UnknownDestination,
    /// The client's proxy: it knows the host, and no such port or subset of it.
    NoCluster,
}

impl RefusedBy {
    /// The reason in a sentence for people, where the client sends `wire`.
    pub fn explanation(&self, wire: Option<Wire>) -> &'static str {
        match (self, wire) {
            (RefusedBy::Plaintext, _) | (RefusedBy::Listener(Refusal::NoChain), Some(Wire::Plain)) => {
                "the server takes mTLS only, and the client sends plaintext"
            }
            (RefusedBy::Listener(Refusal::CertificateRequired), _) => {
                "the server asks for a client certificate of the mesh, and the client sends none"
            }
            (RefusedBy::Listener(Refusal::NoChain), _) => {
                "the server's port takes mTLS of the mesh or plaintext, and the client sends other TLS"
            }
            (RefusedBy::Listener(Refusal::NotHttp), Some(Wire::Plain)) => {
                "the server's proxy takes HTTP only on this port, and the client speaks something else"
            }
            (RefusedBy::Listener(Refusal::NotHttp), _) => {
                "the server's proxy takes HTTP only on this port, and what arrives is TLS or speaks something else"
            }
            (RefusedBy::ServerIdentity, _) => "the client does not accept the identity of the server",
            (RefusedBy::TrustDomain, _) => "the server does not trust the trust domain of the client",
            (RefusedBy::NoTunnel, _) => "the client opens a tunnel, and nothing takes it there",
            (RefusedBy::UnknownDestination, _) => "the client refuses destinations that it does not know",
            (RefusedBy::NoCluster, _) => "the client knows no such port or subset of the service",
        }
    }
}

impl fmt::Display for RefusedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RefusedBy::Listener(Refusal::NoChain) => "no chain",
            RefusedBy::Listener(Refusal::CertificateRequired) => "client certificate required",
            RefusedBy::Listener(Refusal::NotHttp) => "not HTTP",
            RefusedBy::ServerIdentity => "server identity",
            RefusedBy::TrustDomain => "trust domain",
            RefusedBy::Plaintext => "TLS required",
            RefusedBy::NoTunnel => "no tunnel",
            RefusedBy::UnknownDestination => "unknown destination",
            RefusedBy::NoCluster => "no such port or subset",
        })
    }
}

/// An object that decides, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The object; absent for what the defaults of Istio decide.
    pub object: Option<ResourceId>,
    /// The deciding text in it.
    pub span: Option<Span>,
    /// What follows from it, for people.
    pub text: String,
}
