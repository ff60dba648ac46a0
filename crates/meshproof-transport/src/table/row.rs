//! The rows of the table: plain data.

use std::sync::Arc;

use meshproof_ir::{Fact, GatewayId, NoWaypoint, WorkloadId};
use meshproof_source::Span;

use super::client_set::ClientSet;
use crate::{Delivery, Evidence, ServerSide, Wire};

/// One port of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The workload.
    pub workload: WorkloadId,
    /// The port of its pods.
    pub port: u16,
    /// What it asks of its clients.
    pub server: ServerSide,
    /// Groups of clients that share an answer: first those that call a Service or ServiceEntry, then those that call the
    /// address of the pods, as far as that makes a difference.
    pub groups: Vec<Group>,
    /// Services in front of the port that have a waypoint, or ask for one in vain.
    pub served_by: Vec<ServedBy>,
}

/// Clients that share an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Who.
    pub clients: Arc<ClientSet>,
    /// What they call; several where that makes no difference.
    pub via: Vec<Via>,
    /// What becomes of it.
    pub reception: Reception,
    /// For some of them other objects have the same effect as those that the evidence names.
    pub and_alike: bool,
}

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// A port of a host of a Service or ServiceEntry.
    Host(String, u16),
    /// A port of a host, from where a VirtualService sends calls on.
    Routed {
        /// What is called.
        called: (String, u16),
        /// Where the calls are sent.
        to: (String, u16),
        /// The subset there.
        subset: Option<String>,
    },
    /// The address of the pods.
    Address,
}

/// What is sent to a port, and what becomes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reception {
    /// What reaches the port; absent where nothing is sent.
    pub sends: Option<Fact<Wire>>,
    /// What becomes of it.
    pub result: Fact<Delivery>,
    /// Whether the server sees an identity: of each client its own, or that of the waypoint.
    pub identified: bool,
    /// The waypoint in between, which is then who sends.
    pub through: Option<GatewayId>,
    /// What decides on the side of the client.
    pub client: Vec<Evidence>,
    /// What decides on the side of the server.
    pub server: Vec<Evidence>,
    /// What the input leaves open, for people.
    pub unknown: Vec<String>,
}

impl Reception {
    /// Whether the outcome is the same, whatever the reasons.
    pub fn has_effect_of(&self, other: &Reception) -> bool {
        self.sends.as_ref().map(Fact::known) == other.sends.as_ref().map(Fact::known)
            && self.result.known() == other.result.known()
            && self.identified == other.identified
            && self.through == other.through
            && self.unknown.is_empty() == other.unknown.is_empty()
    }

    /// Whether the same sentences say why, whatever the objects.
    pub(super) fn reads_like(&self, other: &Reception) -> bool {
        let says_same = |one: &[Evidence], other: &[Evidence]| {
            one.iter().map(|evidence| &evidence.text).eq(other.iter().map(|evidence| &evidence.text))
        };
        self.has_effect_of(other)
            && says_same(&self.client, &other.client)
            && says_same(&self.server, &other.server)
    }
}

/// A waypoint, or the lack of one, in front of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedBy {
    /// The host that has it.
    pub host: String,
    /// The waypoint; or why there is none although one is asked for.
    pub waypoint: Result<GatewayId, NoWaypoint>,
    /// Ingress gateways use it too.
    pub for_ingress: bool,
    /// The label that asks for it.
    pub span: Option<Span>,
}
