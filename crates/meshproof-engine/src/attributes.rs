//! What a proxy tells of a connection and of a request.

use std::net::{IpAddr, Ipv4Addr};

/// A connection, as its proxy sees it.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'c> {
    /// The names of the peer, as its certificate has them: URI SANs (`spiffe://…`), then DNS SANs, then the subject. None
    /// when the client proved nothing. Where the identity comes from filter state, the one name in it.
    pub names: &'c [&'c [u8]],
    /// The address at the other end of this hop.
    pub source: IpAddr,
    /// The original client address where it is known below HTTP (PROXY protocol), else `source`. Tables of HTTP chains
    /// ask [`RequestAttributes::remote`] instead.
    pub remote: IpAddr,
    /// The address that the connection was made to.
    pub destination: IpAddr,
    /// The port that it was made to: the container's port at a workload.
    pub port: u16,
    /// The server name of the TLS handshake, in any case.
    pub sni: Option<&'c [u8]>,
}

impl Default for Connection<'_> {
    /// An unknown client without an identity.
    fn default() -> Self {
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Connection { names: &[], source: nowhere, remote: nowhere, destination: nowhere, port: 0, sni: None }
    }
}

/// The path of a claim: `[realm_access][roles]` is `realm_access`, then `roles`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimPath<'t>(pub(crate) &'t str);

impl<'t> ClaimPath<'t> {
    /// The names, from the outermost object inwards.
    pub fn names(self) -> impl Iterator<Item = &'t str> {
        self.0.split('\0')
    }
}

/// A request, asked for what a table wants to know, when it wants to know it. What a request does not have is nothing:
/// positive tests fail and negative ones hold.
///
/// Texts are borrowed from the request. A method that is not written says that no request has the attribute, which is
/// right for proxies that do not know it and for tables that never ask.
pub trait RequestAttributes {
    /// `GET`.
    fn method(&self) -> Option<&[u8]> {
        None
    }

    /// The path behind the proxy's own normalization, with its query; nothing for CONNECT.
    fn path(&self) -> Option<&[u8]> {
        None
    }

    /// `:authority` or `Host` as sent, with its port.
    fn authority(&self) -> Option<&[u8]> {
        None
    }

    /// Visits the lines of a header in their order, without surrounding blanks. `name` is in small letters; never a pseudo
    /// header, and never `host`.
    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        let _ = (name, each);
    }

    /// The original client address as the HTTP layer knows it.
    fn remote(&self) -> Option<IpAddr> {
        None
    }

    /// The claim `iss` of a verified token, if it is a text.
    fn issuer(&self) -> Option<&[u8]> {
        None
    }

    /// The claim `sub` of a verified token, if it is a text.
    fn subject(&self) -> Option<&[u8]> {
        None
    }

    /// Visits the texts of a claim of a verified token: the text itself, or the texts of a list. Claims that hold several
    /// words (`scope`) come word by word. Numbers, booleans and objects have none.
    fn claim(&self, path: ClaimPath<'_>, each: &mut dyn FnMut(&[u8])) {
        let _ = (path, each);
    }

    /// Dynamic metadata that is a text.
    fn metadata_text(&self, filter: &str, key: &str) -> Option<&[u8]> {
        let _ = (filter, key);
        None
    }

    /// Visits the texts of dynamic metadata that is a list.
    fn metadata_list(&self, filter: &str, key: &str, each: &mut dyn FnMut(&[u8])) {
        let _ = (filter, key, each);
    }
}

/// No request at all: what a connection is that is not HTTP.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRequest;

impl RequestAttributes for NoRequest {}
