//! The PeerAuthentication mode in force (mutual-TLS reference §1; Istio 1.32, security/authn/policy_applier.go
//! `ComposePeerAuthentication`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;
use meshproof_resources::{MtlsMode, PeerAuthentication, Resource, Spec, TextMap};
use meshproof_source::Span;

use crate::age::{sort_by_age, sort_classes_by_age};
use crate::ambient::AmbientPeerAuthentication;
use crate::doubts::{Doubts, REVISION, revision_of};
use crate::labels::{LabelSet, SelectorIndex};
use crate::placement::Placement;
use crate::scopes::Scopes;
use crate::{ClusterId, EffectiveMode, Fact, Namespace, NamespaceId, Origin, ResourceId};

/// How many losing or undecidable objects are listed per scope; one is enough for every conclusion.
const LISTED: usize = 32;

/// PeerAuthentications by scope, each list the oldest first.
pub(crate) struct PeerAuthentications<'a> {
    resources: &'a [Resource],
    places: &'a [(ClusterId, Option<NamespaceId>)],
    mesh: HashMap<ClusterId, Vec<ResourceId>, RandomState>,
    namespace: HashMap<NamespaceId, Vec<ResourceId>, RandomState>,
    workload: SelectorIndex<'a>,
    /// Objects of a namespace whose name is not known; they may stand anywhere.
    floating: Undecided<'a>,
    /// Objects of named namespaces, any of which may be the one of pods whose namespace is not known.
    named: Undecided<'a>,
    /// Objects that may be in force where they stand.
    doubtful: Doubtful<'a>,
    doubts: &'a Doubts,
    namespaces: &'a [Namespace],
}

/// Objects that may decide, by cluster.
#[derive(Default)]
struct Undecided<'a> {
    selecting: SelectorIndex<'a>,
    everywhere: HashMap<ClusterId, Vec<ResourceId>, RandomState>,
}

/// Objects that select by labels which templates need not show, or are for control planes of one revision.
#[derive(Default)]
struct Doubtful<'a> {
    mesh: HashMap<ClusterId, Vec<ResourceId>, RandomState>,
    namespace: HashMap<NamespaceId, Vec<ResourceId>, RandomState>,
    /// Those that select workloads, by what templates show of the selector.
    workload: SelectorIndex<'a>,
    /// And those of which templates show nothing.
    any_workload: HashMap<NamespaceId, Vec<ResourceId>, RandomState>,
}

/// What is in force at one workload.
pub(crate) struct InForce {
    pub(crate) mode: EffectiveMode,
    /// Ports with an entry of their own, and what is in force there.
    pub(crate) ports: BTreeMap<u16, EffectiveMode>,
}

/// The scopes over one workload, the most specific first.
struct Levels {
    lists: [Vec<ResourceId>; 3],
}

impl<'a> PeerAuthentications<'a> {
    pub(crate) fn new(
        resources: &'a [Resource],
        placement: &'a Placement,
        scopes: &Scopes,
        doubts: &'a Doubts,
    ) -> Self {
        let mut tables = PeerAuthentications {
            resources,
            places: &placement.places,
            mesh: HashMap::default(),
            namespace: HashMap::default(),
            workload: SelectorIndex::default(),
            floating: Undecided::default(),
            named: Undecided::default(),
            doubtful: Doubtful::default(),
            doubts,
            namespaces: &placement.namespaces,
        };
        let mut partial = Vec::new();
        let (mut selecting, mut floating, mut named) = (Vec::new(), Vec::new(), Vec::new());
        let ids = &placement.kinds.peer_authentications;
        for (id, cluster, namespace, resource) in placement.placed(ids, resources) {
            let Spec::PeerAuthentication(policy) = &resource.spec else { continue };
            if !scopes.is_discovered(namespace) {
                continue;
            }
            let selector = policy.selector.as_ref().filter(|_| policy.selects_workloads());
            let root = scopes.is_root(namespace);
            let asked = selector.map(|selector| doubts.asked(id, &selector.match_labels));
            let doubtful = &mut tables.doubtful;
            match asked {
                Some(_) if root => {}
                Some(asked) if doubts.reason(id).is_none() => selecting.push((namespace.0, asked, id.0)),
                Some(asked) if asked.is_empty() => {
                    doubtful.any_workload.entry(namespace).or_default().push(id)
                }
                Some(asked) => partial.push((namespace.0, asked, id.0)),
                None if doubts.reason(id).is_some() && root => {
                    doubtful.mesh.entry(cluster).or_default().push(id)
                }
                None if doubts.reason(id).is_some() => {
                    doubtful.namespace.entry(namespace).or_default().push(id);
                }
                None if root => tables.mesh.entry(cluster).or_default().push(id),
                None => tables.namespace.entry(namespace).or_default().push(id),
            }
            let undecided = (cluster, asked, id);
            if scopes.is_unnamed(namespace) {
                floating.push(undecided);
            } else if !root {
                named.push(undecided);
            }
        }
        tables.workload = SelectorIndex::new(selecting.into_iter());
        sort_classes_by_age(&mut tables.workload, resources);
        tables.doubtful.workload = SelectorIndex::new(partial.into_iter());
        tables.floating = tables.undecided(floating);
        if placement.namespaces.iter().any(|namespace| namespace.name.is_none()) {
            tables.named = tables.undecided(named);
        }
        for list in tables.mesh.values_mut().chain(tables.namespace.values_mut()) {
            sort_by_age(list, resources);
        }
        tables
    }

    fn undecided(&self, mut objects: Vec<(ClusterId, Option<&'a TextMap>, ResourceId)>) -> Undecided<'a> {
        objects.sort_by_key(|(_, _, id)| (self.resources[id.index()].meta.name(), *id));
        let mut everywhere: HashMap<ClusterId, Vec<ResourceId>, RandomState> = HashMap::default();
        for (cluster, _, id) in objects.iter().filter(|(_, selector, _)| selector.is_none()) {
            note_distinct(everywhere.entry(*cluster).or_default(), *id, self.resources, self.places);
        }
        let selecting =
            objects.iter().filter_map(|(cluster, selector, id)| Some((cluster.0, (*selector)?, id.0)));
        Undecided { selecting: SelectorIndex::new(selecting), everywhere }
    }

    /// What is in force at pods with `labels` in `namespace`; counts selectors tried in `tried`.
    pub(crate) fn in_force(
        &self,
        (cluster, namespace): (ClusterId, NamespaceId),
        scopes: &Scopes,
        labels: &LabelSet<'a>,
        tried: &mut u64,
    ) -> InForce {
        let mut levels = self.levels(cluster, namespace, scopes, labels, tried);
        let doubtful = self.doubtful_levels((cluster, namespace), scopes, labels, &mut levels, tried);
        let mode = self.decide(&levels);
        let ports = self.port_entries(&levels, &mode);
        let mut in_force = InForce { mode, ports };
        let place = (cluster, namespace);
        self.doubt_levels(&mut in_force, &doubtful, &levels);
        self.doubt(&mut in_force, &self.floating, place, &levels, labels, tried);
        if scopes.is_unnamed(namespace) {
            self.doubt(&mut in_force, &self.named, place, &levels, labels, tried);
        }
        if let Some(doubt) = scopes.root_doubt(cluster) {
            doubt_root(&mut in_force, &levels, doubt);
        }
        in_force
    }

    /// ztunnel's view of the same objects, for pods it captures.
    pub(crate) fn ambient(
        &self,
        (cluster, namespace): (ClusterId, NamespaceId),
        scopes: &Scopes,
        labels: &LabelSet<'a>,
    ) -> AmbientPeerAuthentication {
        let mut levels = self.levels(cluster, namespace, scopes, labels, &mut 0);
        self.doubtful_levels((cluster, namespace), scopes, labels, &mut levels, &mut 0);
        let [workload, of_namespace, mesh] = &levels.lists;
        let without_selector = |list: &[ResourceId]| {
            list.iter().filter_map(|id| self.policy(*id)).find(|policy| policy.selector.is_none())
        };
        let oldest = |list: &[ResourceId]| list.first().and_then(|id| self.policy(*id));
        let in_root = scopes.is_root(namespace);
        AmbientPeerAuthentication::new(crate::ambient::Stack {
            mesh: if in_root { oldest(mesh) } else { without_selector(mesh) },
            mesh_converting: without_selector(mesh),
            namespace: oldest(of_namespace),
            namespace_converting: without_selector(of_namespace),
            workload: workload.first().and_then(|id| self.policy(*id).map(|policy| (*id, policy))),
        })
    }

    fn levels(
        &self,
        cluster: ClusterId,
        namespace: NamespaceId,
        scopes: &Scopes,
        labels: &LabelSet<'a>,
        tried: &mut u64,
    ) -> Levels {
        let copy = |list: Option<&Vec<ResourceId>>| -> Vec<ResourceId> {
            list.map_or_else(Vec::new, |list| list.iter().take(LISTED + 1).copied().collect())
        };
        let mesh = copy(self.mesh.get(&cluster));
        if scopes.is_root(namespace) {
            return Levels { lists: [Vec::new(), Vec::new(), mesh] };
        }
        let found = self.workload.members_matching(namespace.0, labels, LISTED + 1, tried);
        let mut workload: Vec<ResourceId> = found.into_iter().map(ResourceId).collect();
        sort_by_age(&mut workload, self.resources);
        workload.truncate(LISTED + 1);
        Levels { lists: [workload, copy(self.namespace.get(&namespace)), mesh] }
    }

    /// Objects that may be in force, by level; those that the labels of pods and namespace settle are left out or join
    /// `levels`.
    fn doubtful_levels(
        &self,
        (cluster, namespace): (ClusterId, NamespaceId),
        scopes: &Scopes,
        labels: &LabelSet<'a>,
        levels: &mut Levels,
        tried: &mut u64,
    ) -> Levels {
        let doubtful = &self.doubtful;
        let copy = |list: Option<&Vec<ResourceId>>| -> Vec<ResourceId> {
            list.map_or_else(Vec::new, |list| list.iter().take(LISTED).copied().collect())
        };
        let mut found = Levels { lists: [Vec::new(), Vec::new(), copy(doubtful.mesh.get(&cluster))] };
        if !scopes.is_root(namespace) {
            found.lists[0] = copy(doubtful.any_workload.get(&namespace));
            let selecting = doubtful.workload.members_matching(namespace.0, labels, LISTED, tried);
            found.lists[0].extend(selecting.into_iter().map(ResourceId));
            found.lists[1] = copy(doubtful.namespace.get(&namespace));
        }
        if found.lists.iter().all(Vec::is_empty) {
            return found;
        }
        let revision = revision_of(&self.namespaces[namespace.index()], labels.get(REVISION));
        for (level, list) in found.lists.iter_mut().enumerate() {
            let before = levels.lists[level].len();
            list.retain(|id| {
                let settled =
                    self.doubts.settled(*id, &self.resources[id.index()], labels.written(), revision);
                if settled == Some(true) {
                    levels.lists[level].push(*id);
                }
                settled.is_none()
            });
            if levels.lists[level].len() > before {
                sort_by_age(&mut levels.lists[level], self.resources);
            }
        }
        found
    }

    /// Takes back what objects that may be in force could change: those of the level that decided, and above.
    fn doubt_levels(&self, in_force: &mut InForce, doubtful: &Levels, levels: &Levels) {
        if doubtful.lists.iter().all(Vec::is_empty) {
            return;
        }
        let decided = in_force.mode.clone();
        let decides = |list: &Vec<ResourceId>| list.first().is_some_and(|id| decided.decided_by == Some(*id));
        let deciding = levels.lists.iter().position(decides).unwrap_or(levels.lists.len());
        for id in doubtful.lists.iter().take(deciding + 1).flatten() {
            self.doubt_mode(&mut in_force.mode, &decided, *id);
        }
        for id in &doubtful.lists[0] {
            self.doubt_ports(in_force, &decided, *id);
        }
        share_doubt(&in_force.mode, &mut in_force.ports);
    }

    fn policy(&self, id: ResourceId) -> Option<&'a PeerAuthentication> {
        match &self.resources[id.index()].spec {
            Spec::PeerAuthentication(policy) => Some(policy),
            _ => None,
        }
    }

    fn decide(&self, levels: &Levels) -> EffectiveMode {
        let mut shadowed = Vec::new();
        for (level, list) in levels.lists.iter().enumerate() {
            let Some((winner, losers)) = list.split_first() else { continue };
            shadowed.extend_from_slice(losers);
            if let Some((mode, span)) = self.policy(*winner).and_then(explicit) {
                let origin = if level == 0 { Origin::Written(span) } else { Origin::Inherited(span) };
                return EffectiveMode {
                    mode: Fact::Known(mode, origin),
                    decided_by: Some(*winner),
                    shadowed,
                };
            }
        }
        EffectiveMode { mode: Fact::Known(MtlsMode::Permissive, Origin::Default), decided_by: None, shadowed }
    }

    fn port_entries(&self, levels: &Levels, mode: &EffectiveMode) -> BTreeMap<u16, EffectiveMode> {
        let Some((winner, losers)) = levels.lists[0].split_first() else { return BTreeMap::new() };
        let Some(policy) = self.policy(*winner) else { return BTreeMap::new() };
        let entry =
            |(port, entry): &(meshproof_source::Spanned<u16>, meshproof_source::Spanned<MtlsMode>)| {
                let effective = match entry.value {
                    MtlsMode::Unset => inherited(mode),
                    value => EffectiveMode {
                        mode: Fact::Known(value, Origin::Written(entry.span)),
                        decided_by: Some(*winner),
                        shadowed: losers.to_vec(),
                    },
                };
                (port.value, effective)
            };
        policy.port_level.iter().map(entry).collect()
    }

    /// Takes back what an object of a namespace with an unknown name could change.
    fn doubt(
        &self,
        in_force: &mut InForce,
        undecided: &Undecided<'a>,
        (cluster, namespace): (ClusterId, NamespaceId),
        levels: &Levels,
        labels: &LabelSet<'a>,
        tried: &mut u64,
    ) {
        let elsewhere = |id: &ResourceId| self.places[id.index()].1 != Some(namespace);
        let decided = in_force.mode.clone();
        let by_workload = levels.lists[0].first().is_some_and(|id| decided.decided_by == Some(*id));
        let everywhere = undecided.everywhere.get(&cluster).into_iter().flatten().filter(|id| elsewhere(id));
        if !by_workload {
            for id in everywhere {
                self.doubt_mode(&mut in_force.mode, &decided, *id);
            }
        }
        let mut found = undecided.selecting.members_matching(cluster.0, labels, LISTED, tried);
        found.sort_by_key(|id| (self.resources[*id as usize].meta.name(), *id));
        for id in found.into_iter().map(ResourceId).filter(elsewhere) {
            self.doubt_mode(&mut in_force.mode, &decided, id);
            self.doubt_ports(in_force, &decided, id);
        }
        share_doubt(&in_force.mode, &mut in_force.ports);
    }

    /// Takes back the modes of ports that an object selecting the workload would change.
    fn doubt_ports(&self, in_force: &mut InForce, decided: &EffectiveMode, id: ResourceId) {
        let Some(policy) = self.policy(id) else { return };
        let own = policy.port_level.iter().map(|(port, _)| port.value);
        let concerned: BTreeSet<u16> = own.chain(in_force.ports.keys().copied()).collect();
        for port in concerned {
            let now = in_force.ports.get(&port).cloned().unwrap_or_else(|| inherited(decided));
            let entry = policy.port_level.iter().find(|(number, _)| number.value == port);
            let other = entry.map(|(_, mode)| mode.value).filter(|mode| *mode != MtlsMode::Unset);
            let other =
                other.or_else(|| explicit(policy).map(|(mode, _)| mode)).or(decided.mode.known().copied());
            if now.mode.known().copied() != other {
                let mode = Fact::Unknown(self.open_reason(id));
                in_force.ports.insert(port, EffectiveMode { mode, ..now });
            }
        }
    }

    fn doubt_mode(&self, mode: &mut EffectiveMode, decided: &EffectiveMode, id: ResourceId) {
        let changes = match self.policy(id).and_then(explicit) {
            Some((other, _)) => !decided.mode.is(&other),
            None => decided.decided_by.is_some(),
        };
        if changes && mode.mode.known().is_some() {
            mode.mode = Fact::Unknown(self.open_reason(id));
        }
    }

    fn open_reason(&self, id: ResourceId) -> String {
        if let Some(reason) = self.doubts.reason(id) {
            return format!("{reason}, and it could decide here");
        }
        let name = self.resources[id.index()].meta.name();
        match &self.resources[id.index()].meta.namespace {
            Some(namespace) => format!(
                "the namespace of the workload is not known; in {}, PeerAuthentication {name} could decide",
                namespace.value
            ),
            None => {
                format!("the namespace of PeerAuthentication {name} is not known, and it could decide here")
            }
        }
    }
}

/// Entries that inherit share the doubt about the mode of the workload.
fn share_doubt(mode: &EffectiveMode, ports: &mut BTreeMap<u16, EffectiveMode>) {
    if let Fact::Unknown(reason) = &mode.mode {
        let inherits = |mode: &&mut EffectiveMode| !matches!(mode.mode, Fact::Known(_, Origin::Written(_)));
        for mode in ports.values_mut().filter(inherits) {
            mode.mode = Fact::Unknown(reason.clone());
        }
    }
}

/// Without a known root namespace there is no knowing the mesh-wide mode; what the namespace or the workload says
/// stands.
fn doubt_root(in_force: &mut InForce, levels: &Levels, doubt: &str) {
    let mode = &mut in_force.mode;
    let local =
        levels.lists[..2].iter().any(|list| list.first().is_some_and(|id| mode.decided_by == Some(*id)));
    if !local && mode.mode.known().is_some() {
        mode.mode = Fact::Unknown(doubt.to_owned());
    }
    share_doubt(mode, &mut in_force.ports);
}

/// Keeps at most two objects per mode, from two namespaces: more cannot change any conclusion.
fn note_distinct(
    list: &mut Vec<ResourceId>,
    id: ResourceId,
    resources: &[Resource],
    places: &[(ClusterId, Option<NamespaceId>)],
) {
    let mode = |id: ResourceId| match &resources[id.index()].spec {
        Spec::PeerAuthentication(policy) => explicit(policy).map(|(mode, _)| mode),
        _ => None,
    };
    let same = || list.iter().filter(|other| mode(**other) == mode(id));
    let same_place = same().any(|other| places[other.index()].1 == places[id.index()].1);
    if same().count() < 2 && !same_place {
        list.push(id);
    }
}

/// The mode that an object sets for its scope, unless it says to inherit.
fn explicit(policy: &PeerAuthentication) -> Option<(MtlsMode, Span)> {
    let mode = policy.mode.as_ref().filter(|mode| mode.value != MtlsMode::Unset)?;
    Some((mode.value, mode.span))
}

/// The mode of a workload as its ports see it: written one level up.
pub(crate) fn inherited(mode: &EffectiveMode) -> EffectiveMode {
    let mut mode = mode.clone();
    if let Fact::Known(_, origin) = &mut mode.mode
        && let Origin::Written(span) = *origin
    {
        *origin = Origin::Inherited(span);
    }
    mode
}
