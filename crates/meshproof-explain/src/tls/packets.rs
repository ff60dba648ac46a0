//! Whether network policies let the packets of clients pass: they split groups that send alike.
//!
//! Of each port only those clients are asked whom its policies may tell apart ([`Receiver::told_apart`]), and those with
//! policies about what they send; one of the others answers for the rest.

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use meshproof_ir::{ClusterId, WorkloadId};
use meshproof_network::{Class, Deciding, End, Flow, Network, Passage, Receiver, Senders};
use meshproof_resources::Transport;
use meshproof_transport::{ClientSet, PartId, Roster};

/// So many answers about pairs of classes are remembered at a time.
const REMEMBERED: usize = 1 << 20;

/// Network policies as they are asked here.
pub(super) struct Packets<'a> {
    network: &'a Network<'a>,
    /// The address of somebody who is no workload.
    address: Option<IpAddr>,
    senders: Senders,
    /// The parts of each class.
    parts: HashMap<Class, Vec<PartId>, RandomState>,
    /// Everybody of whom policies may restrict what is sent, sorted.
    restricted: Vec<PartId>,
    /// One client of each part.
    examples: HashMap<PartId, WorkloadId, RandomState>,
    /// Whether a class may send to a port of another one.
    sent: HashMap<(Class, Class, u16), Passage, RandomState>,
    /// What was found for the port that is asked about, since several groups call it.
    port: Option<AtPort<'a>>,
}

/// What becomes of packets to one port.
struct AtPort<'a> {
    to: (WorkloadId, u16),
    receiver: Receiver<'a, 'a>,
    /// Those that are asked one by one, sorted.
    asked: Vec<PartId>,
    received: HashMap<Class, Passage, RandomState>,
    /// By cluster, for those that nothing tells apart.
    rest: HashMap<ClusterId, Passage, RandomState>,
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
pub(super) struct Share {
    pub(super) clients: ClientSet,
    pub(super) passing: Passing,
    /// For some of them other policies have the same effect as those that are named.
    pub(super) and_alike: bool,
}

/// Shares while they come together.
struct Draft {
    legs: Legs,
    /// Somebody of them.
    from: End,
    parts: Vec<PartId>,
    others: ClientSet,
}

impl<'a> Packets<'a> {
    pub(super) fn new(network: &'a Network<'a>, roster: &Roster, address: Option<IpAddr>) -> Self {
        let mut packets = Packets {
            network,
            address,
            senders: network.senders(),
            parts: HashMap::default(),
            restricted: Vec::new(),
            examples: HashMap::default(),
            sent: HashMap::default(),
            port: None,
        };
        if network.is_empty() {
            return packets;
        }
        let mut is_restricted: HashMap<Class, bool, RandomState> = HashMap::default();
        for (id, part) in roster.all_parts() {
            let Some(first) = part.workloads.first() else { continue };
            let class = network.class(*first);
            packets.examples.insert(id, *first);
            packets.parts.entry(class).or_default().push(id);
            if *is_restricted.entry(class).or_insert_with(|| network.restricts_sender(*first)) {
                packets.restricted.push(id);
            }
        }
        packets
    }

    /// What becomes of the packets of one workload.
    pub(super) fn between(&self, from: WorkloadId, to: WorkloadId, port: u16) -> Passing {
        self.ask(End::Workload(from), to, port)
    }

    /// Splits clients by what becomes of their packets to a port on the wire; nothing where all of them pass.
    pub(super) fn split(
        &mut self,
        roster: &Roster,
        set: &ClientSet,
        to: WorkloadId,
        port: u16,
    ) -> Option<Vec<Share>> {
        let network = self.network;
        if network.is_empty() || (self.restricted.is_empty() && !network.restricts_receiver(to)) {
            return None;
        }
        let mut at_port = match self.port.take() {
            Some(known) if known.to == (to, port) => known,
            _ => self.at_port(to, port),
        };
        let mut drafts: Vec<Draft> = Vec::new();
        for part in at_port.asked.iter().filter(|part| roster.contains(set, **part)) {
            let Some(from) = self.examples.get(part).copied() else { continue };
            let class = network.class(from);
            let end = End::Workload(from);
            let receiver = &mut at_port.receiver;
            let received = *at_port.received.entry(class).or_insert_with(|| receiver.receives(end));
            let sends = match self.restricted.binary_search(part) {
                Ok(_) => self.sends(end, class, (to, port)),
                Err(_) => Passage::Allowed,
            };
            draft(&mut drafts, (received, sends), end).parts.push(*part);
        }
        for (cluster, first, clients) in roster.rest(set, &at_port.asked) {
            let end = End::Workload(first);
            let receiver = &mut at_port.receiver;
            let received = *at_port.rest.entry(cluster).or_insert_with(|| receiver.receives(end));
            draft(&mut drafts, (received, Passage::Allowed), end).others.join(clients);
        }
        if roster.has_outsider(set) {
            let end = End::External(self.address);
            let legs = (at_port.receiver.receives(end), Passage::Allowed);
            draft(&mut drafts, legs, end).others.join(roster.outsiders(set));
        }
        self.port = Some(at_port);
        if drafts.iter().all(|draft| draft.legs == (Passage::Allowed, Passage::Allowed)) {
            return None;
        }
        let share = |Draft { legs, from, parts, others: mut clients }| {
            clients.join(roster.set_of(&parts));
            // Senders have policies of their own, the receiver has the same for all.
            let and_alike = legs.0 == Passage::Allowed && legs.1 != Passage::Allowed && parts.len() > 1;
            Share { clients, passing: self.ask(from, to, port), and_alike }
        };
        Some(drafts.into_iter().map(share).collect())
    }

    fn at_port(&self, to: WorkloadId, port: u16) -> AtPort<'a> {
        let receiver = self.network.receiver(to, Transport::Tcp, port);
        let mut asked = self.restricted.clone();
        match receiver.told_apart(&self.senders) {
            Some(classes) => {
                asked.extend(classes.iter().filter_map(|class| self.parts.get(class)).flatten());
            }
            None => asked.extend(self.examples.keys()),
        }
        asked.sort_unstable();
        asked.dedup();
        AtPort { to: (to, port), receiver, asked, received: HashMap::default(), rest: HashMap::default() }
    }

    fn sends(&mut self, from: End, class: Class, (to, port): (WorkloadId, u16)) -> Passage {
        if self.sent.len() >= REMEMBERED {
            self.sent.clear();
        }
        let network = self.network;
        let key = (class, network.class(to), port);
        *self.sent.entry(key).or_insert_with(|| network.sends(&flow(from, to, port)))
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

/// The share with these answers; what decides is told of the first of its clients.
fn draft(drafts: &mut Vec<Draft>, legs: Legs, from: End) -> &mut Draft {
    let at = drafts.iter().position(|draft| draft.legs == legs).unwrap_or_else(|| {
        drafts.push(Draft { legs, from, parts: Vec::new(), others: ClientSet::default() });
        drafts.len() - 1
    });
    &mut drafts[at]
}

fn flow(from: End, to: WorkloadId, port: u16) -> Flow {
    Flow { from, to: End::Workload(to), protocol: Transport::Tcp, port }
}
