//! Rows while answers come in: equal answers are joined, and what stays alike is folded at the end.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Mesh, WorkloadId};

use super::Wanted;
use super::client_set::{ClientSet, Members};
use super::gateways::is_gateway;
use super::roster::Roster;
use super::row::{Group, Reception, Row, ServedBy, Via};
use crate::server_side;

/// A port of a workload.
pub(super) type Place = (WorkloadId, u16);

/// Groups of one row whose reasons differ in objects only, before they are folded into one.
const ALIKE: usize = 4;

/// All rows.
#[derive(Default)]
pub(super) struct Rows {
    drafts: BTreeMap<Place, Draft>,
}

/// Kinds, and what becomes of their calls to the address.
type AtAddress = (Vec<u32>, Reception, bool);

/// One row.
#[derive(Default)]
struct Draft {
    ways: Vec<(Via, Vec<Answered>)>,
    addresses: Vec<AtAddress>,
    served_by: Vec<ServedBy>,
}

/// Clients and what becomes of their calls.
struct Answered {
    clients: ClientSet,
    reception: Reception,
    and_alike: bool,
}

impl Rows {
    /// A row for each port that is wanted. Mutual TLS says nothing of datagrams, and gateways have listeners instead.
    pub(super) fn new(mesh: &Mesh, wanted: Wanted<'_>) -> Self {
        let mut rows = Rows::default();
        let mut add = |id: WorkloadId| {
            if is_gateway(mesh, id) {
                return;
            }
            let ports = mesh.workload(id).ports.iter();
            let ports = ports.filter(|port| !port.protocol.is(&ProtocolClass::Udp) && port.number != 0);
            for port in ports.filter(|port| wanted.port.is_none_or(|wanted| wanted == port.number)) {
                rows.drafts.entry((id, port.number)).or_default();
            }
            if let Some(port) = wanted.port {
                rows.drafts.entry((id, port)).or_default();
            }
        };
        match wanted.to {
            Some(ids) => ids.iter().for_each(|id| add(*id)),
            None => mesh.workloads_with_ids().for_each(|(id, _)| add(id)),
        }
        rows
    }

    pub(super) fn has(&self, place: Place) -> bool {
        self.drafts.contains_key(&place)
    }

    pub(super) fn places(&self) -> Vec<Place> {
        self.drafts.keys().copied().collect()
    }

    /// Notes what becomes of calls by a host.
    /// `and_alike` says that other objects have the same effect for some of them.
    pub(super) fn add(
        &mut self,
        place: Place,
        via: &Via,
        members: Members,
        (reception, and_alike): (Reception, bool),
    ) {
        let Some(draft) = self.drafts.get_mut(&place) else { return };
        let at = match draft.ways.iter().rposition(|(known, _)| known == via) {
            Some(at) => at,
            None => {
                draft.ways.push((via.clone(), Vec::new()));
                draft.ways.len() - 1
            }
        };
        let groups = &mut draft.ways[at].1;
        join(groups, |set| set.add(members), reception, and_alike);
    }

    /// Notes what becomes of calls to the address, by everybody of these kinds.
    pub(super) fn add_address(
        &mut self,
        place: Place,
        kinds: &[u32],
        (reception, and_alike): (Reception, bool),
    ) {
        if let Some(draft) = self.drafts.get_mut(&place) {
            draft.addresses.push((kinds.to_vec(), reception, and_alike));
        }
    }

    pub(super) fn serve(&mut self, place: Place, served: &ServedBy) {
        if let Some(draft) = self.drafts.get_mut(&place)
            && !draft.served_by.iter().any(|known| known.host == served.host)
        {
            draft.served_by.push(served.clone());
        }
    }

    pub(super) fn finish(self, mesh: &Mesh, roster: &Roster) -> Vec<Row> {
        let mut sets: HashSet<Arc<ClientSet>, RandomState> = HashSet::default();
        let row = |((id, port), draft): (Place, Draft)| Row {
            workload: id,
            port,
            server: server_side(mesh, id, port),
            served_by: draft.served_by.clone(),
            groups: draft.finish(roster, &mut sets),
        };
        self.drafts.into_iter().map(row).collect()
    }
}

/// Adds clients to the group with this answer.
fn join(groups: &mut Vec<Answered>, add: impl FnOnce(&mut ClientSet), reception: Reception, and_alike: bool) {
    let known = groups.iter_mut().find(|group| group.reception == reception);
    if let Some(group) = known {
        add(&mut group.clients);
        group.and_alike |= and_alike;
        return;
    }
    // Many objects with one effect, such as a Sidecar in every namespace, make one group.
    let alike = groups.iter().filter(|group| group.reception.reads_like(&reception)).count();
    if alike >= ALIKE
        && let Some(group) = groups.iter_mut().find(|group| group.reception.reads_like(&reception))
    {
        add(&mut group.clients);
        group.and_alike = true;
        return;
    }
    let mut clients = ClientSet::default();
    add(&mut clients);
    groups.push(Answered { clients, reception, and_alike });
}

impl Draft {
    fn finish(self, roster: &Roster, sets: &mut HashSet<Arc<ClientSet>, RandomState>) -> Vec<Group> {
        let Draft { ways, addresses, .. } = self;
        let mut found: Vec<Group> = Vec::new();
        for (via, groups) in ways {
            for Answered { clients, reception, and_alike } in groups {
                let same = |group: &&mut Group| *group.clients == clients && group.reception == reception;
                if let Some(group) = found.iter_mut().find(same) {
                    group.via.push(via.clone());
                    continue;
                }
                let clients = shared(sets, clients);
                found.push(Group { clients, via: vec![via.clone()], reception, and_alike });
            }
        }
        let apart = at_address(roster, &mut found, addresses);
        found.extend(apart.into_iter().map(|Answered { clients, reception, and_alike }| Group {
            clients: shared(sets, clients),
            via: vec![Via::Address],
            reception,
            and_alike,
        }));
        found
    }
}

/// What calls to the address change: the groups of those clients for whom it is not the same as by every host.
fn at_address(roster: &Roster, found: &mut [Group], addresses: Vec<AtAddress>) -> Vec<Answered> {
    let mut class_of: HashMap<u32, usize, RandomState> = HashMap::default();
    for (class, (kinds, ..)) in addresses.iter().enumerate() {
        class_of.extend(kinds.iter().map(|kind| (*kind, class)));
    }
    // Whether calls by hosts have the same effect, for the kinds that have any.
    let mut same: HashMap<u32, bool, RandomState> = HashMap::default();
    for group in found.iter() {
        let mut effects: HashMap<usize, bool, RandomState> = HashMap::default();
        for kind in group.clients.kinds() {
            let Some(class) = class_of.get(&kind) else { continue };
            let equal =
                *effects.entry(*class).or_insert_with(|| addresses[*class].1.has_effect_of(&group.reception));
            *same.entry(kind).or_insert(true) &= equal;
        }
    }
    for group in found.iter_mut() {
        if group.clients.kinds().all(|kind| same.get(&kind) == Some(&true)) {
            group.via.push(Via::Address);
        }
    }
    let mut apart: Vec<Answered> = Vec::new();
    for (kinds, reception, and_alike) in addresses {
        let left: Vec<u32> = kinds.into_iter().filter(|kind| same.get(kind) != Some(&true)).collect();
        if left.is_empty() {
            continue;
        }
        let add = |set: &mut ClientSet| left.into_iter().for_each(|kind| set.add(roster.everybody(kind)));
        join(&mut apart, add, reception, and_alike);
    }
    apart
}

fn shared(sets: &mut HashSet<Arc<ClientSet>, RandomState>, set: ClientSet) -> Arc<ClientSet> {
    if let Some(known) = sets.get(&set) {
        return Arc::clone(known);
    }
    let set = Arc::new(set);
    sets.insert(Arc::clone(&set));
    set
}
