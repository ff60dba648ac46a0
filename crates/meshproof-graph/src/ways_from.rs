//! Ways from somebody: whoever is reached may call on, and proxies send on where their routes lead.

use std::collections::{HashMap, HashSet, VecDeque};

use foldhash::fast::RandomState;
use meshproof_ir::WorkloadId;

use crate::fares::{Fares, Signature};
use crate::graph::Graph;
use crate::party::Party;
use crate::paths::Hop;
use crate::place::{Member, PlaceId};
use crate::selection::Selection;
use crate::tokens::Bearer;
use crate::travel::Travel;

/// Where a way starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start<'a> {
    pub party: Party<'a>,
    /// The edge along which it starts; any where none is given.
    pub by: Option<usize>,
}

/// A hop by which a place was reached, while ways are looked for.
struct Reached<'a> {
    hop: Hop<'a>,
    before: Option<usize>,
    /// Its place was reached by another way already; only what a proxy sends on from here is new.
    again: bool,
}

/// What is known while ways are looked for.
#[derive(Default)]
struct Search<'a> {
    reached: Vec<Reached<'a>>,
    known: HashSet<PlaceId, RandomState>,
    travelled: HashSet<WorkloadId, RandomState>,
}

impl<'a> Search<'a> {
    /// The way to what was reached.
    fn way(&self, last: usize) -> Vec<Hop<'a>> {
        let mut way = Vec::new();
        let mut at = Some(last);
        while let Some(reached) = at.and_then(|at| self.reached.get(at)) {
            way.push(reached.hop);
            at = reached.before;
        }
        way.reverse();
        way
    }
}

impl Graph<'_> {
    /// Every place that can be reached from somebody, the nearest first, with a shortest way there. With a token that is asked
    /// about the ways start where rules ask for it.
    pub(crate) fn ways_from<'a>(&self, start: &[Start<'a>], asked: &Selection) -> Vec<Vec<Hop<'a>>> {
        let mut travel = Travel::new(self);
        let mut search = Search::default();
        let held = asked.bearer().map(Bearer::requests);
        let mut queue: VecDeque<(Start<'a>, Option<usize>)> =
            start.iter().map(|start| (*start, None)).collect();
        let mut entered: HashSet<(usize, Option<Signature>), RandomState> = HashSet::default();
        let mut fares: HashMap<(usize, bool), Fares, RandomState> = HashMap::default();
        while let Some((Start { party, by }, before)) = queue.pop_front() {
            let is_start = before.is_none();
            let held = held.as_ref().filter(|_| is_start);
            let edges = match (party, by) {
                (_, Some(edge)) => vec![edge],
                // What proxies send on was followed when they were reached.
                (Party::Workload(id), None) if self.is_proxy(id) && !is_start => Vec::new(),
                (Party::Workload(id), None) if is_start => {
                    [travel.of_workload(id), travel.gateways_of(id)].concat()
                }
                // Whoever is reached comes to no other gateways than whoever was there first.
                (Party::Workload(id), None) => travel.of_workload(id),
                _ => (0..self.edges.len()).filter(|at| self.calls(&self.edges[*at], party)).collect(),
            };
            for edge in edges {
                let place = self.edges[edge].place;
                let again = search.known.contains(&place);
                if again && self.place(place).leads.is_empty() || self.edges[edge].foreign {
                    continue;
                }
                // Whoever is refused less than those who came before may get on from here.
                let fares = fares.entry((edge, held.is_some())).or_insert_with(|| self.fares(edge));
                let principal = self.seen(&self.edges[edge], party);
                let entry = (edge, fares.signature(principal.as_deref()));
                let gets_in = || match held {
                    None => self.gets_through(edge, party),
                    Some(held) => !matches!(self.passing(&self.edges[edge], party, held), Ok(None)),
                };
                if again && entered.contains(&entry) || !fares.of(principal, gets_in) {
                    continue;
                }
                search.known.insert(place);
                entered.insert(entry);
                search.reached.push(Reached { hop: Hop { edge, by: party, sent_by: None }, before, again });
                let at = search.reached.len() - 1;
                if !again {
                    self.go_on(place, at, &mut search.travelled, &mut queue);
                }
                self.through_proxy(at, asked, &mut search, &mut queue);
            }
        }
        let ways = (0..search.reached.len()).filter(|at| !search.reached[*at].again);
        ways.map(|last| search.way(last)).collect()
    }

    /// The workloads of a place call on.
    fn go_on<'a>(
        &self,
        place: PlaceId,
        at: usize,
        travelled: &mut HashSet<WorkloadId, RandomState>,
        queue: &mut VecDeque<(Start<'a>, Option<usize>)>,
    ) {
        for member in &self.place(place).members {
            if let Member::Workload(id, _) = member
                && travelled.insert(*id)
            {
                queue.push_back((Start { party: Party::Workload(*id), by: None }, Some(at)));
            }
        }
    }

    /// What a waypoint or gateway sends on of what it was sent reaches the places behind it.
    fn through_proxy<'a>(
        &self,
        first: usize,
        asked: &Selection,
        search: &mut Search<'a>,
        queue: &mut VecDeque<(Start<'a>, Option<usize>)>,
    ) {
        let mut proxies = vec![first];
        while let Some(at) = proxies.pop() {
            let place = self.edges[search.reached[at].hop.edge].place;
            for hop in self.behind(place) {
                let target = self.edges[hop.edge].place;
                if search.known.contains(&target) {
                    continue;
                }
                let mut way = search.way(at);
                way.push(hop);
                if self.last_segment(&way, asked).is_some_and(|segment| self.survivors(&segment).is_none()) {
                    continue;
                }
                search.known.insert(target);
                search.reached.push(Reached { hop, before: Some(at), again: false });
                let on = search.reached.len() - 1;
                self.go_on(target, on, &mut search.travelled, queue);
                proxies.push(on);
            }
        }
    }
}
