//! Gateways: random routes and policies against requests that are followed one by one, pods that the input does not hold,
//! and which routes listeners of the Gateway API admit.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use common::{find, injected, mesh, mesh_presuming, namespace, peer_authentication, pod, policy, service};
use fastrand::Rng;
use meshproof_authz::{
    Context, Decision, Engine, HttpRequest, Peer, Policy, Request, Token, context_of, evaluate,
    gateway_context_of, policy_of,
};
use meshproof_explain::Subject;
use meshproof_graph::{Graph, Reach, ReachPath, ReachQuestion, Scope};
use meshproof_ir::{ClusterId, Mesh, WorkloadId};

/// The last one is named by nothing.
const METHODS: [&str; 3] = ["GET", "POST", "PUT"];
const STARTS: [&str; 5] = ["/", "/a", "/a/", "/b", "/v1/"];
const HOST: &str = "shop.example";

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

const FRONT: &str = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: front, namespace: istio-system}\n\
    spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [\"*\"]}]}\n---\n";

fn routes(rules: &[String]) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: front, namespace: shop}}\n\
         spec: {{hosts: [{HOST}], gateways: [istio-system/front], http: [{}]}}\n---\n",
        rules.join(", ")
    )
}

fn servers() -> String {
    let mut text = namespace("istio-system", "")
        + &injected("shop")
        + &peer_authentication("istio-system", "m", "mtls: {mode: STRICT}");
    for name in ["one", "two"] {
        text.push_str(&(pod("shop", name, name, "") + &service("shop", name, "http", "")));
    }
    text
}

fn gateway_pods() -> String {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: gw, namespace: istio-system}\nspec:\n  selector: {matchLabels: {istio: ingressgateway}}\n  \
        template:\n    metadata: {labels: {istio: ingressgateway}, annotations: {inject.istio.io/templates: gateway}}\n    \
        spec: {serviceAccountName: gw, containers: [{name: istio-proxy, image: auto, ports: [{containerPort: 8080}]}]}\n---\n";
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: gw, namespace: istio-system}\nspec: {selector: {istio: ingressgateway}, ports: [{name: http2, port: 80, targetPort: 8080}]}\n---\n";
    deployment.to_owned() + service
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

fn from_outside(graph: &Graph<'_>, to: &str) -> Reach {
    let scope = Scope {
        from: Some(Subject::Plaintext(None).into()),
        to: Some(to.parse().unwrap()),
        ..Scope::default()
    };
    graph.reach(&ReachQuestion { scope, transitive: true, names: 3 }).unwrap()
}

/// The way through the gateway.
fn through(reach: &Reach) -> Option<&ReachPath> {
    reach.paths.iter().find(|path| path.hops.len() == 2)
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

#[test]
fn pods_of_gateways_that_the_input_does_not_hold_are_taken_to_be_there() {
    let route = routes(&[
        "{route: [{destination: {host: one.shop.svc.cluster.local, port: {number: 80}}}]}".to_owned()
    ]);
    let ask = |more: &str| {
        let mesh = mesh_presuming(&(servers() + FRONT + &route + more));
        let graph = Graph::new(&mesh);
        let reach = from_outside(&graph, "shop/one:8080");
        let name = |hop: &meshproof_graph::ReachEdge| hop.to[0].name.clone();
        through(&reach).map(|path| {
            let doubts = path.hops.iter().map(|hop| hop.told.may.join("; ")).collect::<Vec<_>>();
            (path.hops.iter().map(name).collect::<Vec<_>>().join(" > "), doubts)
        })
    };
    let (way, doubts) = ask("").unwrap();
    assert_eq!(way, "istio-system/istio-ingressgateway > shop/one");
    let reason =
        "the pods of Gateway front are not in the input; they are taken to run in namespace istio-system";
    assert!(doubts.iter().all(|doubt| doubt.contains(reason)), "{doubts:?}");
    // A Service in front of them tells their namespace and name, and policies there count.
    let edge = "apiVersion: v1\nkind: Service\nmetadata: {name: edge, namespace: edge}\nspec: {selector: {app: istio-ingressgateway}, ports: [{name: http2, port: 80, targetPort: 8080}]}\n---\n";
    assert_eq!(ask(edge).unwrap().0, "edge/edge > shop/one");
    let closed = policy("edge", "none", "selector: {matchLabels: {istio: ingressgateway}}");
    assert_eq!(ask(&(edge.to_owned() + &closed)), None);
    // Its account may be the one that nobody else runs as, and no other.
    let named = |principal: &str| {
        let spec = format!(
            "selector: {{matchLabels: {{app: one}}}}, rules: [{{from: [{{source: {{principals: [{principal}]}}}}]}}]"
        );
        policy("shop", "p", &spec)
    };
    assert!(ask(&named("cluster.local/ns/istio-system/sa/istio-ingressgateway")).is_some());
    assert_eq!(ask(&named("cluster.local/ns/shop/sa/two")), None);
    // Nothing is taken to be there where pods are.
    let mesh = mesh_presuming(&(servers() + FRONT + &route + &gateway_pods()));
    assert!(mesh.workloads_with_ids().all(|(id, _)| !mesh.is_presumed(id)));
}

/// A Gateway with two listeners, and a route in another namespace.
fn gateway_api(listener: &str, parent: &str, hostnames: &str, rule: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: edge, namespace: edge}}\n\
         spec: {{gatewayClassName: istio, listeners: [{{name: a, port: 80, protocol: HTTP, {listener}}}, {{name: b, port: 81, protocol: HTTP}}]}}\n---\n\
         apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r, namespace: shop}}\n\
         spec: {{parentRefs: [{{name: edge, namespace: edge{parent}}}], {hostnames}rules: [{{{rule}backendRefs: [{{name: one, port: 80}}]}}]}}\n---\n"
    )
}

#[test]
fn listeners_of_the_gateway_api_admit_some_routes() {
    let ask = |listener: &str, parent: &str, hostnames: &str, rule: &str| {
        let text = servers() + &injected("edge") + &gateway_api(listener, parent, hostnames, rule);
        let mesh = mesh(&text);
        let graph = Graph::new(&mesh);
        let reach = from_outside(&graph, "shop/one:8080");
        through(&reach).map(|path| (path.hops[0].to[0].port, path.through[0].requests.join("; ")))
    };
    let all = "allowedRoutes: {namespaces: {from: All}}";
    let anything = Some((80, "anything".to_owned()));
    assert_eq!(ask(all, "", "", ""), anything);
    // The other namespace is not admitted by default.
    assert_eq!(ask("", "", "", ""), None);
    assert_eq!(ask(all, ", sectionName: a", "", ""), anything);
    assert_eq!(ask(all, ", sectionName: b", "", ""), None);
    let host = format!("hostname: \"*.shop.example\", {all}");
    let said = ask(&host, "", "hostnames: [a.shop.example, other.example], ", "").unwrap().1;
    assert_eq!(said, "anything at host a.shop.example");
    assert_eq!(ask(&host, "", "hostnames: [other.example], ", ""), None);
    let said = ask(all, "", "", "matches: [{path: {type: PathPrefix, value: /api}}], ").unwrap().1;
    assert_eq!(said, "anything on /api, /api/*");
}

#[test]
fn listeners_that_ask_for_certificates_do_not_tell_whose() {
    let gateway = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: front, namespace: istio-system}\n\
        spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [\"*\"], tls: {mode: MUTUAL, credentialName: c}}]}\n---\n";
    let route = routes(&[
        "{route: [{destination: {host: one.shop.svc.cluster.local, port: {number: 80}}}]}".to_owned()
    ]);
    let ask = |more: &str| {
        let mesh = mesh(&(servers() + &gateway_pods() + gateway + &route + more));
        let graph = Graph::new(&mesh);
        let reach = graph.reach(&ReachQuestion { names: 3, ..ReachQuestion::default() }).unwrap();
        let edge = reach.edges.iter().find(|edge| edge.to[0].port == 443).unwrap();
        let shown = edge.told.witness.as_ref().unwrap().identity.clone();
        (
            edge.told.who.clone(),
            edge.told.may.join("; "),
            shown,
            through(&from_outside(&graph, "shop/one:8080")).is_some(),
        )
    };
    let (who, may, _, through) = ask("");
    assert_eq!(
        (who.as_str(), may.as_str(), through),
        ("whoever reaches the gateway with a client certificate", "", true)
    );
    let rule = "selector: {matchLabels: {istio: ingressgateway}}, rules: [{from: [{source: {principals: [partner/ns/a/sa/b]}}]}]";
    let (who, may, shown, through) = ask(&policy("istio-system", "p", rule));
    assert_eq!(who, "whoever reaches the gateway with a client certificate: sa a/b");
    assert_eq!((may.as_str(), through), ("which identities client certificates have", true));
    assert_eq!(shown.as_deref(), Some("partner/ns/a/sa/b"));
}

/// What is certain about the ways to the two servers of routes, the first of which has a condition: whether they are there,
/// and why they may not be.
fn ways_of_two(condition: &str) -> [Option<String>; 2] {
    let to = |name: &str| {
        format!("route: [{{destination: {{host: {name}.shop.svc.cluster.local, port: {{number: 80}}}}}}]")
    };
    let rules = [format!("{{match: [{{{condition}}}], {}}}", to("one")), format!("{{{}}}", to("two"))];
    let mesh = mesh(&(servers() + &gateway_pods() + FRONT + &routes(&rules)));
    let graph = Graph::new(&mesh);
    ["one", "two"].map(|name| {
        let reach = from_outside(&graph, &format!("shop/{name}:8080"));
        through(&reach).map(|path| path.through[0].may.join("; "))
    })
}

#[test]
fn routes_that_ask_who_sends_are_for_this_gateway_or_not() {
    let certain = || Some(String::new());
    for other in ["sourceLabels: {app: web}", "sourceNamespace: shop", "gateways: [other]", "port: 443"] {
        assert_eq!(ways_of_two(other), [None, certain()], "{other}");
    }
    let own = "sourceLabels: {istio: ingressgateway}, sourceNamespace: istio-system, port: 80";
    for own in [own, "gateways: [istio-system/front], sourceLabels: {app: web}"] {
        assert_eq!(ways_of_two(own), [certain(), None], "{own}");
    }
    // Injection may add such a label.
    let [one, two] = ways_of_two("sourceLabels: {istio.io/rev: default}");
    assert!(one.unwrap().contains("labels") && two.unwrap().contains("labels"));
}

#[test]
fn what_is_not_followed_of_routes_is_said() {
    for (condition, one, two) in [
        (
            "uri: {regex: \"/(a|b)/.*\"}",
            "the route matches paths by a regular expression",
            "an earlier route",
        ),
        ("uri: {prefix: /a}, ignoreUriCase: true", "paths in upper and lower case", "an earlier route"),
        ("headers: {x-v: {regex: \"[0-9]\"}}", "the header x-v by a regular expression", "an earlier route"),
        // A request without the query is never taken.
        ("queryParams: {q: {exact: a}}", "the route looks at query parameters", ""),
        ("scheme: {exact: http}", "", "clients may name another scheme"),
        ("scheme: {exact: https}", "clients may name another scheme", ""),
    ] {
        let [found_one, found_two] = ways_of_two(condition).map(Option::unwrap);
        for (found, said) in [(found_one, one), (found_two, two)] {
            assert!(found.contains(said) && found.is_empty() == said.is_empty(), "{condition}: {found}");
        }
    }
    assert_eq!(ways_of_two("scheme: {exact: ftp}")[0], None);
    assert_eq!(ways_of_two("uri: {regex: \"/a/.*\"}"), [Some(String::new()), Some(String::new())]);
}

#[test]
fn the_port_that_routes_ask_for_is_that_of_the_server() {
    let gateway = FRONT.replace(
        "servers: [",
        "servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [\"*\"], tls: {mode: SIMPLE, credentialName: c}}, ",
    );
    let to = |condition: &str, name: &str| {
        format!(
            "{{{condition}route: [{{destination: {{host: {name}.shop.svc.cluster.local, port: {{number: 80}}}}}}]}}"
        )
    };
    let rules = [to("match: [{port: 443}], ", "one"), to("", "two")];
    let mesh = mesh(&(servers() + &gateway_pods() + &gateway + &routes(&rules)));
    let graph = Graph::new(&mesh);
    for (name, port) in [("one", 443), ("two", 8080)] {
        let reach = from_outside(&graph, &format!("shop/{name}:8080"));
        let ways = reach.paths.iter().filter(|path| path.hops.len() == 2);
        let ways: Vec<_> =
            ways.map(|path| (path.hops[0].to[0].port, path.through[0].may.join("; "))).collect();
        assert_eq!(ways, [(port, String::new())], "{name}");
    }
}

/// A Gateway for plaintext, with a route of its own to a server.
fn front(name: &str, selector: &str, to: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: {name}, namespace: istio-system}}\n\
         spec: {{selector: {{{selector}}}, servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: [{name}.example]}}]}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{hosts: [{name}.example], gateways: [istio-system/{name}], http: [{{route: [{{destination: {{host: {to}.shop.svc.cluster.local, port: {{number: 80}}}}}}]}}]}}\n---\n"
    )
}

#[test]
fn gateways_of_more_labels_stand_for_pods_of_their_own() {
    let both =
        front("a", "istio: ingressgateway", "one") + &front("b", "istio: ingressgateway, env: prod", "two");
    let ways = |more: &str, to: &str| -> Vec<String> {
        let mesh = mesh_presuming(&(servers() + &both + more));
        let reach = from_outside(&Graph::new(&mesh), &format!("shop/{to}:8080"));
        let ways = reach.paths.iter().filter(|path| path.hops.len() == 2);
        ways.map(|path| path.hops[0].to[0].name.clone()).collect()
    };
    let second = "istio-system/istio-ingressgateway-2".to_owned();
    assert_eq!(ways("", "two"), [second]);
    assert!(!ways("", "one").is_empty());
    // The labels count: what closes the second leaves the first open.
    let closed = policy("istio-system", "none", "selector: {matchLabels: {env: prod}}");
    assert_eq!(ways(&closed, "two"), Vec::<String>::new());
    assert_eq!(ways(&closed, "one"), ["istio-system/istio-ingressgateway"]);
    // The same labels in another order, or with what charts add, are the same pods.
    let same = front("c", "app: istio-ingressgateway", "two")
        + &front("d", "env: prod, istio: ingressgateway", "one");
    let mesh = mesh_presuming(&(servers() + &both + &same));
    assert_eq!(mesh.workloads_with_ids().filter(|(id, _)| mesh.is_presumed(*id)).count(), 2);
}

#[test]
fn gateways_are_taken_to_run_in_the_root_namespace_that_is_configured() {
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata: {mesh: \"rootNamespace: mesh-root\"}\n---\n";
    let gateway = front("a", "istio: ingressgateway", "one").replace("istio-system", "shop");
    let servers = [
        injected("shop"),
        peer_authentication("shop", "m", "mtls: {mode: STRICT}"),
        pod("shop", "one", "one", ""),
        service("shop", "one", "http", ""),
    ]
    .concat();
    let mesh = mesh_presuming(&(servers + config + &gateway));
    let reach = from_outside(&Graph::new(&mesh), "shop/one:8080");
    assert_eq!(through(&reach).unwrap().hops[0].to[0].name, "mesh-root/istio-ingressgateway");
}

#[test]
fn backends_of_other_namespaces_need_a_grant() {
    let ask = |grant: &str| {
        let all = "allowedRoutes: {namespaces: {from: All}}";
        let route =
            gateway_api(all, "", "", "").replace("name: r, namespace: shop", "name: r, namespace: edge");
        let route = route.replace("{name: one, port: 80}", "{name: one, namespace: shop, port: 80}");
        let mesh = mesh(&(servers() + &injected("edge") + &route + grant));
        let reach = from_outside(&Graph::new(&mesh), "shop/one:8080");
        let path = through(&reach).unwrap();
        (path.through[0].is_shown, path.through[0].may.join("; "))
    };
    let grant = |of: &str, from: &str, to: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {{name: g, namespace: {of}}}\n\
             spec: {{from: [{{group: gateway.networking.k8s.io, {from}}}], to: [{{group: '', {to}}}]}}\n---\n"
        )
    };
    let route = "kind: HTTPRoute, namespace: edge";
    let service = "kind: Service, name: one";
    let doubt = "no ReferenceGrant of the input lets HTTPRoutes of edge send to Service one of shop";
    assert_eq!(ask(""), (false, doubt.to_owned()));
    assert_eq!(ask(&grant("shop", route, service)), (true, String::new()));
    assert_eq!(ask(&grant("shop", route, "kind: Service")), (true, String::new()));
    for other in [
        grant("edge", route, service),
        grant("shop", "kind: GRPCRoute, namespace: edge", service),
        grant("shop", "kind: HTTPRoute, namespace: shop", service),
        grant("shop", route, "kind: Service, name: two"),
        grant("shop", route, "kind: Secret"),
    ] {
        assert_eq!(ask(&other), (false, doubt.to_owned()), "{other}");
    }
}
