//! One look at every workload: which ports are open to anybody, and which policies let nobody in.

use std::collections::BTreeMap;

use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Capture, EnforcementPoint, NamespaceId, ResourceId, Workload, WorkloadId, WorkloadPort};
use meshproof_resources::{Action, MtlsMode};

use super::listed;
use crate::Context;
use crate::context::{captured_ports, knows_ports, served_ports};
use crate::hash::{Map, Set};
use crate::policies::Policy;

/// What a policy does at workloads that are alike.
pub(super) struct Place {
    /// One of them.
    pub(super) workload: WorkloadId,
    /// All of them: index into [`Survey::groups`].
    pub(super) group: usize,
    /// Indexes of the ports that nobody may reach; `None` stands for a workload of which no port is known.
    pub(super) closed: Vec<Option<usize>>,
    /// No port is open.
    pub(super) shut: bool,
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

/// The whole picture.
#[derive(Default)]
pub(super) struct Survey {
    /// Workloads that are alike.
    pub(super) groups: Vec<Vec<WorkloadId>>,
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
        let mut seen: Map<Likeness, usize> = Map::default();
        for (at, workload) in ctx.mesh.workloads.iter().enumerate() {
            // Nothing enforces policies outside of the mesh; proxyless gRPC has its own rules for empty policies.
            if workload.policies.is_empty()
                || workload.capture.is(&Capture::None)
                || workload.capture.is(&Capture::ProxylessGrpc)
            {
                continue;
            }
            let group = *seen.entry(likeness(workload)).or_insert_with(|| {
                survey.groups.push(Vec::new());
                survey.groups.len() - 1
            });
            survey.groups[group].push(WorkloadId(at as u32));
        }
        for group in 0..survey.groups.len() {
            let id = survey.groups[group][0];
            survey.look_at(ctx, id, group, &ctx.mesh.workloads[id.index()]);
        }
        survey
    }

    fn look_at(&mut self, ctx: &Context<'_>, id: WorkloadId, group: usize, workload: &Workload) {
        let policies =
            || workload.policies.iter().filter_map(|attachment| ctx.policies.get(attachment.policy));
        let ports = judged_ports(workload);
        let allows = || policies().filter(|policy| policy.enforces(Action::Allow));
        let Some(first) = allows().next() else {
            self.look_at_denies(ctx, id, group, workload, &ports);
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
            self.look_at_denies(ctx, id, group, workload, &ports);
            return;
        }
        let closed: Vec<Option<usize>> =
            ports.iter().zip(&open).filter(|(_, open)| !**open).map(|(port, _)| *port).collect();
        let opened: Vec<Option<usize>> =
            ports.iter().zip(&open).filter(|(_, open)| **open).map(|(port, _)| *port).collect();
        let shut = opened.is_empty();
        if shut && allows().any(is_certain) {
            self.shut.extend(self.groups[group].iter().copied());
        }
        let place = || Place { workload: id, group, closed: closed.clone(), shut };
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
        self.look_at_denies(ctx, id, group, workload, &opened);
    }

    /// DENY policies that refuse whatever reaches a port that would be open without them.
    fn look_at_denies(
        &mut self,
        ctx: &Context<'_>,
        id: WorkloadId,
        group: usize,
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
                self.denied.entry(policy.id).or_default().push(Place { workload: id, group, closed, shut });
                if shut {
                    return;
                }
            }
        }
    }
}

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

/// Whether a DENY policy refuses everything that can arrive at a port.
fn refuses_all(policy: &Policy<'_>, workload: &Workload, port: Option<&WorkloadPort>) -> bool {
    let tcp = port.is_some_and(|port| port.protocol.is(&ProtocolClass::Tcp))
        && workload.enforcement_point() != Some(EnforcementPoint::Ztunnel);
    policy
        .rules
        .iter()
        .any(|rule| rule.denies_everything(port) || (tcp && rule.denies_every_connection(port)))
}

impl Survey {
    /// `a`, `a and b`, or `a, b and 3 more` for all workloads of some places.
    pub(super) fn named(&self, ctx: &Context<'_>, places: &[Place]) -> String {
        let all: usize = places.iter().map(|place| self.groups[place.group].len()).sum();
        let ids = places.iter().flat_map(|place| &self.groups[place.group]).take(2);
        let names: Vec<String> = ids.map(|id| ctx.workload_name(&ctx.mesh.workloads[id.index()])).collect();
        match (names.as_slice(), all) {
            ([one, two], 3..) => format!("{one}, {two} and {} more", all - 2),
            (names, _) => listed(names),
        }
    }
}

/// Ports about which something can be said; `[None]` when none is known.
pub(super) fn judged_ports(workload: &Workload) -> Vec<Option<usize>> {
    let listens = workload.enforcement_point().is_none_or(knows_ports);
    let numbers: Set<u16> = captured_ports(workload).map(|port| port.number).collect();
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
