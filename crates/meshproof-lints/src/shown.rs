//! Requests that the request space found, as people read them.

use meshproof_authz::{
    Attribute, By, Context as Chain, Decider, Engine, Evaluation, Peer, Request, RuleVerdict, Seen, Token,
    View, attributes_of, evaluate,
};
use meshproof_diagnostics::{Decision, Witness};
use meshproof_grammar::spiffe::SCHEME;
use meshproof_resources::Rule;
use meshproof_source::Span;
use meshproof_space::Domain;

use crate::Context;
use crate::accounts::principal;
use crate::points::{Point, Spot};
use crate::rule_worth::{At, RuleAt};

/// Accounts that are tried in place of a caller that was thought up.
const TRIED: usize = 32;

/// Where to point when a rule is meant.
pub(crate) fn rule_span(rule: &Rule) -> Span {
    rule.from.key.or(rule.to.key).or(rule.when.key).unwrap_or(rule.span)
}

/// `rule 2 of shop/cart`.
pub(crate) fn rule_name(ctx: &Context<'_>, rule: RuleAt) -> String {
    let name = ctx.policies.get(rule.0).map(|policy| policy.name()).unwrap_or_default();
    format!("rule {} of {name}", rule.1 + 1)
}

/// `rule 1 and rule 3` for rules of the policy itself, with the policy's name for others.
pub(crate) fn rule_names(ctx: &Context<'_>, own: Option<RuleAt>, rules: &[RuleAt]) -> String {
    const NAMED: usize = 3;
    let name = |rule: &RuleAt| match own {
        Some((policy, _)) if policy == rule.0 => format!("rule {}", rule.1 + 1),
        _ => rule_name(ctx, *rule),
    };
    let named: Vec<String> = rules.iter().take(NAMED).map(name).collect();
    match (named.as_slice(), rules.len()) {
        ([one], 1) => one.clone(),
        ([one, two], 2) => format!("{one} and {two}"),
        ([one, two, three], 3) => format!("{one}, {two} and {three}"),
        (named, count) => format!("{} and {} more", named.join(", "), count - named.len()),
    }
}

/// The rule behind its place.
pub(crate) fn rule_of<'c>(ctx: &'c Context<'_>, rule: RuleAt) -> Option<&'c Rule> {
    ctx.policies.get(rule.0)?.rules.get(rule.1).map(|facts| facts.rule)
}

/// Whether this rule of the list matches in the evaluation.
pub(crate) fn matches(evaluation: &Evaluation, policy: usize, rule: usize) -> bool {
    let policies = evaluation.trace.phases.iter().flat_map(|phase| &phase.policies);
    let rules = policies.filter(|known| known.policy == policy).flat_map(|known| &known.rules);
    rules.into_iter().any(|known| known.rule == rule && known.verdict == RuleVerdict::Matched)
}

/// The first of the rules that matches in the evaluation.
pub(crate) fn first_matching(point: &Point, evaluation: &Evaluation, rules: &[RuleAt]) -> Option<RuleAt> {
    rules.iter().copied().find(|rule| {
        let place = point.policies.iter().position(|id| *id == rule.0);
        place.is_some_and(|place| matches(evaluation, place, rule.1))
    })
}

/// What is found among callers with an identity, who get through in every mode; else among all.
pub(crate) fn named_first<T>(find: impl Fn(&Domain) -> Option<T>) -> Option<T> {
    let named = Domain { plaintext: false, ..Domain::default() };
    find(&named).or_else(|| find(&Domain::default()))
}

/// The request with a caller that exists, where that changes nothing of what `holds` wants.
pub(crate) fn with_known_caller(
    ctx: &Context<'_>,
    at: &At<'_>,
    request: Request,
    holds: impl Fn(&Request, &Decider<'_>) -> bool,
) -> Request {
    let decider = Decider::new(&at.policies, &at.chain);
    let mut tried = known_callers(ctx, at, &request.peer).map(|peer| Request { peer, ..request.clone() });
    let found = tried.find(|tried| holds(tried, &decider));
    drop(tried);
    found.unwrap_or(request)
}

/// As [`with_known_caller`], of what the policies see of the request.
pub(crate) fn from_known_caller(
    ctx: &Context<'_>,
    at: &At<'_>,
    decider: &Decider<'_>,
    request: Request,
    holds: impl Fn(&Seen<'_, '_>) -> bool,
) -> Request {
    let Some(mut seen) = decider.seen(&request) else { return request };
    let found = known_callers(ctx, at, &request.peer).find(|peer| {
        seen.set_peer(peer);
        holds(&seen)
    });
    match found {
        Some(peer) => Request { peer, ..request },
        None => request,
    }
}

/// Callers that exist, in place of one that has a name.
fn known_callers(ctx: &Context<'_>, at: &At<'_>, peer: &Peer) -> impl Iterator<Item = Peer> {
    let domain = at.chain.trust_domains.first().map_or("cluster.local", String::as_str);
    let tried = if *peer == Peer::Anonymous { 0 } else { TRIED };
    let is_principal = matches!(peer, Peer::Principal(_));
    ctx.accounts.examples().iter().take(tried).map(move |(namespace, account)| {
        let name = [domain, "/ns/", namespace, "/sa/", account].concat();
        if is_principal { Peer::Principal([SCHEME, &name].concat()) } else { Peer::workload(&name) }
    })
}

/// The request as a witness. What the shown rules ask for beside caller, method and path is told in words, before the
/// reasons.
pub(crate) fn witness(
    ctx: &Context<'_>,
    point: &Point,
    at: &At<'_>,
    request: &Request,
    rules: &[&Rule],
    reasons: Vec<String>,
) -> Witness {
    let evaluation = evaluate(&at.policies, request, &at.chain);
    told(ctx, point, at, request, (&evaluation.decision, &evaluation.by), rules, reasons)
}

/// As [`witness`], of a request that was evaluated.
pub(crate) fn told(
    ctx: &Context<'_>,
    point: &Point,
    at: &At<'_>,
    request: &Request,
    (decision, by): (&meshproof_authz::Decision, &By),
    rules: &[&Rule],
    reasons: Vec<String>,
) -> Witness {
    let decision = match decision {
        meshproof_authz::Decision::Allow => Decision::Allow,
        _ => Decision::Deny,
    };
    let asked: Vec<Attribute> = rules.iter().flat_map(|rule| attributes_of(rule)).collect();
    let mut because = details(request, &at.chain, &asked);
    because.extend(reasons);
    if let (By::AllowNoneMatched, Engine::EnvoyHttp) = (by, at.chain.engine) {
        because.push("no ALLOW rule matches".to_owned());
    }
    let from = caller(&request.peer, at);
    let transport = if from == "plaintext" { "plaintext" } else { "mtls" };
    let http = request.http.as_ref();
    let asks_query = asked.iter().any(|asked| matches!(asked, Attribute::Header(name) if name == ":path"));
    let path = |target: &str| match target.split_once('?') {
        Some((path, _)) if !asks_query => path.to_owned(),
        _ => target.to_owned(),
    };
    Witness {
        from,
        to: match point.spot {
            Spot::Workload(id) => ctx.workload_name(ctx.mesh.workload(id)),
            _ => point.name(ctx),
        },
        port: Some(request.destination.port()).filter(|port| *port != 0),
        transport: Some(transport),
        method: http.map(|http| http.method.clone()),
        path: http.map(|http| path(&http.target)),
        decision,
        because,
    }
}

/// `namespace/account` for an account of the mesh, the whole name for others, `plaintext` for nobody.
fn caller(peer: &Peer, at: &At<'_>) -> String {
    let name = match peer {
        Peer::Anonymous => return "plaintext".to_owned(),
        Peer::Certificate(certificate) => certificate.uris.first().or(certificate.dns.first()),
        Peer::Principal(name) => Some(name),
    };
    let Some(name) = name.map(|name| name.strip_prefix(SCHEME).unwrap_or(name)) else {
        return "a certificate without a name".to_owned();
    };
    match principal(name) {
        Some(parts) if at.chain.trust_domains.iter().any(|own| own == parts.trust_domain) => {
            format!("{}/{}", parts.namespace, parts.account)
        }
        _ => name.to_owned(),
    }
}

/// Properties of the request that the rules look at and a witness has no place for.
fn details(request: &Request, chain: &Chain, asked: &[Attribute]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |attribute: Attribute, text: String| {
        if asked.contains(&attribute) {
            lines.push(text);
        }
    };
    say(Attribute::SourceIp, format!("it comes from {}", request.source));
    let address = View::new(request, chain).map_or(request.source, |view| view.remote);
    say(Attribute::RemoteIp, format!("the client's address is {address}"));
    if let Some(name) = &request.sni {
        say(Attribute::Sni, format!("the TLS handshake names {name}"));
    }
    let Some(http) = &request.http else { return lines };
    let mut headers: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, value) in &http.headers {
        let is_host = name.eq_ignore_ascii_case("host");
        let wanted = asked.iter().any(|attribute| match attribute {
            Attribute::Host => is_host,
            Attribute::Header(header) => !is_host && header.eq_ignore_ascii_case(name),
            _ => false,
        });
        match headers.iter_mut().find(|(known, _)| known == name) {
            _ if !wanted => {}
            Some((_, values)) => values.push(value),
            None => headers.push((name, vec![value])),
        }
    }
    lines.extend(
        headers.iter().map(|(name, values)| format!("its header `{name}` is `{}`", values.join("`, then `"))),
    );
    let of_token =
        |attribute: &Attribute| matches!(attribute, Attribute::RequestPrincipal | Attribute::Claim(_));
    let asks_token = asked.iter().any(of_token);
    match &http.token {
        Token::Verified { claims, .. } if asks_token => {
            let claims: Vec<String> =
                claims.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            lines.push(format!("it has a token with {}", claims.join(", ")));
        }
        _ if asks_token => lines.push("it has no token".to_owned()),
        _ => {}
    }
    lines
}
