//! The policies of a mesh, ready to be asked.

use ipnet::IpNet;
use meshproof_grammar::cidr::Cidr;
use meshproof_ir::{Mesh, ResourceId, WorkloadId};
use meshproof_resources::{Spec, Transport};

use crate::class::{Class, Classes};
use crate::endpoint::{Endpoint, Pod};
use crate::evaluate::{Applying, evaluate};
use crate::explain::{Asked, display};
use crate::flow::{Direction, End, Flow};
use crate::holds::Holds;
use crate::index::Index;
use crate::matching::{Packet, Surroundings};
use crate::outcome::Outcomes;
use crate::policy::Policy;
use crate::sets::NetworkSets;
use crate::tiers::{DEFAULT_TIER, Tiers};
use crate::unread::Unread;
use crate::verdict::{Deciding, Leg, Passage, Verdict};
use crate::{calico, kubernetes};

/// All network policies of a mesh.
///
/// Built in one pass over its objects. A question costs as much as there are policies that select one of the two ends
/// (and policies whose selectors ask for no label at all).
pub struct Network<'m> {
    pub(crate) mesh: &'m Mesh,
    policies: Vec<Policy>,
    index: Index,
    /// By cluster.
    pub(crate) tiers: Vec<Tiers>,
    /// Whether a cluster has a GlobalNetworkPolicy of Calico, which may concern its nodes too.
    pub(crate) has_global: Vec<bool>,
    pub(crate) sets: NetworkSets<'m>,
    pod_networks: Vec<IpNet>,
    classes: Classes,
    pub(crate) unread: Unread,
}

impl<'m> Network<'m> {
    /// The policies of a mesh, where the addresses of pods are not known.
    pub fn new(mesh: &'m Mesh) -> Self {
        Self::with_pod_networks(mesh, &[])
    }

    /// The same with the blocks that hold the addresses of all pods: blocks of rules that lie elsewhere then match none
    /// of them.
    pub fn with_pod_networks(mesh: &'m Mesh, pod_networks: &[Cidr]) -> Self {
        let mut tiers = Tiers::new(mesh);
        let mut has_global = vec![false; mesh.clusters.len()];
        let mut policies = Vec::new();
        for (at, resource) in mesh.resources.iter().enumerate() {
            let id = ResourceId(at as u32);
            let (cluster, namespace) = mesh.placement[at];
            let lowered = match (&resource.spec, namespace) {
                (Spec::NetworkPolicy(policy), Some(namespace)) => {
                    Some(kubernetes::lower(id, (cluster, namespace), policy))
                }
                (Spec::CalicoPolicy(policy), _) => {
                    has_global[cluster.index()] |= policy.global;
                    let tiers = &mut tiers[cluster.index()];
                    let written = policy.tier.as_ref().map(|tier| tier.value.as_str());
                    let tier = written.filter(|name| !name.is_empty());
                    let tier = tier.map_or(DEFAULT_TIER, |name| tiers.named(name));
                    calico::lower(mesh, id, (cluster, namespace), policy, tier)
                }
                _ => None,
            };
            policies.extend(lowered.map(|mut policy| {
                let unrendered = mesh.unrendered(id).map(str::to_owned);
                policy.doubt = policy.doubt.or(unrendered);
                policy
            }));
        }
        let unread = Unread::new(mesh);
        Network {
            mesh,
            index: Index::new(mesh, &policies),
            classes: Classes::new(mesh, &policies, &unread),
            unread,
            policies,
            tiers,
            has_global,
            sets: NetworkSets::new(mesh),
            pod_networks: pod_networks.iter().map(Cidr::network).collect(),
        }
    }

    /// Whether no policy has a say anywhere.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty() && self.unread.is_empty() && !self.has_global.contains(&true)
    }

    /// Workloads of one class get the same answers: as the same end of any flow whose other end is no workload or one
    /// of another class, and between each other where they are not one pod that calls itself. Reasons differ in names.
    pub fn class(&self, workload: WorkloadId) -> Class {
        self.classes.of(workload)
    }

    /// Whether any policy may have a say in what a workload receives. Without one, nothing is denied there.
    pub fn restricts_receiver(&self, workload: WorkloadId) -> bool {
        self.restricts(workload, Direction::Ingress)
    }

    /// Whether any policy may have a say in what a workload sends. Without one, it may send everything.
    pub fn restricts_sender(&self, workload: WorkloadId) -> bool {
        self.restricts(workload, Direction::Egress)
    }

    fn restricts(&self, workload: WorkloadId, direction: Direction) -> bool {
        let endpoint = Endpoint::of(self.mesh, End::Workload(workload));
        let Some(pod) = endpoint.pod().filter(|_| !self.is_empty()) else { return false };
        if self.unread.at(pod).is_some() {
            return true;
        }
        let on_node = pod.host_network && self.has_global[pod.cluster.index()];
        let selecting = self.index.selecting(self.mesh, &self.policies, pod);
        on_node || selecting.iter().any(|(at, _)| self.policies[*at].rules(direction).is_some())
    }

    /// May these packets pass?
    pub fn verdict(&self, flow: &Flow) -> Verdict {
        let source = Endpoint::of(self.mesh, flow.from);
        let destination = Endpoint::of(self.mesh, flow.to);
        if let Some(pod) = self.calls_itself(flow) {
            let leg =
                Leg::allowed(format!("{} is on both ends, and a pod always reaches itself", pod.display()));
            return Verdict { ingress: leg.clone(), egress: leg };
        }
        let packet = (flow.protocol, flow.port);
        Verdict {
            ingress: self.leg(Direction::Ingress, source, destination, packet),
            egress: self.leg(Direction::Egress, source, destination, packet),
        }
    }

    /// Whether the sender of these packets may send them.
    pub fn sends(&self, flow: &Flow) -> Passage {
        let source = Endpoint::of(self.mesh, flow.from);
        let destination = Endpoint::of(self.mesh, flow.to);
        self.leg(Direction::Egress, source, destination, (flow.protocol, flow.port)).passage
    }

    /// The pod that is on both ends.
    fn calls_itself(&self, flow: &Flow) -> Option<Pod<'m>> {
        let End::Workload(id) = flow.from else { return None };
        let resource = self.mesh.resource(self.mesh.workload(id).resource);
        let is_pod = flow.from == flow.to && resource.meta.kind.value == "Pod";
        Endpoint::of(self.mesh, flow.from).pod().copied().filter(|_| is_pod)
    }

    pub(crate) fn leg(
        &self,
        direction: Direction,
        source: Endpoint<'m>,
        destination: Endpoint<'m>,
        (transport, port): (Transport, u16),
    ) -> Leg {
        let (own, peer) = match direction {
            Direction::Ingress => (destination, source),
            Direction::Egress => (source, destination),
        };
        let Endpoint::Pod(pod) = own else {
            return Leg::allowed(format!("{} is no pod, so no NetworkPolicy selects it", display(&own)));
        };
        let cluster = pod.cluster;
        if let Some(object) = self.unread.at(&pod) {
            let meta = &self.mesh.resource(object).meta;
            let name = format!("{} {}", meta.kind.value, meta.name());
            let reason = format!("{name} may have a say about {}, and is not evaluated", pod.display());
            let deciding = vec![Deciding { object, span: meta.name_span() }];
            return Leg { passage: Passage::Unknown, reason, deciding };
        }
        if pod.host_network && self.has_global[cluster.index()] {
            let reason = format!(
                "{} runs in the network of its node, where Calico's policies for host endpoints decide",
                pod.display()
            );
            return Leg { passage: Passage::Unknown, reason, deciding: Vec::new() };
        }
        let packet = Packet {
            mesh: self.mesh,
            cluster,
            source: source.seen_from(cluster),
            destination: destination.seen_from(cluster),
            transport,
            port,
        };
        let tiers = &self.tiers[cluster.index()];
        let (mut applying, selected_otherwise) = self.applying(&pod, direction);
        let outcomes = self.outcomes(&mut applying, direction, &packet, tiers);
        let asked = Asked {
            mesh: self.mesh,
            packet: &packet,
            direction,
            pod: &pod,
            peer: &peer.seen_from(cluster),
            applying: &applying,
            selected_otherwise,
            tiers,
        };
        asked.leg(outcomes)
    }

    pub(crate) fn outcomes(
        &self,
        applying: &mut [Applying<'_>],
        direction: Direction,
        packet: &Packet<'m>,
        tiers: &Tiers,
    ) -> Outcomes {
        let around = Surroundings { sets: &self.sets, pod_networks: &self.pod_networks };
        evaluate(applying, direction, packet, &around, tiers)
    }

    /// Policies in force at pods in one direction, and whether others select them for the other one.
    pub(crate) fn applying(&self, pod: &Pod<'m>, direction: Direction) -> (Vec<Applying<'_>>, bool) {
        let mut selected_otherwise = false;
        let mut applying = Vec::new();
        for (at, selected) in self.index.selecting(self.mesh, &self.policies, pod) {
            let policy = &self.policies[at];
            if policy.rules(direction).is_none() {
                selected_otherwise = true;
                continue;
            }
            let in_force = policy.in_force(selected, pod);
            if in_force != Holds::No {
                let name = self.mesh.resource(policy.id).meta.name();
                applying.push(Applying { policy, in_force, name });
            }
        }
        (applying, selected_otherwise)
    }
}
