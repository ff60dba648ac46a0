//! Callers, and edges in words: plain data.

use meshproof_explain::Outcome;
use meshproof_ir::{GatewayId, WorkloadId};
use meshproof_source::Span;

/// Somebody who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party<'a> {
    /// A workload.
    Workload(WorkloadId),
    /// An account that no workload of the input runs as, without scheme.
    Identity(&'a str),
    /// A waypoint whose pods are not in the input.
    Waypoint(GatewayId),
    /// Somebody without a proxy who is no workload.
    Outsider,
    /// Whoever stands before a gateway.
    Internet,
}

/// An edge in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Who, in words: `sa shop/web`, `namespace dev`, `anybody in plaintext`.
    pub who: String,
    /// The same as a command takes it, where there is such a form: `shop/web`, `plaintext`.
    pub from: String,
    /// The first workloads among the callers, and how many there are; nothing where they are too many to be counted.
    pub callers: Vec<String>,
    /// How many workloads.
    pub count: Option<usize>,
    /// Whose tokens are asked for, in words; empty where none are.
    pub tokens: Vec<String>,
    /// What is on the wire.
    pub transport: Outcome,
    /// What they may send: each one list of requests.
    pub requests: Vec<String>,
    /// What of it is refused.
    pub except: Vec<String>,
    /// What decides.
    pub because: Vec<Because>,
    /// Why it is not certain; empty where it is.
    pub may: Vec<String>,
    /// What is worth knowing beside.
    pub notes: Vec<String>,
    /// A request that gets through, confirmed by the evaluator.
    pub witness: Option<Witness>,
}

/// Something that decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Because {
    /// In words.
    pub text: String,
    /// The object (`AuthorizationPolicy shop/web`); nothing for defaults.
    pub object: Option<String>,
    /// Where it is written.
    pub span: Option<Span>,
}

/// A request that gets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Who sends it: `namespace/name` of a workload, an identity, `plaintext`.
    pub from: String,
    /// The identity that policies see, without scheme.
    pub identity: Option<String>,
    /// The method; nothing where it is no HTTP.
    pub method: Option<String>,
    /// The path with its query.
    pub path: Option<String>,
    /// The host, where it matters.
    pub host: Option<String>,
    /// Other headers.
    pub headers: Vec<(String, String)>,
    /// Claims of its token, as JSON.
    pub claims: Option<String>,
    /// The address of the client, where it matters.
    pub source: Option<String>,
    /// The server name, where it matters.
    pub sni: Option<String>,
}
