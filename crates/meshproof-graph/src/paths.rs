//! Ways over several hops: whoever is reached may call on, and proxies send on where their routes lead.

use std::collections::{HashMap, HashSet, VecDeque};

use foldhash::fast::RandomState;
use meshproof_explain::PointKind;
use meshproof_ir::{Capture, WorkloadId};
use meshproof_space::RequestBox;

use crate::graph::{Graph, WhoId};
use crate::naming::asks_for_identity;
use crate::party::Party;
use crate::place::{Member, PlaceId};

/// Classes of callers with more workloads than this are asked about one workload at a time.
const FEW: usize = 64;

/// A hop: an edge, and who goes along it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop<'a> {
    pub edge: usize,
    pub by: Party<'a>,
}

/// Who may go along which edges.
struct Travel<'g, 'm> {
    graph: &'g Graph<'m>,
    of_workload: HashMap<WorkloadId, Vec<WhoId>, RandomState>,
    /// Classes with many callers that nobody has gone along yet.
    wide: Vec<WhoId>,
    /// Places where a workload is called.
    places: HashMap<WorkloadId, Vec<PlaceId>, RandomState>,
}

impl<'g, 'm> Travel<'g, 'm> {
    fn new(graph: &'g Graph<'m>) -> Self {
        let mut travel =
            Travel { graph, of_workload: HashMap::default(), wide: Vec::new(), places: HashMap::default() };
        for (at, who) in graph.whos.iter().enumerate() {
            let id = WhoId(at as u32);
            let (found, complete) = graph.some_callers(who, FEW);
            if complete {
                for workload in found {
                    travel.of_workload.entry(workload).or_default().push(id);
                }
            } else {
                travel.wide.push(id);
            }
        }
        for (at, place) in graph.places.iter().enumerate() {
            for member in &place.members {
                if let Member::Workload(id, _) | Member::Gateway(id, _) = member {
                    travel.places.entry(*id).or_default().push(PlaceId(at as u32));
                }
            }
        }
        travel
    }

    /// Edges that a workload may go along. Those of classes with many callers are given once only: whoever comes first
    /// has been everywhere where they lead.
    fn of_workload(&mut self, id: WorkloadId) -> Vec<usize> {
        let mut whos = self.of_workload.get(&id).cloned().unwrap_or_default();
        let graph = self.graph;
        self.wide.retain(|who| {
            let is_among = graph.is_among(id, graph.who(*who));
            if is_among {
                whos.push(*who);
            }
            !is_among
        });
        whos.into_iter().flat_map(|who| self.edges(who)).collect()
    }

    fn edges(&self, who: WhoId) -> Vec<usize> {
        let node = self.graph.who_nodes[who.0 as usize];
        self.graph.graph.edges(node).map(|edge| *edge.weight()).collect()
    }
}

impl<'m> Graph<'m> {
    /// Whether somebody gets anything through.
    pub(crate) fn gets_through(&self, edge: usize, party: Party<'_>) -> bool {
        let edge = &self.edges[edge];
        let is_sure = !edge.refuses && !edge.foreign;
        self.calls(edge, party)
            && (is_sure || !matches!(self.passing(edge, party, &RequestBox::all()), Ok(None)))
    }

    /// Every place that can be reached from somebody, the nearest first, with a shortest way there.
    pub(crate) fn ways_from<'a>(&self, start: &[Party<'a>]) -> Vec<Vec<Hop<'a>>> {
        let mut travel = Travel::new(self);
        // The hop by which a place was reached first, and the one before it.
        let mut reached: Vec<(Hop<'a>, Option<usize>)> = Vec::new();
        let mut known: HashSet<PlaceId, RandomState> = HashSet::default();
        let mut queue: VecDeque<(Party<'a>, Option<usize>)> =
            start.iter().map(|party| (*party, None)).collect();
        let mut travelled: HashSet<WorkloadId, RandomState> = HashSet::default();
        while let Some((party, before)) = queue.pop_front() {
            let is_start = before.is_none();
            let edges = match party {
                Party::Workload(id) if self.is_proxy(id) && !is_start => self.sent_on(&travel, id),
                Party::Workload(id) => travel.of_workload(id),
                _ => (0..self.edges.len()).filter(|at| self.calls(&self.edges[*at], party)).collect(),
            };
            for edge in edges {
                let place = self.edges[edge].place;
                if known.contains(&place) || self.edges[edge].foreign || !self.gets_through(edge, party) {
                    continue;
                }
                known.insert(place);
                reached.push((Hop { edge, by: party }, before));
                let at = reached.len() - 1;
                self.go_on(place, at, &mut travelled, &mut queue);
                self.through_proxy(place, at, &mut known, &mut reached, &mut travelled, &mut queue);
            }
        }
        (0..reached.len())
            .map(|last| {
                let mut way = Vec::new();
                let mut at = Some(last);
                while let Some(place) = at {
                    way.push(reached[place].0);
                    at = reached[place].1;
                }
                way.reverse();
                way
            })
            .collect()
    }

    /// The workloads of a place call on.
    fn go_on<'a>(
        &self,
        place: PlaceId,
        at: usize,
        travelled: &mut HashSet<WorkloadId, RandomState>,
        queue: &mut VecDeque<(Party<'a>, Option<usize>)>,
    ) {
        for member in &self.place(place).members {
            if let Member::Workload(id, _) = member
                && travelled.insert(*id)
            {
                queue.push_back((Party::Workload(*id), Some(at)));
            }
        }
    }

    /// What a waypoint or gateway sends on reaches the places behind it.
    fn through_proxy<'a>(
        &self,
        place: PlaceId,
        at: usize,
        known: &mut HashSet<PlaceId, RandomState>,
        reached: &mut Vec<(Hop<'a>, Option<usize>)>,
        travelled: &mut HashSet<WorkloadId, RandomState>,
        queue: &mut VecDeque<(Party<'a>, Option<usize>)>,
    ) {
        for (edge, by) in self.behind(place) {
            let target = self.edges[edge].place;
            if known.insert(target) {
                reached.push((Hop { edge, by }, Some(at)));
                let on = reached.len() - 1;
                self.go_on(target, on, travelled, queue);
            }
        }
    }

    /// Edges from a waypoint or gateway to the places that its routes lead to.
    fn behind<'a>(&self, place: PlaceId) -> Vec<(usize, Party<'a>)> {
        let proxy = self.place(place);
        let mut found = Vec::new();
        if proxy.leads.is_empty() {
            return found;
        }
        let by = match &proxy.members[0] {
            Member::Gateway(id, _) => Party::Workload(*id),
            Member::Waypoint(id, ..) | Member::Deployed(id, _) => match self.mesh.gateway_pods(*id).next() {
                Some(pods) => Party::Workload(pods),
                None => Party::Waypoint(*id),
            },
            Member::Workload(id, _) => Party::Workload(*id),
        };
        let mut targets: Vec<PlaceId> =
            proxy.leads.iter().flat_map(|(id, port)| self.places_of(*id, *port)).copied().collect();
        targets.sort_unstable();
        targets.dedup();
        for target in targets {
            let node = self.place_nodes[target.0 as usize];
            let edges = self.graph.edges_directed(node, petgraph::Direction::Incoming);
            let edge = edges.map(|edge| *edge.weight()).find(|edge| self.gets_through(*edge, by));
            found.extend(edge.map(|edge| (edge, by)));
        }
        found
    }

    /// What gateways and waypoints that are called as workloads send on.
    fn sent_on(&self, travel: &Travel<'_, '_>, id: WorkloadId) -> Vec<usize> {
        let places = travel.places.get(&id).map_or(&[][..], Vec::as_slice);
        places.iter().flat_map(|place| self.behind(*place)).map(|(edge, _)| edge).collect()
    }

    fn is_proxy(&self, id: WorkloadId) -> bool {
        let capture = &self.mesh.workload(id).capture;
        capture.is(&Capture::Gateway) || capture.is(&Capture::Waypoint)
    }

    /// Every edge by which somebody comes nearer to one of these places, with the way on from it, the nearest first.
    pub(crate) fn ways_to(&self, goal: &[PlaceId]) -> Vec<Vec<Hop<'static>>> {
        let travel = Travel::new(self);
        let mut leading: HashMap<(WorkloadId, u16), Vec<PlaceId>, RandomState> = HashMap::default();
        for (at, place) in self.places.iter().enumerate() {
            for lead in &place.leads {
                leading.entry(*lead).or_default().push(PlaceId(at as u32));
            }
        }
        // How each place leads on.
        let mut on: HashMap<PlaceId, Option<(Hop<'static>, PlaceId)>, RandomState> =
            goal.iter().map(|place| (*place, None)).collect();
        let mut queue: VecDeque<PlaceId> = goal.iter().copied().collect();
        let mut ways = Vec::new();
        let mut parts: HashSet<u32, RandomState> = HashSet::default();
        let mut callers: HashSet<WorkloadId, RandomState> = HashSet::default();
        while let Some(place) = queue.pop_front() {
            let rest = self.way_on(place, &on);
            let node = self.place_nodes[place.0 as usize];
            let mut edges: Vec<usize> = self
                .graph
                .edges_directed(node, petgraph::Direction::Incoming)
                .map(|edge| *edge.weight())
                .filter(|edge| !self.edges[*edge].foreign)
                .collect();
            edges.sort_unstable();
            for edge in edges {
                let by = self.someone(edge);
                if let Some(by) = by {
                    ways.push([&[Hop { edge, by }], rest.as_slice()].concat());
                }
                for caller in self.new_callers(edge, &mut parts, &mut callers) {
                    let party = Party::Workload(caller);
                    if self.is_proxy(caller) || !self.gets_through(edge, party) {
                        continue;
                    }
                    for before in travel.places.get(&caller).into_iter().flatten() {
                        if let std::collections::hash_map::Entry::Vacant(entry) = on.entry(*before) {
                            entry.insert(Some((Hop { edge, by: party }, place)));
                            queue.push_back(*before);
                        }
                    }
                }
            }
            let members = self.place(place).members.iter().filter_map(|member| match member {
                Member::Workload(id, port) => Some((*id, *port)),
                _ => None,
            });
            let proxies: Vec<PlaceId> =
                members.filter_map(|member| leading.get(&member)).flatten().copied().collect();
            for proxy in proxies {
                if on.contains_key(&proxy) {
                    continue;
                }
                let sent = self.behind(proxy).into_iter().find(|(edge, _)| self.edges[*edge].place == place);
                if let Some((edge, by)) = sent {
                    on.insert(proxy, Some((Hop { edge, by }, place)));
                    queue.push_back(proxy);
                }
            }
        }
        ways
    }

    fn way_on(
        &self,
        from: PlaceId,
        on: &HashMap<PlaceId, Option<(Hop<'static>, PlaceId)>, RandomState>,
    ) -> Vec<Hop<'static>> {
        let mut way = Vec::new();
        let mut at = from;
        while let Some(Some((hop, next))) = on.get(&at) {
            way.push(*hop);
            at = *next;
        }
        way
    }

    /// Somebody who goes along an edge.
    fn someone(&self, edge: usize) -> Option<Party<'static>> {
        let edge = &self.edges[edge];
        let clients = self.clients(self.who(edge.who).clients);
        let waypoint = clients.waypoints.first().map(|id| Party::Waypoint(*id));
        let outside = match (clients.internet, clients.outsider && !edge.effect.identified) {
            (true, _) => Some(Party::Internet),
            (_, true) => Some(Party::Outsider),
            _ => None,
        };
        outside.or(edge.example.map(Party::Workload)).or(waypoint)
    }

    /// Workloads among the callers of an edge that were not met before.
    fn new_callers(
        &self,
        edge: usize,
        parts: &mut HashSet<u32, RandomState>,
        known: &mut HashSet<WorkloadId, RandomState>,
    ) -> Vec<WorkloadId> {
        let edge = &self.edges[edge];
        let who = self.who(edge.who);
        let clients = self.clients(who.clients);
        if asks_for_identity(who) || edge.refuses {
            let (found, _) = self.some_callers(who, usize::MAX);
            return found.into_iter().filter(|id| known.insert(*id)).collect();
        }
        let new = clients.parts.iter().filter(|part| parts.insert(**part));
        let workloads = new.flat_map(|part| self.table.roster.part(*part).workloads.iter().copied());
        workloads.filter(|id| known.insert(*id)).collect()
    }

    /// The kind of the place at the end of an edge.
    pub(crate) fn kind_at(&self, edge: usize) -> PointKind {
        self.place(self.edges[edge].place).kind
    }
}
