//! Ways over several hops: whoever is reached may call on, and proxies send on where their routes lead.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use meshproof_explain::PointKind;
use meshproof_ir::{Capture, WorkloadId};
use meshproof_space::RequestBox;

use crate::graph::{Graph, WhoId};
use crate::naming::asks_for_identity;
use crate::party::Party;
use crate::peers::Peers;
use crate::place::{Member, PlaceId};
use crate::routing::{Lead, Routing};
use crate::selection::Selection;
use crate::survival::Segment;

/// Classes of callers with more workloads than this are asked about one workload at a time.
const FEW: usize = 64;

/// A hop: an edge, and who goes along it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop<'a> {
    pub edge: usize,
    pub by: Party<'a>,
    /// The waypoint or gateway that sends on what it was sent; nothing where a workload makes requests of its own.
    pub sent_by: Option<PlaceId>,
}

/// A hop by which a place was reached, while ways are looked for.
struct Reached<'a> {
    hop: Hop<'a>,
    before: Option<usize>,
    /// Its place was reached by another way already; only what a proxy sends on from here is new.
    again: bool,
}

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

/// How the callers of an edge fare: alike where they meet the same tests.
struct Fares {
    peers: Vec<Peers>,
    known: HashMap<Option<Signature>, bool, RandomState>,
}

/// Which tests somebody meets.
type Signature = Vec<Vec<bool>>;

impl Fares {
    /// Looks once for all callers who are alike.
    fn of(&mut self, principal: Option<String>, look: impl FnOnce() -> bool) -> bool {
        let signature = self.signature(principal.as_deref());
        *self.known.entry(signature).or_insert_with(look)
    }

    /// Which tests an identity meets; nothing where none is known.
    fn signature(&self, principal: Option<&str>) -> Option<Signature> {
        principal.map(|_| self.peers.iter().map(|peers| peers.signature(principal)).collect())
    }

    /// Whether somebody was looked at and did not get on.
    fn is_closed(&self) -> bool {
        self.known.values().any(|gets_on| !gets_on)
    }
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

    /// Edges that a workload may go along. Those of classes with many callers are given once only, where nobody is refused:
    /// whoever comes first has been everywhere where they lead.
    fn of_workload(&mut self, id: WorkloadId) -> Vec<usize> {
        let mut whos = self.of_workload.get(&id).cloned().unwrap_or_default();
        let graph = self.graph;
        let is_refused = |who: WhoId| {
            let edges = graph.graph.edges(graph.who_nodes[who.0 as usize]);
            edges.into_iter().any(|edge| graph.edges[*edge.weight()].refuses)
        };
        self.wide.retain(|who| {
            let is_among = graph.is_among(id, graph.who(*who));
            if is_among {
                whos.push(*who);
            }
            !is_among || is_refused(*who)
        });
        whos.into_iter().flat_map(|who| self.edges(who)).collect()
    }

    fn edges(&self, who: WhoId) -> Vec<usize> {
        let node = self.graph.who_nodes[who.0 as usize];
        self.graph.graph.edges(node).map(|edge| *edge.weight()).collect()
    }
}

/// What is known while ways are looked for.
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

impl<'m> Graph<'m> {
    /// Whether somebody gets anything through.
    pub(crate) fn gets_through(&self, edge: usize, party: Party<'_>) -> bool {
        let edge = &self.edges[edge];
        let is_sure = !edge.refuses && !edge.foreign;
        self.calls(edge, party)
            && (is_sure || !matches!(self.passing(edge, party, &RequestBox::all()), Ok(None)))
    }

    /// Every place that can be reached from somebody, the nearest first, with a shortest way there.
    pub(crate) fn ways_from<'a>(&self, start: &[Party<'a>], asked: &Selection) -> Vec<Vec<Hop<'a>>> {
        let mut travel = Travel::new(self);
        let mut search =
            Search { reached: Vec::new(), known: HashSet::default(), travelled: HashSet::default() };
        let mut queue: VecDeque<(Party<'a>, Option<usize>)> =
            start.iter().map(|party| (*party, None)).collect();
        let mut entered: HashSet<(usize, Option<Signature>), RandomState> = HashSet::default();
        let mut fares: HashMap<usize, Fares, RandomState> = HashMap::default();
        while let Some((party, before)) = queue.pop_front() {
            let is_start = before.is_none();
            let edges = match party {
                // What proxies send on was followed when they were reached.
                Party::Workload(id) if self.is_proxy(id) && !is_start => Vec::new(),
                Party::Workload(id) => travel.of_workload(id),
                _ => (0..self.edges.len()).filter(|at| self.calls(&self.edges[*at], party)).collect(),
            };
            for edge in edges {
                let place = self.edges[edge].place;
                let again = search.known.contains(&place);
                if again && self.place(place).leads.is_empty() || self.edges[edge].foreign {
                    continue;
                }
                // Whoever is refused less than those who came before may get on from here.
                let fares = fares.entry(edge).or_insert_with(|| self.fares(edge));
                let principal = self.seen(&self.edges[edge], party);
                let entry = (edge, fares.signature(principal.as_deref()));
                let gets_in = || self.gets_through(edge, party);
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

    /// What a waypoint or gateway sends on of what it was sent reaches the places behind it.
    fn through_proxy<'a>(
        &self,
        first: usize,
        asked: &Selection,
        search: &mut Search<'a>,
        queue: &mut VecDeque<(Party<'a>, Option<usize>)>,
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

    /// The end of a way where each hop sends on what the one before it was sent; nothing where the last one does not.
    fn last_segment<'s, 'a>(&self, way: &'s [Hop<'a>], asked: &Selection) -> Option<Segment<'s, 'a>> {
        let start = way.iter().rposition(|hop| hop.sent_by.is_none()).unwrap_or(0);
        self.segment(&way[start..], asked)
    }

    /// The stretches of a way where requests are sent on, each with its place in the way.
    pub(crate) fn segments<'s, 'a>(
        &self,
        way: &'s [Hop<'a>],
        asked: &Selection,
    ) -> Vec<(usize, Segment<'s, 'a>)> {
        let mut start = 0;
        let mut found = Vec::new();
        for hops in way.chunk_by(|_, next| next.sent_by.is_some()) {
            found.extend(self.segment(hops, asked).map(|segment| (start, segment)));
            start += hops.len();
        }
        found
    }

    fn segment<'s, 'a>(&self, hops: &'s [Hop<'a>], asked: &Selection) -> Option<Segment<'s, 'a>> {
        let (_, rest) = hops.split_first().filter(|(_, rest)| !rest.is_empty())?;
        let routings = rest.iter().map(|hop| {
            // Of equal ports only those count that are asked about, where some are.
            let members = self.members_asked(self.edges[hop.edge].place, asked);
            let leads = hop.sent_by.map_or(&[][..], |proxy| self.place(proxy).leads.as_slice());
            let is_there = |lead: &&Lead| {
                let is_it = |member: &&Member| matches!(member, Member::Workload(id, port) if (*id, *port) == lead.to);
                members.iter().any(is_it)
            };
            let mut routings: Vec<Arc<Routing>> = Vec::new();
            for lead in leads.iter().filter(is_there) {
                if !routings.iter().any(|known| Arc::ptr_eq(known, &lead.routing)) {
                    routings.push(lead.routing.clone());
                }
            }
            routings
        });
        Some(Segment { routings: routings.collect(), hops })
    }

    /// The members of a place that are asked about; all of them where none is.
    pub(crate) fn members_asked(&self, place: PlaceId, asked: &Selection) -> Vec<&Member> {
        let members = &self.place(place).members;
        let wanted: Vec<&Member> = members.iter().filter(|member| asked.is_wanted(member)).collect();
        if wanted.is_empty() { members.iter().collect() } else { wanted }
    }

    /// Hops from a waypoint or gateway to the places that its routes lead to.
    fn behind<'a>(&self, place: PlaceId) -> Vec<Hop<'a>> {
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
            proxy.leads.iter().flat_map(|lead| self.places_of(lead.to.0, lead.to.1)).copied().collect();
        targets.sort_unstable();
        targets.dedup();
        for target in targets {
            let node = self.place_nodes[target.0 as usize];
            let edges = self.graph.edges_directed(node, petgraph::Direction::Incoming);
            let mut edges: Vec<usize> = edges.map(|edge| *edge.weight()).collect();
            edges.sort_unstable();
            let through = edges.into_iter().filter(|edge| self.gets_through(*edge, by));
            found.extend(through.map(|edge| Hop { edge, by, sent_by: Some(place) }));
        }
        found
    }

    fn is_proxy(&self, id: WorkloadId) -> bool {
        let capture = &self.mesh.workload(id).capture;
        capture.is(&Capture::Gateway) || capture.is(&Capture::Waypoint)
    }

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
            let node = self.place_nodes[place.0 as usize];
            let mut edges: Vec<usize> = self
                .graph
                .edges_directed(node, petgraph::Direction::Incoming)
                .map(|edge| *edge.weight())
                .filter(|edge| !self.edges[*edge].foreign)
                .collect();
            edges.sort_unstable();
            for edge in edges {
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
        let node = self.place_nodes[proxy.0 as usize];
        let edges = self.graph.edges_directed(node, petgraph::Direction::Incoming);
        let mut found = false;
        for edge in edges.map(|edge| *edge.weight()) {
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

    /// Whether the callers of an edge fare differently there.
    fn hangs_on_identity(&self, edge: usize) -> bool {
        let edge = &self.edges[edge];
        asks_for_identity(self.who(edge.who)) || edge.refuses
    }

    /// What the rules at an edge tell apart.
    fn fares(&self, edge: usize) -> Fares {
        let chain = self.hangs_on_identity(edge).then(|| self.chain(&self.edges[edge])).flatten();
        let refusing = chain.map(|chain| chain.refusing).unwrap_or_default();
        let mut peers: Vec<Peers> = refusing.into_iter().map(|one| one.peers).collect();
        peers.push(self.who(self.edges[edge].who).peers.clone());
        Fares { peers, known: HashMap::default() }
    }

    /// Whether something gets from the first hop through the proxies that follow it.
    fn survives(&self, way: &[Hop<'_>], asked: &Selection) -> bool {
        let segments = self.segments(way, asked);
        let first = segments.first().filter(|(at, _)| *at == 0);
        first.is_none_or(|(_, segment)| self.survivors(segment).is_some())
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

    /// The kind of the place at the end of an edge.
    pub(crate) fn kind_at(&self, edge: usize) -> PointKind {
        self.place(self.edges[edge].place).kind
    }
}
