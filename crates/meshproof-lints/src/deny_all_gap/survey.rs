//! One look at every workload: which ports are open to anybody, and which policies let nobody in.

use std::collections::BTreeMap;

use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Capture, EnforcementPoint, ResourceId, Workload, WorkloadId, WorkloadPort};
use meshproof_resources::Action;

use crate::Context;
use crate::context::{captured_ports, knows_ports, served_ports};
use crate::hash::Set;
use crate::policies::Policy;

/// What a policy does at one workload.
pub(super) struct Place {
    pub(super) workload: WorkloadId,
    /// Indexes of the ports that nobody may reach; `None` stands for a workload of which no port is known.
    pub(super) closed: Vec<Option<usize>>,
    /// No port is open.
    pub(super) shut: bool,
}

/// The whole picture.
#[derive(Default)]
pub(super) struct Survey {
    /// ALLOW policies with rules of which none can match at any port of the workload, where ports are closed.
    pub(super) misses: BTreeMap<ResourceId, Vec<Place>>,
    /// ALLOW policies that match at some port of a workload and leave others closed.
    pub(super) partial: BTreeMap<ResourceId, Vec<Place>>,
    /// ALLOW policies without rules that close a workload which no other policy opens or tries to.
    pub(super) empty: BTreeMap<ResourceId, Vec<Place>>,
    /// DENY policies that refuse everything at open ports: the policy, and the ports they close.
    pub(super) denied: BTreeMap<ResourceId, Vec<Place>>,
    /// Policies that let somebody in somewhere.
    pub(super) alive: Set<ResourceId>,
    /// Workloads that no ALLOW policy opens, though at least one is there for certain.
    pub(super) shut: Set<WorkloadId>,
}

impl Survey {
    pub(super) fn new(ctx: &Context<'_>) -> Self {
        let mut survey = Survey::default();
        for (at, workload) in ctx.mesh.workloads.iter().enumerate() {
            // Nothing enforces policies outside of the mesh; proxyless gRPC has its own rules for empty policies.
            if workload.policies.is_empty()
                || workload.capture.is(&Capture::None)
                || workload.capture.is(&Capture::ProxylessGrpc)
            {
                continue;
            }
            survey.look_at(ctx, WorkloadId(at as u32), workload);
        }
        survey
    }

    fn look_at(&mut self, ctx: &Context<'_>, id: WorkloadId, workload: &Workload) {
        let policies =
            || workload.policies.iter().filter_map(|attachment| ctx.policies.get(attachment.policy));
        let ports = judged_ports(workload);
        let allows = || policies().filter(|policy| policy.enforces(Action::Allow));
        let Some(first) = allows().next() else {
            self.look_at_denies(ctx, id, workload, &ports);
            return;
        };
        let open: Vec<bool> = ports
            .iter()
            .map(|port| allows().any(|policy| lets_in(policy, workload, port_at(workload, *port))))
            .collect();
        let is_certain = |policy: &Policy<'_>| {
            workload.policies.get(policy.id).is_some_and(|attachment| attachment.certain.is_ok())
        };
        if open.iter().all(|open| *open) {
            // The usual case: everything is reachable by somebody.
            for policy in allows() {
                if ports.iter().any(|port| lets_in(policy, workload, port_at(workload, *port))) {
                    self.alive.insert(policy.id);
                }
            }
            self.look_at_denies(ctx, id, workload, &ports);
            return;
        }
        let closed: Vec<Option<usize>> =
            ports.iter().zip(&open).filter(|(_, open)| !**open).map(|(port, _)| *port).collect();
        let opened: Vec<Option<usize>> =
            ports.iter().zip(&open).filter(|(_, open)| **open).map(|(port, _)| *port).collect();
        let shut = opened.is_empty();
        if shut && allows().any(is_certain) {
            self.shut.insert(id);
        }
        let place = || Place { workload: id, closed: closed.clone(), shut };
        let mut tries = false;
        for policy in allows().filter(|policy| !policy.rules.is_empty()) {
            tries = true;
            if opened.iter().any(|port| lets_in(policy, workload, port_at(workload, *port))) {
                self.alive.insert(policy.id);
                self.partial.entry(policy.id).or_default().push(place());
            } else {
                self.misses.entry(policy.id).or_default().push(place());
            }
        }
        if !tries {
            self.empty.entry(first.id).or_default().push(place());
        }
        self.look_at_denies(ctx, id, workload, &opened);
    }

    /// DENY policies that refuse whatever reaches a port that would be open without them.
    fn look_at_denies(
        &mut self,
        ctx: &Context<'_>,
        id: WorkloadId,
        workload: &Workload,
        open: &[Option<usize>],
    ) {
        let policies = workload.policies.iter().filter_map(|attachment| ctx.policies.get(attachment.policy));
        for policy in policies.filter(|policy| policy.enforces(Action::Deny)) {
            let closed: Vec<Option<usize>> = open
                .iter()
                .copied()
                .filter(|port| refuses_all(policy, workload, port_at(workload, *port)))
                .collect();
            if !closed.is_empty() {
                let shut = closed.len() == open.len();
                self.denied.entry(policy.id).or_default().push(Place { workload: id, closed, shut });
            }
        }
    }
}

/// Whether a DENY policy refuses everything that can arrive at a port.
fn refuses_all(policy: &Policy<'_>, workload: &Workload, port: Option<&WorkloadPort>) -> bool {
    let tcp = port.is_some_and(|port| port.protocol.is(&ProtocolClass::Tcp))
        && workload.enforcement_point() != Some(EnforcementPoint::Ztunnel);
    policy
        .rules
        .iter()
        .any(|rule| rule.denies_everything(port) || (tcp && rule.denies_every_connection(port)))
}

/// Ports about which something can be said; `[None]` when none is known.
pub(super) fn judged_ports(workload: &Workload) -> Vec<Option<usize>> {
    let listens = workload.enforcement_point().is_none_or(knows_ports);
    let numbers: Vec<u16> = captured_ports(workload).map(|port| port.number).collect();
    if !listens || served_ports(workload).next().is_none() {
        return vec![None];
    }
    let known = workload.ports.iter().enumerate();
    known.filter(|(_, port)| numbers.contains(&port.number)).map(|(at, _)| Some(at)).collect()
}

/// The port behind an index.
pub(super) fn port_at(workload: &Workload, at: Option<usize>) -> Option<&WorkloadPort> {
    at.and_then(|at| workload.ports.get(at))
}

/// Whether some rule of an ALLOW policy may match at a port.
pub(super) fn lets_in(policy: &Policy<'_>, workload: &Workload, port: Option<&WorkloadPort>) -> bool {
    policy.rules.iter().any(|rule| rule.may_allow(workload, port))
}
