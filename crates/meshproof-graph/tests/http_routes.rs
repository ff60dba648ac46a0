//! HTTPRoutes: which rule takes a request, by the kind of the path, its length and more, against an order of its own.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::cmp::Reverse;

use common::{injected, mesh, namespace, peer_authentication, pod, service};
use fastrand::Rng;
use meshproof_explain::Subject;
use meshproof_graph::{Graph, Reach, ReachPath, ReachQuestion, Scope};

const METHODS: [&str; 2] = ["GET", "POST"];
const VALUES: [&str; 5] = ["/", "/a", "/a/b", "/a/bc", "/c"];

/// A request to the gateway.
#[derive(Clone, Copy, Debug)]
struct Sent<'a> {
    method: &'a str,
    path: &'a str,
    /// Whether it has `x-v: 1`.
    header: bool,
}

/// Paths that values tell apart, and more.
fn paths() -> Vec<String> {
    let rests = ["", "/", "x", "/x", "/b/x"];
    let of = |value: &str| rests.map(|rest| format!("{}{rest}", value.trim_end_matches('/')));
    VALUES.into_iter().flat_map(of).filter(|path| path.starts_with('/')).collect()
}

fn requests(paths: &[String]) -> Vec<Sent<'_>> {
    let of = |path| {
        METHODS.into_iter().flat_map(move |method| [false, true].map(|header| Sent { method, path, header }))
    };
    paths.iter().flat_map(|path| of(path.as_str())).collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Exact,
    Prefix,
    Regex,
    /// The value with anything behind it.
    RegexStart,
    /// Followed by the product as nothing but a regular expression.
    RegexEither,
}

/// A match of the test.
#[derive(Clone, Copy, Debug)]
struct Match {
    path: Option<(Kind, &'static str)>,
    method: Option<&'static str>,
    header: bool,
}

impl Match {
    fn random(rng: &mut Rng) -> Match {
        let kinds =
            [Kind::Exact, Kind::Prefix, Kind::Prefix, Kind::Regex, Kind::RegexStart, Kind::RegexEither];
        Match {
            path: (rng.u8(0..5) > 0).then(|| (*rng.choice(&kinds).unwrap(), *rng.choice(&VALUES).unwrap())),
            method: (rng.u8(0..5) == 0).then(|| *rng.choice(&METHODS).unwrap()),
            header: rng.u8(0..5) == 0,
        }
    }

    fn takes(&self, sent: &Sent<'_>) -> bool {
        let has_path = self.path.is_none_or(|(kind, value)| match kind {
            Kind::Exact | Kind::Regex => sent.path == value,
            Kind::Prefix => {
                let whole = value.trim_end_matches('/');
                sent.path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Kind::RegexStart => sent.path.starts_with(value),
            Kind::RegexEither => sent.path == value || sent.path == "/c/x",
        });
        has_path && self.method.is_none_or(|own| own == sent.method) && (!self.header || sent.header)
    }

    fn value(&self) -> Option<(&'static str, String)> {
        self.path.map(|(kind, value)| match kind {
            Kind::Exact => ("Exact", value.to_owned()),
            Kind::Prefix => ("PathPrefix", value.to_owned()),
            Kind::Regex => ("RegularExpression", value.to_owned()),
            Kind::RegexStart => ("RegularExpression", format!("{value}.*")),
            Kind::RegexEither => ("RegularExpression", format!("{value}|/c/x")),
        })
    }

    /// What is asked first has the greatest.
    fn rank(&self) -> (u8, usize, bool, bool) {
        let (kind, value) = self.value().unwrap_or(("PathPrefix", "/".to_owned()));
        let kind = ["RegularExpression", "PathPrefix", "Exact"].iter().position(|own| *own == kind).unwrap();
        (kind as u8, value.len(), self.method.is_some(), self.header)
    }

    fn text(&self) -> String {
        let path = self.value().map(|(kind, value)| format!("path: {{type: {kind}, value: \"{value}\"}}"));
        let method = self.method.map(|method| format!("method: {method}"));
        let header = self.header.then(|| "headers: [{name: x-v, value: \"1\"}]".to_owned());
        format!("{{{}}}", [path, method, header].into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// A gateway and two servers.
fn servers() -> String {
    let mut text = namespace("istio-system", "")
        + &injected("shop")
        + &peer_authentication("istio-system", "m", "mtls: {mode: STRICT}");
    for name in ["one", "two"] {
        text.push_str(&(pod("shop", name, name, "") + &service("shop", name, "http", "")));
    }
    text + "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: edge, namespace: shop}\n\
            spec: {gatewayClassName: istio, listeners: [{name: a, port: 80, protocol: HTTP}]}\n---\n"
}

fn http_route(meta: &str, rules: &[(String, &str)]) -> String {
    let rule =
        |(matches, to): &(String, &str)| format!("{{{matches}backendRefs: [{{name: {to}, port: 80}}]}}");
    let rules: Vec<String> = rules.iter().map(rule).collect();
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{namespace: shop, {meta}}}\n\
         spec: {{parentRefs: [{{name: edge}}], rules: [{}]}}\n---\n",
        rules.join(", ")
    )
}

/// A route with rules, each for a server.
fn route(rules: &[(String, &str)]) -> String {
    servers() + &http_route("name: r", rules)
}

/// A route for each rule, the oldest first.
fn routes(rules: &[(String, &str)]) -> String {
    let each = rules.chunks(1).enumerate().map(|(at, rule)| {
        let name = rules.len() - at;
        http_route(&format!("name: r{name}, creationTimestamp: \"202{at}-01-01T00:00:00Z\""), rule)
    });
    servers() + &each.collect::<String>()
}

fn from_outside(graph: &Graph<'_>, to: &str) -> Reach {
    let scope = Scope {
        from: Some(Subject::Plaintext(None).into()),
        to: Some(format!("shop/{to}:8080").parse().unwrap()),
        ..Scope::default()
    };
    graph.reach(&ReachQuestion { scope, transitive: true, names: 3 }).unwrap()
}

/// The ways through the gateway.
fn through(reach: &Reach) -> impl Iterator<Item = &ReachPath> {
    reach.paths.iter().filter(|path| path.hops.len() == 2)
}

/// What the gateway sends to a server, and why it may be less.
fn sent_to(text: &str, to: &str) -> Vec<(String, String)> {
    let mesh = mesh(text);
    let reach = from_outside(&Graph::new(&mesh), to);
    let told = through(&reach).flat_map(|path| &path.through);
    told.map(|one| (one.requests.join("; "), one.may.join("; "))).collect()
}

fn worlds() -> u64 {
    std::env::var("MESHPROOF_WORLDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60)
}

#[test]
fn rules_take_what_those_before_them_in_the_order_leave() {
    let paths = paths();
    let (mut open, mut closed, mut shown, mut certainly_closed) = (0, 0, 0, 0);
    for seed in 0..worlds() {
        let mut rng = Rng::with_seed(seed);
        let count = rng.usize(2..5);
        let rules: Vec<(Vec<Match>, &str)> = (0..count)
            .map(|_| {
                let matches = (0..rng.usize(1..3)).map(|_| Match::random(&mut rng)).collect();
                (matches, rng.choice(["one", "two"]).unwrap())
            })
            .collect();
        let written: Vec<(String, &str)> = rules
            .iter()
            .map(|(matches, to)| {
                let all: Vec<String> = matches.iter().map(Match::text).collect();
                (format!("matches: [{}], ", all.join(", ")), *to)
            })
            .collect();
        let text = if rng.bool() { route(&written) } else { routes(&written) };
        let mut order: Vec<(Match, &str)> =
            rules.iter().flat_map(|(matches, to)| matches.iter().map(|one| (*one, *to))).collect();
        order.sort_by_key(|(one, _)| Reverse(one.rank()));
        let taker = |sent: &Sent<'_>| order.iter().find(|(one, _)| one.takes(sent)).map(|(_, to)| *to);
        let mesh = mesh(&text);
        let graph = Graph::new(&mesh);
        for name in ["one", "two"] {
            let expected = requests(&paths).iter().any(|sent| taker(sent) == Some(name));
            let reach = from_outside(&graph, name);
            let doubted = through(&reach).flat_map(|path| &path.through).any(|one| !one.may.is_empty());
            let found = through(&reach).next().is_some();
            assert!(
                found == expected || !expected && doubted,
                "seed {seed}: {name}, expected {expected}\n{reach:#?}\n{text}"
            );
            for path in through(&reach).filter(|path| path.through[0].is_shown) {
                let witness = path.hops[0].told.witness.clone().unwrap();
                let sent = Sent {
                    method: &witness.method.unwrap(),
                    path: &witness.path.unwrap(),
                    header: witness.headers.contains(&("x-v".to_owned(), "1".to_owned())),
                };
                assert_eq!(taker(&sent), Some(name), "seed {seed}: {sent:?}\n{path:#?}\n{text}");
                shown += 1;
            }
            open += usize::from(expected);
            closed += usize::from(!expected);
            certainly_closed += usize::from(!found);
        }
    }
    assert!(
        open > 60 && closed > 10 && shown * 10 > open * 6 && certainly_closed > 5,
        "{open} open, {shown} shown, {closed} closed, {certainly_closed} of them for certain"
    );
}

#[test]
fn regular_expressions_come_after_beginnings_of_any_length() {
    let matching = |kind: &str, path: &str| format!("matches: [{{path: {{type: {kind}, value: {path}}}}}], ");
    let two = |first: String, second: String| route(&[(first, "one"), (second, "two")]);
    let prefix = matching("PathPrefix", "/a");
    let everything = |words: &str| vec![(words.to_owned(), String::new())];
    for regex in ["/a/secret/.*", "/a/secret"] {
        let regex = matching("RegularExpression", regex);
        // In whichever order they are written.
        let text = two(prefix.clone(), regex.clone());
        assert_eq!(sent_to(&text, "one"), everything("anything on /a, /a/*"));
        assert_eq!(sent_to(&text, "two"), vec![]);
        let text = two(regex.clone(), prefix.clone());
        assert_eq!(sent_to(&text, "two"), everything("anything on /a, /a/*"));
        assert_eq!(sent_to(&text, "one"), vec![]);
        // The API server writes the prefix `/` where nothing is asked, which comes before too; an empty list asks nothing.
        assert_eq!(sent_to(&two(regex.clone(), String::new()), "one"), vec![]);
        assert!(!sent_to(&two(regex, "matches: [], ".to_owned()), "one").is_empty());
    }
    // What is not followed takes nothing from what is asked before it.
    let text = two(matching("RegularExpression", "\"/(a|b)/.*\""), prefix);
    assert_eq!(sent_to(&text, "two"), everything("anything on /a, /a/*"));
    let [(_, doubt)] = sent_to(&text, "one").try_into().unwrap();
    assert_eq!(doubt, "the route matches paths by a regular expression");
}

#[test]
fn methods_of_any_service_are_asked_after_services() {
    let method = |words: &str| format!("matches: [{{method: {{{words}}}}}], ");
    let ask = |first: String, second: String, to: &str| {
        let text = route(&[(first, "one"), (second, "two")]).replace("kind: HTTPRoute", "kind: GRPCRoute");
        sent_to(&text, to).into_iter().map(|(requests, may)| format!("{requests} {may}")).collect::<Vec<_>>()
    };
    let (service, any) = (method("service: shop.Cart"), method("method: Get"));
    assert_eq!(ask(any.clone(), service.clone(), "two"), ["anything on /shop.Cart/* "]);
    assert_eq!(ask(any.clone(), service.clone(), "one").len(), 1);
    let exact = method("service: shop.Cart, method: Get");
    assert_eq!(ask(service.clone(), exact.clone(), "two"), ["anything on /shop.Cart/Get "]);
    assert_eq!(ask(exact.clone(), method("type: Exact, service: shop.Cart, method: Get"), "two"), [""; 0]);
    // Regular expressions are not followed, and come after what is.
    let regex = method("type: RegularExpression, service: shop.*, method: Get");
    assert_eq!(ask(regex.clone(), exact, "two"), ["anything on /shop.Cart/Get "]);
    let [found] = ask(regex.clone(), service, "one").try_into().unwrap();
    assert!(found.contains("services by a regular expression"), "{found}");
    let [found] = ask(regex, any, "two").try_into().unwrap();
    assert!(found.contains("another rule of the route may take some of it"), "{found}");
}
