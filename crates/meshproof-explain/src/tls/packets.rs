//! Whether network policies let the packets of clients pass: they split groups that send alike.

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use meshproof_ir::WorkloadId;
use meshproof_network::{Class, Deciding, End, Flow, Network, Passage, Receiver};
use meshproof_resources::Transport;
use meshproof_transport::{ClientKind, ClientSet, Part, Roster};

/// Network policies as they are asked here.
pub(super) struct Packets<'a> {
    network: &'a Network<'a>,
    /// The address of somebody who is no workload.
    address: Option<IpAddr>,
    /// Whether policies restrict what senders of a class send.
    senders: HashMap<Class, bool, RandomState>,
    /// What was found for the port that is asked about, since several groups call it.
    port: Option<AtPort<'a>>,
}

/// What becomes of packets to one port, by class of senders.
struct AtPort<'a> {
    to: (WorkloadId, u16),
    receiver: Receiver<'a, 'a>,
    known: HashMap<Class, Legs, RandomState>,
}

/// Whether the receiver may receive, and the sender send.
type Legs = (Passage, Passage);

/// What becomes of packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passing {
    pub(super) passage: Passage,
    /// What decides.
    pub(super) deciding: Vec<Deciding>,
    /// In words of one of the clients, where the answer is open.
    pub(super) reason: String,
}

/// Clients whose packets fare alike.
pub(super) struct Share<'r> {
    legs: Legs,
    pub(super) parts: Vec<(ClientKind, &'r Part)>,
    pub(super) outsider: bool,
    pub(super) passing: Passing,
}

impl<'a> Packets<'a> {
    pub(super) fn new(network: &'a Network<'a>, address: Option<IpAddr>) -> Self {
        Packets { network, address, senders: HashMap::default(), port: None }
    }

    /// What becomes of the packets of one workload.
    pub(super) fn between(&self, from: WorkloadId, to: WorkloadId, port: u16) -> Passing {
        self.ask(End::Workload(from), to, port)
    }

    /// Splits clients by what becomes of their packets to a port on the wire; nothing where all of them pass.
    pub(super) fn split<'r>(
        &mut self,
        roster: &'r Roster,
        set: &'r ClientSet,
        to: WorkloadId,
        port: u16,
    ) -> Option<Vec<Share<'r>>> {
        let network = self.network;
        let is_idle = network.is_empty()
            || !network.restricts_receiver(to)
                && !roster.parts(set).any(|(_, part)| self.is_restricted(&part.workloads));
        if is_idle {
            return None;
        }
        let mut at_port = match self.port.take() {
            Some(known) if known.to == (to, port) => known,
            _ => AtPort {
                to: (to, port),
                receiver: network.receiver(to, Transport::Tcp, port),
                known: HashMap::default(),
            },
        };
        let mut shares: Vec<Share<'r>> = Vec::new();
        for (kind, part) in roster.parts(set) {
            let Some(first) = part.workloads.first() else { continue };
            let end = End::Workload(*first);
            let class = network.class(*first);
            let sends = match self.is_restricted(&part.workloads) {
                true => network.sends(&flow(end, to, port)),
                false => Passage::Allowed,
            };
            let receiver = &mut at_port.receiver;
            let legs = *at_port.known.entry(class).or_insert_with(|| (receiver.receives(end), sends));
            self.share(&mut shares, legs, end, (to, port)).parts.push((kind, part));
        }
        if roster.has_outsider(set) {
            let end = End::External(self.address);
            let legs = (at_port.receiver.receives(end), Passage::Allowed);
            self.share(&mut shares, legs, end, (to, port)).outsider = true;
        }
        self.port = Some(at_port);
        let all_pass = shares.iter().all(|share| share.passing.passage == Passage::Allowed);
        (!all_pass).then_some(shares)
    }

    /// Whether policies restrict what clients of one class send.
    fn is_restricted(&mut self, clients: &[WorkloadId]) -> bool {
        let network = self.network;
        let Some(first) = clients.first() else { return false };
        *self.senders.entry(network.class(*first)).or_insert_with(|| network.restricts_sender(*first))
    }

    /// The share with these answers; what decides is told of the first of its clients.
    fn share<'s, 'r>(
        &self,
        shares: &'s mut Vec<Share<'r>>,
        legs: Legs,
        from: End,
        (to, port): (WorkloadId, u16),
    ) -> &'s mut Share<'r> {
        let at = shares.iter().position(|share| share.legs == legs).unwrap_or_else(|| {
            let passing = self.ask(from, to, port);
            shares.push(Share { legs, parts: Vec::new(), outsider: false, passing });
            shares.len() - 1
        });
        &mut shares[at]
    }

    fn ask(&self, from: End, to: WorkloadId, port: u16) -> Passing {
        let verdict = self.network.verdict(&flow(from, to, port));
        let passage = verdict.passage();
        if passage == Passage::Allowed {
            return Passing { passage, deciding: Vec::new(), reason: String::new() };
        }
        let leg = verdict.deciding_leg();
        Passing { passage, deciding: leg.deciding.clone(), reason: leg.reason.clone() }
    }
}

fn flow(from: End, to: WorkloadId, port: u16) -> Flow {
    Flow { from, to: End::Workload(to), protocol: Transport::Tcp, port }
}
