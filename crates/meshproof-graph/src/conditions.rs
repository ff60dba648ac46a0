//! Conditions of routes as boxes: matches of VirtualServices, HTTPRoutes and GRPCRoutes, and names.

use meshproof_grammar::pattern::Pattern;
use meshproof_resources::{HttpMatch, RouteMatch, StringMatch};
use meshproof_space::{Clause, RequestBox, Test, Variable};
use meshproof_transport::{RouteSender, SchemeFit};

/// What a match takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Taken {
    /// The requests, or more than these where there is a doubt.
    pub requests: RequestBox,
    /// Why they may be fewer.
    pub doubt: Option<String>,
    /// Why it may leave some of them to later routes, where that is no doubt about what it takes itself.
    pub leaves: Option<&'static str>,
    /// It leaves all of them to later routes, with what no policy asks for: without a query, with the scheme of the port.
    pub leaves_all: bool,
}

/// Why clients may fare differently.
const BY_SCHEME: &str = "clients may name another scheme than that of the port";

impl Taken {
    fn doubted(&mut self, reason: &str) {
        self.doubt.get_or_insert_with(|| reason.to_owned());
    }

    fn add(&mut self, variable: Variable, test: Test, not: bool) {
        if let Test::Path(Pattern::Prefix(start)) = &test
            && start == "/"
        {
            return;
        }
        let tests = vec![test];
        let clause = if not { Clause::none(variable, tests) } else { Clause::any(variable, tests) };
        self.requests.clauses.push(clause);
    }
}

/// The requests of a match of a VirtualService; nothing where it is for others than this gateway.
pub(crate) fn of_match(one: &HttpMatch, sender: &RouteSender<'_>) -> Option<Taken> {
    let mut taken = Taken::default();
    match sender.is_meant(one) {
        Some(false) => return None,
        Some(true) => {}
        None => {
            taken.doubted("the route asks for labels, gateways or ports of which the input does not tell all")
        }
    }
    if let Some(scheme) = &one.scheme {
        by_scheme(&mut taken, scheme, sender)?;
    }
    let mut add =
        |variable: Variable, text: Option<&StringMatch>, test: fn(Pattern) -> Test, not: bool| match text
            .map_or(Some(Pattern::Present), pattern)
        {
            Some(pattern) => taken.add(variable, test(pattern), not),
            None => {
                let what = match &variable {
                    Variable::Path => "paths".to_owned(),
                    Variable::Method => "methods".to_owned(),
                    Variable::Authority => "hosts".to_owned(),
                    Variable::Header(name) => format!("the header {name}"),
                    _ => "requests".to_owned(),
                };
                taken.doubted(&format!("the route matches {what} by a regular expression"));
            }
        };
    let has_case = |uri: &StringMatch| match uri {
        StringMatch::Exact(text) | StringMatch::Prefix(text) | StringMatch::Regex(text) => {
            text.value.bytes().any(|byte| byte.is_ascii_alphabetic())
        }
    };
    let ignores_case = one.ignore_uri_case && one.uri.as_ref().is_some_and(has_case);
    if one.uri.is_some() && !ignores_case {
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
    if ignores_case {
        taken.doubted("the route takes paths in upper and lower case");
    }
    if !one.query_params.is_empty() {
        taken.doubted("the route looks at query parameters");
        taken.leaves_all = true;
    }
    Some(taken)
}

/// What is taken by its scheme; nothing where no client has it.
fn by_scheme(taken: &mut Taken, scheme: &StringMatch, sender: &RouteSender<'_>) -> Option<()> {
    let Some(pattern) = pattern(scheme) else {
        taken.doubted("the route matches the scheme by a regular expression");
        return Some(());
    };
    match sender.scheme_fit(|scheme| pattern.matches(scheme)) {
        SchemeFit::Every => {}
        SchemeFit::Never => return None,
        SchemeFit::Usual => taken.leaves = Some(BY_SCHEME),
        SchemeFit::Named => {
            taken.doubted(BY_SCHEME);
            taken.leaves_all = true;
        }
        SchemeFit::Unknown => taken.doubted(BY_SCHEME),
    }
    Some(())
}

/// A test of texts; nothing for regular expressions that are more than a text with anything before or behind it.
fn pattern(text: &StringMatch) -> Option<Pattern> {
    match text {
        StringMatch::Exact(text) => Some(Pattern::Exact(text.value.clone())),
        StringMatch::Prefix(text) => Some(Pattern::Prefix(text.value.clone())),
        StringMatch::Regex(text) => plain(&text.value),
    }
}

/// A regular expression that is a text, a beginning or an end. It has to match the whole value (Envoy, `safe_regex`).
fn plain(regex: &str) -> Option<Pattern> {
    let regex = regex.strip_prefix('^').unwrap_or(regex);
    let regex = match regex.strip_suffix('$') {
        Some(rest) if !rest.ends_with('\\') => rest,
        _ => regex,
    };
    let (is_end, rest) = regex.strip_prefix(".*").map_or((false, regex), |rest| (true, rest));
    let (is_start, rest) = match rest.strip_suffix(".*") {
        Some(rest) if !rest.ends_with('\\') => (true, rest),
        _ => (false, rest),
    };
    let mut text = String::with_capacity(rest.len());
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.push(characters.next().filter(char::is_ascii_punctuation)?),
            '.' | '*' | '+' | '?' | '|' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            other => text.push(other),
        }
    }
    match (is_end, is_start) {
        _ if text.is_empty() => None,
        (false, false) => Some(Pattern::Exact(text)),
        (false, true) => Some(Pattern::Prefix(text)),
        (true, false) => Some(Pattern::Suffix(text)),
        (true, true) => None,
    }
}

/// The requests of a match of an HTTPRoute or GRPCRoute.
pub(crate) fn of_route_match(one: &RouteMatch) -> Taken {
    let mut taken = Taken::default();
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
            _ => match plain(value).filter(|_| kind == "RegularExpression") {
                Some(pattern) => clauses.push(Clause::any(Variable::Path, vec![path(pattern)])),
                None => taken.doubted("the route matches paths by a regular expression"),
            },
        }
    }
    if let Some(method) = &one.method {
        let test = Test::Header(Pattern::Exact(method.value.clone()));
        clauses.push(Clause::any(Variable::Method, vec![test]));
    }
    match (&one.grpc_service, &one.grpc_method) {
        (Some(_), _) if one.has_regex_call() => {
            taken.doubted("the route matches services by a regular expression");
        }
        (None, Some(_)) if one.has_regex_call() => {
            taken.doubted("the route matches methods by a regular expression");
        }
        (Some(service), Some(method)) => {
            let whole = format!("/{}/{}", service.value, method.value);
            clauses.push(Clause::any(Variable::Path, vec![path(Pattern::Exact(whole))]));
        }
        (Some(service), None) => {
            let start = format!("/{}/", service.value);
            clauses.push(Clause::any(Variable::Path, vec![path(Pattern::Prefix(start))]));
        }
        (None, Some(method)) => {
            // Only after one name of a service (`/[^/]+/`).
            taken.leaves = Some("other paths may end in the name of the method");
            let end = format!("/{}", method.value);
            clauses.push(Clause::any(Variable::Path, vec![path(Pattern::Suffix(end))]));
        }
        (None, None) => {}
    }
    for header in &one.headers {
        let is_exact = header.kind.as_ref().is_none_or(|kind| kind.value == "Exact");
        let wanted = header.value.as_ref().and_then(|value| match is_exact {
            true => Some(Pattern::Exact(value.value.clone())),
            false => plain(&value.value),
        });
        match (&header.name, wanted) {
            (Some(name), Some(pattern)) => {
                let variable = Variable::Header(name.value.to_ascii_lowercase());
                clauses.push(Clause::any(variable, vec![Test::Header(pattern)]));
            }
            _ => taken.doubted("the route matches headers by a regular expression"),
        }
    }
    if !one.query_params.is_empty() {
        taken.doubted("the route looks at query parameters");
        taken.leaves_all = true;
    }
    Taken { requests: RequestBox::of(clauses), ..taken }
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
        true => Clause::none(clause.variable.clone(), clause.none_of.clone()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_regular_expressions_are_patterns() {
        let told = |regex: &str| plain(regex).map(|pattern| pattern.to_string());
        assert_eq!(told("/api/.*").as_deref(), Some("/api/*"));
        assert_eq!(told("^/v1/users$").as_deref(), Some("/v1/users"));
        assert_eq!(told(r".*\.html").as_deref(), Some("*.html"));
        assert_eq!(told(r"/a\.\*").as_deref(), Some("/a.*"));
        for regex in ["", ".*", "/a.b", "/(a|b).*", "/a+", r"/a\d", ".*a.*", "/a[0-9]", r"/a\.*"] {
            assert_eq!(told(regex), None, "{regex}");
        }
        assert_eq!(told(r"/a\$").as_deref(), Some("/a$"));
    }
}
