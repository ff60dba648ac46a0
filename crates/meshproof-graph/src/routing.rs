//! Which requests a route of a gateway sends on, and what it makes of their paths, as boxes.

use std::sync::Arc;

use meshproof_ir::WorkloadId;
use meshproof_resources::{HttpMatch, RouteRule, StringMatch, VirtualHttpRoute};
use meshproof_space::{Clause, RequestBox};

use crate::boxes::{are_apart, without, without_clause};
use crate::conditions::{Taken, of_host, rooted};
use crate::matches::Matches;
use crate::precedence::{Order, Ranked, RuleOf};
use crate::rewrite::Rewrite;

/// Why a rule may take fewer than it says.
const ANOTHER_RULE: &str = "another rule of the route may take some of it";
/// The same of another route.
pub(crate) const ANOTHER_ROUTE: &str = "another route of the gateway may take some of it";
/// The same of a route that asks for as much.
const OLDER: &str = "another route asks for as much, and the older one takes it";
/// The same of so many that they are not told apart.
const MANY: &str = "earlier routes have many conditions";
/// Matches before another one that are looked at where they meet it; the Gateway API admits 128 in all.
const MOST_EARLIER: usize = 1_024;
/// Boxes of one match that are kept.
const MOST_BOXES: usize = 64;
/// Tests that these have together.
const MOST_TESTS: usize = 4_096;

/// Where a proxy sends on to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lead {
    /// A port of pods.
    pub to: (WorkloadId, u16),
    /// What gets there.
    pub routing: Arc<Routing>,
}

/// What a route does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Routing {
    /// Requests that it takes, each with the change of their paths; together all of them.
    pub ways: Vec<Way>,
    /// Why it may take fewer, or make others of them.
    pub doubt: Option<String>,
    /// It makes others of them than are followed, so that what passes behind tells nothing of what is sent.
    pub is_opaque: bool,
}

/// Requests whose paths are changed alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Way {
    pub takes: RequestBox,
    pub rewrite: Rewrite,
}

impl Routing {
    /// Everything is sent on as it is.
    pub fn all() -> Arc<Routing> {
        Arc::new(Routing { ways: vec![Way::default()], doubt: None, is_opaque: false })
    }

    /// What is sent on, and how, is not known.
    pub fn unknown(reason: &str) -> Arc<Routing> {
        let ways = vec![Way::default()];
        Arc::new(Routing { ways, doubt: Some(reason.to_owned()), is_opaque: true })
    }

    /// The HTTP route of a VirtualService at this place in its list, for requests of these names at the gateway of the matches;
    /// nothing where it is for others, or where earlier routes take all of them. `written`: a name, with a star in front or
    /// alone.
    pub fn of_virtual_service(
        route: &VirtualHttpRoute,
        (matches, at): (&Matches<'_>, usize),
        written: &str,
    ) -> Option<Routing> {
        let mut routing =
            Routing { doubt: matches.doubt_before(at).map(str::to_owned), ..Routing::default() };
        let earlier: Vec<&RequestBox> = matches.before(at)?.collect();
        let everything = Taken::default();
        let own: Vec<(&Taken, Option<&HttpMatch>)> = match route.matches.is_empty() {
            true => vec![(&everything, None)],
            false => matches.of_route(at).iter().map(|(taken, one)| (taken, Some(*one))).collect(),
        };
        if own.is_empty() {
            return None;
        }
        for (taken, one) in own {
            if taken.doubt.is_some() {
                routing.doubt.clone_from(&taken.doubt);
            }
            let mut takes = taken.requests.clone();
            takes.clauses.extend(of_host(written));
            rooted(&mut takes);
            let meeting = earlier.iter().filter(|requests| !are_apart(&takes, requests));
            let mut left = vec![takes.clone()];
            for (count, requests) in meeting.enumerate() {
                let has_room = count < MOST_EARLIER && matches.has_room_for(&left);
                if !has_room || !leave_out(&mut left, requests) {
                    routing.doubt = Some(MANY.to_owned());
                    break;
                }
            }
            let rewrite = match &route.rewrite_uri {
                None => Rewrite::Same,
                Some(to) => routing.rewrite(one, &to.value),
            };
            routing.ways.extend(left.into_iter().map(|takes| Way { takes, rewrite: rewrite.clone() }));
        }
        if route.rewrite_authority.is_some() {
            routing.doubt = Some("the route changes the host".to_owned());
            routing.is_opaque = true;
        }
        if let Some(what) = route.changes {
            routing.doubt = Some(format!("the route changes requests ({what})"));
            routing.is_opaque = true;
        }
        Some(routing)
    }

    /// What a route makes of the paths of a match.
    fn rewrite(&mut self, one: Option<&HttpMatch>, to: &str) -> Rewrite {
        let to = to.to_owned();
        match one.map(|one| (&one.uri, one.ignore_uri_case)) {
            Some((Some(StringMatch::Regex(_)), _) | (Some(_), true)) => {
                self.is_opaque = true;
                Rewrite::Same
            }
            Some((Some(StringMatch::Exact(_)), false)) => Rewrite::Whole(to),
            Some((Some(StringMatch::Prefix(from)), false)) => Rewrite::Start { from: from.value.clone(), to },
            Some((None, _)) | None => Rewrite::Start { from: "/".to_owned(), to },
        }
    }

    /// A doubt beside those of the route itself, which come first.
    pub fn doubt_of_others(&mut self, reason: &str) {
        self.doubt.get_or_insert_with(|| reason.to_owned());
    }

    /// Adds what a rule takes of a list of routes. `host`: the requests that the list is for; all where there is none.
    pub fn take(&mut self, rule: RuleOf, order: &Order, host: Option<&Clause>) {
        for place in order.of_rule(rule) {
            let own = &order.ranked[place];
            self.doubt = own.taken.doubt.clone().or(self.doubt.take());
            let mut takes = own.taken.requests.clone();
            rooted(&mut takes);
            let meets = |other: &&Ranked| !are_apart(&takes, &other.taken.requests);
            let mut left = vec![takes.clone()];
            let before = order.ranked[..place].iter().filter(|other| other.rule != rule).filter(meets);
            for (count, earlier) in before.enumerate() {
                if count == MOST_EARLIER {
                    self.doubt_of_others(MANY);
                    break;
                }
                match order.is_open(earlier, own) {
                    true => self.doubt_of_others(OLDER),
                    false => self.leave(&mut left, earlier, rule),
                }
            }
            if order.equals_behind(place).any(|other| meets(&other)) {
                self.doubt_of_others(OLDER);
            }
            self.ways.extend(left.into_iter().map(|mut takes| {
                takes.clauses.extend(host.cloned());
                Way { takes, rewrite: Rewrite::Same }
            }));
        }
    }

    /// With what a rule makes of requests; nothing where it takes none.
    pub fn of_rule(mut self, rule: &RouteRule) -> Option<Routing> {
        if self.ways.is_empty() {
            return None;
        }
        let changes = |kind: &str| matches!(kind, "URLRewrite" | "RequestHeaderModifier" | "ExtensionRef");
        let kinds = rule.filters.iter().filter_map(|filter| filter.kind.as_ref());
        if let Some(kind) = kinds.map(|kind| kind.value.as_str()).find(|kind| changes(kind)) {
            self.doubt = Some(format!("the route changes requests ({kind})"));
            self.is_opaque = true;
        }
        Some(self)
    }

    /// Leaves to a match that is asked before what it takes.
    fn leave(&mut self, left: &mut Vec<RequestBox>, earlier: &Ranked, own: RuleOf) {
        let (taken, requests) = (&earlier.taken, &earlier.taken.requests);
        // What asks for a query leaves all.
        if taken.leaves_all || left.iter().all(|takes| are_apart(takes, requests)) {
            return;
        }
        // Of what is not followed nothing is taken away.
        if taken.doubt.is_some() || taken.leaves.is_some() {
            self.doubt_of_others(if earlier.rule.0 == own.0 { ANOTHER_RULE } else { ANOTHER_ROUTE });
        } else if !leave_out(left, requests) {
            self.doubt_of_others(MANY);
        }
    }
}

/// Takes what lies in another box out of some; leaves them as they are where that takes too many, and says so.
fn leave_out(left: &mut Vec<RequestBox>, requests: &RequestBox) -> bool {
    let fewer: Vec<RequestBox> = match requests.clauses.as_slice() {
        [clause] => {
            left.iter_mut().for_each(|takes| without_clause(takes, clause));
            return true;
        }
        _ => left.iter().flat_map(|takes| without(takes, requests)).take(MOST_BOXES + 1).collect(),
    };
    let clauses = fewer.iter().flat_map(|one| &one.clauses);
    let tests: usize = clauses.map(|clause| clause.any_of.len() + clause.none_of.len()).sum();
    let is_followed = fewer.len() <= MOST_BOXES && tests <= MOST_TESTS;
    if is_followed {
        *left = fewer;
    }
    is_followed
}
