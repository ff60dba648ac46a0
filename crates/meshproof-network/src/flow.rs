//! What is asked: one kind of packet between two ends.

use std::net::IpAddr;

use meshproof_ir::WorkloadId;
use meshproof_resources::Transport;

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Pods of a workload, or a machine of a WorkloadEntry or WorkloadGroup.
    Workload(WorkloadId),
    /// Something outside the cluster, by the address that the network sees; `None` when it is not known.
    External(Option<IpAddr>),
}

/// One kind of packet: the first of a connection, after Services have been resolved to pods. Answers always pass.
///
/// The port is the one on the wire: 15008 where the traffic is HBONE, else the workload port (mutual-TLS reference
/// §8.2). Two pods of one workload are two ends; only an object of kind `Pod` is itself on both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Who opens it.
    pub from: End,
    /// Who is to take it.
    pub to: End,
    /// Transport protocol.
    pub protocol: Transport,
    /// Port of the destination.
    pub port: u16,
}

/// Which end's policies are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    /// What the destination may receive.
    Ingress,
    /// What the source may send.
    Egress,
}

impl Direction {
    /// As policies spell it in `types` and `policyTypes`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Direction::Ingress => "Ingress",
            Direction::Egress => "Egress",
        }
    }
}
