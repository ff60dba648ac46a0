//! Network policies at pods that are reached through tunnels: what they say of the ports, and of the port of the tunnel.
//!
//! On the wire a tunnel goes to port 15008, whatever port it leads to (mutual-TLS reference §8.2, §8.3). Only clients
//! captured by ztunnel are looked at: they send tunnels to whoever takes them, and nothing else.

use meshproof_ir::{Capture, ClusterId, NamespaceId, WorkloadId};
use meshproof_network::{Class, End, Flow, Passage, Verdict};
use meshproof_resources::Transport;

use crate::Context;
use crate::context::captured_ports;
use crate::hash::{Map, Set};

/// The port that tunnels go to.
pub(crate) const TUNNEL: u16 = 15008;
/// Questions put to network policies; beyond it nothing more is claimed.
const QUESTIONS: usize = 100_000;
/// Clients looked at per server, and ports.
const CLIENTS: usize = 32;
const PORTS: usize = 16;

/// A client and a server that takes tunnels, with what network policies say between them.
pub(crate) struct Pair {
    pub(crate) client: WorkloadId,
    pub(crate) server: WorkloadId,
    /// Of the port of the tunnel.
    pub(crate) tunnel: Verdict,
    /// Of the ports that the server listens on.
    pub(crate) ports: Vec<(u16, Verdict)>,
}

impl Pair {
    /// The first port with this answer.
    pub(crate) fn port(&self, passage: Passage) -> Option<&(u16, Verdict)> {
        self.ports.iter().find(|(_, verdict)| verdict.passage() == passage)
    }
}

/// Pairs where the answers for the tunnel and for some port differ; one server of each kind that policies tell apart.
pub(crate) fn pairs(ctx: &Context<'_>) -> Vec<Pair> {
    let is_captured = |id: &WorkloadId| ctx.mesh.workload(*id).capture.is(&Capture::Ambient);
    let all = || ctx.mesh.workloads_with_ids().map(|(id, _)| id);
    if !all().any(|id| is_captured(&id)) || ctx.network().is_empty() {
        return Vec::new();
    }
    let clients = clients(ctx, all().filter(is_captured));
    let mut seen: Set<(Class, Vec<u16>)> = Set::default();
    let mut pairs = Vec::new();
    let mut questions = 0;
    for server in all() {
        let workload = ctx.mesh.workload(server);
        let takes_tunnels =
            matches!(workload.capture.known(), Some(Capture::Ambient | Capture::SidecarHbone));
        if !takes_tunnels || questions > QUESTIONS {
            continue;
        }
        let ports: Vec<u16> = captured_ports(workload).map(|port| port.number).take(PORTS).collect();
        if ports.is_empty() || !seen.insert((ctx.network().class(server), ports.clone())) {
            continue;
        }
        let cluster = ctx.mesh.namespace(workload.namespace).cluster;
        let near = clients.get(&(cluster, Some(workload.namespace))).into_iter().flatten();
        let far = clients.get(&(cluster, None)).into_iter().flatten();
        for client in near.chain(far).filter(|client| **client != server).take(CLIENTS) {
            questions += ports.len() + 1;
            let ask = |port: u16| verdict(ctx, *client, server, port);
            let tunnel = ask(TUNNEL);
            let ports: Vec<(u16, Verdict)> = ports.iter().map(|port| (*port, ask(*port))).collect();
            if ports.iter().any(|(_, verdict)| verdict.passage() != tunnel.passage()) {
                pairs.push(Pair { client: *client, server, tunnel, ports });
            }
        }
    }
    pairs
}

/// One client of each kind that policies tell apart: by namespace, and those of a cluster.
type ByPlace = Map<(ClusterId, Option<NamespaceId>), Vec<WorkloadId>>;

fn clients(ctx: &Context<'_>, all: impl Iterator<Item = WorkloadId>) -> ByPlace {
    let mut seen: Set<(ClusterId, Option<NamespaceId>, Class)> = Set::default();
    let mut clients = ByPlace::default();
    for id in all {
        let namespace = ctx.mesh.workload(id).namespace;
        let cluster = ctx.mesh.namespace(namespace).cluster;
        for place in [Some(namespace), None] {
            if seen.insert((cluster, place, ctx.network().class(id))) {
                clients.entry((cluster, place)).or_default().push(id);
            }
        }
    }
    clients
}

fn verdict(ctx: &Context<'_>, client: WorkloadId, server: WorkloadId, port: u16) -> Verdict {
    ctx.network().verdict(&Flow {
        from: End::Workload(client),
        to: End::Workload(server),
        protocol: Transport::Tcp,
        port,
    })
}
