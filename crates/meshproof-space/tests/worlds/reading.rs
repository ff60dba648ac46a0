//! Boxes held against requests, test by test: what a box means, told without any of the machinery of the crate.

use std::net::IpAddr;

use meshproof_authz::{
    ClientAddress, Context, Engine, HeaderMatching, HttpRequest, IdentityFlavour, PathNormalization, Peer,
    Request, Token, normalize_path,
};
use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::service_account::ServiceAccountRef;
use meshproof_grammar::spiffe::{SCHEME, SpiffeId};
use meshproof_space::{Half, RequestBox, Test, Variable};
use serde_json::Value;

/// Whether the request lies in the box.
pub fn lies_in(request: &Request, of: &RequestBox, context: &Context) -> bool {
    of.clauses.iter().all(|clause| {
        let passes = |test: &Test| passes(&clause.variable, test, request, context);
        (clause.any_of.is_empty() || clause.any_of.iter().any(passes)) && !clause.none_of.iter().any(passes)
    })
}

fn passes(variable: &Variable, test: &Test, request: &Request, context: &Context) -> bool {
    let pattern = |pattern: &Pattern, text: &str| {
        pattern.matches(text) && !(matches!(pattern, Pattern::Present) && text.is_empty())
    };
    let texts = || texts(variable, request, context);
    match test {
        Test::Absent => texts().is_empty(),
        Test::Principal(Pattern::Present) => !texts().is_empty(),
        Test::Principal(wanted) => {
            texts().iter().any(|name| name.strip_prefix(SCHEME).is_some_and(|name| wanted.matches(name)))
        }
        Test::Namespace(wanted) => texts().iter().any(|name| wanted.matches_name(name)),
        Test::NamespaceName(wanted) => {
            texts().iter().any(|name| SpiffeId::parse(name).is_ok_and(|id| pattern(wanted, &id.namespace)))
        }
        Test::ServiceAccount { namespace, name } => {
            let account = ServiceAccountRef { namespace: Some(namespace.clone()), name: name.clone() };
            texts().iter().any(|name| account.matches_name(name, ""))
        }
        Test::TrustDomain(wanted) => texts().iter().any(|name| in_trust_domain(name, wanted)),
        Test::Block(block) => address(variable, request, context).is_some_and(|it| block.contains(&it)),
        Test::Port(port) => request.destination.port() == *port,
        Test::Text(wanted) if *variable == Variable::Sni => {
            pattern(wanted, texts().first().map_or("", String::as_str))
        }
        Test::Text(wanted) => texts().iter().any(|text| pattern(wanted, text)),
        Test::Header(wanted) => texts().iter().any(|text| wanted.matches_header(text)),
        Test::Host(wanted) => texts().iter().any(|text| wanted.matches_host(text)),
        Test::Path(wanted) => texts().iter().any(|text| pattern(wanted, without_query(text))),
        Test::Template(wanted) => texts().iter().any(|text| wanted.matches(without_query(text))),
        Test::Token { issuer, subject } => {
            let claims = claims(request);
            let holds = |name: &str, wanted: &Option<Pattern>| {
                wanted.as_ref().is_none_or(|wanted| {
                    let value = claims.and_then(|claims| claims.get(name)).and_then(Value::as_str);
                    value.is_some_and(|value| pattern(wanted, value))
                })
            };
            holds("iss", issuer) && holds("sub", subject)
        }
        Test::Word { of, pattern: wanted } => {
            let name = if *of == Half::Issuer { "iss" } else { "sub" };
            let value = claims(request).and_then(|claims| claims.get(name)).and_then(Value::as_str);
            value.is_some_and(|value| value.split(' ').any(|word| !word.is_empty() && pattern(wanted, word)))
        }
    }
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

/// `spiffe://A…B/` for `A*B`, the stretch between without slash.
fn in_trust_domain(name: &str, wanted: &str) -> bool {
    let Some(id) = name.strip_prefix(SCHEME) else { return false };
    let Some((domain, _)) = id.split_once('/') else { return wanted == "*" };
    match wanted.split_once('*') {
        None => domain == wanted,
        Some((start, end)) => {
            domain.len() >= start.len() + end.len() && domain.starts_with(start) && domain.ends_with(end)
        }
    }
}

fn address(variable: &Variable, request: &Request, context: &Context) -> Option<IpAddr> {
    match variable {
        Variable::SourceIp => Some(request.source),
        Variable::DestinationIp => Some(request.destination.ip()),
        Variable::RemoteIp => {
            let connection = request.proxied_source.unwrap_or(request.source);
            let skipped = match context.semantics.client_address {
                _ if !matches!(context.engine, Engine::EnvoyHttp | Engine::Grpc) => None,
                ClientAddress::Forwarded(hops) => Some(hops),
                ClientAddress::TrustedProxies(hops) => hops.checked_sub(1),
            };
            let lines = request
                .http
                .as_ref()
                .map_or_else(Vec::new, |http| header_lines(http, "x-forwarded-for"))
                .join(",");
            let entry = skipped.and_then(|skipped| lines.rsplit(',').nth(usize::try_from(skipped).ok()?));
            Some(entry.and_then(|entry| entry.trim().parse().ok()).unwrap_or(connection))
        }
        _ => None,
    }
}

fn header_lines(http: &HttpRequest, name: &str) -> Vec<String> {
    let lines = http.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    lines.map(|(_, value)| value.trim_matches([' ', '\t']).to_owned()).collect()
}

/// Host and path of a target that is a whole URL.
fn absolute(http: &HttpRequest) -> Option<(&str, &str)> {
    let rest = http.target.strip_prefix("http://").or_else(|| http.target.strip_prefix("https://"))?;
    Some(rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())))
}

fn claims(request: &Request) -> Option<&serde_json::Map<String, Value>> {
    let http = request.http.as_ref()?;
    let has = |name: &str| header_lines(http, name).iter().any(|value| !value.is_empty());
    let is_preflight = http.method == "OPTIONS" && has("origin") && has("access-control-request-method");
    match &http.token {
        Token::Verified { claims, .. } if !is_preflight => Some(claims),
        _ => None,
    }
}

fn is_consumed(request: &Request) -> bool {
    let token = request.http.as_ref().map(|http| &http.token);
    claims(request).is_some() && matches!(token, Some(Token::Verified { forwarded: false, .. }))
}

/// What the request has, none at all when it has nothing.
fn texts(variable: &Variable, request: &Request, context: &Context) -> Vec<String> {
    let http = request.http.as_ref();
    let one = |text: Option<String>| text.into_iter().collect();
    match variable {
        Variable::Peer => match &request.peer {
            Peer::Anonymous => Vec::new(),
            Peer::Principal(name) => vec![name.clone()],
            Peer::Certificate(certificate) if context.identity == IdentityFlavour::FilterState => {
                if certificate.uris.is_empty() {
                    Vec::new()
                } else {
                    vec![certificate.uris.join(",")]
                }
            }
            Peer::Certificate(certificate) => {
                let subject = Some(&certificate.subject).filter(|subject| !subject.is_empty());
                certificate.uris.iter().chain(&certificate.dns).chain(subject).cloned().collect()
            }
        },
        Variable::Sni => one(request.sni.as_ref().map(|name| name.to_ascii_lowercase())),
        Variable::Method => one(http.map(|http| http.method.clone())),
        Variable::Authority => match http {
            Some(http) if http.method == "CONNECT" => vec![http.target.clone()],
            Some(http) => match absolute(http) {
                Some((host, _)) => vec![host.to_owned()],
                None => header_lines(http, "host"),
            },
            None => Vec::new(),
        },
        Variable::Path => match http {
            Some(http) if http.method == "CONNECT" => Vec::new(),
            Some(http) if http.target == "*" => vec!["*".to_owned()],
            Some(http) => {
                let mode = match context.engine {
                    Engine::Grpc => PathNormalization::None,
                    _ => context.semantics.normalization,
                };
                let target = absolute(http).map_or(http.target.as_str(), |(_, path)| path);
                let (path, query) = match target.split_once('?') {
                    Some((path, query)) => (path, format!("?{query}")),
                    None => (target, String::new()),
                };
                let path = if path.is_empty() { "/" } else { path };
                one(normalize_path(path, mode).ok().map(|path| path + &query))
            }
            None => Vec::new(),
        },
        // Verification takes the token away unless it is told to leave it.
        Variable::Header(name) if name == "authorization" && is_consumed(request) => Vec::new(),
        Variable::Header(name) => {
            let lines = http.map_or_else(Vec::new, |http| header_lines(http, name));
            match context.semantics.headers {
                HeaderMatching::Joined if lines.len() > 1 => vec![lines.join(",")],
                _ => lines,
            }
        }
        Variable::Token => claims(request).map(|_| String::new()).into_iter().collect(),
        Variable::Claim(path) => claim(path, request, context),
        Variable::Metadata { filter, key, is_list } => {
            match (request.metadata.get(&(filter.clone(), key.clone())), is_list) {
                (Some(Value::String(text)), false) => vec![text.clone()],
                (Some(Value::Array(items)), true) => {
                    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
                }
                _ => Vec::new(),
            }
        }
        Variable::DestinationPort | Variable::SourceIp | Variable::RemoteIp | Variable::DestinationIp => {
            Vec::new()
        }
    }
}

fn claim(path: &[String], request: &Request, context: &Context) -> Vec<String> {
    let Some(claims) = claims(request) else { return Vec::new() };
    let mut value = claims.get(&path[0]);
    for name in &path[1..] {
        value = value.and_then(Value::as_object).and_then(|inner| inner.get(name));
    }
    let splits = path.len() == 1 && context.semantics.space_delimited_claims.contains(&path[0]);
    match value {
        Some(Value::String(text)) if splits => {
            text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
        }
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}
