//! Why it is not certain what passes a chain: rules ask for what clients do not choose, and the input does not tell it.

use meshproof_ir::Mesh;
use meshproof_space::{RequestBox, Variable};

use crate::chain::{Alternative, Chain};
use crate::place::Place;

/// Which properties rules ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asks {
    pub host: bool,
    /// The address of the client, of the connection or as headers tell it.
    pub source: bool,
    pub sni: bool,
    /// The address of the server.
    pub destination: bool,
}

impl Asks {
    pub fn add(&mut self, one: &RequestBox) {
        for clause in &one.clauses {
            match clause.variable {
                Variable::Authority => self.host = true,
                Variable::SourceIp | Variable::RemoteIp => self.source = true,
                Variable::Sni => self.sni = true,
                Variable::DestinationIp => self.destination = true,
                _ => {}
            }
        }
    }
}

impl Chain<'_> {
    /// Why requests with a token may fare otherwise: their headers do not hold what the client sends.
    pub fn doubt_of_headers(&self, alternative: &Alternative) -> Option<String> {
        if self.written.is_empty() || !alternative.peers.asks_for_token() {
            return None;
        }
        let refused = self.refusing.iter().map(|refusing| &refusing.requests);
        let clauses = alternative.boxes.iter().chain(refused).flat_map(|one| &one.clauses);
        let mut asked = clauses.filter_map(|clause| match &clause.variable {
            Variable::Header(name) => Some(name),
            _ => None,
        });
        let found = asked.find(|name| self.written.contains(name));
        found.map(|name| {
            format!("a claim of the token is written to the header {name} (RequestAuthentication)")
        })
    }

    /// Why it is not certain what passes of the mesh: clients there do not choose what is asked, and the input does not tell it.
    pub fn doubts_of_mesh(&self, alternative: &Alternative) -> impl Iterator<Item = &'static str> {
        let told = [
            (
                self.asks.sni,
                Variable::Sni,
                "a rule asks for the server name (SNI), which proxies of the mesh set",
            ),
            (self.asks.destination, Variable::DestinationIp, "a rule asks for the address of the pod"),
        ];
        let concerns = |variable: &Variable| {
            let is_asked = |one: &RequestBox| one.clauses.iter().any(|clause| clause.variable == *variable);
            alternative.boxes.iter().all(is_asked)
                || self.refusing.iter().any(|refusing| is_asked(&refusing.requests))
        };
        told.into_iter().filter(move |(asks, variable, _)| *asks && concerns(variable)).map(|(.., text)| text)
    }
}

/// Headers that request authentication at a place writes tokens or their claims to, in lower case.
pub(crate) fn written_headers(mesh: &Mesh, place: &Place) -> Vec<String> {
    let attached = place.request_authentications.iter();
    let policies = attached.filter_map(|attached| mesh.request_authentication(attached.policy));
    let rules = policies.flat_map(|policy| policy.jwt_rules.iter());
    let names = rules.flat_map(|rule| {
        let of_claims = rule.output_claim_to_headers.iter().map(|(header, _)| header);
        of_claims.chain(&rule.output_payload_to_header)
    });
    names.map(|name| name.value.to_ascii_lowercase()).collect()
}
