//! The table in words: plain data that reports draw.

use meshproof_source::Span;

use crate::answer::{Evidence, Outcome};

/// The effective mTLS of ports, with the outcome per client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsTable {
    /// By workload and port.
    pub rows: Vec<TlsRow>,
    /// What was assumed.
    pub notes: Vec<String>,
}

/// One port, and all those of which the same is to be told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsRow {
    /// `namespace/name` of the workload, or of the Gateway whose pods are not in the input.
    pub to: String,
    /// Its cluster, where several are read together.
    pub cluster: Option<String>,
    /// The port of the pods.
    pub port: u16,
    /// `STRICT`, `PERMISSIVE`, `DISABLE`; `tunnel` for waypoints; the mode of the server for gateways; `no proxy`,
    /// `around the proxy` and `unknown`.
    pub mode: String,
    /// The object that decides it (`PeerAuthentication istio-system/default`); nothing where the default does.
    pub decided_by: Option<String>,
    /// Where it is written.
    pub place: Option<Span>,
    /// Clients that share an answer.
    pub clients: Vec<TlsClients>,
    /// What is worth knowing beside: waypoints, what the input leaves open.
    pub notes: Vec<Evidence>,
    /// Further ports of which the same is to be told, but for the names of the hosts in front of them.
    pub alike: Vec<TlsPort>,
}

/// A port of a workload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsPort {
    /// `namespace/name` of the workload, or of the Gateway whose pods are not in the input.
    pub to: String,
    /// Its cluster, where several are read together.
    pub cluster: Option<String>,
    /// The port of the pods.
    pub port: u16,
}

/// Clients that share an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsClients {
    /// Who, in few words.
    pub who: String,
    /// How many workloads; somebody who is no workload counts as one.
    pub count: usize,
    /// `namespace/name` of the first of them, with the cluster where several are read together; `plaintext` for somebody without a proxy.
    pub names: Vec<String>,
    /// Hosts with ports that they call, and `address` for the address of the pods.
    pub via: Vec<String>,
    /// What reaches the port, as recorded vectors write it; nothing where the input does not tell, or nothing is sent.
    pub wire: Option<&'static str>,
    /// What they send and by whose decision, in few words.
    pub sends: String,
    /// What becomes of it.
    pub outcome: Outcome,
    /// Why no connection comes about, or why the outcome is not known.
    pub reason: Option<String>,
    /// The SPIFFE id that the server sees; `own` where each client has another one.
    pub identity: Option<String>,
    /// What decides, on the side of the client, in the network, and on the side of the server.
    pub because: Vec<Because>,
    /// Other objects have the same effect for some of them.
    pub and_alike: bool,
    /// What the input leaves open.
    pub unknown: Vec<String>,
}

/// Something that decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Because {
    /// In words.
    pub text: String,
    /// The object (`DestinationRule web/admin`); nothing for defaults.
    pub object: Option<String>,
    /// Where it is written.
    pub span: Option<Span>,
}
