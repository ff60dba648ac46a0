//! Requests that get through several proxies in a row, where each sends on what it was sent.

use std::sync::Arc;

use meshproof_authz::{Decision, HttpRequest, Request, Token, evaluate};
use meshproof_resources::JwtRule;
use meshproof_space::{Clause, RequestBox, Test, Tokens, Variable, words};

use crate::chain::Chain;
use crate::conditions::said_by_route;
use crate::graph::{Edge, Graph};
use crate::paths::Hop;
use crate::routing::{Rewrite, Routing};
use crate::told::dedup;
use crate::witness::connection;

/// Boxes that are kept of the requests that get through. What takes more of them is not followed: then all are kept that
/// there were before, so that no boxes always means that nothing gets through.
const BOXES: usize = 128;
/// Why it hangs on tokens.
const TOKEN: &str = "a token has to be sent on";
/// Why it hangs on the sender.
const UNKNOWN_SENDER: &str = "which identity the proxy has";
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

/// Requests as a union of boxes, while they are traced back.
struct Traced {
    boxes: Vec<Sent>,
    may: Vec<String>,
    /// The boxes hold more than what gets through, and what becomes of it on the way is not known.
    is_followed: bool,
}

/// Requests that take one way.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sent {
    requests: RequestBox,
    /// What the proxies that send them on make of their paths, in order.
    rewrites: Vec<Rewrite>,
}

impl Sent {
    fn within(&self, other: &RequestBox) -> Option<Sent> {
        Some(Sent { requests: both(&self.requests, other)?, rewrites: self.rewrites.clone() })
    }
}

impl Graph<'_> {
    /// What gets through all hops; nothing where it is certain that nothing does.
    pub(crate) fn survivors(&self, segment: &Segment<'_, '_>) -> Option<Survivors> {
        let mut traced = Traced { boxes: vec![Sent::default()], may: Vec::new(), is_followed: true };
        let (first, rest) = segment.hops.split_first()?;
        for (hop, routings) in rest.iter().zip(&segment.routings).rev() {
            self.narrow(&mut traced, hop);
            traced.through(routings);
            if traced.boxes.is_empty() {
                return None;
            }
        }
        let edge = &self.edges[first.edge];
        let Some(chain) = self.chain(edge).filter(Chain::is_http) else {
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
        let lists: Vec<Vec<RequestBox>> = joined.iter().map(|one| vec![one.requests.clone()]).collect();
        let mut is_closed = true;
        for (sent, answer) in joined.iter().zip(chain.passing(&lists)) {
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

    /// Only those that the hop lets through. Tokens do not narrow them: what a proxy in front does not read it sends on, and
    /// which tokens it accepts is not for it to say.
    fn narrow(&self, traced: &mut Traced, hop: &Hop<'_>) {
        let edge = &self.edges[hop.edge];
        let Some(chain) = self.chain(edge).filter(Chain::is_http) else { return };
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

    /// Requests for each hop, all made of the one that the first is shown by.
    fn carried(
        &self,
        segment: &Segment<'_, '_>,
        first: Request,
        rewrites: &[Rewrite],
    ) -> Result<Vec<Request>, String> {
        let mut sent = self.accepted_by(&segment.hops[0], &first)?;
        let mut shown = vec![first];
        for (hop, rewrite) in segment.hops[1..].iter().zip(rewrites) {
            let before = shown.last().and_then(|request| request.http.clone());
            let edge = &self.edges[hop.edge];
            let plain = connection(edge, hop.by, self);
            // A proxy takes the token away that it has read, unless its rule says otherwise.
            sent = sent.filter(|(_, rule)| rule.forward_original_token);
            let Some(chain) = self.chain(edge) else {
                shown.push(plain);
                continue;
            };
            let token = match (&sent, &chain.domain.tokens) {
                (None, _) | (_, Tokens::None) => Token::None,
                (Some((token, rule)), _) if self.jwt_rules(edge).any(|own| own == *rule) => token.clone(),
                _ => return Err(TOKEN.to_owned()),
            };
            let http = before.filter(|_| chain.is_http()).map(|http| HttpRequest {
                target: rewrite.apply(&http.target),
                token,
                ..http
            });
            let request = Request { http, ..plain };
            if evaluate(&chain.policies, &request, &chain.context).decision != Decision::Allow {
                return Err("no request was found that gets through all hops for certain".to_owned());
            }
            shown.push(request);
        }
        Ok(shown)
    }

    /// The token that is read at the first hop, with the rule that accepts it.
    fn accepted_by(&self, hop: &Hop<'_>, request: &Request) -> Result<Option<(Token, &JwtRule)>, String> {
        let Some(token @ Token::Verified { claims, .. }) = request.http.as_ref().map(|http| &http.token)
        else {
            return Ok(None);
        };
        let issuer = claims.get("iss").and_then(|issuer| issuer.as_str());
        let is_own = |rule: &&JwtRule| rule.issuer.as_ref().map(|own| own.value.as_str()) == issuer;
        let mut rules = self.jwt_rules(&self.edges[hop.edge]).filter(is_own);
        match (rules.next(), rules.next()) {
            (Some(rule), None) => Ok(Some((token.clone(), rule))),
            _ => Err("several rules of RequestAuthentications accept the token".to_owned()),
        }
    }

    /// The rules about tokens at the end of an edge.
    fn jwt_rules(&self, edge: &Edge) -> impl Iterator<Item = &JwtRule> {
        let attached = self.place(edge.place).request_authentications.iter();
        attached
            .filter_map(|attached| self.mesh.request_authentication(attached.policy))
            .flat_map(|policy| policy.jwt_rules.iter())
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

impl Traced {
    fn too_many(&mut self) {
        self.may.push("the hops ask for many things".to_owned());
        self.is_followed = false;
    }

    /// Only those of some box.
    fn keep(&mut self, allowed: &[RequestBox]) {
        let joined = self.boxes.iter().flat_map(|one| allowed.iter().filter_map(|own| one.within(own)));
        let joined: Vec<Sent> = joined.take(BOXES + 1).collect();
        match joined.len() > BOXES {
            true => self.too_many(),
            false => self.boxes = joined,
        }
    }

    /// Without the requests that meet all the clauses.
    fn leave_out(&mut self, clauses: &[Clause]) {
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
    fn through(&mut self, routings: &[Arc<Routing>]) {
        let mut boxes = Vec::new();
        let mut is_set = false;
        for behind in &mut self.boxes {
            let before = behind.requests.clauses.len();
            behind.requests.clauses.retain(|clause| !is_set_by_proxies(&clause.variable));
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

/// Requests that lie in both; nothing where none obviously do.
fn both(one: &RequestBox, other: &RequestBox) -> Option<RequestBox> {
    let mut joined = one.clone();
    for clause in &other.clauses {
        let own = joined.clauses.iter_mut().find(|own| own.variable == clause.variable);
        let Some(own) = own else {
            joined.clauses.push(clause.clone());
            continue;
        };
        let is_asked = !own.any_of.is_empty() || !clause.any_of.is_empty();
        let wanted: Option<Vec<Test>> = match (own.any_of.as_slice(), clause.any_of.as_slice()) {
            ([], other) => Some(other.to_vec()),
            (own, []) => Some(own.to_vec()),
            (own, other) => narrower(own, other),
        };
        match wanted {
            Some(any_of) => {
                if any_of.is_empty() && is_asked {
                    return None;
                }
                own.any_of = any_of;
                let more = clause.none_of.iter().filter(|test| !own.none_of.contains(test));
                let more: Vec<Test> = more.cloned().collect();
                own.none_of.extend(more);
            }
            None => joined.clauses.push(clause.clone()),
        }
    }
    Some(joined)
}

/// One of each list, as one list; nothing where that takes more than tests.
fn narrower(own: &[Test], other: &[Test]) -> Option<Vec<Test>> {
    let mut found: Vec<Test> = Vec::new();
    for one in own {
        for two in other {
            let both = match (takes_all_of(one, two), takes_all_of(two, one)) {
                (true, _) => two,
                (_, true) => one,
                _ if !crate::routing::may_meet(one, two) => continue,
                _ => return None,
            };
            if !found.contains(both) {
                found.push(both.clone());
            }
        }
    }
    Some(found)
}

/// Whether every value that passes the other test obviously passes this one.
fn takes_all_of(one: &Test, other: &Test) -> bool {
    use meshproof_grammar::pattern::Pattern;
    if one == other {
        return true;
    }
    let (Test::Path(wide), Test::Path(narrow)) = (one, other) else { return false };
    match narrow {
        Pattern::Exact(text) => wide.matches(text),
        Pattern::Prefix(text) => match wide {
            Pattern::Prefix(start) => text.starts_with(start.as_str()),
            Pattern::Present => !text.is_empty(),
            _ => false,
        },
        Pattern::Suffix(text) => match wide {
            Pattern::Suffix(end) => text.ends_with(end.as_str()),
            Pattern::Present => !text.is_empty(),
            _ => false,
        },
        Pattern::Present => false,
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

/// Whether proxies set or add to a header whatever was sent (Envoy, HTTP header manipulation).
fn is_set_by_proxies(variable: &Variable) -> bool {
    let Variable::Header(name) = variable else { return false };
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
