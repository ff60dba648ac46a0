//! Everybody who may call, in classes.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use meshproof_ir::{ClusterId, Identity, NamespaceId, WorkloadId};

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

/// Clients that no host tells apart, unless by namespace.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) cluster: ClusterId,
    pub(super) kind: ClientKind,
    /// All its parts, in order.
    pub(super) parts: Vec<u32>,
    pub(super) by_namespace: BTreeMap<NamespaceId, Vec<u32>>,
    /// Namespaces do not matter to it, or it has but one.
    pub(super) is_whole: bool,
    /// Somebody who is no workload is one of them.
    pub(super) outsider: bool,
    workloads: usize,
}

/// Clients that no host tells apart.
#[derive(Clone, Debug)]
pub struct Part {
    /// In the order of the mesh; at least one.
    pub workloads: Vec<WorkloadId>,
}

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
    /// Everybody but the parts that are named, outsiders included; or those parts alone.
    pub(super) all_but: bool,
    /// Sorted.
    pub(super) parts: Vec<u32>,
}

/// What makes a kind.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    cluster: ClusterId,
    kind: ClientKind,
    outbound: Outbound,
    /// The class, where more than the namespace tells its clients apart from others.
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
                let key = Key { cluster, kind, outbound: Outbound::default(), own: None };
                let at = building.kind(key);
                building.roster.kinds[at as usize].outsider = true;
            }
        }
        building.roster
    }

    pub(super) fn part(&self, at: u32) -> &Part {
        &self.parts[at as usize]
    }

    /// The parts of a set, with the kind of each.
    pub fn parts<'r>(&'r self, set: &'r ClientSet) -> impl Iterator<Item = (ClientKind, &'r Part)> {
        set.members.iter().flat_map(move |members| {
            let kind = &self.kinds[members.kind as usize];
            let (all, named) = match members.all_but {
                true => (kind.parts.as_slice(), members.parts.as_slice()),
                false => (members.parts.as_slice(), &[][..]),
            };
            let left = all.iter().filter(|at| named.binary_search(at).is_err());
            left.map(|at| (kind.kind, self.part(*at)))
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
        set.members.iter().any(|members| members.all_but && self.kinds[members.kind as usize].outsider)
    }

    /// Somebody of a set who can be asked for all of them.
    pub(super) fn asker<'q>(&self, members: &Members, callers: &Callers<'q>) -> Option<Client<'q>> {
        let kind = &self.kinds[members.kind as usize];
        if members.all_but && kind.outsider {
            return match callers {
                Callers::Identity(identity) => Some(Client::Identity(kind.cluster, identity)),
                _ => Some(Client::Plaintext(kind.cluster)),
            };
        }
        let first = match members.all_but {
            true => kind.parts.iter().find(|at| members.parts.binary_search(at).is_err()),
            false => members.parts.first(),
        };
        first.and_then(|at| self.part(*at).workloads.first()).map(|id| Client::Workload(*id))
    }

    /// The clients of a kind as a host sees them, to which these namespaces (sorted) may be others than the rest.
    pub(super) fn seen_by(&self, at: u32, told_apart: &[NamespaceId]) -> Vec<Members> {
        let kind = &self.kinds[at as usize];
        if kind.is_whole {
            return vec![Members { kind: at, all_but: true, parts: Vec::new() }];
        }
        let apart = told_apart.iter().filter_map(|namespace| kind.by_namespace.get(namespace));
        let mut seen: Vec<Members> =
            apart.map(|parts| Members { kind: at, all_but: false, parts: parts.clone() }).collect();
        let mut named: Vec<u32> = seen.iter().flat_map(|members| &members.parts).copied().collect();
        named.sort_unstable();
        if named.len() < kind.parts.len() || kind.outsider {
            seen.push(Members { kind: at, all_but: true, parts: named });
        }
        seen
    }
}

impl ClientSet {
    /// Adds clients that are not in the set yet.
    pub(super) fn add(&mut self, more: Members) {
        let at = self.members.partition_point(|own| own.kind < more.kind);
        let Some(own) = self.members.get_mut(at).filter(|own| own.kind == more.kind) else {
            self.members.insert(at, more);
            return;
        };
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
        *own = Members { kind: own.kind, all_but: true, parts: left };
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = u32> {
        self.members.iter().map(|members| members.kind)
    }
}

struct Building {
    roster: Roster,
    kinds: HashMap<Key, u32, RandomState>,
    parts: HashMap<(u32, NamespaceId, u32), u32, RandomState>,
}

impl Building {
    fn add(&mut self, transport: &Transport<'_>, id: WorkloadId, refined: u32) {
        let profile = transport.clients.profile(id);
        let kind = self.kind(key(profile, transport.client_class(id)));
        let namespace = profile.scope.namespace;
        let next = self.roster.parts.len() as u32;
        let part = *self.parts.entry((kind, namespace, refined)).or_insert(next);
        let of_kind = &mut self.roster.kinds[kind as usize];
        of_kind.workloads += 1;
        if part == next {
            of_kind.parts.push(part);
            of_kind.by_namespace.entry(namespace).or_default().push(part);
            self.roster.parts.push(Part { workloads: Vec::new() });
        }
        self.roster.parts[part as usize].workloads.push(id);
    }

    fn kind(&mut self, key: Key) -> u32 {
        let next = self.roster.kinds.len() as u32;
        let (cluster, kind) = (key.cluster, key.kind);
        // Nothing is known of what sends for them, so no host makes a difference either.
        let is_whole = key.own.is_some() || kind == ClientKind::Unknown;
        *self.kinds.entry(key).or_insert_with(|| {
            self.roster.kinds.push(Kind {
                cluster,
                kind,
                parts: Vec::new(),
                by_namespace: BTreeMap::new(),
                is_whole,
                outsider: false,
                workloads: 0,
            });
            next
        })
    }
}

fn key(profile: &Profile, class: ClientClass) -> Key {
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
        ClientKind::Sidecar => profile.scope.sidecar.is_some() || !profile.rules.is_empty(),
        ClientKind::Gateway => !profile.rules.is_empty(),
        ClientKind::Waypoint => true,
        _ => false,
    };
    Key {
        cluster: profile.scope.cluster,
        kind,
        outbound: profile.outbound.clone(),
        own: follows_own.then_some(class),
    }
}
