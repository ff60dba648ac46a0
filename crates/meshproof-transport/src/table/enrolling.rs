//! From workloads to the roster: each goes to the part of those like it.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use meshproof_ir::{ClusterId, WorkloadId};

use super::client_kind::ClientKind;
use super::imports::View;
use super::roster::{Callers, Kind, Part, Roster};
use crate::Transport;
use crate::clients::{ClientClass, Profile, Sender};
use crate::outbound::Outbound;

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
