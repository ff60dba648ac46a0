//! Groups of those who call: parts of the roster, somebody without a proxy, accounts of which no workload is in the
//! input, waypoints that istiod makes, and whoever stands before a gateway.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use meshproof_ir::{GatewayId, WorkloadId};
use meshproof_transport::{ClientKind, ClientSet, Roster};

/// The number of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientsId(pub u32);

/// A group of clients that fare alike on the way to some place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Clients {
    /// Parts of the roster by number, sorted.
    pub parts: Vec<u32>,
    /// Somebody without a proxy who is no workload of the input.
    pub outsider: bool,
    /// Accounts of which the input has no workload, with a proxy that does what the server wants.
    pub elsewhere: bool,
    /// Waypoints whose pods are not in the input.
    pub waypoints: Vec<GatewayId>,
    /// Whoever can open a connection to a gateway.
    pub internet: bool,
}

impl Clients {
    /// Whether a part is among them.
    pub fn has_part(&self, part: u32) -> bool {
        self.parts.binary_search(&part).is_ok()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        *self == Clients::default()
    }

    /// Their workloads.
    pub fn workloads<'r>(&'r self, roster: &'r Roster) -> impl Iterator<Item = WorkloadId> + 'r {
        self.parts.iter().flat_map(|at| roster.part(*at).workloads.iter().copied())
    }
}

/// What goes into a group before it has a number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    /// Sets of the table.
    pub sets: Vec<Arc<ClientSet>>,
    /// Others.
    pub more: Clients,
}

/// The groups, each once.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    pub all: Vec<Clients>,
    ids: HashMap<Clients, ClientsId, RandomState>,
    /// Unions of sets of the table by their addresses: rows that share an answer share the sets.
    of_sets: HashMap<(Vec<usize>, Clients), ClientsId, RandomState>,
}

impl Groups {
    /// The number of a group.
    pub fn intern(&mut self, clients: Clients) -> ClientsId {
        let next = ClientsId(self.all.len() as u32);
        *self.ids.entry(clients).or_insert_with_key(|clients| {
            self.all.push(clients.clone());
            next
        })
    }

    pub fn of_draft(&mut self, mut draft: Draft, roster: &Roster) -> ClientsId {
        draft.sets.sort_by_key(|set| Arc::as_ptr(set).addr());
        draft.sets.dedup_by(|one, other| Arc::ptr_eq(one, other));
        let addresses: Vec<usize> = draft.sets.iter().map(|set| Arc::as_ptr(set).addr()).collect();
        let key = (addresses, draft.more.clone());
        if let Some(known) = self.of_sets.get(&key) {
            return *known;
        }
        let mut clients = draft.more;
        for set in &draft.sets {
            clients.parts.extend(roster.part_numbers(set).map(|(_, at)| at));
            clients.outsider |= roster.has_outsider(set);
        }
        clients.parts.sort_unstable();
        clients.parts.dedup();
        let id = self.intern(clients);
        self.of_sets.insert(key, id);
        id
    }
}

/// Where workloads stand in the roster.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// The part of each workload; `u32::MAX` where the roster does not have it.
    part: Vec<u32>,
    /// How each part sends.
    kinds: Vec<Option<ClientKind>>,
}

impl Places {
    pub fn new(roster: &Roster, workloads: usize) -> Places {
        let mut places = Places { part: vec![u32::MAX; workloads], kinds: vec![None; roster.part_count()] };
        for at in 0..roster.part_count() as u32 {
            for id in &roster.part(at).workloads {
                places.part[id.index()] = at;
            }
        }
        places
    }

    /// Notes how the parts of a set send.
    pub fn learn(&mut self, roster: &Roster, set: &ClientSet) {
        for (kind, at) in roster.part_numbers(set) {
            self.kinds[at as usize] = Some(kind);
        }
    }

    pub fn part(&self, id: WorkloadId) -> Option<u32> {
        self.part.get(id.index()).copied().filter(|part| *part != u32::MAX)
    }

    pub fn kind(&self, part: u32) -> Option<ClientKind> {
        self.kinds.get(part as usize).copied().flatten()
    }
}
