//! The effective mTLS of every workload port, and what becomes of the connections of each client there.
//!
//! Clients are asked about in classes, never one by one. A class holds the clients that nothing about a host tells
//! apart: those with the same kind of proxy and the same annotations, and of the same namespace where a DestinationRule,
//! an `exportTo` or a Service of that name makes namespaces differ, or of Sidecar objects that import the same from there
//! ([`roster`], [`imports`]). For every port of a host each class is
//! asked once for all endpoints together ([`hosts`]), so that the cost grows with hosts, their endpoints and the classes
//! that differ there, and not with clients times servers.

mod addresses;
mod asking;
mod client_kind;
mod client_set;
mod enrolling;
mod gateways;
mod hosts;
mod imports;
mod receptions;
mod roster;
mod row;
mod rows;
mod way;

pub use client_kind::ClientKind;
pub use client_set::ClientSet;
pub use gateways::{GatewayListener, GatewayPods};
pub use roster::{Callers, Part, PartId, Roster};
pub use row::{Group, Reception, Row, ServedBy, Via};

use meshproof_ir::WorkloadId;

use crate::Transport;
use asking::Asking;

/// Which rows are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted<'q> {
    /// Only those of these workloads.
    pub to: Option<&'q [WorkloadId]>,
    /// Only this port of them; it need not be declared.
    pub port: Option<u16>,
}

/// The effective mTLS per workload port and the outcome per client.
#[derive(Clone, Debug)]
pub struct Table {
    /// Who may call.
    pub roster: Roster,
    /// The ports, in the order of the workloads and of their numbers; datagrams are left out.
    pub rows: Vec<Row>,
    /// What gateways listen on, in the order of the workloads.
    pub listeners: Vec<GatewayListener>,
}

impl Transport<'_> {
    /// The table of all ports, or of those that are wanted, for these callers. `refine` splits classes further: parts of
    /// the roster hold clients with equal values.
    pub fn table(
        &self,
        callers: &Callers<'_>,
        wanted: Wanted<'_>,
        refine: impl Fn(WorkloadId) -> u32,
    ) -> Table {
        let roster = Roster::new(self, callers, refine);
        let mut asking = Asking::new(self, &roster, callers, wanted);
        asking.hosts();
        asking.addresses();
        let rows = asking.finish();
        Table { roster, rows, listeners: gateways::listeners(self, wanted) }
    }
}
