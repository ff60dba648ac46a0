//! Everybody who may call, in classes.

use std::collections::{BTreeMap, HashMap, HashSet};

use foldhash::fast::RandomState;
use meshproof_ir::{ClusterId, Identity, NamespaceId, WorkloadId};

use super::client_kind::ClientKind;
use super::client_set::{ClientSet, Members};
use crate::clients::ClientClass;
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

/// Clients that no host tells apart, unless by namespace or by what their Sidecar objects import from somewhere.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) cluster: ClusterId,
    pub(super) kind: ClientKind,
    /// All its parts, in order.
    pub(super) parts: Vec<u32>,
    pub(super) by_class: HashMap<ClientClass, Vec<u32>, RandomState>,
    pub(super) by_namespace: BTreeMap<NamespaceId, Vec<ClientClass>>,
    /// Nothing tells its clients apart.
    pub(super) is_whole: bool,
    /// Its clients have Sidecar objects.
    pub(super) is_scoped: bool,
    /// Somebody who is no workload is one of them.
    pub(super) outsider: bool,
    pub(super) workloads: usize,
}

/// Clients that no host tells apart.
#[derive(Clone, Debug)]
pub struct Part {
    /// In the order of the mesh; at least one.
    pub workloads: Vec<WorkloadId>,
    pub(super) kind: u32,
}

/// A part of the roster; the number means nothing beyond equality and order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartId(u32);

/// Everybody who may call.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    pub(super) parts: Vec<Part>,
    pub(super) kinds: Vec<Kind>,
}

impl Roster {
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
