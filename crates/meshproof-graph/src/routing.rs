//! Which requests a route of a gateway sends on, and what it makes of their paths, as boxes.

use std::sync::Arc;

use meshproof_grammar::pattern::Pattern;
use meshproof_ir::WorkloadId;
use meshproof_resources::{RouteRule, StringMatch, VirtualService};
use meshproof_space::{Clause, RequestBox, Test, Variable};

use crate::conditions::{of_host, of_match, of_route_match, rooted};

/// Why a rule may take fewer than it says.
const ANOTHER_RULE: &str = "another rule of the route may take some of it";
/// Boxes of one match that are kept.
const MOST_BOXES: usize = 64;

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

/// What becomes of a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rewrite {
    #[default]
    Same,
    /// One beginning becomes another.
    Start { from: String, to: String },
    /// It becomes this.
    Whole(String),
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

    /// The HTTP route of a VirtualService at this place in its list, for requests of these names; nothing where earlier routes
    /// take all of them. `written`: a name, with a star in front or alone.
    pub fn of_virtual_service(service: &VirtualService, at: usize, written: &str) -> Option<Routing> {
        let route = service.http.get(at)?;
        let mut routing = Routing::default();
        let mut earlier: Vec<RequestBox> = Vec::new();
        let before = || service.http.items.iter().take(at);
        if before().any(|route| route.delegate.is_some()) {
            routing.doubt = Some("an earlier route may take some of it".to_owned());
        }
        let own = || before().filter(|route| route.delegate.is_none());
        for one in own().flat_map(|route| route.matches.iter()) {
            let (requests, is_exact) = of_match(one);
            match is_exact {
                true if requests.clauses.is_empty() => return None,
                true => earlier.push(requests),
                false => routing.doubt = Some("an earlier route may take some of it".to_owned()),
            }
        }
        if own().any(|route| route.matches.is_empty()) {
            return None;
        }
        let everything = (RequestBox::all(), true, None, false);
        let matches: Vec<(RequestBox, bool, Option<&StringMatch>, bool)> = match route.matches.is_empty() {
            true => vec![everything],
            false => route
                .matches
                .iter()
                .map(|one| {
                    let (requests, is_exact) = of_match(one);
                    (requests, is_exact, one.uri.as_ref(), one.ignore_uri_case)
                })
                .collect(),
        };
        for (mut takes, is_exact, uri, ignores_case) in matches {
            if !is_exact {
                routing.doubt = Some("the route has conditions that are not followed".to_owned());
            }
            if ignores_case {
                takes.clauses.retain(|clause| clause.variable != Variable::Path);
                routing.is_opaque |= route.rewrite_uri.is_some();
            }
            takes.clauses.extend(of_host(written));
            rooted(&mut takes);
            let mut left = vec![takes];
            for requests in &earlier {
                let fewer: Vec<RequestBox> =
                    left.iter().flat_map(|takes| without(takes, requests)).take(MOST_BOXES + 1).collect();
                match fewer.len() > MOST_BOXES {
                    true => routing.doubt = Some("earlier routes have many conditions".to_owned()),
                    false => left = fewer,
                }
            }
            let rewrite = match (&route.rewrite_uri, uri) {
                (None, _) => Rewrite::Same,
                (Some(to), Some(StringMatch::Exact(_))) => Rewrite::Whole(to.value.clone()),
                (Some(to), Some(StringMatch::Prefix(from))) => {
                    Rewrite::Start { from: from.value.clone(), to: to.value.clone() }
                }
                (Some(to), None) => Rewrite::Start { from: "/".to_owned(), to: to.value.clone() },
                (Some(_), Some(StringMatch::Regex(_))) => {
                    routing.is_opaque = true;
                    Rewrite::Same
                }
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

    /// A doubt beside those of the route itself, which come first.
    pub fn doubt_of_others(&mut self, reason: &str) {
        self.doubt.get_or_insert_with(|| reason.to_owned());
    }

    /// The rule of an HTTPRoute or GRPCRoute at this place in its list, for requests of these names.
    pub fn of_route_rule(at: usize, rules: &[&RouteRule], hosts: &[String]) -> Routing {
        let mut routing = Routing::default();
        let Some(rule) = rules.get(at) else { return routing };
        let matches: Vec<RequestBox> = match rule.matches.is_empty() {
            true => vec![RequestBox::all()],
            false => rule.matches.iter().map(|one| of_route_match(one, &mut routing.doubt)).collect(),
        };
        let mut others: Vec<RequestBox> = Vec::new();
        for (_, other) in rules.iter().enumerate().filter(|(other, _)| *other != at) {
            if other.matches.is_empty() {
                others.push(RequestBox::all());
            }
            for one in other.matches.iter() {
                let mut unknown = None;
                let requests = of_route_match(one, &mut unknown);
                // Of what is not followed nothing is taken away.
                match unknown {
                    None => others.push(requests),
                    Some(_) => routing.doubt_of_others(ANOTHER_RULE),
                }
            }
        }
        for takes in matches {
            let named: Vec<Option<Clause>> = match hosts.is_empty() {
                true => vec![None],
                false => hosts.iter().map(|host| of_host(host)).collect(),
            };
            for host in named {
                let mut takes = takes.clone();
                for other in &others {
                    match other.clauses.as_slice() {
                        // The longer path wins, whichever rule it stands in.
                        [clause] if other.clauses != takes.clauses && is_narrower(clause, &takes) => {
                            leave_out(&mut takes, clause);
                        }
                        // So does whoever asks for the same and more.
                        all if all.len() < takes.clauses.len()
                            && all.iter().all(|clause| takes.clauses.contains(clause)) => {}
                        all if all.iter().any(|clause| is_apart(clause, &takes)) => {}
                        _ => routing.doubt_of_others(ANOTHER_RULE),
                    }
                }
                takes.clauses.extend(host);
                rooted(&mut takes);
                routing.ways.push(Way { takes, rewrite: Rewrite::Same });
            }
        }
        let changes = |kind: &str| matches!(kind, "URLRewrite" | "RequestHeaderModifier" | "ExtensionRef");
        let kinds = rule.filters.iter().filter_map(|filter| filter.kind.as_ref());
        if let Some(kind) = kinds.map(|kind| kind.value.as_str()).find(|kind| changes(kind)) {
            routing.doubt = Some(format!("the route changes requests ({kind})"));
            routing.is_opaque = true;
        }
        routing
    }
}

impl Rewrite {
    /// A path behind the proxy.
    pub fn apply(&self, target: &str) -> String {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let path = match self {
            Rewrite::Same => path.to_owned(),
            Rewrite::Start { from, to } => match path.strip_prefix(from.as_str()) {
                Some(rest) => format!("{to}{rest}"),
                None => path.to_owned(),
            },
            Rewrite::Whole(to) => to.clone(),
        };
        query.map_or(path.clone(), |query| format!("{path}?{query}"))
    }

    /// The requests in front of the proxy that lie in a box behind it; nothing where none do. False: they may be fewer.
    pub fn before(&self, behind: &RequestBox) -> Option<(RequestBox, bool)> {
        let mut clauses = Vec::with_capacity(behind.clauses.len());
        let mut is_exact = true;
        for clause in &behind.clauses {
            if clause.variable != Variable::Path || *self == Rewrite::Same {
                clauses.push(clause.clone());
                continue;
            }
            let mut own = Clause { variable: Variable::Path, any_of: Vec::new(), none_of: Vec::new() };
            let mut is_met = clause.any_of.is_empty();
            for test in &clause.any_of {
                match self.test_before(test) {
                    Before::Always => is_met = true,
                    Before::Never => {}
                    Before::Test(test) => own.any_of.push(test),
                    Before::Unknown => (is_exact, is_met) = (false, true),
                }
            }
            if is_met {
                own.any_of.clear();
            } else if own.any_of.is_empty() {
                return None;
            }
            for test in &clause.none_of {
                match self.test_before(test) {
                    Before::Always => return None,
                    Before::Never => {}
                    Before::Test(test) => own.none_of.push(test),
                    Before::Unknown => is_exact = false,
                }
            }
            if !own.any_of.is_empty() || !own.none_of.is_empty() {
                clauses.push(own);
            }
        }
        Some((RequestBox::of(clauses), is_exact))
    }

    fn test_before(&self, test: &Test) -> Before {
        let (Rewrite::Start { .. } | Rewrite::Whole(_), Test::Path(pattern)) = (self, test) else {
            return Before::Unknown;
        };
        match (self, pattern) {
            (Rewrite::Whole(path), pattern) => match pattern.matches(path) {
                true => Before::Always,
                false => Before::Never,
            },
            (_, Pattern::Present) => Before::Always,
            (Rewrite::Start { from, to }, Pattern::Exact(path)) => match path.strip_prefix(to.as_str()) {
                Some(rest) => Before::Test(Test::Path(Pattern::Exact(format!("{from}{rest}")))),
                None => Before::Never,
            },
            (Rewrite::Start { from, to }, Pattern::Prefix(start)) => match start.strip_prefix(to.as_str()) {
                Some(rest) => Before::Test(Test::Path(Pattern::Prefix(format!("{from}{rest}")))),
                None if to.starts_with(start.as_str()) => Before::Always,
                None => Before::Never,
            },
            _ => Before::Unknown,
        }
    }
}

/// A test behind a rewrite, as it reads in front of it.
enum Before {
    Always,
    Never,
    Test(Test),
    Unknown,
}

/// The requests of a box that do not lie in another one: for each of its clauses those that do not meet it.
fn without(takes: &RequestBox, other: &RequestBox) -> Vec<RequestBox> {
    let one = |clause: &Clause| {
        let mut left = takes.clone();
        leave_out(&mut left, clause);
        left
    };
    let mut left: Vec<RequestBox> = other.clauses.iter().map(one).collect();
    left.dedup();
    // Some clause that none of them meets leaves them all.
    match left.contains(takes) {
        true => vec![takes.clone()],
        false => left,
    }
}

/// Takes requests that meet the clause out of a box.
fn leave_out(takes: &mut RequestBox, clause: &Clause) {
    let clause = Clause {
        variable: clause.variable.clone(),
        any_of: clause.none_of.clone(),
        none_of: clause.any_of.clone(),
    };
    let own = takes.clauses.iter_mut().find(|own| own.variable == clause.variable);
    match own {
        Some(own) if clause.any_of.is_empty() => {
            let wanted = &own.any_of;
            let meets = |test: &Test| wanted.is_empty() || wanted.iter().any(|own| may_meet(own, test));
            let refused: Vec<Test> = clause.none_of.into_iter().filter(meets).collect();
            own.none_of.extend(refused);
        }
        _ => takes.clauses.push(clause),
    }
}

/// Whether plainly nothing of a box meets the clause, or all of it that does asks for longer paths than the clause.
fn is_apart(clause: &Clause, takes: &RequestBox) -> bool {
    let Some(own) = takes.clauses.iter().find(|own| own.variable == clause.variable) else { return false };
    let (ours, theirs) = (&own.any_of, &clause.any_of);
    if ours.is_empty() || theirs.is_empty() {
        return false;
    }
    let meets = |one: &Test| theirs.iter().any(|other| may_meet(one, other));
    let is_longer =
        clause.variable == Variable::Path && ours.iter().map(length).min() > theirs.iter().map(length).max();
    is_longer || !ours.iter().any(meets)
}

/// Whether a clause on paths asks for longer ones than the box does.
fn is_narrower(clause: &Clause, than: &RequestBox) -> bool {
    let Some(own) = than.clauses.iter().find(|own| own.variable == clause.variable) else {
        return clause.variable == Variable::Path;
    };
    let longest = |tests: &[Test]| tests.iter().map(length).max().unwrap_or(0);
    clause.variable == Variable::Path && longest(&clause.any_of) > longest(&own.any_of)
}

fn length(test: &Test) -> usize {
    match test {
        // An exact path wins over every beginning.
        Test::Path(Pattern::Exact(text)) => text.len() + 2,
        Test::Path(Pattern::Prefix(text)) => text.len(),
        _ => 0,
    }
}

/// Whether some value passes both tests; true where that is not obvious.
pub(crate) fn may_meet(one: &Test, other: &Test) -> bool {
    let pattern = |test: &Test| match test {
        Test::Path(pattern) | Test::Header(pattern) => Some(pattern.clone()),
        _ => None,
    };
    match (pattern(one), pattern(other)) {
        (Some(Pattern::Exact(text)), Some(pattern)) | (Some(pattern), Some(Pattern::Exact(text))) => {
            pattern.matches(&text)
        }
        (Some(Pattern::Prefix(one)), Some(Pattern::Prefix(other))) => {
            one.starts_with(&other) || other.starts_with(&one)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Test {
        Test::Path(Pattern::parse(text))
    }

    #[test]
    fn a_box_behind_a_rewrite_is_found_in_front_of_it() {
        let start = Rewrite::Start { from: "/api/".to_owned(), to: "/".to_owned() };
        let behind = |any: &[&str], none: &[&str]| {
            RequestBox::of(vec![Clause {
                variable: Variable::Path,
                any_of: any.iter().map(|text| path(text)).collect(),
                none_of: none.iter().map(|text| path(text)).collect(),
            }])
        };
        let found = start.before(&behind(&["/users*", "/x"], &["/users/admin"]));
        assert_eq!(found, Some((behind(&["/api/users*", "/api/x"], &["/api/users/admin"]), true)));
        assert_eq!(start.before(&behind(&["/*"], &[])), Some((behind(&["/api/*"], &[]), true)));
        let longer = Rewrite::Start { from: "/".to_owned(), to: "/v1/".to_owned() };
        assert_eq!(longer.before(&behind(&["/v2/*"], &[])), None);
        assert_eq!(longer.before(&behind(&["/v*"], &[])), Some((RequestBox::of(vec![]), true)));
        assert_eq!(longer.before(&behind(&[], &["/v1/*"])), Some((behind(&[], &["/*"]), true)));
        let whole = Rewrite::Whole("/one".to_owned());
        assert_eq!(whole.before(&behind(&["/two"], &[])), None);
        assert_eq!(whole.before(&behind(&["/o*"], &["/two"])), Some((RequestBox::of(vec![]), true)));
        assert!(start.before(&behind(&["*.html"], &[])).is_some_and(|(_, is_exact)| !is_exact));
    }

    #[test]
    fn rewrites_keep_queries() {
        let start = Rewrite::Start { from: "/api".to_owned(), to: String::new() };
        assert_eq!(start.apply("/api/users?q=/api"), "/users?q=/api");
        assert_eq!(Rewrite::Whole("/".to_owned()).apply("/a?b"), "/?b");
        assert_eq!(Rewrite::Same.apply("/a"), "/a");
    }
}
