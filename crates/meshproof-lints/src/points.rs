//! Where policies meet: each distinct list of policies with the proxy that has it.
//!
//! Workloads, the chains of waypoints, and, for policies that no pod of the input is subject to, whatever pods their
//! selectors are meant for: those have at least the policies of the namespace, of the root namespace, and of selectors
//! that ask for fewer labels (Istio 1.32, pilot/pkg/model/policyattachment.go).

use meshproof_authz::{
    Context as Chain, Engine, IdentityFlavour, Policy, context_of, gateway_context_of, policy_of,
    unknown_settings,
};
use meshproof_ir::{
    Attachment, Attachments, Called, Capture, ClusterId, EnforcementPoint, GatewayId, GatewayRole, Mesh,
    NamespaceId, ResourceId, Workload, WorkloadId,
};
use meshproof_resources::TextMap;

use crate::Context;
use crate::conflicting_rules::revision;
use crate::hash::{Map, Set};

/// More attachments than this are not looked at; what is said of their rules is then nothing.
const MOST_ATTACHED: usize = 3_000_000;

/// One of the places where a list of policies applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    /// The proxy of a workload.
    Workload(WorkloadId),
    /// Chains of a waypoint: those of a service, or those for calls to workloads.
    Waypoint(GatewayId, Option<Called>),
    /// Pods that the input does not have and that this policy is for.
    Selected(ResourceId),
}

/// What kind of proxy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Sidecar,
    Gateway,
    Waypoint,
    Ztunnel,
    Grpc,
}

/// Policies that meet, all of them in front of the same requests.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) spot: Spot,
    pub(crate) cluster: ClusterId,
    pub(crate) kind: Kind,
    /// Those that apply for certain, by namespace and name.
    pub(crate) policies: Vec<ResourceId>,
}

/// All points of a mesh.
#[derive(Debug, Default)]
pub(crate) struct Points {
    pub(crate) list: Vec<Point>,
    /// Policies of places that were not looked at, since there are too many.
    pub(crate) left_out: Set<ResourceId>,
}

type Key = (ClusterId, Kind, Vec<ResourceId>);

impl Points {
    pub(crate) fn new(ctx: &Context<'_>) -> Points {
        let order = Order::new(ctx);
        let mut finder = Finder { points: Points::default(), seen: Set::default(), attached: 0, order };
        let mut shared: Set<(ClusterId, Kind, [usize; 3])> = Set::default();
        for (id, workload) in ctx.mesh.workloads_with_ids() {
            let Some(kind) = kind_of(workload) else { continue };
            let cluster = ctx.mesh.namespace(workload.namespace).cluster;
            if kind != Kind::Waypoint && shared.insert((cluster, kind, workload.policies.sharing_key())) {
                finder.add(Spot::Workload(id), cluster, kind, &workload.policies);
            }
        }
        for (id, gateway) in ctx.mesh.gateways_with_ids() {
            if gateway.role != GatewayRole::Waypoint {
                continue;
            }
            let cluster = ctx.mesh.namespace(gateway.namespace).cluster;
            let direct = ctx.mesh.direct_policies(id);
            finder.add(Spot::Waypoint(id, None), cluster, Kind::Waypoint, &direct.authorization);
            for called in ctx.mesh.served_by(id).iter().copied().filter(|called| called.is_service()) {
                let policies = ctx.mesh.waypoint_policies(id, called);
                let spot = Spot::Waypoint(id, Some(called));
                finder.add(spot, cluster, Kind::Waypoint, &policies.authorization);
            }
        }
        finder.add_selected(ctx);
        finder.points
    }
}

struct Finder {
    points: Points,
    seen: Set<Key>,
    attached: usize,
    order: Order,
}

/// The policies by namespace and name, so that the order of documents and files changes nothing.
struct Order {
    /// Of each policy that exists: its place, and whether another object of its name comes before it and only one of them
    /// can exist.
    ranks: Map<ResourceId, (u32, bool)>,
}

impl Order {
    fn new(ctx: &Context<'_>) -> Order {
        let mut named: Vec<(Option<NamespaceId>, &str, ResourceId)> = ctx
            .mesh
            .authorization_policies()
            .filter(|(id, _)| !ctx.is_refused(*id))
            .map(|(id, _)| (ctx.namespace_of(id), ctx.resource(id).meta.name(), id))
            .collect();
        let namespace = |id: &Option<NamespaceId>| id.map(|id| ctx.namespace_name(id));
        named.sort_by(|a, b| (namespace(&a.0), a.1, a.2).cmp(&(namespace(&b.0), b.1, b.2)));
        let mut ranks = Map::default();
        for (at, (space, name, id)) in named.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|before| named.get(before));
            let is_copy =
                !name.is_empty() && before.is_some_and(|(of, other, _)| of == space && other == name);
            ranks.insert(*id, (at as u32, is_copy));
        }
        Order { ranks }
    }

    /// Sorted, and the copies for themselves.
    fn arranged(&self, mut policies: Vec<ResourceId>) -> (Vec<ResourceId>, Vec<ResourceId>) {
        let rank = |id: &ResourceId| self.ranks.get(id).copied().unwrap_or_default();
        policies.retain(|id| self.ranks.contains_key(id));
        policies.sort_by_key(rank);
        policies.into_iter().partition(|id| !rank(id).1)
    }
}

impl Finder {
    fn add(&mut self, spot: Spot, cluster: ClusterId, kind: Kind, attached: &Attachments) {
        if attached.is_empty() {
            return;
        }
        let (certain, doubtful): (Vec<&Attachment>, Vec<&Attachment>) =
            attached.iter().partition(|attachment| attachment.certain.is_ok());
        let certain = certain.into_iter().map(|attachment| attachment.policy).collect();
        self.push(spot, cluster, kind, certain);
        for attachment in doubtful {
            self.push(spot, cluster, kind, vec![attachment.policy]);
        }
    }

    /// Policies that only may apply stand alone, and so do copies, of which only one can exist: what is worthless among
    /// fewer policies is so among more.
    fn push(&mut self, spot: Spot, cluster: ClusterId, kind: Kind, policies: Vec<ResourceId>) {
        let (policies, copies) = self.order.arranged(policies);
        for copy in copies {
            self.push_one(spot, cluster, kind, vec![copy]);
        }
        self.push_one(spot, cluster, kind, policies);
    }

    fn push_one(&mut self, spot: Spot, cluster: ClusterId, kind: Kind, policies: Vec<ResourceId>) {
        self.attached += policies.len();
        if policies.is_empty() {
            return;
        }
        if self.attached > MOST_ATTACHED {
            self.points.left_out.extend(policies);
        } else if self.seen.insert((cluster, kind, policies.clone())) {
            self.points.list.push(Point { spot, cluster, kind, policies });
        }
    }

    /// Points for policies that apply nowhere in the input.
    fn add_selected(&mut self, ctx: &Context<'_>) {
        let found = self.points.list.iter().flat_map(|point| &point.policies);
        let applied: Set<ResourceId> = found.chain(&self.points.left_out).copied().collect();
        let index = SelectorIndex::new(ctx.mesh);
        let mut done: Set<Meant<'_>> = Set::default();
        for (id, spec) in ctx.mesh.authorization_policies() {
            let Some(namespace) = ctx.namespace_of(id) else { continue };
            let labels = spec.selector.as_ref().map(|selector| &selector.match_labels);
            // Pods outside of the mesh show that nothing enforces it.
            let has_pods = match labels {
                Some(labels) => ctx.labels.finds(ctx.mesh, namespace, labels),
                None => !ctx.mesh.namespace(namespace).workloads.is_empty(),
            };
            if applied.contains(&id) || !spec.target_refs.is_empty() || has_pods {
                continue;
            }
            let own = revision(&ctx.resource(id).meta);
            if !done.insert((namespace, own, labels.map(pairs).unwrap_or_default())) {
                continue;
            }
            let cluster = ctx.mesh.namespace(namespace).cluster;
            let mut policies = index.within(ctx.mesh, namespace, labels);
            policies.retain(|other| revision(&ctx.resource(*other).meta) == own);
            self.push(Spot::Selected(id), cluster, Kind::Sidecar, policies);
        }
    }
}

/// Pods that are not in the input: their namespace, the revision that reads the policies, the labels they are selected by.
type Meant<'m> = (NamespaceId, Option<&'m str>, Vec<(&'m str, &'m str)>);

/// Policies by what their selectors ask for.
struct SelectorIndex<'m> {
    everywhere: Map<NamespaceId, Vec<ResourceId>>,
    /// By the least of their labels.
    by_label: Map<(NamespaceId, (&'m str, &'m str)), Vec<ResourceId>>,
    roots: Map<ClusterId, NamespaceId>,
}

impl<'m> SelectorIndex<'m> {
    fn new(mesh: &'m Mesh) -> SelectorIndex<'m> {
        let mut index =
            SelectorIndex { everywhere: Map::default(), by_label: Map::default(), roots: Map::default() };
        for (id, spec) in mesh.authorization_policies() {
            let Some(namespace) = mesh.placement[id.index()].1.filter(|_| spec.target_refs.is_empty()) else {
                continue;
            };
            if mesh.is_root(namespace) {
                index.roots.insert(mesh.namespace(namespace).cluster, namespace);
            }
            let labels = spec.selector.as_ref().map(|selector| pairs(&selector.match_labels));
            match labels.unwrap_or_default().into_iter().min() {
                None => index.everywhere.entry(namespace).or_default().push(id),
                Some(pair) => index.by_label.entry((namespace, pair)).or_default().push(id),
            }
        }
        index
    }

    /// Policies that every pod has which these labels select.
    fn within(&self, mesh: &Mesh, namespace: NamespaceId, labels: Option<&TextMap>) -> Vec<ResourceId> {
        let root = self.roots.get(&mesh.namespace(namespace).cluster).copied();
        let mut found = Vec::new();
        for place in [Some(namespace), root.filter(|root| *root != namespace)].into_iter().flatten() {
            found.extend(self.everywhere.get(&place).into_iter().flatten());
            let Some(labels) = labels else { continue };
            let candidates = pairs(labels).into_iter().filter_map(|pair| self.by_label.get(&(place, pair)));
            found.extend(candidates.flatten().filter(|id| {
                let selector = mesh.policy(**id).and_then(|spec| spec.selector.as_ref());
                selector.is_some_and(|selector| selector.match_labels.is_subset_of(labels))
            }));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn pairs(labels: &TextMap) -> Vec<(&str, &str)> {
    let entries = labels.entries.iter();
    entries.map(|(key, value)| (key.value.as_str(), value.value.as_str())).collect()
}

fn kind_of(workload: &Workload) -> Option<Kind> {
    match (workload.enforcement_point(), workload.capture.known()) {
        (Some(EnforcementPoint::Sidecar), _) => Some(Kind::Sidecar),
        (Some(EnforcementPoint::Gateway), _) => Some(Kind::Gateway),
        (Some(EnforcementPoint::Waypoint), _) => Some(Kind::Waypoint),
        (Some(EnforcementPoint::Ztunnel), _) => Some(Kind::Ztunnel),
        (Some(EnforcementPoint::ProxylessGrpc), _) => Some(Kind::Grpc),
        (None, Some(Capture::None)) => None,
        // Not known: with a proxy it would most likely be this one.
        (None, _) => Some(Kind::Sidecar),
    }
}

impl Point {
    /// The chains whose policies these are.
    pub(crate) fn chains(&self, mesh: &Mesh) -> Vec<Chain> {
        let of = |engine| context_of(mesh, self.cluster, engine);
        match self.kind {
            Kind::Sidecar => vec![of(Engine::EnvoyHttp), of(Engine::EnvoyTcp)],
            Kind::Gateway => [Engine::EnvoyHttp, Engine::EnvoyTcp]
                .map(|engine| gateway_context_of(mesh, self.cluster, engine))
                .into(),
            Kind::Waypoint => [Engine::EnvoyHttp, Engine::EnvoyTcp]
                .map(|engine| Chain { identity: IdentityFlavour::FilterState, ..of(engine) })
                .into(),
            Kind::Ztunnel => vec![of(Engine::Ztunnel)],
            Kind::Grpc => vec![of(Engine::Grpc)],
        }
    }

    /// The policies that apply for certain, as the evaluator takes them.
    pub(crate) fn read<'m>(&self, mesh: &'m Mesh) -> Vec<Policy<'m>> {
        self.policies.iter().filter_map(|id| policy_of(mesh, *id)).collect()
    }

    /// Whether a setting on which decisions depend is not known.
    pub(crate) fn is_unsettled(&self, mesh: &Mesh) -> bool {
        unknown_settings(mesh.settings_of(self.cluster)).next().is_some()
    }

    /// For people.
    pub(crate) fn name(&self, ctx: &Context<'_>) -> String {
        match self.spot {
            Spot::Workload(id) => ctx.workload_name(ctx.mesh.workload(id)),
            Spot::Waypoint(id, _) => format!("waypoint {}", ctx.mesh.gateway_display(id)),
            Spot::Selected(id) => format!("the pods of {}", ctx.resource(id).meta.name()),
        }
    }
}
