//! Arguments of the commands that answer: `explain`, `reach`, `tls` and `graph`.

use std::net::IpAddr;

use clap::{Args, ValueEnum};
use meshproof::config::Dataplane;
use meshproof_explain::{Destination, Subject, Way};
use meshproof_graph::{Bearer, Principal, Scope};

use super::{OutputArgs, ReadArgs};
use crate::cli::graph::Format;
use crate::cli::output::{Output, parse_as};

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 answered, and as --expect says; 1 the answer is not the expected one; 2 wrong usage, a \
                  name that does not exist, configuration or an internal error; 3 nothing to analyse."
)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub read: ReadArgs,

    /// The client: NAMESPACE/SERVICEACCOUNT, workload:NAMESPACE/NAME, a SPIFFE id, `plaintext` or plaintext:IP
    #[arg(long, value_name = "CLIENT", value_parser = str::parse::<Subject>)]
    pub from: Subject,

    /// The workload that is called, with the port of its pods: NAMESPACE/NAME:PORT
    #[arg(long, value_name = "WORKLOAD", value_parser = str::parse::<Destination>)]
    pub to: Destination,

    #[command(flatten)]
    pub ask: AskArgs,

    /// The Service through which it is called: HOST or HOST:PORT [default: one that leads to the port]
    #[arg(long, value_name = "HOST[:PORT]", value_parser = Way::service, conflicts_with = "direct")]
    pub service: Option<Way>,

    /// The client calls the address of the pod
    #[arg(long)]
    pub direct: bool,

    /// The client does not speak HTTP
    #[arg(long, conflicts_with_all = ["method", "path", "host", "header", "claim", "bad_token"])]
    pub tcp: bool,

    /// HTTP method
    #[arg(long, value_name = "METHOD", default_value = "GET", value_parser = meshproof_explain::method)]
    pub method: String,

    /// HTTP path, with its query
    #[arg(long, value_name = "PATH", default_value = "/", value_parser = meshproof_explain::line)]
    pub path: String,

    /// Host header [default: the name of the Service]
    #[arg(long, value_name = "HOST", value_parser = meshproof_explain::line)]
    pub host: Option<String>,

    /// A header of the request. May be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = meshproof_explain::header)]
    pub header: Vec<(String, String)>,

    /// A claim of a valid token: sub=alice, realm_access[roles]=admin. May be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub claim: Vec<String>,

    /// The token of the request does not verify
    #[arg(long, conflicts_with = "claim")]
    pub bad_token: bool,

    /// Address of the client, as the first hop sees it
    #[arg(long, value_name = "IP")]
    pub source_ip: Option<IpAddr>,

    /// Address of the original client, where proxies stand between
    #[arg(long, value_name = "IP")]
    pub remote_ip: Option<IpAddr>,

    /// Server name of the client's own TLS handshake
    #[arg(long, value_name = "NAME")]
    pub sni: Option<String>,

    /// Fail with 1 if the answer is another one
    #[arg(long, value_enum, value_name = "ANSWER")]
    pub expect: Option<Expected>,

    #[command(flatten)]
    pub reports: OutputArgs,

    /// Show every rule
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 drawn; 2 wrong usage, configuration or an internal error; 3 nothing to analyse."
)]
pub(crate) struct GraphArgs {
    #[command(flatten)]
    pub read: ReadArgs,

    #[command(flatten)]
    pub scope: ScopeArgs,

    /// How to draw: dot, mermaid, json, svg or html; `html=graph.html` writes to a file. May be repeated
    #[arg(short, long, required = true, value_name = "FORMAT[=FILE]", value_parser = parse_as::<Format>)]
    pub output: Vec<Output<Format>>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 told; 2 wrong usage, a name that does not exist, configuration or an internal error; 3 \
                  nothing to analyse."
)]
pub(crate) struct ReachArgs {
    #[command(flatten)]
    pub read: ReadArgs,

    #[command(flatten)]
    pub scope: ScopeArgs,

    /// Over several hops: whoever is reached may call on, and gateways and waypoints send on where their routes lead
    #[arg(long)]
    pub transitive: bool,

    #[command(flatten)]
    pub reports: OutputArgs,

    /// Name every caller, and everything that decides
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 told; 2 wrong usage, a name that does not exist, configuration or an internal error; 3 \
                  nothing to analyse."
)]
pub(crate) struct TlsArgs {
    #[command(flatten)]
    pub read: ReadArgs,

    /// Only calls of this client: NAMESPACE/SERVICEACCOUNT, workload:NAMESPACE/NAME, a SPIFFE id, `plaintext` or
    /// plaintext:IP
    #[arg(long, value_name = "CLIENT", value_parser = str::parse::<Subject>)]
    pub from: Option<Subject>,

    /// Only this workload, or one port of its pods: NAMESPACE/NAME or NAMESPACE/NAME:PORT
    #[arg(long, value_name = "WORKLOAD", value_parser = str::parse::<Destination>)]
    pub to: Option<Destination>,

    #[command(flatten)]
    pub ask: AskArgs,

    #[command(flatten)]
    pub reports: OutputArgs,

    /// Name every client, and everything that decides
    #[arg(short, long)]
    pub verbose: bool,
}

/// What every question about calls is told beside its ends, `--from` and `--to`.
#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// The cluster of the client (a NAME of --cluster)
    #[arg(long, value_name = "NAME", requires = "from")]
    pub from_cluster: Option<String>,

    /// The cluster of the workload (a NAME of --cluster)
    #[arg(long, value_name = "NAME", requires = "to")]
    pub to_cluster: Option<String>,

    /// What pods have in front of them when their Namespace object is not in the input [default: a sidecar, and the output
    /// says so]
    #[arg(long, value_enum, value_name = "PROXY")]
    pub assume: Option<Assume>,
}

/// Which part of the graph is meant.
#[derive(Debug, Args)]
pub(crate) struct ScopeArgs {
    /// What this client reaches: NAMESPACE/SERVICEACCOUNT, workload:NAMESPACE/NAME, a SPIFFE id or `plaintext`; or whoever holds
    /// a token: token:ISSUER or token:ISSUER/SUBJECT
    #[arg(long, value_name = "CLIENT", value_parser = str::parse::<Principal>)]
    pub from: Option<Principal>,

    /// Who reaches this workload, or one port of its pods: NAMESPACE/NAME or NAMESPACE/NAME:PORT
    #[arg(long, value_name = "WORKLOAD", value_parser = str::parse::<Destination>)]
    pub to: Option<Destination>,

    /// Only what asks for a token and lets the client of --from in with this one
    #[arg(long, value_name = "ISSUER[/SUBJECT]", value_parser = str::parse::<Bearer>)]
    pub token: Option<Bearer>,

    #[command(flatten)]
    pub ask: AskArgs,
}

impl ScopeArgs {
    /// As the graph takes it.
    pub(crate) fn scope(&self) -> Scope {
        Scope {
            from: self.from.clone(),
            from_cluster: self.ask.from_cluster.clone(),
            to: self.to.clone(),
            to_cluster: self.ask.to_cluster.clone(),
            token: self.token.clone(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Assume {
    /// A sidecar
    Sidecar,
    /// ztunnel
    Ambient,
    /// Nothing
    None,
    /// Nothing is assumed: what hangs on it is not known
    Unknown,
}

impl From<Assume> for Dataplane {
    fn from(assume: Assume) -> Self {
        match assume {
            Assume::Sidecar => Dataplane::Sidecar,
            Assume::Ambient => Dataplane::Ambient,
            Assume::None => Dataplane::None,
            Assume::Unknown => Dataplane::Unknown,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Expected {
    Allow,
    Deny,
}
