//! Gateways: random routes and policies against requests that are followed one by one.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use common::gateways::{FRONT, HOST, from_outside, gateway_pods, routes, servers, through};
use common::{find, mesh, policy};
use fastrand::Rng;
use meshproof_authz::{
    Context, Decision, Engine, HttpRequest, Peer, Policy, Request, Token, context_of, evaluate,
    gateway_context_of, policy_of,
};
use meshproof_graph::Graph;
use meshproof_ir::{ClusterId, Mesh, WorkloadId};

/// The last one is named by nothing.
const METHODS: [&str; 3] = ["GET", "POST", "PUT"];
const STARTS: [&str; 5] = ["/", "/a", "/a/", "/b", "/v1/"];

/// Every path that anything here tells apart, and one more.
fn paths() -> Vec<String> {
    let mut paths = vec!["/".to_owned(), "/zzz".to_owned()];
    for start in STARTS {
        for rest in ["", "x", "a", "a/", "a/x", "b", "b/x", "v1/", "v1/x", "v1/a"] {
            paths.push(format!("{start}{rest}").replace("//", "/"));
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

/// A condition beside path and method.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Extra {
    Header,
    NoHeader,
    Query,
    /// The path, by a regular expression.
    Regex,
    /// Who sends: this gateway, or another one.
    Sender,
    OtherSender,
    Gateway,
    OtherPort,
    Http,
    Https,
}

impl Extra {
    const ALL: [Extra; 10] = [
        Extra::Header,
        Extra::NoHeader,
        Extra::Query,
        Extra::Regex,
        Extra::Sender,
        Extra::OtherSender,
        Extra::Gateway,
        Extra::OtherPort,
        Extra::Http,
        Extra::Https,
    ];

    fn text(self) -> &'static str {
        match self {
            Extra::Header => "headers: {x-v: {exact: \"1\"}}",
            Extra::NoHeader => "withoutHeaders: {x-v: {exact: \"1\"}}",
            Extra::Query => "queryParams: {q: {exact: \"1\"}}",
            Extra::Regex => "",
            Extra::Sender => "sourceLabels: {istio: ingressgateway}, sourceNamespace: istio-system, port: 80",
            Extra::OtherSender => "sourceLabels: {istio: other}",
            Extra::Gateway => "gateways: [istio-system/front], sourceLabels: {istio: other}",
            Extra::OtherPort => "port: 443",
            Extra::Http => "scheme: {exact: http}",
            Extra::Https => "scheme: {exact: https}",
        }
    }

    fn takes(self, sent: &Sent<'_>) -> bool {
        match self {
            Extra::Header => sent.header,
            Extra::NoHeader => !sent.header,
            Extra::Query => sent.query,
            Extra::Regex | Extra::Sender | Extra::Gateway | Extra::Http => true,
            Extra::OtherSender | Extra::OtherPort | Extra::Https => false,
        }
    }
}

/// A request to the gateway.
#[derive(Clone, Copy, Debug)]
struct Sent<'a> {
    method: &'a str,
    path: &'a str,
    /// Whether it has `x-v: 1`.
    header: bool,
    /// Whether it has `?q=1`.
    query: bool,
}

impl Sent<'_> {
    fn target(&self, path: &str) -> String {
        if self.query { format!("{path}?q=1") } else { path.to_owned() }
    }
}

/// A route of the test: what it matches, where it goes, what it makes of the path.
struct Rule {
    extra: Option<Extra>,
    start: Option<&'static str>,
    is_exact: bool,
    method: Option<&'static str>,
    to: &'static str,
    rewrite: Option<&'static str>,
}

impl Rule {
    fn random(rng: &mut Rng) -> Rule {
        Rule {
            extra: (rng.u8(0..3) == 0).then(|| *rng.choice(&Extra::ALL).unwrap()),
            start: (rng.u8(0..4) > 0).then(|| *rng.choice(&STARTS).unwrap()),
            is_exact: rng.u8(0..4) == 0,
            method: (rng.u8(0..4) == 0).then(|| *rng.choice(&METHODS[..2]).unwrap()),
            to: rng.choice(&["one", "two"]).unwrap(),
            rewrite: (rng.u8(0..3) == 0).then(|| *rng.choice(&["/", "/v1/", "/b"]).unwrap()),
        }
    }

    fn takes(&self, sent: &Sent<'_>) -> bool {
        let path = self.start.is_none_or(|start| {
            if self.is_exact { sent.path == start } else { sent.path.starts_with(start) }
        });
        path && self.method.is_none_or(|own| own == sent.method)
            && self.extra.is_none_or(|extra| extra.takes(sent))
    }

    fn sends(&self, path: &str) -> String {
        match (self.rewrite, self.start) {
            (None, _) => path.to_owned(),
            (Some(to), Some(_)) if self.is_exact => to.to_owned(),
            (Some(to), start) => format!("{to}{}", &path[start.unwrap_or("/").len()..]),
        }
    }

    fn text(&self) -> String {
        let kind = if self.is_exact { "exact" } else { "prefix" };
        let uri = |start: &&str| match (self.extra, self.is_exact) {
            (Some(Extra::Regex), true) => format!("uri: {{regex: \"{start}\"}}"),
            (Some(Extra::Regex), false) => format!("uri: {{regex: \"{start}.*\"}}"),
            _ => format!("uri: {{{kind}: \"{start}\"}}"),
        };
        let mut parts: Vec<String> = self.start.iter().map(uri).collect();
        parts.extend(self.method.map(|method| format!("method: {{exact: {method}}}")));
        let extra = self.extra.filter(|extra| *extra != Extra::Regex);
        parts.extend(extra.map(|extra| extra.text().to_owned()));
        let matches =
            if parts.is_empty() { String::new() } else { format!("match: [{{{}}}], ", parts.join(", ")) };
        let rewrite = self.rewrite.map_or_else(String::new, |to| format!("rewrite: {{uri: \"{to}\"}}, "));
        format!(
            "{{{matches}{rewrite}route: [{{destination: {{host: {}.shop.svc.cluster.local, port: {{number: 80}}}}}}]}}",
            self.to
        )
    }
}

fn operation(rng: &mut Rng) -> String {
    let name = if rng.u8(0..4) == 0 { "notPaths" } else { "paths" };
    let paths = ["/a*", "/b*", "/v1/*", "/a/x", "/", "/v1/a", "/*"];
    let own: Vec<&str> = rng.choose_multiple(&paths, 2).into_iter().copied().collect();
    let method = match rng.u8(0..3) {
        0 => format!(", methods: [{}]", rng.choice(&METHODS[..2]).unwrap()),
        _ => String::new(),
    };
    format!("to: [{{operation: {{{name}: [\"{}\", \"{}\"]{method}}}}}]", own[0], own[1])
}

fn policies(rng: &mut Rng, text: &mut String) {
    for at in 0..rng.usize(0..4) {
        let (of, selector) = *rng
            .choice(&[("istio-system", "istio: ingressgateway"), ("shop", "app: one"), ("shop", "app: two")])
            .unwrap();
        let action = *rng.choice(&["ALLOW", "ALLOW", "DENY"]).unwrap();
        let from = match rng.u8(0..4) {
            0 if of == "shop" => "from: [{source: {principals: [cluster.local/ns/istio-system/sa/gw]}}], ",
            1 if of == "shop" => "from: [{source: {namespaces: [shop]}}], ",
            _ => "",
        };
        let when = match rng.u8(0..4) {
            0 => ", when: [{key: \"request.headers[x-v]\", values: [\"1\"]}]",
            1 => ", when: [{key: \"request.headers[x-v]\", notValues: [\"1\"]}]",
            _ => "",
        };
        let spec = format!(
            "selector: {{matchLabels: {{{selector}}}}}, action: {action}, rules: [{{{from}{}{when}}}]",
            operation(rng)
        );
        text.push_str(&policy(of, &format!("p{at}"), &spec));
    }
}

fn attached<'m>(mesh: &'m Mesh, id: WorkloadId) -> Vec<Policy<'m>> {
    mesh.workload(id).policies.iter().filter_map(|own| policy_of(mesh, own.policy)).collect()
}

fn passes(
    policies: &[Policy<'_>],
    context: &Context,
    peer: Peer,
    (sent, path): (&Sent<'_>, &str),
    port: u16,
) -> bool {
    let mut headers = vec![("Host".to_owned(), HOST.to_owned())];
    headers.extend(sent.header.then(|| ("x-v".to_owned(), "1".to_owned())));
    let http = HttpRequest {
        method: sent.method.to_owned(),
        target: sent.target(path),
        headers,
        token: Token::None,
    };
    let request = Request {
        peer,
        sni: None,
        source: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
        proxied_source: None,
        destination: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), port),
        metadata: std::collections::BTreeMap::new(),
        http: Some(http),
    };
    evaluate(policies, &request, context).decision == Decision::Allow
}

fn worlds() -> u64 {
    std::env::var("MESHPROOF_WORLDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60)
}

#[test]
fn what_gets_through_gateways_is_what_gets_through_when_it_is_followed() {
    let (mut open, mut closed, mut shown) = (0, 0, 0);
    for seed in 0..worlds() {
        let mut rng = Rng::with_seed(seed);
        let rules: Vec<Rule> = (0..rng.usize(1..4)).map(|_| Rule::random(&mut rng)).collect();
        let written: Vec<String> = rules.iter().map(Rule::text).collect();
        let mut text = servers() + &gateway_pods() + FRONT + &routes(&written);
        policies(&mut rng, &mut text);
        let mesh = mesh(&text);
        let graph = Graph::new(&mesh);
        let gateway = attached(&mesh, find(&mesh, "istio-system/gw"));
        let outside = gateway_context_of(&mesh, ClusterId(0), Engine::EnvoyHttp);
        let inside = context_of(&mesh, ClusterId(0), Engine::EnvoyHttp);
        for name in ["one", "two"] {
            let server = attached(&mesh, find(&mesh, &format!("shop/{name}")));
            let gets_through = |sent: &Sent<'_>| {
                let rule = rules.iter().find(|rule| rule.takes(sent)).filter(|rule| rule.to == name)?;
                let peer = Peer::workload("cluster.local/ns/istio-system/sa/gw");
                let behind = rule.sends(sent.path);
                let passes = passes(&gateway, &outside, Peer::Anonymous, (sent, sent.path), 8080)
                    && passes(&server, &inside, peer, (sent, &behind), 8080);
                passes.then(|| sent.target(&behind))
            };
            let all = paths();
            let mut sent = METHODS.iter().flat_map(|method| all.iter().map(move |path| (*method, path)));
            let expected = sent.any(|(method, path)| {
                let flags = [(false, false), (false, true), (true, false), (true, true)];
                flags.iter().any(|(header, query)| {
                    gets_through(&Sent { method, path, header: *header, query: *query }).is_some()
                })
            });
            let reach = from_outside(&graph, &format!("shop/{name}:8080"));
            let found = through(&reach);
            let doubts: Vec<&String> =
                found.iter().flat_map(|path| &path.through).flat_map(|one| &one.may).collect();
            assert!(
                found.is_some() == expected || !expected && !doubts.is_empty(),
                "seed {seed}: {name}, expected {expected}\n{found:#?}\n{text}"
            );
            if let Some(path) = found.filter(|path| path.through[0].is_shown) {
                let request = |at: usize| path.hops[at].told.witness.clone().unwrap();
                let (method, target) = (request(0).method.unwrap(), request(0).path.unwrap());
                let (at, query) = target.split_once('?').unwrap_or((&target, ""));
                let header = request(0).headers.contains(&("x-v".to_owned(), "1".to_owned()));
                let sent = Sent { method: &method, path: at, header, query: query == "q=1" };
                assert_eq!(
                    gets_through(&sent),
                    request(1).path,
                    "seed {seed}: {sent:?} to {name}\n{path:#?}\n{text}"
                );
                shown += 1;
            }
            *(if expected { &mut open } else { &mut closed }) += 1;
        }
    }
    assert!(
        open > 20 && closed > 20 && shown * 10 > open * 8,
        "{open} open, {shown} of them shown, {closed} closed"
    );
}
