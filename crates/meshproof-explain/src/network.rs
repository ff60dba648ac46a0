//! Whether network policies let the packets of a leg pass.

use meshproof_ir::WorkloadId;
use meshproof_network::{Deciding, End, Flow, Leg, Network, Passage};
use meshproof_resources::Transport;

use crate::answer::{Evidence, NetworkTold};
use crate::client::Client;

/// What network policies say of a connection from the client to a port on the wire.
pub(crate) fn ask(network: &Network<'_>, client: &Client, to: WorkloadId, wire_port: u16) -> NetworkTold {
    if network.is_empty() {
        return NetworkTold { passage: Passage::Allowed, evidence: Vec::new() };
    }
    let from = client.workload.map_or(End::External(client.address), End::Workload);
    let flow = Flow { from, to: End::Workload(to), protocol: Transport::Tcp, port: wire_port };
    let verdict = network.verdict(&flow);
    let mut passage = verdict.passage();
    // Somebody of whom nothing is known may be a pod that the policies admit.
    if client.workload.is_none() && client.address.is_none() && passage == Passage::Denied {
        passage = Passage::Unknown;
    }
    let legs = match verdict.passage() {
        Passage::Allowed => vec![&verdict.ingress, &verdict.egress],
        _ => vec![verdict.deciding_leg()],
    };
    let mut evidence: Vec<Evidence> = legs.into_iter().map(told).collect();
    evidence.dedup();
    NetworkTold { passage, evidence }
}

fn told(leg: &Leg) -> Evidence {
    let span = leg.deciding.first().map(|Deciding { span, .. }| *span);
    Evidence { text: leg.reason.clone(), span }
}
