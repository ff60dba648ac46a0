//! `reach`: who reaches it, or what somebody reaches, in words.

use meshproof_explain::{PointKind, Subject, Unclear, assumptions};
use meshproof_ir::Mesh;

use crate::graph::{Edge, Graph};
use crate::party::{Party, Told};
use crate::paths::Hop;
use crate::place::{Member, Place, PlaceId};
use crate::selection::{Scope, Selection};
use crate::survival::Survivors;
use crate::tokens::Bearer;
use crate::ways_from::Start;

/// Ways that are asked about together.
const TOGETHER: usize = 256;

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReachQuestion {
    /// Whose calls, and to what.
    pub scope: Scope,
    /// Over several hops.
    pub transitive: bool,
    /// How many callers of a class are named.
    pub names: usize,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reach {
    /// By what is reached.
    pub edges: Vec<ReachEdge>,
    /// Ways over several hops; only where they are asked for.
    pub paths: Vec<ReachPath>,
    /// What was asked for and nobody reaches.
    pub closed: Vec<Target>,
    /// What was assumed.
    pub notes: Vec<String>,
}

/// Something that is reached, or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// `namespace/name`.
    pub name: String,
    /// The port that policies see.
    pub port: u16,
    /// The host for which a waypoint is called.
    pub host: Option<String>,
    /// Its cluster, where several are read together.
    pub cluster: Option<String>,
}

/// That somebody reaches something.
#[derive(Clone, Debug, PartialEq)]
pub struct ReachEdge {
    /// What: equal workload ports are one.
    pub to: Vec<Target>,
    /// What stands there.
    pub kind: PointKind,
    /// Who, how, with which requests, and why.
    pub told: Told,
}

/// A way over several hops.
#[derive(Clone, Debug, PartialEq)]
pub struct ReachPath {
    /// From hop to hop.
    pub hops: Vec<ReachEdge>,
    /// Where proxies send on what they were sent: what gets through all of it.
    pub through: Vec<Through>,
}

/// What gets through several hops, where each proxy sends on what it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Through {
    /// The first hop.
    pub first: usize,
    /// The last one.
    pub last: usize,
    /// The requests in words, as the first hop sees them.
    pub requests: Vec<String>,
    /// Why fewer may get through, or none; empty where it is certain.
    pub may: Vec<String>,
    /// The requests that show the hops are one and the same, as each hop sees it.
    pub is_shown: bool,
}

/// Several things in one display order.
fn targets(mesh: &Mesh, place: &Place, wanted: &dyn Fn(&Member) -> bool) -> Vec<Target> {
    let several = mesh.clusters.len() > 1;
    let cluster = mesh.clusters.get(place.cluster.index()).and_then(|cluster| cluster.name.clone());
    let of = |member: &Member| Target {
        name: member.name(mesh),
        port: member.port(),
        host: member.host().map(str::to_owned),
        cluster: cluster.clone().filter(|_| several),
    };
    let mut found: Vec<Target> = place.members.iter().filter(|member| wanted(member)).map(of).collect();
    found.sort();
    found
}

impl Graph<'_> {
    /// Answers a question.
    ///
    /// # Errors
    /// A name that the mesh does not know, with what was probably meant.
    pub fn reach(&self, question: &ReachQuestion) -> Result<Reach, Unclear> {
        let mut answer = Reach { notes: assumptions(self.mesh), ..Reach::default() };
        let selection = self.select(&question.scope, &mut answer.notes)?;
        let parties = selection.parties();
        let wanted = |member: &Member| selection.is_wanted(member);
        let mut goals: Vec<PlaceId> = Vec::new();
        for (at, place) in self.places.iter().enumerate() {
            let id = PlaceId(at as u32);
            let here = targets(self.mesh, place, &wanted);
            let is_goal = !here.is_empty();
            // What sends on to it is told too.
            let here = if is_goal || !selection.leads_there(place) {
                here
            } else {
                targets(self.mesh, place, &|_| true)
            };
            if here.is_empty() {
                continue;
            }
            if is_goal {
                goals.push(id);
            }
            if question.transitive {
                continue;
            }
            let before = answer.edges.len();
            let edges: Vec<&Edge> =
                self.into_place(id).filter(|edge| self.is_borne(edge, &selection)).collect();
            self.foresee(self.first_told(&edges, parties.as_deref()), selection.bearer());
            for edge in edges {
                answer.edges.extend(self.told_edge(edge, (&selection, parties.as_deref()), &here, question));
            }
            let is_of_all = parties.is_none() && selection.bearer().is_none();
            if before == answer.edges.len() && is_of_all && is_goal {
                answer.notes.extend(doubtful(place, &here));
                answer.closed.extend(here);
            }
        }
        if question.transitive {
            self.paths(question, (&selection, parties.as_deref()), &goals, &mut answer);
        }
        if selection.bearer().is_some() && answer.edges.is_empty() && answer.paths.is_empty() {
            answer
                .notes
                .push("no rule that is asked about lets somebody in because of such a token".to_owned());
        }
        answer.closed.sort();
        answer.closed.dedup();
        answer.edges.sort_by(|one, other| one.to.cmp(&other.to));
        Ok(answer)
    }

    /// The edges with those of whom each will be told first.
    pub(crate) fn first_told<'e>(
        &'e self,
        edges: &'e [&'e Edge],
        parties: Option<&'e [Party<'e>]>,
    ) -> impl Iterator<Item = (&'e Edge, Option<Party<'e>>)> {
        edges.iter().filter_map(move |edge| match parties {
            None => (!edge.foreign).then_some((*edge, None)),
            Some(parties) => Some((*edge, Some(self.calling(edge, parties).next()?))),
        })
    }

    fn told_edge(
        &self,
        edge: &Edge,
        (selection, parties): (&Selection, Option<&[Party<'_>]>),
        to: &[Target],
        question: &ReachQuestion,
    ) -> Option<ReachEdge> {
        let kind = self.place(edge.place).kind;
        let (bearer, names) = (selection.bearer(), question.names);
        let told = match parties {
            None if edge.foreign => return None,
            None => self.tell(edge, None, bearer, names, true),
            Some(parties) => self
                .calling(edge, parties)
                .find_map(|party| self.tell(edge, Some(party), bearer, names, true))
                .map(|told| as_asked(told, question.scope.sender())),
        };
        Some(ReachEdge { to: to.to_vec(), kind, told: told? })
    }

    fn paths(
        &self,
        question: &ReachQuestion,
        (selection, parties): (&Selection, Option<&[Party<'_>]>),
        goals: &[PlaceId],
        answer: &mut Reach,
    ) {
        let ways: Vec<Vec<Hop<'_>>> = match self.starts(parties, selection) {
            Some(starts) => {
                let all = self.ways_from(&starts, selection);
                let is_wanted = |way: &Vec<Hop<'_>>| {
                    let last = way.last().map(|hop| self.edges[hop.edge].place);
                    question.scope.to.is_none() || last.is_some_and(|last| goals.contains(&last))
                };
                all.into_iter().filter(is_wanted).collect()
            }
            None => self.ways_to(goals, selection),
        };
        for ways in ways.chunks(TOGETHER) {
            self.foresee_hops(ways, selection.bearer());
            answer.paths.extend(ways.iter().filter_map(|way| self.told_way(way, question, selection)));
        }
    }

    /// A way in words; nothing where somebody on it gets nothing through.
    fn told_way(
        &self,
        way: &[Hop<'_>],
        question: &ReachQuestion,
        selection: &Selection,
    ) -> Option<ReachPath> {
        let told = |(at, hop): (usize, &Hop<'_>)| {
            let bearer = selection.bearer().filter(|_| at == 0);
            let mut told = self.told_hop(hop, bearer, selection, question.names)?;
            told.told = match at {
                0 if hop.sent_by.is_none() => as_asked(told.told, question.scope.sender()),
                _ => self.as_called_on(told.told, hop.by),
            };
            Some(told)
        };
        let mut hops: Vec<ReachEdge> = way.iter().enumerate().map(told).collect::<Option<_>>()?;
        let mut through = Vec::new();
        for (first, segment) in self.segments(way, selection) {
            let Some(survivors) = self.survivors(&segment) else { continue };
            for (at, request) in survivors.shown.iter().enumerate() {
                let hop = &segment.hops[at];
                let shown = self.shown(request, hop.by, &self.edges[hop.edge]);
                hops[first + at].told.witness = Some(shown);
            }
            let last = first + segment.hops.len() - 1;
            let Survivors { requests, may, shown } = survivors;
            through.push(Through { first, last, requests, may, is_shown: !shown.is_empty() });
        }
        Some(ReachPath { hops, through })
    }

    /// Where ways start; nothing where they may start anywhere.
    fn starts<'a>(&self, parties: Option<&[Party<'a>]>, selection: &Selection) -> Option<Vec<Start<'a>>> {
        let along = |(party, edge)| Start { party, by: Some(edge) };
        match (parties, selection.bearer()) {
            (None, None) => None,
            (Some(parties), None) => {
                Some(parties.iter().map(|party| Start { party: *party, by: None }).collect())
            }
            (None, Some(bearer)) => Some(self.holders(bearer).into_iter().map(along).collect()),
            (Some(parties), Some(_)) => {
                let borne = (0..self.edges.len()).filter(|at| self.is_borne(&self.edges[*at], selection));
                let calling = borne.flat_map(|at| {
                    self.calling(&self.edges[at], parties).map(|party| along((party, at))).collect::<Vec<_>>()
                });
                Some(calling.collect())
            }
        }
    }

    /// Finds what will be asked of hops; only the first one of a way carries the token.
    fn foresee_hops(&self, ways: &[Vec<Hop<'_>>], bearer: Option<&Bearer>) {
        for is_first in [true, false] {
            let hops = ways.iter().flat_map(|way| way.iter().enumerate());
            let hops = hops.filter(|(at, _)| (*at == 0) == is_first);
            let told = hops.map(|(_, hop)| (&self.edges[hop.edge], Some(hop.by)));
            self.foresee(told, bearer.filter(|_| is_first));
        }
    }

    fn told_hop(
        &self,
        hop: &Hop<'_>,
        bearer: Option<&Bearer>,
        asked: &Selection,
        names: usize,
    ) -> Option<ReachEdge> {
        let edge = &self.edges[hop.edge];
        let place = self.place(edge.place);
        let is_asked = place.members.iter().any(|member| asked.is_wanted(member));
        let to = targets(self.mesh, place, &|member| !is_asked || asked.is_wanted(member));
        let told = self.tell(edge, Some(hop.by), bearer, names, true)?;
        Some(ReachEdge { to, kind: self.kind_at(hop.edge), told })
    }

    /// Behind the first hop it is a workload that calls, or a proxy.
    fn as_called_on(&self, mut told: Told, by: Party<'_>) -> Told {
        let name = match by {
            Party::Workload(id) => self.mesh.workload_display(id),
            Party::Waypoint(id) => self.mesh.gateway_display(id),
            _ => return told,
        };
        told.who.clone_from(&name);
        told.callers = vec![name.clone()];
        told.from = format!("workload:{name}");
        told.count = Some(1);
        told
    }
}

/// Why it is not certain that nobody reaches a place.
fn doubtful(place: &Place, here: &[Target]) -> Option<String> {
    let (doubt, first) = (place.doubts.first()?, here.first()?);
    let others = match here.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} equal ones"),
    };
    Some(format!(
        "that nobody reaches {}:{}{others} hangs on what is not known: {doubt}",
        first.name, first.port
    ))
}

/// The caller is called as the question calls it.
fn as_asked(mut told: Told, from: Option<&Subject>) -> Told {
    if let Some(from) = from {
        told.who = from.to_string();
        told.from = from.to_string();
        told.callers = Vec::new();
        told.count = None;
    }
    told
}
