//! Requests that get through several proxies in a row, where each sends on what it was sent.

use std::sync::Arc;

use meshproof_authz::Request;
use meshproof_space::{Admitted, RequestBox, Variable, words};

use crate::boxes::both;
use crate::conditions::said_by_route;
use crate::doubts::written_headers;
use crate::graph::Graph;
use crate::paths::Hop;
use crate::routing::Routing;
use crate::told::dedup;
use crate::traced::{BOXES, Sent, Traced};

/// Boxes that are said.
const SAID: usize = 8;

/// Hops of which each but the first is made by the proxy that the one before it leads to.
pub(crate) struct Segment<'s, 'a> {
    pub hops: &'s [Hop<'a>],
    /// What is sent: all requests, or those with a token.
    pub sent: RequestBox,
    /// What each proxy sends on, in their order: one fewer than hops.
    pub routings: Vec<Vec<Arc<Routing>>>,
}

/// What gets through all of a segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Survivors {
    /// In words, as the first hop sees them.
    pub requests: Vec<String>,
    /// A request for each hop, one made of the other; none where it could not be found for certain.
    pub shown: Vec<Request>,
    /// Why fewer may get through, or none.
    pub may: Vec<String>,
}

impl Graph<'_> {
    /// What gets through all hops; nothing where it is certain that nothing does.
    pub(crate) fn survivors(&self, segment: &Segment<'_, '_>) -> Option<Survivors> {
        let mut traced = Traced { boxes: vec![Sent::default()], may: Vec::new(), is_followed: true };
        let (first, rest) = segment.hops.split_first()?;
        for (hop, routings) in rest.iter().zip(&segment.routings).rev() {
            self.narrow(&mut traced, hop);
            let proxy = hop.sent_by.map(|proxy| written_headers(self.mesh, self.place(proxy)));
            traced.through(routings, &proxy.unwrap_or_default());
            if traced.boxes.is_empty() {
                return None;
            }
        }
        let edge = &self.edges[first.edge];
        let Some(chain) = self.chain(edge).filter(|chain| chain.is_http()) else {
            // Nobody looks at requests at the first hop: what gets through is decided behind it.
            return Some(self.unseen(segment, traced));
        };
        let own = self.probes(edge, &chain, first.by);
        let own: Vec<RequestBox> = own.iter().filter_map(|own| both(own, &segment.sent)).collect();
        let mut joined: Vec<Sent> =
            own.iter().flat_map(|own| traced.boxes.iter().filter_map(|one| one.within(own))).collect();
        if joined.len() > BOXES {
            traced.too_many();
            joined = own.into_iter().map(|requests| Sent { requests, rewrites: Vec::new() }).collect();
        }
        let is_followed = traced.is_followed
            && segment.routings.iter().flatten().all(|routing| routing.doubt.is_none() && !routing.is_opaque);
        let mut survivors = Survivors { may: traced.may, ..Survivors::default() };
        let mut found: Option<(Request, &Sent)> = None;
        let admitted = |one: &Sent| chain.admitted(vec![one.requests.clone()], &edge.rules);
        let lists: Vec<Admitted> = joined.iter().map(admitted).collect();
        let mut is_closed = true;
        for (sent, answer) in joined.iter().zip(chain.ask(&lists)) {
            match answer {
                Ok(None) => continue,
                Ok(Some(request)) => {
                    found.get_or_insert((*request, sent));
                }
                Err(limit) => survivors.may.push(format!("whether anything passes: {limit}")),
            }
            is_closed = false;
            let clauses = sent.requests.clauses.iter();
            let of_request = clauses.filter(|clause| clause.variable != Variable::Peer).cloned();
            let requests = said_by_route(&RequestBox::of(of_request.collect()));
            survivors.requests.push(words::requests(&requests, true));
        }
        if is_closed {
            return None;
        }
        dedup(&mut survivors.requests);
        let left = survivors.requests.len().saturating_sub(SAID);
        survivors.requests.truncate(SAID);
        if left > 0 {
            survivors.requests.push(format!("and {left} more"));
        }
        if let Some((request, sent)) = found.filter(|_| is_followed) {
            match self.carried(segment, request, &sent.rewrites) {
                Ok(shown) => survivors.shown = shown,
                Err(reason) => survivors.may.push(reason),
            }
        }
        dedup(&mut survivors.may);
        Some(survivors)
    }

    /// What gets through where the first hop passes connections on unread.
    fn unseen(&self, segment: &Segment<'_, '_>, traced: Traced) -> Survivors {
        let said = traced.boxes.iter().map(|one| words::requests(&said_by_route(&one.requests), true));
        let mut requests: Vec<String> = said.take(SAID).collect();
        dedup(&mut requests);
        let is_all = traced.boxes.iter().any(|one| one.requests.clauses.is_empty());
        let mut may = traced.may;
        if !is_all && segment.hops.len() > 1 {
            may.push("the first proxy passes connections on unread".to_owned());
        }
        Survivors { requests, shown: Vec::new(), may }
    }
}
