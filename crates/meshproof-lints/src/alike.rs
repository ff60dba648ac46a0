//! Workloads that fare alike under policies: what is found out of one holds for all of them.

use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Capture, NamespaceId, Workload, WorkloadId, WorkloadPort};
use meshproof_resources::MtlsMode;

use crate::Context;
use crate::context::{captured_ports, knows_ports, served_ports};
use crate::hash::{Map, Set};

/// Workloads with policies, in groups of those that are alike, in the order of the input.
pub(crate) fn groups(ctx: &Context<'_>) -> Vec<Vec<WorkloadId>> {
    let mut seen: Map<Likeness, usize> = Map::default();
    let mut groups: Vec<Vec<WorkloadId>> = Vec::new();
    for (id, workload) in ctx.mesh.workloads_with_ids() {
        if workload.policies.is_empty() {
            continue;
        }
        let group = *seen.entry(likeness(workload)).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(id);
    }
    groups
}

/// What decides how a workload fares; workloads that agree in it are looked at once.
#[derive(PartialEq, Eq, Hash)]
struct Likeness {
    policies: [usize; 3],
    namespace: NamespaceId,
    capture: Option<Capture>,
    has_tokens: bool,
    filtered: bool,
    mode: Option<MtlsMode>,
    ports: Vec<Option<PortLikeness>>,
}

/// The same of one port: number, protocol, mode, whether a Service leads to it.
type PortLikeness = (u16, Option<ProtocolClass>, Option<MtlsMode>, bool);

fn likeness(workload: &Workload) -> Likeness {
    let ports = judged_ports(workload).into_iter().map(|port| {
        port_at(workload, port).map(|port| {
            let protocol = port.protocol.known().copied();
            (port.number, protocol, port.mode.mode.known().copied(), !port.bindings.is_empty())
        })
    });
    Likeness {
        policies: workload.policies.sharing_key(),
        namespace: workload.namespace,
        capture: workload.capture.known().copied(),
        has_tokens: !workload.request_authentications.is_empty(),
        filtered: !workload.envoy_filters.is_empty(),
        mode: workload.mode.mode.known().copied(),
        ports: ports.collect(),
    }
}

/// Ports about which something can be said; `[None]` when none is known.
pub(crate) fn judged_ports(workload: &Workload) -> Vec<Option<usize>> {
    let listens = workload.enforcement_point().is_none_or(knows_ports);
    let numbers: Set<u16> = captured_ports(workload).map(|port| port.number).collect();
    if !listens || served_ports(workload).next().is_none() {
        return vec![None];
    }
    let known = workload.ports.iter().enumerate();
    known.filter(|(_, port)| numbers.contains(&port.number)).map(|(at, _)| Some(at)).collect()
}

/// The port behind an index.
pub(crate) fn port_at(workload: &Workload, at: Option<usize>) -> Option<&WorkloadPort> {
    at.and_then(|at| workload.ports.get(at))
}
