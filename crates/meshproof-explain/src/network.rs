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
    let passage = verdict.passage();
    let legs = match passage {
        Passage::Allowed => vec![&verdict.ingress, &verdict.egress],
        _ => vec![verdict.deciding_leg()],
    };
    let mut evidence: Vec<Evidence> = legs.into_iter().map(told).collect();
    evidence.dedup();
    NetworkTold { passage, evidence }
}

/// What leaves the answer open: the policies themselves, or that somebody of whom nothing is known may be a pod that they
/// admit.
pub(crate) fn doubt(told: &NetworkTold, client: &Client) -> Option<String> {
    let is_anybody = client.workload.is_none() && client.address.is_none();
    match told.passage {
        Passage::Unknown => {
            let why = told.evidence.first().map_or("", |evidence| evidence.text.as_str());
            Some(format!("whether the network lets it pass: {why}"))
        }
        Passage::Denied if is_anybody => Some(
            "where the client stands: the network would let a pod pass that its policies admit; name a workload, or an \
             address with plaintext:IP"
                .to_owned(),
        ),
        Passage::Denied | Passage::Allowed => None,
    }
}

fn told(leg: &Leg) -> Evidence {
    let span = leg.deciding.first().map(|Deciding { span, .. }| *span);
    Evidence { text: leg.reason.clone(), span }
}
