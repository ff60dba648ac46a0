//! What arrives at an enforcement point.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde_json::{Map, Value};

/// The names in a client certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// URI SANs in order, with their scheme (`spiffe://cluster.local/ns/a/sa/b`).
    pub uris: Vec<String>,
    /// DNS SANs in order.
    pub dns: Vec<String>,
    /// The subject, as Envoy prints it (`CN=x`); empty when there is none.
    pub subject: String,
}

/// Who the client proved to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Peer {
    /// Nobody: plaintext, or TLS without a client certificate.
    #[default]
    Anonymous,
    /// A client certificate.
    Certificate(Certificate),
    /// A principal that an earlier hop established and handed over as filter state, with its scheme.
    Principal(String),
}

impl Peer {
    /// A workload of the mesh, by its identity without scheme (`cluster.local/ns/a/sa/b`).
    pub fn workload(principal: &str) -> Peer {
        let uri = format!("{}{principal}", meshproof_grammar::spiffe::SCHEME);
        Peer::Certificate(Certificate { uris: vec![uri], ..Certificate::default() })
    }
}

/// A bearer token, as far as request authentication judged it. Without a RequestAuthentication at the proxy no token is
/// looked at, so that is [`Token::None`] whatever the client sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Token {
    /// No token was sent, or nobody looks at tokens.
    #[default]
    None,
    /// Verified.
    Verified {
        /// The claims.
        claims: Map<String, Value>,
        /// `forwardOriginalToken`: the header `authorization` is kept. Else it is gone before policies are asked.
        forwarded: bool,
    },
    /// Invalid, expired or of an unknown issuer: refused with 401.
    Refused(String),
}

/// The HTTP part of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpRequest {
    /// `GET`.
    pub method: String,
    /// The request target as sent, with its query: a path, or an absolute URL.
    pub target: String,
    /// Header lines in order; names repeat, `Host` is among them.
    pub headers: Vec<(String, String)>,
    /// The token.
    pub token: Token,
}

/// One request, or one connection when there is no HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Who the client is.
    pub peer: Peer,
    /// The server name of the TLS handshake.
    pub sni: Option<String>,
    /// The address at the other end of this hop.
    pub source: IpAddr,
    /// The client address that the PROXY protocol gave, where that is in use.
    pub proxied_source: Option<IpAddr>,
    /// Address and port that this hop was made to: the container's port at a workload.
    pub destination: SocketAddr,
    /// Dynamic metadata of Envoy filters, by filter and key.
    pub metadata: BTreeMap<(String, String), Value>,
    /// Absent for traffic that is not HTTP.
    pub http: Option<HttpRequest>,
}
