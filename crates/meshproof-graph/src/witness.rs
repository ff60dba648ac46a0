//! A request that gets through, as reports show it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use meshproof_authz::{Peer, Request, Token};

use crate::doubts::Asks;
use crate::graph::{Edge, Graph};
use crate::party::{Party, Witness};

impl Graph<'_> {
    /// A request as reports show it.
    pub(crate) fn shown(&self, request: &Request, party: Party<'_>, edge: &Edge) -> Witness {
        let from = match party {
            Party::Workload(id) if edge.effect.identified => self.mesh.workload_display(id),
            Party::Workload(id) => format!("{} (plaintext)", self.mesh.workload_display(id)),
            Party::Identity(principal) => principal.to_owned(),
            Party::Waypoint(id) => self.mesh.gateway_display(id),
            Party::Outsider => "plaintext".to_owned(),
            Party::Internet => "internet".to_owned(),
        };
        Witness { from, ..self.witness(request, edge) }
    }

    pub(crate) fn shown_of_somebody(&self, request: &Request, edge: &Edge) -> Witness {
        let shown = self.witness(request, edge);
        let from = shown.identity.clone().unwrap_or_else(|| "plaintext".to_owned());
        Witness { from, ..shown }
    }

    fn witness(&self, request: &Request, edge: &Edge) -> Witness {
        witness(request, self.chain(edge).map(|chain| chain.asks).unwrap_or_default())
    }
}

/// A connection that nobody looks at.
pub(crate) fn connection(edge: &Edge, party: Party<'_>, graph: &Graph<'_>) -> Request {
    let principal = graph.seen(edge, party);
    Request {
        peer: principal.as_deref().map_or(Peer::Anonymous, Peer::workload),
        sni: None,
        source: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
        proxied_source: None,
        destination: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), graph.place(edge.place).port),
        metadata: BTreeMap::new(),
        http: None,
    }
}

/// The request without its sender's name. A usual host and address are left out where no rule asks for them.
fn witness(request: &Request, asks: Asks) -> Witness {
    let identity = match &request.peer {
        Peer::Anonymous => None,
        Peer::Certificate(certificate) => certificate.uris.first().cloned(),
        Peer::Principal(name) => Some(name.clone()),
    };
    let identity = identity.map(|name| name.trim_start_matches("spiffe://").to_owned());
    let http = request.http.as_ref();
    let is_host = |name: &str| name.eq_ignore_ascii_case("host");
    let headers = http.map_or(&[][..], |http| http.headers.as_slice());
    let host = headers.iter().find(|(name, value)| is_host(name) && (asks.host || value != "example.com"));
    let claims = http.and_then(|http| match &http.token {
        Token::Verified { claims, .. } => Some(serde_json::Value::Object(claims.clone()).to_string()),
        _ => None,
    });
    let source = request.source.to_string();
    Witness {
        from: String::new(),
        identity,
        method: http.map(|http| http.method.clone()),
        path: http.map(|http| http.target.clone()),
        host: host.map(|(_, value)| value.clone()),
        headers: headers.iter().filter(|(name, _)| !is_host(name)).cloned().collect(),
        claims,
        source: (asks.source || source != "10.0.0.1").then_some(source),
        sni: request.sni.clone(),
    }
}
