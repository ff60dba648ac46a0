//! Ways to some places: whoever calls them, and whoever reaches those who do.

use std::collections::{BTreeSet, HashMap, HashSet};

use foldhash::fast::RandomState;
use meshproof_ir::WorkloadId;

use crate::graph::Graph;
use crate::party::Party;
use crate::paths::Hop;
use crate::place::{Member, PlaceId};
use crate::selection::Selection;
use crate::travel::Travel;

/// A place, and how it leads on to what is asked about: by a hop, to another one of the list.
struct Onward {
    place: PlaceId,
    next: Option<(Hop<'static>, usize)>,
}

/// The way on from one of the list.
fn way_on(from: usize, onward: &[Onward]) -> Vec<Hop<'static>> {
    let mut way = Vec::new();
    let mut at = from;
    while let Some((hop, next)) = onward.get(at).and_then(|one| one.next) {
        way.push(hop);
        at = next;
    }
    way
}

/// Who comes nearer already, one by one and as parts of the roster.
#[derive(Default)]
struct Callers {
    known: HashSet<WorkloadId, RandomState>,
    parts: HashSet<u32, RandomState>,
}

impl Graph<'_> {
    /// Every edge by which somebody comes nearer to one of these places, with the way on from it, the nearest first.
    pub(crate) fn ways_to(&self, goal: &[PlaceId], asked: &Selection) -> Vec<Vec<Hop<'static>>> {
        let travel = Travel::new(self);
        let mut leading: HashMap<(WorkloadId, u16), Vec<PlaceId>, RandomState> = HashMap::default();
        for (at, place) in self.places.iter().enumerate() {
            for lead in &place.leads {
                let proxies = leading.entry(lead.to).or_default();
                if proxies.last() != Some(&PlaceId(at as u32)) {
                    proxies.push(PlaceId(at as u32));
                }
            }
        }
        // How places lead on: proxies in several ways, all others in one.
        let mut onward: Vec<Onward> = goal.iter().map(|place| Onward { place: *place, next: None }).collect();
        let mut known: HashSet<PlaceId, RandomState> = goal.iter().copied().collect();
        let mut left_by: HashSet<(usize, usize), RandomState> = HashSet::default();
        let mut ways = Vec::new();
        let mut callers = Callers::default();
        let mut next = 0;
        while next < onward.len() {
            let (at, place) = (next, onward[next].place);
            next += 1;
            let rest = way_on(at, &onward);
            for edge in self.numbers_into(place).into_iter().filter(|edge| !self.edges[*edge].foreign) {
                if let Some(by) = self.someone(edge) {
                    let way = [&[Hop { edge, by, sent_by: None }], rest.as_slice()].concat();
                    if self.survives(&way, asked) {
                        ways.push(way);
                    }
                }
                let mut fares = self.fares(edge);
                for caller in self.new_callers(edge, &callers) {
                    let party = Party::Workload(caller);
                    let hop = Hop { edge, by: party, sent_by: None };
                    let gets_on = || {
                        self.gets_through(edge, party)
                            && self.survives(&[&[hop], rest.as_slice()].concat(), asked)
                    };
                    if self.is_proxy(caller) || !fares.of(self.seen(&self.edges[edge], party), gets_on) {
                        continue;
                    }
                    callers.known.insert(caller);
                    for before in travel.places.get(&caller).into_iter().flatten() {
                        if known.insert(*before) {
                            onward.push(Onward { place: *before, next: Some((hop, at)) });
                        }
                    }
                }
                if !self.hangs_on_identity(edge) && !fares.is_closed() {
                    callers.parts.extend(self.clients(self.who(self.edges[edge].who).clients).parts.iter());
                }
            }
            let members = self.place(place).members.iter().filter_map(|member| match member {
                Member::Workload(id, port) => Some((*id, *port)),
                _ => None,
            });
            let proxies: BTreeSet<PlaceId> =
                members.filter_map(|member| leading.get(&member)).flatten().copied().collect();
            for proxy in proxies {
                // What is asked about is told of every proxy in front; of other places one will do for each way to the proxy.
                let sent = self.behind(proxy).into_iter().filter(|hop| self.edges[hop.edge].place == place);
                for hop in sent {
                    let goes = onward.len();
                    onward.push(Onward { place: proxy, next: Some((hop, at)) });
                    let way = way_on(goes, &onward);
                    let group = if onward[at].next.is_none() { at } else { usize::MAX };
                    let is_new = self.gets_in(proxy, (&way, group), asked, &mut left_by);
                    if !is_new {
                        onward.pop();
                    }
                }
            }
        }
        ways
    }

    /// Whether somebody who comes to a proxy gets along the way on from it, by an edge that has none yet for this goal.
    fn gets_in(
        &self,
        proxy: PlaceId,
        (way, goal): (&[Hop<'static>], usize),
        asked: &Selection,
        left_by: &mut HashSet<(usize, usize), RandomState>,
    ) -> bool {
        let mut found = false;
        for edge in self.numbers_into(proxy) {
            let clients = self.clients(self.who(self.edges[edge].who).clients);
            let is_apart = !clients.internet && self.hangs_on_identity(edge);
            if !is_apart && left_by.contains(&(edge, goal)) {
                continue;
            }
            let first = |by| [&[Hop { edge, by, sent_by: None }], way].concat();
            // Of callers who fare differently each is asked when the proxy's turn comes.
            if is_apart || self.someone(edge).is_none_or(|by| self.survives(&first(by), asked)) {
                left_by.insert((edge, goal));
                found = true;
            }
        }
        found
    }

    /// Workloads among the callers of an edge that have not come nearer before.
    fn new_callers(&self, edge: usize, callers: &Callers) -> Vec<WorkloadId> {
        let who = self.who(self.edges[edge].who);
        if self.hangs_on_identity(edge) {
            let (found, _) = self.some_callers(who, usize::MAX);
            return found.into_iter().filter(|id| !callers.known.contains(id)).collect();
        }
        let parts = self.clients(who.clients).parts.iter().filter(|part| !callers.parts.contains(*part));
        let workloads = parts.flat_map(|part| self.table.roster.part(*part).workloads.iter().copied());
        workloads.filter(|id| !callers.known.contains(id)).collect()
    }
}
