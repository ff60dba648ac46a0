//! Everybody who may call, in classes.

use std::collections::{BTreeMap, HashMap, HashSet};

use foldhash::fast::RandomState;
use meshproof_ir::{ClusterId, Identity, NamespaceId, WorkloadId};

use super::imports::View;
use crate::clients::{ClientClass, Profile, Sender};
use crate::outbound::Outbound;
use crate::{Client, Transport};

/// Whose calls are of interest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Callers<'q> {
    /// Every workload, and somebody without a proxy.
    Everybody,
    /// These workloads.
    Workloads(&'q [WorkloadId]),
    /// Somebody without a proxy.
    Plaintext,
    /// Whoever proves this identity.
    Identity(&'q Identity),
}

/// How clients send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientKind {
    /// Through a sidecar, or as proxyless gRPC.
    Sidecar,
    /// Through ztunnel.
    Ambient,
    /// They are gateways.
    Gateway,
    /// They are waypoints.
    Waypoint,
    /// By themselves.
    NoProxy,
    /// Somehow; the input does not tell whether a proxy is there.
    Unknown,
    /// As the server wants it: only their identity is known.
    Identity,
}

impl ClientKind {
    /// What so many of them are called (`sidecar workloads`).
    pub fn noun(self, count: usize) -> &'static str {
        let one = count == 1;
        match self {
            ClientKind::Sidecar if one => "sidecar workload",
            ClientKind::Sidecar => "sidecar workloads",
            ClientKind::Ambient if one => "ambient workload",
            ClientKind::Ambient => "ambient workloads",
            ClientKind::Gateway if one => "gateway",
            ClientKind::Gateway => "gateways",
            ClientKind::Waypoint if one => "waypoint",
            ClientKind::Waypoint => "waypoints",
            ClientKind::NoProxy if one => "workload without a proxy",
            ClientKind::NoProxy => "workloads without a proxy",
            ClientKind::Unknown if one => "workload that may have a proxy",
            ClientKind::Unknown => "workloads that may have a proxy",
            ClientKind::Identity => "clients of that identity",
        }
    }
}

/// Clients that no host tells apart, unless by namespace or by what their Sidecar objects import from somewhere.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) cluster: ClusterId,
    pub(super) kind: ClientKind,
    /// All its parts, in order.
    pub(super) parts: Vec<u32>,
    by_class: HashMap<ClientClass, Vec<u32>, RandomState>,
    by_namespace: BTreeMap<NamespaceId, Vec<ClientClass>>,
    /// Nothing tells its clients apart.
    pub(super) is_whole: bool,
    /// Its clients have Sidecar objects.
    pub(super) is_scoped: bool,
    /// Somebody who is no workload is one of them.
    pub(super) outsider: bool,
    workloads: usize,
}

/// Clients that no host tells apart.
#[derive(Clone, Debug)]
pub struct Part {
    /// In the order of the mesh; at least one.
    pub workloads: Vec<WorkloadId>,
    kind: u32,
}

/// A part of the roster; the number means nothing beyond equality and order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartId(u32);

/// Everybody who may call.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    parts: Vec<Part>,
    pub(super) kinds: Vec<Kind>,
}

/// Some of the roster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientSet {
    /// By kind, sorted.
    pub(super) members: Vec<Members>,
}

/// Some clients of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Members {
    pub(super) kind: u32,
    /// All parts but those that are named; or those alone.
    pub(super) all_but: bool,
    /// Sorted.
    pub(super) parts: Vec<u32>,
    /// Somebody who is no workload is one of them.
    pub(super) outsider: bool,
}

/// What makes a kind.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    cluster: ClusterId,
    kind: ClientKind,
    outbound: Outbound,
    /// What its Sidecar objects say to hosts of every namespace.
    view: Option<View>,
    /// The class, where more than that tells its clients apart from others.
    own: Option<ClientClass>,
}

impl Roster {
    pub(super) fn new(
        transport: &Transport<'_>,
        callers: &Callers<'_>,
        refine: impl Fn(WorkloadId) -> u32,
    ) -> Self {
        let mut building =
            Building { roster: Roster::default(), kinds: HashMap::default(), parts: HashMap::default() };
        let mesh = transport.mesh();
        let everybody: Vec<WorkloadId>;
        let workloads = match callers {
            Callers::Workloads(ids) => *ids,
            Callers::Everybody => {
                everybody = mesh.workloads_with_ids().map(|(id, _)| id).collect();
                &everybody
            }
            Callers::Plaintext | Callers::Identity(_) => &[],
        };
        for id in workloads {
            building.add(transport, *id, refine(*id));
        }
        let outsider = match callers {
            Callers::Workloads(_) => None,
            Callers::Everybody | Callers::Plaintext => Some(ClientKind::NoProxy),
            Callers::Identity(_) => Some(ClientKind::Identity),
        };
        if let Some(kind) = outsider {
            for cluster in (0..mesh.clusters.len() as u32).map(ClusterId) {
                let key = Key { cluster, kind, outbound: Outbound::default(), view: None, own: None };
                let at = building.kind(key);
                building.roster.kinds[at as usize].outsider = true;
            }
        }
        building.roster
    }

    /// A part by its number, which is below [`Roster::part_count`].
    pub fn part(&self, at: u32) -> &Part {
        &self.parts[at as usize]
    }

    /// How many parts there are.
    pub fn part_count(&self) -> usize {
        self.parts.len()
    }

    /// The parts of a set, with the kind of each.
    pub fn parts<'r>(&'r self, set: &'r ClientSet) -> impl Iterator<Item = (ClientKind, &'r Part)> {
        self.part_numbers(set).map(|(kind, at)| (kind, self.part(at)))
    }

    /// The numbers of the parts of a set, with the kind of each.
    pub fn part_numbers<'r>(&'r self, set: &'r ClientSet) -> impl Iterator<Item = (ClientKind, u32)> {
        set.members.iter().flat_map(move |members| {
            let kind = self.kinds[members.kind as usize].kind;
            self.parts_of(members).map(move |at| (kind, at))
        })
    }

    /// The kinds of a set, with the number of workloads of each; in order, each but once.
    pub fn kinds(&self, set: &ClientSet) -> BTreeMap<ClientKind, usize> {
        let mut kinds = BTreeMap::new();
        for members in &set.members {
            let kind = &self.kinds[members.kind as usize];
            let named: usize = members.parts.iter().map(|at| self.part(*at).workloads.len()).sum();
            let count = if members.all_but { kind.workloads - named } else { named };
            *kinds.entry(kind.kind).or_insert(0) += count;
        }
        kinds
    }

    /// Whether somebody who is no workload is in a set: somebody without a proxy, or who is known by identity alone.
    pub fn has_outsider(&self, set: &ClientSet) -> bool {
        set.members.iter().any(|members| members.outsider)
    }

    /// Somebody of a set who can be asked for all of them.
    pub(super) fn asker<'q>(&self, members: &Members, callers: &Callers<'q>) -> Option<Client<'q>> {
        if members.outsider {
            let cluster = self.kinds[members.kind as usize].cluster;
            return match callers {
                Callers::Identity(identity) => Some(Client::Identity(cluster, identity)),
                _ => Some(Client::Plaintext(cluster)),
            };
        }
        let first = self.parts_of(members).next();
        first.and_then(|at| self.part(at).workloads.first()).map(|id| Client::Workload(*id))
    }

    /// The clients of a kind as a host sees them, to which these namespaces (sorted) may be others than the rest, and so
    /// may the clients of these classes, those of each list alike.
    pub(super) fn seen_by(
        &self,
        at: u32,
        told_apart: &[NamespaceId],
        importers: &[Vec<ClientClass>],
    ) -> Vec<Members> {
        let kind = &self.kinds[at as usize];
        if kind.is_whole {
            return vec![self.everybody(at)];
        }
        let of_class = |class: &ClientClass| kind.by_class.get(class);
        let mut seen: Vec<Members> = Vec::new();
        let mut apart: HashSet<ClientClass, RandomState> = HashSet::default();
        for class in told_apart.iter().filter_map(|namespace| kind.by_namespace.get(namespace)).flatten() {
            apart.insert(*class);
            seen.extend(of_class(class).map(|parts| Members::of_parts(at, parts.clone())));
        }
        for classes in importers.iter().filter(|_| kind.is_scoped) {
            let left = classes.iter().filter(|class| !apart.contains(class));
            let mut parts: Vec<u32> = left.filter_map(of_class).flatten().copied().collect();
            if !parts.is_empty() {
                parts.sort_unstable();
                seen.push(Members::of_parts(at, parts));
            }
        }
        let mut named: Vec<u32> = seen.iter().flat_map(|members| &members.parts).copied().collect();
        named.sort_unstable();
        if named.len() < kind.parts.len() || kind.outsider {
            seen.push(Members { parts: named, ..self.everybody(at) });
        }
        seen
    }

    /// Everybody of a kind.
    pub(super) fn everybody(&self, kind: u32) -> Members {
        let outsider = self.kinds[kind as usize].outsider;
        Members { kind, all_but: true, parts: Vec::new(), outsider }
    }

    /// Every part with its number.
    pub fn all_parts(&self) -> impl Iterator<Item = (PartId, &Part)> {
        self.parts.iter().enumerate().map(|(at, part)| (PartId(at as u32), part))
    }

    /// Whether a part is in a set.
    pub fn contains(&self, set: &ClientSet, PartId(at): PartId) -> bool {
        let kind = self.part(at).kind;
        let of_kind = set.members.binary_search_by_key(&kind, |members| members.kind).ok();
        of_kind.is_some_and(|of_kind| {
            let members = &set.members[of_kind];
            members.parts.binary_search(&at).is_ok() != members.all_but
        })
    }

    /// The workloads of a set without some parts (sorted), by kind: the cluster, somebody of them, and all of them.
    pub fn rest<'r>(
        &'r self,
        set: &'r ClientSet,
        without: &'r [PartId],
    ) -> impl Iterator<Item = (ClusterId, WorkloadId, ClientSet)> + 'r {
        set.members.iter().filter_map(move |members| {
            let kind = members.kind;
            let is_left = |at: &u32| without.binary_search(&PartId(*at)).is_err();
            let of_kind = || without.iter().map(|part| part.0).filter(|at| self.part(*at).kind == kind);
            let mut parts: Vec<u32> = match members.all_but {
                true => members.parts.iter().copied().chain(of_kind()).collect(),
                false => members.parts.iter().copied().filter(is_left).collect(),
            };
            parts.sort_unstable();
            parts.dedup();
            let left = Members { kind, all_but: members.all_but, parts, outsider: false };
            let first = self.parts_of(&left).next()?;
            let first = *self.part(first).workloads.first()?;
            let cluster = self.kinds[kind as usize].cluster;
            Some((cluster, first, ClientSet { members: vec![left] }))
        })
    }

    /// Some parts as a set.
    pub fn set_of(&self, parts: &[PartId]) -> ClientSet {
        let mut by_kind: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for PartId(at) in parts {
            by_kind.entry(self.part(*at).kind).or_default().push(*at);
        }
        let members = by_kind.into_iter().map(|(kind, mut parts)| {
            parts.sort_unstable();
            Members::of_parts(kind, parts)
        });
        ClientSet { members: members.collect() }
    }

    /// The outsiders of a set.
    pub fn outsiders(&self, set: &ClientSet) -> ClientSet {
        let members = set.members.iter().filter(|members| members.outsider);
        let alone =
            |members: &Members| Members { outsider: true, ..Members::of_parts(members.kind, Vec::new()) };
        ClientSet { members: members.map(alone).collect() }
    }

    /// Whether clients follow more than one Sidecar object.
    pub(super) fn follows_several(&self, transport: &Transport<'_>, members: &Members) -> bool {
        if !self.kinds[members.kind as usize].is_scoped {
            return false;
        }
        let first_of = |at: u32| self.part(at).workloads.first();
        let mut sidecars = self
            .parts_of(members)
            .filter_map(|at| Some(transport.clients.profile(*first_of(at)?).scope.sidecar));
        let first = sidecars.next();
        sidecars.any(|other| Some(other) != first)
    }

    /// The classes whose clients have Sidecar objects, with one client of each.
    pub(super) fn scoped(&self) -> impl Iterator<Item = (ClientClass, WorkloadId)> + '_ {
        let classes = self.kinds.iter().filter(|kind| kind.is_scoped).flat_map(|kind| &kind.by_class);
        classes.filter_map(|(class, parts)| {
            let first = parts.first().and_then(|at| self.part(*at).workloads.first());
            first.map(|id| (*class, *id))
        })
    }

    /// The parts of members, by number.
    fn parts_of<'r>(&'r self, members: &'r Members) -> impl Iterator<Item = u32> + 'r {
        let (all, named) = match members.all_but {
            true => (self.kinds[members.kind as usize].parts.as_slice(), members.parts.as_slice()),
            false => (members.parts.as_slice(), &[][..]),
        };
        all.iter().filter(|at| named.binary_search(at).is_err()).copied()
    }
}

impl Members {
    fn of_parts(kind: u32, parts: Vec<u32>) -> Members {
        Members { kind, all_but: false, parts, outsider: false }
    }
}

impl ClientSet {
    /// Adds the clients of another set, none of which is in this one.
    pub fn join(&mut self, more: ClientSet) {
        more.members.into_iter().for_each(|members| self.add(members));
    }

    /// Adds clients that are not in the set yet.
    pub(super) fn add(&mut self, more: Members) {
        let at = self.members.partition_point(|own| own.kind < more.kind);
        let Some(own) = self.members.get_mut(at).filter(|own| own.kind == more.kind) else {
            self.members.insert(at, more);
            return;
        };
        own.outsider |= more.outsider;
        let (but, named) = match (own.all_but, more.all_but) {
            (false, false) => {
                own.parts.extend(more.parts);
                own.parts.sort_unstable();
                return;
            }
            (true, _) => (&own.parts, &more.parts),
            (false, true) => (&more.parts, &own.parts),
        };
        let left = but.iter().filter(|at| named.binary_search(at).is_err()).copied().collect();
        *own = Members { kind: own.kind, all_but: true, parts: left, outsider: own.outsider };
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = u32> {
        self.members.iter().map(|members| members.kind)
    }
}

struct Building {
    roster: Roster,
    kinds: HashMap<Key, u32, RandomState>,
    parts: HashMap<(u32, ClientClass, u32), u32, RandomState>,
}

impl Building {
    fn add(&mut self, transport: &Transport<'_>, id: WorkloadId, refined: u32) {
        let profile = transport.clients.profile(id);
        let class = transport.client_class(id);
        let kind = self.kind(key(transport, profile, class));
        let namespace = profile.scope.namespace;
        let next = self.roster.parts.len() as u32;
        let part = *self.parts.entry((kind, class, refined)).or_insert(next);
        let of_kind = &mut self.roster.kinds[kind as usize];
        of_kind.workloads += 1;
        if part == next {
            of_kind.parts.push(part);
            let of_class = of_kind.by_class.entry(class).or_default();
            if of_class.is_empty() {
                of_kind.by_namespace.entry(namespace).or_default().push(class);
            }
            of_class.push(part);
            self.roster.parts.push(Part { workloads: Vec::new(), kind });
        }
        self.roster.parts[part as usize].workloads.push(id);
    }

    fn kind(&mut self, key: Key) -> u32 {
        let next = self.roster.kinds.len() as u32;
        let (cluster, kind) = (key.cluster, key.kind);
        // Nothing is known of what sends for them, so no host makes a difference either.
        let is_whole = key.own.is_some() || kind == ClientKind::Unknown;
        let is_scoped = key.view.is_some();
        *self.kinds.entry(key).or_insert_with(|| {
            self.roster.kinds.push(Kind {
                cluster,
                kind,
                parts: Vec::new(),
                by_class: HashMap::default(),
                by_namespace: BTreeMap::new(),
                is_whole,
                is_scoped,
                outsider: false,
                workloads: 0,
            });
            next
        })
    }
}

fn key(transport: &Transport<'_>, profile: &Profile, class: ClientClass) -> Key {
    let kind = match &profile.sender {
        Sender::Sidecar => ClientKind::Sidecar,
        Sender::Gateway => ClientKind::Gateway,
        Sender::Waypoint(_) => ClientKind::Waypoint,
        Sender::Ztunnel => ClientKind::Ambient,
        Sender::Application => ClientKind::NoProxy,
        Sender::Unknown(_) => ClientKind::Unknown,
    };
    // Sidecar objects and rules for some workloads are followed by sidecars alone.
    let follows_own = match kind {
        ClientKind::Sidecar | ClientKind::Gateway => !profile.rules.is_empty(),
        ClientKind::Waypoint => true,
        _ => false,
    };
    let sidecar = transport.scopes().sidecar(&profile.scope).filter(|_| kind == ClientKind::Sidecar);
    Key {
        cluster: profile.scope.cluster,
        kind,
        outbound: profile.outbound.clone(),
        view: sidecar.map(View::of),
        own: follows_own.then_some(class),
    }
}
