//! What can vary from one request to the next, independently of everything else.
//!
//! Policies look at more properties than there are variables: several of them are views of one value. `principals`,
//! `namespaces`, `serviceAccounts` and `trustDomains` read the names of the peer, `hosts` and
//! `request.headers[:authority]` the authority, `requestPrincipals` and `claims[iss]` the issuer.

/// An independent part of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    /// The names of the peer: none, the identity of a workload, or whatever another certificate holds.
    Peer,
    /// Issuer and subject of the token.
    Token,
    /// The normalized path with its query.
    Path,
    /// The host with its port.
    Authority,
    /// The method.
    Method,
    /// The port that the connection was made to.
    DestinationPort,
    /// The server name of the TLS handshake.
    Sni,
    /// The address at the other end of the hop.
    SourceIp,
    /// The original client address.
    RemoteIp,
    /// The address that the connection was made to.
    DestinationIp,
    /// A header, its name in lower case.
    Header(String),
    /// A claim other than `iss` and `sub`, by its path.
    Claim(Vec<String>),
    /// Dynamic metadata; whether it is looked at as a list of texts or as a text.
    Metadata {
        /// The Envoy filter.
        filter: String,
        /// The key.
        key: String,
        /// `[v]` asks for a list, `v` for a text.
        is_list: bool,
    },
}

impl Variable {
    /// Whether only a verified token gives it a value.
    pub fn is_of_token(&self) -> bool {
        matches!(self, Variable::Token | Variable::Claim(_))
    }
}
