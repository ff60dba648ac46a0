//! Classes of clients: those of one class get the same answers (up to their own identity), so that nothing has to be
//! asked once per client.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_ir::{
    Capture, Fact, GatewayId, LabelSet, Mesh, ResourceId, SelectorIndex, Workload, WorkloadId,
};
use meshproof_resources::{Spec, TextMap};

use crate::merge::MergedRule;
use crate::outbound::Outbound;
use crate::rules::Rules;
use crate::scope::Scope;

/// The label that names the Gateway of pods.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

/// A class of clients; the number means nothing beyond equality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientClass(pub(crate) u32);

/// What sends for a client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sender {
    Sidecar,
    Gateway,
    /// The Gateway that the waypoint is made for.
    Waypoint(Option<GatewayId>),
    Ztunnel,
    /// The application itself.
    Application,
    /// Not known, with the reason.
    Unknown(String),
}

/// Everything about a client that its answers depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Profile {
    pub(crate) scope: Scope,
    pub(crate) sender: Sender,
    /// DestinationRules of its namespace that select it.
    pub(crate) rules: Vec<ResourceId>,
    /// What goes around its proxy.
    pub(crate) outbound: Outbound,
}

/// The classes of all workloads.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    profiles: Vec<Profile>,
    of_workload: Vec<ClientClass>,
    /// One workload of each class.
    examples: Vec<WorkloadId>,
    /// The first DestinationRule of the namespace with the same selector, for each with a selector.
    same_selector: HashMap<ResourceId, ResourceId, RandomState>,
}

impl Clients {
    pub(crate) fn new(mesh: &Mesh) -> Self {
        let selecting: Vec<(u32, &TextMap, u32)> = Rules::selecting(mesh)
            .filter_map(|(namespace, written)| {
                let selector = written.rule.workload_selector.as_ref()?;
                Some((namespace.0, &selector.match_labels, written.id.0))
            })
            .collect();
        let mut clients = Clients { same_selector: same_selector(&selecting), ..Clients::default() };
        // A selector without labels takes everybody.
        let mut for_all: HashMap<u32, ResourceId, RandomState> = HashMap::default();
        for (namespace, _, id) in selecting.iter().filter(|(_, labels, _)| labels.is_empty()) {
            for_all.entry(*namespace).or_insert(ResourceId(*id));
        }
        let index = SelectorIndex::new(selecting.into_iter());
        let mut known: HashMap<Profile, ClientClass, RandomState> = HashMap::default();
        for (id, workload) in mesh.workloads_with_ids() {
            let labels = LabelSet::new(&workload.labels);
            let namespace = workload.namespace.0;
            // The first of each selector stands for all of them.
            let found = index.members_matching(namespace, &labels, 1, &mut 0).into_iter().map(ResourceId);
            let mut rules: Vec<ResourceId> = found.chain(for_all.get(&namespace).copied()).collect();
            rules.sort_unstable();
            let profile = Profile::new(mesh, workload, rules);
            let next = ClientClass(clients.profiles.len() as u32);
            let class = *known.entry(profile).or_insert_with_key(|profile| {
                clients.profiles.push(profile.clone());
                clients.examples.push(id);
                next
            });
            clients.of_workload.push(class);
        }
        clients
    }

    pub(crate) fn class(&self, id: WorkloadId) -> ClientClass {
        self.of_workload[id.index()]
    }

    pub(crate) fn profile(&self, id: WorkloadId) -> &Profile {
        &self.profiles[self.class(id).0 as usize]
    }

    /// The rule that a client follows among those that stand side by side: the first that selects it, else the last one
    /// for everybody (Istio 1.32, model/sidecar.go `DestinationRule`).
    pub(crate) fn choose<'r, 'm>(
        &self,
        profile: &Profile,
        rules: &[&'r MergedRule<'m>],
    ) -> Option<&'r MergedRule<'m>> {
        let selects = |rule: &MergedRule<'m>| {
            let first = rule.selector.and(rule.from.first());
            let same = first.and_then(|id| self.same_selector.get(id));
            same.is_some_and(|id| profile.rules.binary_search(id).is_ok())
        };
        let for_all = || rules.iter().rev().find(|rule| rule.selector.is_none());
        rules.iter().find(|rule| selects(rule)).or_else(for_all).copied()
    }

    /// Every class with one of its workloads.
    pub(crate) fn all(&self) -> impl Iterator<Item = (ClientClass, WorkloadId)> + '_ {
        self.examples.iter().enumerate().map(|(at, example)| (ClientClass(at as u32), *example))
    }
}

impl Profile {
    fn new(mesh: &Mesh, workload: &Workload, rules: Vec<ResourceId>) -> Self {
        let sender = match &workload.capture {
            Fact::Known(Capture::Sidecar | Capture::SidecarHbone | Capture::ProxylessGrpc, _) => {
                Sender::Sidecar
            }
            Fact::Known(Capture::Gateway, _) => Sender::Gateway,
            Fact::Known(Capture::Waypoint, _) => Sender::Waypoint(gateway(mesh, workload)),
            Fact::Known(Capture::Ambient, _) => Sender::Ztunnel,
            Fact::Known(Capture::None, _) => Sender::Application,
            Fact::Unknown(reason) => Sender::Unknown(reason.clone()),
        };
        let cluster = mesh.namespace(workload.namespace).cluster;
        let is_gateway = matches!(sender, Sender::Gateway | Sender::Waypoint(_));
        let outbound = match (&sender, &mesh.resource(workload.resource).spec) {
            (Sender::Sidecar, Spec::Workload(pods)) => {
                let annotations = pods.template.as_ref().map(|template| &template.annotations);
                Outbound::new(annotations, mesh.settings_of(cluster))
            }
            _ => Outbound::default(),
        };
        let scope = Scope { cluster, namespace: workload.namespace, sidecar: workload.sidecar, is_gateway };
        Profile { scope, sender, rules, outbound }
    }

    /// The proxy of a waypoint.
    pub(crate) fn of_waypoint(mesh: &Mesh, id: GatewayId) -> Self {
        let namespace = mesh.gateway(id).namespace;
        let cluster = mesh.namespace(namespace).cluster;
        Profile {
            scope: Scope { cluster, namespace, sidecar: None, is_gateway: true },
            sender: Sender::Waypoint(Some(id)),
            rules: Vec::new(),
            outbound: Outbound::default(),
        }
    }
}

/// The Gateway of the Gateway API that pods are made for.
fn gateway(mesh: &Mesh, workload: &Workload) -> Option<GatewayId> {
    let by_label = || mesh.gateway_named(workload.namespace, &workload.labels.get(GATEWAY_NAME)?.value);
    mesh.gateway_of(workload.resource).or_else(by_label)
}

/// Namespace and pairs of a selector.
type SelectorKey<'m> = (u32, Vec<(&'m str, &'m str)>);

fn same_selector(selecting: &[(u32, &TextMap, u32)]) -> HashMap<ResourceId, ResourceId, RandomState> {
    let mut first: HashMap<SelectorKey<'_>, ResourceId, RandomState> = HashMap::default();
    let mut same: HashMap<ResourceId, ResourceId, RandomState> = HashMap::default();
    for (namespace, labels, id) in selecting {
        let pairs = labels.entries.iter().map(|(key, value)| (key.value.as_str(), value.value.as_str()));
        let mut pairs: Vec<(&str, &str)> = pairs.collect();
        pairs.sort_unstable();
        let id = ResourceId(*id);
        same.insert(id, *first.entry((*namespace, pairs)).or_insert(id));
    }
    same
}
