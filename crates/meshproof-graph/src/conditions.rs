//! Conditions of routes as boxes: matches of VirtualServices, HTTPRoutes and GRPCRoutes, and names.

use meshproof_grammar::pattern::Pattern;
use meshproof_resources::{HttpMatch, RouteMatch, StringMatch};
use meshproof_space::{Clause, RequestBox, Test, Variable};

/// Whether a match asks who sends: at a gateway that is the gateway itself, so that nothing or everything meets it (Istio
/// 1.32, core/route/route.go `sourceMatchHTTP`).
fn asks_for_sender(one: &HttpMatch) -> bool {
    !one.source_labels.is_empty() || one.source_namespace.is_some()
}

/// The requests of a match, and whether they are all of it.
pub(crate) fn of_match(one: &HttpMatch) -> (RequestBox, bool) {
    let mut is_exact = !one.ignore_uri_case
        && one.scheme.is_none()
        && one.query_params.is_empty()
        && one.port.is_none()
        && one.gateways.is_empty()
        && !asks_for_sender(one);
    let mut clauses = Vec::new();
    let mut add = |variable: Variable, text: Option<&StringMatch>, test: fn(Pattern) -> Test, not: bool| {
        let Some(pattern) = text.map_or(Some(Pattern::Present), pattern) else {
            is_exact = false;
            return;
        };
        if variable == Variable::Path && pattern == Pattern::Prefix("/".to_owned()) {
            return;
        }
        let tests = vec![test(pattern)];
        clauses.push(if not { Clause::none(variable, tests) } else { Clause::any(variable, tests) });
    };
    if one.uri.is_some() {
        add(Variable::Path, one.uri.as_ref(), Test::Path, false);
    }
    if one.method.is_some() {
        add(Variable::Method, one.method.as_ref(), Test::Header, false);
    }
    if one.authority.is_some() {
        add(Variable::Authority, one.authority.as_ref(), Test::Host, false);
    }
    let header = |name: &str| Variable::Header(name.to_ascii_lowercase());
    for (name, value) in &one.headers {
        add(header(&name.value), value.as_ref(), Test::Header, false);
    }
    for (name, value) in &one.without_headers {
        add(header(&name.value), value.as_ref(), Test::Header, true);
    }
    (RequestBox::of(clauses), is_exact)
}

fn pattern(text: &StringMatch) -> Option<Pattern> {
    match text {
        StringMatch::Exact(text) => Some(Pattern::Exact(text.value.clone())),
        StringMatch::Prefix(text) => Some(Pattern::Prefix(text.value.clone())),
        StringMatch::Regex(_) => None,
    }
}

pub(crate) fn of_route_match(one: &RouteMatch, doubt: &mut Option<String>) -> RequestBox {
    let mut clauses = Vec::new();
    let path = |pattern| Test::Path(pattern);
    if let Some(path_match) = &one.path {
        let value = path_match.value.as_ref().map_or("/", |value| value.value.as_str());
        let kind = path_match.kind.as_ref().map_or("PathPrefix", |kind| kind.value.as_str());
        let whole = value.trim_end_matches('/');
        match kind {
            "PathPrefix" if whole.is_empty() => {}
            "PathPrefix" => clauses.push(Clause::any(
                Variable::Path,
                vec![path(Pattern::Exact(whole.to_owned())), path(Pattern::Prefix(format!("{whole}/")))],
            )),
            "Exact" => {
                clauses.push(Clause::any(Variable::Path, vec![path(Pattern::Exact(value.to_owned()))]));
            }
            _ => *doubt = Some("the route matches paths by a regular expression".to_owned()),
        }
    }
    if let Some(method) = &one.method {
        let test = Test::Header(Pattern::Exact(method.value.clone()));
        clauses.push(Clause::any(Variable::Method, vec![test]));
    }
    match (&one.grpc_service, &one.grpc_method) {
        (Some(service), Some(method)) => {
            let whole = format!("/{}/{}", service.value, method.value);
            clauses.push(Clause::any(Variable::Path, vec![path(Pattern::Exact(whole))]));
        }
        (Some(service), None) => {
            let start = format!("/{}/", service.value);
            clauses.push(Clause::any(Variable::Path, vec![path(Pattern::Prefix(start))]));
        }
        (None, Some(method)) => {
            let end = format!("/{}", method.value);
            clauses.push(Clause::any(Variable::Path, vec![path(Pattern::Suffix(end))]));
        }
        (None, None) => {}
    }
    for header in &one.headers {
        let is_exact = header.kind.as_ref().is_none_or(|kind| kind.value == "Exact");
        match (&header.name, &header.value) {
            (Some(name), Some(value)) if is_exact => {
                let test = Test::Header(Pattern::Exact(value.value.clone()));
                clauses.push(Clause::any(Variable::Header(name.value.to_ascii_lowercase()), vec![test]));
            }
            _ => *doubt = Some("the route matches headers by a regular expression".to_owned()),
        }
    }
    if !one.query_params.is_empty() {
        *doubt = Some("the route looks at query parameters".to_owned());
    }
    RequestBox::of(clauses)
}

/// Every path that a route takes begins with a slash, so that `OPTIONS *` has none (Envoy: the prefix `/`).
pub(crate) fn rooted(takes: &mut RequestBox) {
    let root = || vec![Test::Path(Pattern::Prefix("/".to_owned()))];
    match takes.clauses.iter_mut().find(|clause| clause.variable == Variable::Path) {
        Some(clause) if clause.any_of.is_empty() => clause.any_of = root(),
        Some(_) => {}
        None => takes.clauses.push(Clause::any(Variable::Path, root())),
    }
}

/// Requests without the words that every path fits.
pub(crate) fn said_by_route(requests: &RequestBox) -> RequestBox {
    let root = [Test::Path(Pattern::Prefix("/".to_owned()))];
    let of = |clause: &Clause| match clause.any_of == root {
        true => Clause { any_of: Vec::new(), ..clause.clone() },
        false => clause.clone(),
    };
    let clauses = requests.clauses.iter().map(of);
    RequestBox::of(clauses.filter(|clause| !clause.any_of.is_empty() || !clause.none_of.is_empty()).collect())
}

/// The test of a name that a route is for; none where it is for all.
pub(crate) fn of_host(written: &str) -> Option<Clause> {
    let pattern = match written.strip_prefix('*') {
        Some("") => return None,
        Some(rest) => Pattern::Suffix(rest.to_owned()),
        None => Pattern::Exact(written.to_owned()),
    };
    Some(Clause::any(Variable::Authority, vec![Test::Host(pattern)]))
}
