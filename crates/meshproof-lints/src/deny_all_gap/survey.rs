//! One look at every workload: which ports are open to anybody, and which policies let nobody in.

use std::collections::BTreeMap;

use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Capture, EnforcementPoint, ResourceId, Workload, WorkloadId, WorkloadPort};
use meshproof_resources::Action;

use super::listed;
use crate::Context;
pub(super) use crate::alike::{judged_ports, port_at};
use crate::hash::Set;
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

/// Places kept per policy: each policy of a namespace may miss every workload in it.
const KEPT: usize = 64;

/// Where a policy does something: the first few places, and how many workloads there are in all.
#[derive(Default)]
pub(super) struct Places {
    kept: Vec<Place>,
    workloads: usize,
    has_shut: bool,
}

impl Places {
    /// Notes a place that stands for so many workloads. One without any open port is kept whenever there is none yet.
    pub(super) fn add(&mut self, workloads: usize, place: impl FnOnce() -> Place) {
        self.workloads += workloads;
        if self.kept.len() < KEPT {
            self.kept.push(place());
        } else if !self.has_shut {
            self.kept.extend(Some(place()).filter(|place| place.shut));
        }
        self.has_shut |= self.kept.last().is_some_and(|place| place.shut);
    }
}

impl std::ops::Deref for Places {
    type Target = [Place];
    fn deref(&self) -> &[Place] {
        &self.kept
    }
}

/// The whole picture.
#[derive(Default)]
pub(super) struct Survey {
    /// Workloads that are alike.
    pub(super) groups: Vec<Vec<WorkloadId>>,
    /// ALLOW policies with rules of which none can match at any port of the workload, where ports are closed.
    pub(super) misses: BTreeMap<ResourceId, Places>,
    /// ALLOW policies that match at some port of a workload and leave others closed.
    pub(super) partial: BTreeMap<ResourceId, Places>,
    /// ALLOW policies without rules that close a workload which no other policy opens or tries to.
    pub(super) empty: BTreeMap<ResourceId, Places>,
    /// DENY policies that refuse everything at open ports: the policy, and the ports they close.
    pub(super) denied: BTreeMap<ResourceId, Places>,
    /// Policies that let somebody in somewhere.
    pub(super) alive: Set<ResourceId>,
    /// Workloads that no ALLOW policy opens, though at least one is there for certain.
    pub(super) shut: Set<WorkloadId>,
}

impl Survey {
    pub(super) fn new(ctx: &Context<'_>) -> Self {
        let mut survey = Survey::default();
        // Nothing enforces policies outside of the mesh; proxyless gRPC has its own rules for empty policies; what
        // waypoints let in differs from Service to Service.
        let is_judged = |workload: &Workload| {
            !matches!(
                workload.capture.known(),
                Some(Capture::None | Capture::ProxylessGrpc | Capture::Waypoint)
            )
        };
        let groups = ctx.alike().iter().filter(|group| is_judged(ctx.mesh.workload(group[0])));
        survey.groups = groups.cloned().collect();
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
            for policy in allows().filter(|policy| !self.alive.contains(&policy.id)).collect::<Vec<_>>() {
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
        let members = self.groups[group].len();
        let place = || Place { workload: id, group, closed: closed.clone(), shut };
        let mut tries = false;
        for policy in allows().filter(|policy| !policy.rules.is_empty()) {
            tries = true;
            if opened.iter().any(|port| lets_in(policy, workload, port_at(workload, *port))) {
                self.alive.insert(policy.id);
                self.partial.entry(policy.id).or_default().add(members, place);
            } else {
                self.misses.entry(policy.id).or_default().add(members, place);
            }
        }
        if !tries {
            self.empty.entry(first.id).or_default().add(members, place);
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
                let members = self.groups[group].len();
                let place = || Place { workload: id, group, closed, shut };
                self.denied.entry(policy.id).or_default().add(members, place);
                if shut {
                    return;
                }
            }
        }
    }
}

/// Whether a DENY policy refuses everything that can arrive at a port.
fn refuses_all(policy: &Policy<'_>, workload: &Workload, port: Option<&WorkloadPort>) -> bool {
    let tcp = port.is_some_and(|port| port.protocol.is(&ProtocolClass::Tcp))
        && workload.enforcement_point() != Some(EnforcementPoint::Ztunnel);
    // What a gateway serves is not what PeerAuthentication says.
    let demands_identity =
        matches!(workload.enforcement_point(), Some(EnforcementPoint::Sidecar | EnforcementPoint::Ztunnel));
    policy.rules.iter().any(|rule| {
        rule.denies_everything(port)
            || (tcp && rule.denies_every_connection(port))
            || (demands_identity && port.is_some_and(|port| rule.denies_every_identity(port)))
    })
}

impl Survey {
    /// `a`, `a and b`, or `a, b and 3 more` for all workloads of some places.
    pub(super) fn named(&self, ctx: &Context<'_>, places: &Places) -> String {
        let all = places.workloads;
        let ids = places.iter().flat_map(|place| &self.groups[place.group]).take(2);
        let names: Vec<String> = ids.map(|id| ctx.workload_name(&ctx.mesh.workloads[id.index()])).collect();
        match (names.as_slice(), all) {
            ([one, two], 3..) => format!("{one}, {two} and {} more", all - 2),
            (names, _) => listed(names),
        }
    }
}

/// Whether some rule of an ALLOW policy may match at a port.
pub(super) fn lets_in(policy: &Policy<'_>, workload: &Workload, port: Option<&WorkloadPort>) -> bool {
    policy.rules.iter().any(|rule| rule.may_allow(workload, port))
}
