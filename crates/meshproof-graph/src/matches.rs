//! The matches of a VirtualService at a gateway, read once for all of its routes.

use std::cell::Cell;

use foldhash::HashMap;
use meshproof_resources::{HttpMatch, VirtualService};
use meshproof_source::Span;
use meshproof_space::RequestBox;
use meshproof_transport::RouteSender;

use crate::conditions::{Taken, of_match};

/// Tests that are looked at in all while earlier matches are taken out of later ones: enough for dozens of routes that meet
/// a thousand earlier ones each, and no more than a fraction of a second for hostile files.
const MOST_WORK: usize = 16_000_000;
/// Why a route may take fewer than it says.
const EARLIER: &str = "an earlier route may take some of it";

/// The matches of a VirtualService, in the order in which they are asked.
pub(crate) struct Matches<'m> {
    /// Those of each route that are for the gateway.
    of_route: Vec<Vec<(Taken, &'m HttpMatch)>>,
    /// What they take for certain, with the number of the route.
    taken: Vec<(usize, RequestBox)>,
    /// Why it is not known what some take, with the number of the route.
    doubts: Vec<(usize, String)>,
    /// The first route that takes everything.
    end: Option<usize>,
    /// Routes by the places of their destinations.
    leading: HashMap<Span, usize>,
    /// Tests that may still be looked at.
    room: Cell<usize>,
}

impl<'m> Matches<'m> {
    pub fn of(service: &'m VirtualService, sender: &RouteSender<'_>) -> Matches<'m> {
        let mut matches = Matches {
            of_route: Vec::with_capacity(service.http.len()),
            taken: Vec::new(),
            doubts: Vec::new(),
            end: None,
            leading: HashMap::default(),
            room: Cell::new(MOST_WORK),
        };
        for (at, route) in service.http.iter().enumerate() {
            for destination in route.route.iter() {
                matches.leading.entry(destination.span).or_insert(at);
            }
            let own = route.matches.iter().filter_map(|one| Some((of_match(one, sender)?, one)));
            let own: Vec<(Taken, &HttpMatch)> = own.collect();
            matches.leave(at, route.delegate.is_some(), route.matches.is_empty(), &own);
            matches.of_route.push(own);
        }
        matches
    }

    /// Notes what a route leaves to those behind it.
    fn leave(&mut self, at: usize, delegates: bool, is_free: bool, own: &[(Taken, &HttpMatch)]) {
        if delegates {
            self.doubts.push((at, format!("{EARLIER}: it hands over to another VirtualService")));
            return;
        }
        let mut takes_all = is_free;
        for (taken, _) in own {
            match taken.doubt.as_deref().or(taken.leaves) {
                _ if taken.leaves_all => {}
                Some(doubt) => self.doubts.push((at, format!("{EARLIER}: {doubt}"))),
                None if taken.requests.clauses.is_empty() => takes_all = true,
                None => self.taken.push((at, taken.requests.clone())),
            }
        }
        if takes_all {
            self.end.get_or_insert(at);
        }
    }

    /// The matches of a route.
    pub fn of_route(&self, at: usize) -> &[(Taken, &'m HttpMatch)] {
        self.of_route.get(at).map_or(&[], Vec::as_slice)
    }

    /// What the routes before one take for certain; nothing where that is everything.
    pub fn before(&self, at: usize) -> Option<impl Iterator<Item = &RequestBox>> {
        let is_reached = self.end.is_none_or(|end| end >= at);
        is_reached
            .then(|| self.taken.iter().take_while(move |(earlier, _)| *earlier < at).map(|(_, one)| one))
    }

    /// Why the routes before one may take more.
    pub fn doubt_before(&self, at: usize) -> Option<&str> {
        let before = self.doubts.partition_point(|(earlier, _)| *earlier < at);
        before.checked_sub(1).map(|last| self.doubts[last].1.as_str())
    }

    /// Whether there is room to look at the tests of these boxes once more; takes it.
    pub fn has_room_for(&self, boxes: &[RequestBox]) -> bool {
        let clauses = boxes.iter().flat_map(|one| &one.clauses);
        let tests: usize = clauses.map(|clause| 1 + clause.any_of.len() + clause.none_of.len()).sum();
        let left = self.room.get().checked_sub(tests);
        self.room.set(left.unwrap_or(0));
        left.is_some()
    }

    /// The route that leads to a destination, given by its place in the file.
    pub fn leading_to(&self, span: Span) -> Option<usize> {
        self.leading.get(&span).copied()
    }
}
