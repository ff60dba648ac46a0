//! Ways over several hops: what a hop is, and which stretches of a way one request goes along.

use std::sync::Arc;

use meshproof_explain::PointKind;
use meshproof_ir::{Capture, WorkloadId};
use meshproof_space::RequestBox;

use crate::graph::Graph;
use crate::party::Party;
use crate::place::{Member, PlaceId};
use crate::routing::{Lead, Routing};
use crate::selection::Selection;
use crate::survival::Segment;
use crate::tokens::Bearer;

/// A hop: an edge, and who goes along it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop<'a> {
    pub edge: usize,
    pub by: Party<'a>,
    /// The waypoint or gateway that sends on what it was sent; nothing where a workload makes requests of its own.
    pub sent_by: Option<PlaceId>,
}

impl Graph<'_> {
    /// Whether somebody gets anything through.
    pub(crate) fn gets_through(&self, edge: usize, party: Party<'_>) -> bool {
        let edge = &self.edges[edge];
        // Of the example it was asked when the edge was drawn.
        let is_example = matches!(party, Party::Workload(id) if edge.example == Some(id));
        let is_sure = is_example || !edge.refuses && !edge.foreign;
        self.calls(edge, party)
            && (is_sure || !matches!(self.passing(edge, party, &RequestBox::all()), Ok(None)))
    }

    /// The end of a way where each hop sends on what the one before it was sent; nothing where the last one does not.
    pub(crate) fn last_segment<'s, 'a>(
        &self,
        way: &'s [Hop<'a>],
        asked: &Selection,
    ) -> Option<Segment<'s, 'a>> {
        let start = way.iter().rposition(|hop| hop.sent_by.is_none()).unwrap_or(0);
        self.segment(&way[start..], start == 0, asked)
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
            found.extend(self.segment(hops, start == 0, asked).map(|segment| (start, segment)));
            start += hops.len();
        }
        found
    }

    /// `is_start`: the way starts with it, with the token that is asked about.
    fn segment<'s, 'a>(
        &self,
        hops: &'s [Hop<'a>],
        is_start: bool,
        asked: &Selection,
    ) -> Option<Segment<'s, 'a>> {
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
        let sent = asked.bearer().filter(|_| is_start).map_or_else(RequestBox::all, Bearer::requests);
        Some(Segment { routings: routings.collect(), hops, sent })
    }

    /// The members of a place that are asked about; all of them where none is.
    pub(crate) fn members_asked(&self, place: PlaceId, asked: &Selection) -> Vec<&Member> {
        let members = &self.place(place).members;
        let wanted: Vec<&Member> = members.iter().filter(|member| asked.is_wanted(member)).collect();
        if wanted.is_empty() { members.iter().collect() } else { wanted }
    }

    /// Hops from a waypoint or gateway to the places that its routes lead to.
    pub(crate) fn behind<'a>(&self, place: PlaceId) -> Vec<Hop<'a>> {
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
            let through = self.numbers_into(target).into_iter().filter(|edge| self.gets_through(*edge, by));
            found.extend(through.map(|edge| Hop { edge, by, sent_by: Some(place) }));
        }
        found
    }

    pub(crate) fn is_proxy(&self, id: WorkloadId) -> bool {
        let capture = &self.mesh.workload(id).capture;
        capture.is(&Capture::Gateway) || capture.is(&Capture::Waypoint)
    }

    /// Whether something gets from the first hop through the proxies that follow it.
    pub(crate) fn survives(&self, way: &[Hop<'_>], asked: &Selection) -> bool {
        let segments = self.segments(way, asked);
        let first = segments.first().filter(|(at, _)| *at == 0);
        first.is_none_or(|(_, segment)| self.survivors(segment).is_some())
    }

    /// Somebody who goes along an edge.
    pub(crate) fn someone(&self, edge: usize) -> Option<Party<'static>> {
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

    /// The kind of the place at the end of an edge.
    pub(crate) fn kind_at(&self, edge: usize) -> PointKind {
        self.place(self.edges[edge].place).kind
    }
}
