//! Requests that get to the end of a way, while they are traced back hop by hop.

use std::sync::Arc;

use meshproof_space::{Clause, RequestBox, Variable};

use crate::boxes::both;
use crate::graph::Graph;
use crate::paths::Hop;
use crate::rewrite::Rewrite;
use crate::routing::Routing;

/// Boxes that are kept of the requests that get through. What takes more of them is not followed: then all are kept that
/// there were before, so that no boxes always means that nothing gets through.
pub(crate) const BOXES: usize = 128;
/// Why it hangs on tokens.
pub(crate) const TOKEN: &str = "a token has to be sent on";
/// Why it hangs on the sender.
const UNKNOWN_SENDER: &str = "which identity the proxy has";

/// Requests as a union of boxes, while they are traced back.
pub(crate) struct Traced {
    pub boxes: Vec<Sent>,
    pub may: Vec<String>,
    /// The boxes hold more than what gets through, and what becomes of it on the way is not known.
    pub is_followed: bool,
}

/// Requests that take one way.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sent {
    pub requests: RequestBox,
    /// What the proxies that send them on make of their paths, in order.
    pub rewrites: Vec<Rewrite>,
}

impl Sent {
    pub fn within(&self, other: &RequestBox) -> Option<Sent> {
        Some(Sent { requests: both(&self.requests, other)?, rewrites: self.rewrites.clone() })
    }
}

impl Graph<'_> {
    /// Only those that the hop lets through. Tokens do not narrow them: what a proxy in front does not read it sends on, and
    /// which tokens it accepts is not for it to say.
    pub(crate) fn narrow(&self, traced: &mut Traced, hop: &Hop<'_>) {
        let edge = &self.edges[hop.edge];
        let Some(chain) = self.chain(edge) else { return };
        if !chain.is_http() {
            if chain.asks.source || chain.asks.destination || chain.asks.sni {
                traced.may.push("what is let in behind a proxy depends on addresses".to_owned());
            }
            return;
        }
        let principal = self.seen(edge, hop.by);
        let is_unknown = edge.effect.identified && principal.is_none();
        let mut allowed: Vec<RequestBox> = Vec::new();
        let mut doubts: Vec<&str> = Vec::new();
        for alternative in self.alternatives(edge, &chain) {
            if edge.effect.identified && !is_unknown && !alternative.peers.admits(principal.as_deref()) {
                continue;
            }
            if is_unknown && alternative.peers.asks_for_identity() {
                doubts.push(UNKNOWN_SENDER);
            }
            for one in &alternative.boxes {
                if one.clauses.iter().any(|clause| is_of_connection(&clause.variable)) {
                    doubts.push("what is let in behind a proxy depends on addresses");
                }
                let of_token = alternative.peers.clauses.iter().chain(&one.clauses);
                if of_token.filter(|clause| is_of_token(clause)).any(|clause| !clause.any_of.is_empty()) {
                    doubts.push(TOKEN);
                }
                allowed.push(of_request(one));
            }
        }
        traced.may.extend(doubts.into_iter().map(str::to_owned));
        if chain.limits.is_empty() {
            traced.keep(&allowed);
        } else {
            // A rule that was not worked out may let in more.
            traced.may.extend(chain.limits.iter().cloned());
            traced.is_followed = false;
        }
        for refusing in &chain.refusing {
            if !is_unknown && !refusing.peers.admits(principal.as_deref()) {
                continue;
            }
            if is_unknown && refusing.peers.asks_for_identity() {
                traced.may.push(UNKNOWN_SENDER.to_owned());
                continue;
            }
            let whole =
                [refusing.peers.without_identity().clauses, refusing.requests.clauses.clone()].concat();
            // Other addresses and names of connections are free to choose.
            if whole.iter().any(|clause| is_of_connection(&clause.variable)) {
                traced.may.push("what is refused behind a proxy depends on addresses".to_owned());
                continue;
            }
            // So are tokens.
            if whole.iter().any(is_of_token) {
                if whole.iter().filter(|clause| is_of_token(clause)).all(|clause| clause.any_of.is_empty()) {
                    traced.may.push(TOKEN.to_owned());
                }
                continue;
            }
            traced.leave_out(&whole);
        }
    }
}

impl Traced {
    pub fn too_many(&mut self) {
        self.may.push("the hops ask for many things".to_owned());
        self.is_followed = false;
    }

    /// Only those of some box.
    pub fn keep(&mut self, allowed: &[RequestBox]) {
        let joined = self.boxes.iter().flat_map(|one| allowed.iter().filter_map(|own| one.within(own)));
        let joined: Vec<Sent> = joined.take(BOXES + 1).collect();
        match joined.len() > BOXES {
            true => self.too_many(),
            false => self.boxes = joined,
        }
    }

    /// Without the requests that meet all the clauses.
    pub fn leave_out(&mut self, clauses: &[Clause]) {
        let mut kept: Vec<Sent> = Vec::new();
        for one in &self.boxes {
            for clause in clauses {
                // One of the clauses has to fail: its tests one by one, and those it refuses.
                if !clause.any_of.is_empty() {
                    let not = Clause::none(clause.variable.clone(), clause.any_of.clone());
                    kept.extend(one.within(&RequestBox::of(vec![not])));
                }
                if !clause.none_of.is_empty() {
                    let but = Clause::any(clause.variable.clone(), clause.none_of.clone());
                    kept.extend(one.within(&RequestBox::of(vec![but])));
                }
            }
        }
        kept.dedup();
        match kept.len() > BOXES {
            true => self.too_many(),
            false => self.boxes = kept,
        }
    }

    /// As they are in front of the proxy that sends them on.
    /// `written`: headers that it writes claims to.
    pub fn through(&mut self, routings: &[Arc<Routing>], written: &[String]) {
        let mut boxes = Vec::new();
        let mut is_set = false;
        for behind in &mut self.boxes {
            let before = behind.requests.clauses.len();
            behind.requests.clauses.retain(|clause| !is_set_by_proxies(&clause.variable, written));
            is_set |= behind.requests.clauses.len() < before;
        }
        if is_set {
            self.may.push("proxies set some of the headers that are asked for".to_owned());
        }
        for routing in routings {
            self.may.extend(routing.doubt.clone());
            for way in &routing.ways {
                for behind in &self.boxes {
                    let rewrites = [std::slice::from_ref(&way.rewrite), &behind.rewrites].concat();
                    if routing.is_opaque {
                        // What it makes of requests may be anything that passes behind.
                        boxes.push(Sent { requests: way.takes.clone(), rewrites });
                        break;
                    }
                    let Some((before, is_exact)) = way.rewrite.before(&behind.requests) else { continue };
                    if !is_exact {
                        self.may.push("the route changes paths".to_owned());
                    }
                    let Some(requests) = both(&way.takes, &before) else { continue };
                    boxes.push(Sent { requests, rewrites });
                }
            }
        }
        self.boxes = boxes;
        if self.boxes.len() > BOXES {
            self.boxes = vec![Sent::default()];
            self.too_many();
        }
    }
}

/// Without what connections have and requests do not (every proxy opens its own), and without what is asked of tokens.
fn of_request(whole: &RequestBox) -> RequestBox {
    let is_left = |clause: &&Clause| !is_of_connection(&clause.variable) && !is_of_token(clause);
    RequestBox::of(whole.clauses.iter().filter(is_left).cloned().collect())
}

fn is_of_token(clause: &Clause) -> bool {
    matches!(clause.variable, Variable::Token | Variable::Claim(_))
}

/// Whether proxies set or add to a header whatever was sent (Envoy, HTTP header manipulation), or write claims to it.
fn is_set_by_proxies(variable: &Variable, written: &[String]) -> bool {
    let Variable::Header(name) = variable else { return false };
    if written.contains(name) {
        return true;
    }
    let start = ["x-forwarded-", "x-envoy-", "x-b3-"].iter().any(|start| name.starts_with(start));
    start || matches!(name.as_str(), "x-request-id" | "via" | "forwarded" | "traceparent" | "tracestate")
}

fn is_of_connection(variable: &Variable) -> bool {
    matches!(
        variable,
        Variable::Peer
            | Variable::SourceIp
            | Variable::RemoteIp
            | Variable::DestinationIp
            | Variable::DestinationPort
            | Variable::Sni
            | Variable::Metadata { .. }
    )
}
