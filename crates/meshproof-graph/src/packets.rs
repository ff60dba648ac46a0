//! Whether network policies let the packets of clients pass: they split groups that fare alike otherwise.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_ir::{ClusterId, GatewayId, Mesh, WorkloadId};
use meshproof_network::{Class, Deciding, End, Flow, Network, Passage, Senders};
use meshproof_resources::Transport;
use meshproof_transport::Roster;

use crate::clients::Clients;

/// Clients whose packets fare alike.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Share {
    pub clients: Clients,
    pub passage: Passage,
    /// The network policies that have a say, where the packets do not simply pass.
    pub deciding: Vec<Deciding>,
    /// In words of one of the clients, where it is open.
    pub reason: String,
}

/// Network policies as they are asked here.
pub(crate) struct Packets<'a, 'm> {
    mesh: &'m Mesh,
    network: &'a Network<'m>,
    roster: &'a Roster,
    senders: Senders,
    /// What is known of each part; nothing where there are no network policies.
    parts: Vec<Sender>,
}

/// A part of the roster as network policies see it.
struct Sender {
    class: Class,
    cluster: ClusterId,
    /// Policies restrict what it sends.
    is_restricted: bool,
}

/// Whom a receiver does not tell apart.
#[derive(PartialEq, Eq, Hash)]
enum Alike {
    Class(Class),
    /// Everybody else of a cluster.
    Rest(ClusterId),
}

impl<'a, 'm> Packets<'a, 'm> {
    pub fn new(mesh: &'m Mesh, network: &'a Network<'m>, roster: &'a Roster) -> Self {
        let mut known: HashMap<Class, bool, RandomState> = HashMap::default();
        let mut of_part = |at: u32| {
            let first = roster.part(at).workloads.first().copied()?;
            let class = network.class(first);
            let restricts = || network.restricts_sender(first);
            let is_restricted = *known.entry(class).or_insert_with(restricts);
            let cluster = mesh.namespace(mesh.workload(first).namespace).cluster;
            Some(Sender { class, cluster, is_restricted })
        };
        let parts = match network.is_empty() {
            true => Vec::new(),
            false => (0..roster.part_count() as u32).filter_map(&mut of_part).collect(),
        };
        Packets { mesh, network, roster, senders: network.senders(), parts }
    }

    /// Splits clients by what becomes of their packets to pods; those whose packets are dropped are left out.
    pub fn shares(&self, clients: &Clients, to: Option<WorkloadId>, port: u16) -> Vec<Share> {
        let pass = |clients| Share {
            clients,
            passage: Passage::Allowed,
            deciding: Vec::new(),
            reason: String::new(),
        };
        let is_idle = |to| {
            self.network.is_empty()
                || !self.network.restricts_receiver(to)
                    && !clients.parts.iter().any(|part| self.parts[*part as usize].is_restricted)
        };
        let Some(to) = to.filter(|to| !is_idle(*to)) else { return vec![pass(clients.clone())] };
        let mut shares: Vec<Share> = Vec::new();
        let mut receiver = self.network.receiver(to, Transport::Tcp, port);
        let told_apart = receiver.told_apart(&self.senders);
        let mut received: HashMap<Alike, Passage, RandomState> = HashMap::default();
        for at in &clients.parts {
            let Some(first) = self.roster.part(*at).workloads.first() else { continue };
            let end = End::Workload(*first);
            let sender = &self.parts[*at as usize];
            let alike = match &told_apart {
                Some(classes) if classes.binary_search(&sender.class).is_err() => Alike::Rest(sender.cluster),
                _ => Alike::Class(sender.class),
            };
            let receives = *received.entry(alike).or_insert_with(|| receiver.receives(end));
            let sends = match sender.is_restricted {
                true => self.network.sends(&flow(end, to, port)),
                false => Passage::Allowed,
            };
            let share = self.share(&mut shares, both(receives, sends), end, (to, port));
            share.clients.parts.push(*at);
        }
        if clients.outsider || clients.elsewhere || clients.internet {
            let end = End::External(None);
            let share = self.share(&mut shares, receiver.receives(end), end, (to, port));
            share.clients.outsider = clients.outsider;
            share.clients.elsewhere = clients.elsewhere;
            share.clients.internet = clients.internet;
        }
        for id in &clients.waypoints {
            let end = self.waypoint(*id);
            let receives = match receiver.receives(end) {
                // Where its pods stand is known, their labels are not.
                Passage::Denied => Passage::Unknown,
                known => known,
            };
            self.share(&mut shares, receives, end, (to, port)).clients.waypoints.push(*id);
        }
        shares.retain(|share| share.passage != Passage::Denied);
        shares
    }

    fn waypoint(&self, id: GatewayId) -> End {
        self.mesh.gateway_pods(id).next().map_or(End::External(None), End::Workload)
    }

    /// The share with this answer; what decides is told of the first of its clients.
    fn share<'s>(
        &self,
        shares: &'s mut Vec<Share>,
        passage: Passage,
        from: End,
        (to, port): (WorkloadId, u16),
    ) -> &'s mut Share {
        let known = shares.iter().position(|share| share.passage == passage);
        let at = known.unwrap_or_else(|| {
            let verdict = self.network.verdict(&flow(from, to, port));
            let (deciding, reason) = match passage {
                Passage::Allowed => (
                    verdict.ingress.deciding.into_iter().chain(verdict.egress.deciding).collect(),
                    String::new(),
                ),
                _ => {
                    let leg = verdict.deciding_leg();
                    (leg.deciding.clone(), leg.reason.clone())
                }
            };
            shares.push(Share { clients: Clients::default(), passage, deciding, reason });
            shares.len() - 1
        });
        &mut shares[at]
    }
}

fn both(one: Passage, other: Passage) -> Passage {
    match (one, other) {
        (Passage::Denied, _) | (_, Passage::Denied) => Passage::Denied,
        (Passage::Unknown, _) | (_, Passage::Unknown) => Passage::Unknown,
        (Passage::Allowed, Passage::Allowed) => Passage::Allowed,
    }
}

fn flow(from: End, to: WorkloadId, port: u16) -> Flow {
    Flow { from, to: End::Workload(to), protocol: Transport::Tcp, port }
}
