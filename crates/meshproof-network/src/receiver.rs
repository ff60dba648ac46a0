//! The receiving end of many flows: its policies are looked up once.

use meshproof_ir::WorkloadId;
use meshproof_resources::Transport;

use crate::endpoint::Endpoint;
use crate::evaluate::Applying;
use crate::flow::{Direction, End};
use crate::matching::Packet;
use crate::network::Network;
use crate::outcome::Outcomes;
use crate::verdict::Passage;

/// A workload that receives packets on a port. It answers as [`Network::verdict`] does of the receiving end, without
/// reasons, and for each sender at the cost of the rules that are in force at the workload.
pub struct Receiver<'n, 'm> {
    network: &'n Network<'m>,
    destination: Endpoint<'m>,
    protocol: Transport,
    port: u16,
    pub(crate) applying: Vec<Applying<'n>>,
}

impl<'m> Network<'m> {
    /// A workload that many may send to.
    pub fn receiver(&self, to: WorkloadId, protocol: Transport, port: u16) -> Receiver<'_, 'm> {
        let destination = Endpoint::of(self.mesh, End::Workload(to));
        let applying = match destination.pod() {
            Some(pod) => self.applying(pod, Direction::Ingress).0,
            None => Vec::new(),
        };
        Receiver { network: self, destination, protocol, port, applying }
    }
}

impl Receiver<'_, '_> {
    /// Whether selectors may find addresses too.
    pub(crate) fn has_network_sets(&self) -> bool {
        !self.network.sets.is_empty()
    }

    /// Whether the workload may receive it. A pod that sends to itself is not recognised here.
    pub fn receives(&mut self, from: End) -> Passage {
        let source = Endpoint::of(self.network.mesh, from);
        let Some(pod) = self.destination.pod() else { return Passage::Allowed };
        let network = self.network;
        let cluster = pod.cluster;
        let on_node = pod.host_network && network.has_global[cluster.index()];
        if on_node || network.unread.at(pod).is_some() {
            return Passage::Unknown;
        }
        let packet = Packet {
            mesh: network.mesh,
            cluster,
            source: source.seen_from(cluster),
            destination: self.destination.seen_from(cluster),
            transport: self.protocol,
            port: self.port,
        };
        let tiers = &network.tiers[cluster.index()];
        let outcomes = network.outcomes(&mut self.applying, Direction::Ingress, &packet, tiers);
        passage(&outcomes, &packet.source)
    }
}

/// What the outcomes of one end come to. Pods always reach their own node (Kubernetes documentation, "Network
/// Policies"), so of those that run in its network a denial proves nothing.
pub(crate) fn passage(outcomes: &Outcomes, peer: &Endpoint<'_>) -> Passage {
    match (outcomes.may_pass(), outcomes.deny.is_some()) {
        (_, false) => Passage::Allowed,
        (true, true) => Passage::Unknown,
        (false, true) if peer.pod().is_some_and(|pod| pod.host_network) => Passage::Unknown,
        (false, true) => Passage::Denied,
    }
}
