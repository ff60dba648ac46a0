//! The order in which matches of HTTPRoutes or GRPCRoutes are asked, whichever rule and route they stand in (Istio 1.32,
//! `sortHTTPRoutes` and `getURIRank` of the gateway conversion).

use foldhash::HashMap;
use meshproof_ir::ResourceId;
use meshproof_resources::{Route, RouteKind, RouteMatch, RouteRule};

use crate::conditions::{Taken, of_route_match};

/// What a match asks of the path. The kind counts before any length: the prefix `/` comes before every regular expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Path {
    /// There is no match at all.
    NoMatch,
    Nothing,
    Regex,
    Prefix,
    Exact,
}

/// The greatest is asked first; of equal ones the first in the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    path: Path,
    /// Bytes of the path as istiod writes it.
    length: usize,
    has_method: bool,
    headers: usize,
    queries: usize,
}

/// A match, at its place in the order.
#[derive(Clone, Debug)]
pub(crate) struct Ranked {
    /// Its rule.
    pub rule: RuleOf,
    /// What it takes of what those before leave.
    pub taken: Taken,
    rank: Rank,
}

/// A route, and its rule counted from 0.
pub(crate) type RuleOf = (ResourceId, usize);

/// The matches of the rules of some routes, those that are asked first in front.
pub(crate) struct Order {
    pub ranked: Vec<Ranked>,
    of_rule: HashMap<RuleOf, Vec<usize>>,
    /// Whether it is known which route is older.
    is_dated: bool,
}

impl Order {
    /// `routes`: the oldest first, if that is known.
    pub fn of(routes: &[(ResourceId, &Route)], is_dated: bool) -> Order {
        let rules = routes.iter().flat_map(|(id, route)| {
            let rules = route.rules.iter().enumerate();
            rules.map(move |(at, rule)| ((*id, at), route.kind, rule))
        });
        let mut ranked: Vec<Ranked> = Vec::new();
        for (own, kind, rule) in rules {
            if rule.matches.is_empty() {
                ranked.push(Ranked { rule: own, taken: Taken::default(), rank: without_match(kind, rule) });
            }
            ranked.extend(rule.matches.iter().map(|one| Ranked {
                rule: own,
                taken: of_route_match(one),
                rank: rank(kind, one),
            }));
        }
        ranked.sort_by_key(|one| std::cmp::Reverse(one.rank));
        let mut of_rule: HashMap<RuleOf, Vec<usize>> = HashMap::default();
        for (place, one) in ranked.iter().enumerate() {
            of_rule.entry(one.rule).or_default().push(place);
        }
        Order { ranked, of_rule, is_dated }
    }

    /// The places of the matches of a rule.
    pub fn of_rule(&self, rule: RuleOf) -> impl Iterator<Item = usize> {
        self.of_rule.get(&rule).into_iter().flatten().copied()
    }

    /// Whether the older route would be asked first, and which one that is is not known.
    pub fn is_open(&self, one: &Ranked, other: &Ranked) -> bool {
        !self.is_dated && one.rank == other.rank && one.rule.0 != other.rule.0
    }

    /// Those behind a place that are asked there if their route is older.
    pub fn equals_behind(&self, place: usize) -> impl Iterator<Item = &Ranked> {
        let one = &self.ranked[place];
        let equal = self.ranked[place + 1..].iter().take_while(move |other| other.rank == one.rank);
        equal.filter(move |other| self.is_open(one, other))
    }
}

/// The API server writes the prefix `/` where an HTTPRoute has no `matches`, and leaves an empty list as it is.
fn without_match(kind: RouteKind, rule: &RouteRule) -> Rank {
    let (path, length) = match rule.matches.key {
        None if kind == RouteKind::Http => (Path::Prefix, 1),
        _ => (Path::NoMatch, 0),
    };
    Rank { path, length, has_method: false, headers: 0, queries: 0 }
}

fn rank(kind: RouteKind, one: &RouteMatch) -> Rank {
    let (path, length) = match kind {
        RouteKind::Grpc => of_call(one),
        _ => of_path(one),
    };
    Rank {
        path,
        length,
        has_method: one.method.is_some(),
        headers: one.headers.len(),
        queries: one.query_params.len(),
    }
}

/// Without a path the API server writes the prefix `/`.
fn of_path(one: &RouteMatch) -> (Path, usize) {
    let of = |text: &Option<meshproof_resources::Text>, default| {
        text.as_ref().map_or(default, |text| text.value.as_str()).to_owned()
    };
    let Some(path) = &one.path else { return (Path::Prefix, 1) };
    let value = of(&path.value, "/");
    match of(&path.kind, "PathPrefix").as_str() {
        "PathPrefix" if value == "/" => (Path::Prefix, 1),
        "PathPrefix" => (Path::Prefix, value.strip_suffix('/').unwrap_or(&value).len()),
        "Exact" => (Path::Exact, value.len()),
        _ => (Path::Regex, value.len()),
    }
}

/// `createGRPCURIMatch`: a method of any service is a regular expression.
fn of_call(one: &RouteMatch) -> (Path, usize) {
    let length = |text: &meshproof_resources::Text| text.value.len();
    let (service, method) = (one.grpc_service.as_ref().map(length), one.grpc_method.as_ref().map(length));
    match (service, method, one.has_regex_call()) {
        (None, None, _) => (Path::Nothing, 0),
        (None, Some(method), _) => (Path::Regex, "/[^/]+/".len() + method),
        (Some(service), None, true) => (Path::Regex, "//.+".len() + service),
        (Some(service), Some(method), true) => (Path::Regex, "//".len() + service + method),
        (Some(service), None, false) => (Path::Prefix, "//".len() + service),
        (Some(service), Some(method), false) => (Path::Exact, "//".len() + service + method),
    }
}
