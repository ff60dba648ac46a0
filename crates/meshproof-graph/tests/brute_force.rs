//! Small random meshes: for every client, workload port and request the graph says what `explain` says.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{
    ambient, find, injected, mesh, namespace, network_policy, peer_authentication, pod, policy, rule, service,
};
use fastrand::Rng;
use meshproof_explain::{Answer, Destination, Explainer, HttpParts, Question, Subject, Verdict, Way};
use meshproof_grammar::pattern::Pattern;
use meshproof_graph::{Edge, Graph, Member, Party};
use meshproof_ir::{Layer, Mesh};
use meshproof_space::{Clause, RequestBox, Test, Variable};

const PORT: u16 = 8080;
const METHODS: [&str; 2] = ["GET", "POST"];
const PATHS: [&str; 3] = ["/", "/a", "/a/b"];
/// Namespace, pod.
const PODS: [(&str, &str); 7] =
    [("a", "one"), ("a", "two"), ("b", "one"), ("b", "two"), ("c", "one"), ("d", "one"), ("d", "two")];

fn some<'a>(rng: &mut Rng, values: &[&'a str], most: usize) -> Vec<&'a str> {
    let count = rng.usize(1..=most);
    rng.choose_multiple(values, count).into_iter().copied().collect()
}

fn list(values: &[&str]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

fn field(rng: &mut Rng, name: &str, not: &str, values: &[&str], most: usize) -> String {
    let name = if rng.u8(0..5) == 0 { not } else { name };
    format!("{name}: {}", list(&some(rng, values, most)))
}

fn source(rng: &mut Rng) -> String {
    match rng.u8(0..4) {
        0 => field(rng, "namespaces", "notNamespaces", &["a", "b", "c", "d", "x", "b*"], 2),
        1 => field(rng, "principals", "notPrincipals", &["*", "cluster.local/ns/b/*", "*/sa/one"], 1),
        2 => {
            let exact = [
                "cluster.local/ns/a/sa/one",
                "cluster.local/ns/b/sa/two",
                "cluster.local/ns/d/sa/one",
                "cluster.local/ns/x/sa/y",
            ];
            field(rng, "principals", "notPrincipals", &exact, 3)
        }
        _ => {
            let both = field(rng, "namespaces", "notNamespaces", &["a", "b", "d"], 2);
            format!(
                "{both}, {}",
                field(rng, "principals", "notPrincipals", &["cluster.local/ns/a/sa/one", "*/sa/two"], 1)
            )
        }
    }
}

fn operation(rng: &mut Rng) -> String {
    let mut fields = Vec::new();
    if rng.bool() {
        fields.push(field(rng, "methods", "notMethods", &METHODS, 2));
    }
    if rng.bool() || fields.is_empty() {
        fields.push(field(rng, "paths", "notPaths", &["/a", "/a/*", "/*", "/", "/z"], 2));
    }
    if rng.u8(0..4) == 0 {
        fields.push(field(rng, "ports", "notPorts", &["8080", "80"], 1));
    }
    fields.join(", ")
}

fn policies(rng: &mut Rng, text: &mut String) {
    for at in 0..rng.usize(0..5) {
        let of = *rng.choice(&["a", "a", "b", "d", "istio-system"]).unwrap();
        let action = *rng.choice(&["ALLOW", "ALLOW", "ALLOW", "DENY"]).unwrap();
        let selector = match rng.bool() && of != "istio-system" {
            true => format!("selector: {{matchLabels: {{pod: {}}}}}, ", rng.choice(&["one", "two"]).unwrap()),
            false => String::new(),
        };
        let rules: Vec<String> = (0..rng.usize(0..3))
            .map(|_| {
                let mut parts = Vec::new();
                if rng.u8(0..4) > 0 {
                    parts.push(format!("from: [{{source: {{{}}}}}]", source(rng)));
                }
                if rng.bool() || parts.is_empty() {
                    parts.push(format!("to: [{{operation: {{{}}}}}]", operation(rng)));
                }
                format!("{{{}}}", parts.join(", "))
            })
            .collect();
        let spec = format!("{selector}action: {action}, rules: [{}]", rules.join(", "));
        text.push_str(&policy(of, &format!("p{at}"), &spec));
    }
}

fn network_policies(rng: &mut Rng, text: &mut String) {
    for at in 0..rng.usize(0..3) {
        let of = *rng.choice(&["a", "b", "c", "d"]).unwrap();
        let pods = *rng.choice(&["{}", "{matchLabels: {pod: one}}"]).unwrap();
        let peer = *rng
            .choice(&[
                "{podSelector: {}}",
                "{namespaceSelector: {}}",
                "{podSelector: {matchLabels: {pod: two}}}",
                "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: b}}}",
            ])
            .unwrap();
        let spec = match rng.u8(0..3) {
            0 => format!("podSelector: {pods}, policyTypes: [Egress], egress: [{{to: [{peer}]}}]"),
            1 => format!(
                "podSelector: {pods}, policyTypes: [Ingress], ingress: [{{from: [{peer}], ports: [{{port: 8080}}]}}]"
            ),
            _ => format!("podSelector: {pods}, policyTypes: [Ingress], ingress: [{{from: [{peer}]}}]"),
        };
        text.push_str(&network_policy(of, &format!("n{at}"), &spec));
    }
}

fn world(rng: &mut Rng) -> String {
    let mut text =
        namespace("istio-system", "") + &injected("a") + &injected("b") + &namespace("c", "") + &ambient("d");
    for (of, name) in PODS {
        text.push_str(&pod(of, name, name, ""));
    }
    for of in ["a", "b", "c", "d"] {
        let protocol = *rng.choice(&["http", "http", "tcp", "auto"]).unwrap();
        text.push_str(&service(of, "one", protocol, ""));
    }
    text.push_str(&service("b", "two", "http", ""));
    for at in 0..rng.usize(0..3) {
        let of = *rng.choice(&["a", "b", "d", "istio-system"]).unwrap();
        let mode = *rng.choice(&["STRICT", "PERMISSIVE", "DISABLE"]).unwrap();
        text.push_str(&peer_authentication(of, &format!("m{at}"), &format!("mtls: {{mode: {mode}}}")));
    }
    if rng.u8(0..3) == 0 {
        let mode = *rng.choice(&["DISABLE", "ISTIO_MUTUAL", "SIMPLE"]).unwrap();
        let host = *rng.choice(&["one.b.svc.cluster.local", "one.a.svc.cluster.local"]).unwrap();
        text.push_str(&rule("b", "r", &format!("host: {host}, trafficPolicy: {{tls: {{mode: {mode}}}}}")));
    }
    policies(rng, &mut text);
    if rng.bool() {
        network_policies(rng, &mut text);
    }
    text
}

/// The box of one request.
fn one(method: &str, path: &str) -> RequestBox {
    RequestBox::of(vec![
        Clause::any(Variable::Method, vec![Test::Header(Pattern::Exact(method.to_owned()))]),
        Clause::any(Variable::Path, vec![Test::Path(Pattern::Exact(path.to_owned()))]),
    ])
}

/// What explain says of the request by one way; nothing where it is not certain, or there is no such way.
fn explained(
    explainer: &Explainer<'_>,
    from: &Subject,
    (namespace, name): (&str, &str),
    way: Way,
    (method, path): (&str, &str),
) -> Option<Answer> {
    let question = Question {
        from: from.clone(),
        to: Destination { namespace: namespace.to_owned(), name: name.to_owned(), port: Some(PORT) },
        way,
        speaks: Layer::Http,
        http: HttpParts { method: method.to_owned(), path: path.to_owned(), ..HttpParts::default() },
        from_cluster: None,
        to_cluster: None,
        source_ip: None,
        remote_ip: None,
        sni: None,
    };
    explainer.answers(&question).unwrap().into_iter().next()
}

/// Edges by which somebody gets to a workload's port with a request.
fn reaching<'g>(
    graph: &'g Graph<'_>,
    party: Party<'_>,
    target: &Member,
    request: &RequestBox,
) -> Vec<&'g Edge> {
    let Member::Workload(id, port) = target else { return Vec::new() };
    let edges = graph.places_of(*id, *port).iter().flat_map(|place| graph.into_place(*place));
    edges
        .filter(|edge| graph.calls(edge, party))
        .filter(|edge| graph.passing(edge, party, request).unwrap().is_some())
        .collect()
}

fn compare(seed: u64, text: &str, mesh: &Mesh) -> (usize, usize) {
    let graph = Graph::new(mesh);
    let explainer = Explainer::new(mesh);
    let (mut allowed, mut asked) = (0, 0);
    let mut parties: Vec<(Subject, Party<'_>)> = vec![
        (Subject::Plaintext(None), Party::Outsider),
        (Subject::Identity("cluster.local/ns/x/sa/y".to_owned()), Party::Identity("cluster.local/ns/x/sa/y")),
    ];
    for (namespace, name) in PODS {
        let subject = Subject::Workload { namespace: namespace.to_owned(), name: name.to_owned() };
        parties.push((subject, Party::Workload(find(mesh, &format!("{namespace}/{name}")))));
    }
    for (namespace, name) in PODS {
        let target = Member::Workload(find(mesh, &format!("{namespace}/{name}")), PORT);
        for (subject, party) in &parties {
            if matches!(subject, Subject::Workload { namespace: of, name: own } if (of.as_str(), own.as_str()) == (namespace, name))
            {
                continue;
            }
            for request in METHODS.iter().flat_map(|method| PATHS.map(|path| (*method, path))) {
                let answers: Vec<Answer> = [Way::Fitting, Way::Direct]
                    .into_iter()
                    .filter_map(|way| explained(&explainer, subject, (namespace, name), way, request))
                    .collect();
                let is_allowed = |answer: &Answer| answer.verdict == Verdict::Allow;
                let expected = answers.iter().any(is_allowed);
                let edges = reaching(&graph, *party, &target, &one(request.0, request.1));
                let certain = answers.iter().all(|answer| answer.unknowns.is_empty());
                asked += 1;
                allowed += usize::from(expected);
                assert_eq!(
                    !edges.is_empty(),
                    expected,
                    "seed {seed}: {subject} to {namespace}/{name}, {request:?}\n{answers:#?}\n{edges:#?}\n{text}"
                );
                let only_may = !edges.is_empty() && edges.iter().all(|edge| !edge.may.is_empty());
                assert!(
                    !(certain && only_may),
                    "seed {seed}: {subject} to {namespace}/{name}, {request:?} is certain\n{edges:#?}\n{text}"
                );
            }
        }
    }
    // An edge that nobody can use is none.
    for edge in graph.edges.iter().filter(|edge| edge.may.is_empty()) {
        let told = graph.tell(edge, None, None, 3, true).unwrap();
        assert!(told.witness.is_some(), "seed {seed}: {edge:#?}\n{told:#?}\n{text}");
    }
    (allowed, asked)
}

/// Ambient pods behind a waypoint, a gateway-free mesh around them.
fn ambient_world(rng: &mut Rng) -> String {
    let mut text = namespace("istio-system", "") + &injected("a") + &namespace("c", "");
    let serves = *rng.choice(&["service", "workload", "all"]).unwrap();
    text.push_str(&namespace("d", "istio.io/dataplane-mode: ambient, istio.io/use-waypoint: way"));
    text.push_str(&format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: way, namespace: d, labels: {{istio.io/waypoint-for: {serves}}}}}\n\
         spec: {{gatewayClassName: istio-waypoint, listeners: [{{name: mesh, port: 15008, protocol: HBONE}}]}}\n---\n"
    ));
    for (of, name) in [("a", "one"), ("c", "one"), ("d", "one"), ("d", "two")] {
        text.push_str(&pod(of, name, name, ""));
    }
    text.push_str(&(service("d", "one", "http", "") + &service("d", "two", "http", "")));
    for at in 0..rng.usize(0..4) {
        let target = match rng.u8(0..4) {
            0 => "targetRefs: [{group: \"\", kind: Service, name: one}], ",
            1 => "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: way}], ",
            2 => "selector: {matchLabels: {pod: one}}, ",
            _ => "",
        };
        let action = *rng.choice(&["ALLOW", "ALLOW", "DENY"]).unwrap();
        let own = [
            "cluster.local/ns/d/sa/two",
            "cluster.local/ns/a/sa/one",
            "cluster.local/ns/d/sa/way",
            "cluster.local/ns/d/*",
        ];
        let from = format!("from: [{{source: {{principals: {}}}}}]", list(&some(rng, &own, 2)));
        let to = if target.contains("targetRefs") {
            format!(", to: [{{operation: {{{}}}}}]", operation(rng))
        } else {
            String::new()
        };
        text.push_str(&policy(
            "d",
            &format!("p{at}"),
            &format!("{target}action: {action}, rules: [{{{from}{to}}}]"),
        ));
    }
    if rng.u8(0..3) == 0 {
        text.push_str(&peer_authentication("d", "m", "mtls: {mode: STRICT}"));
    }
    text
}

/// Whether somebody gets to a port with a request, straight or through a waypoint.
fn gets_there(graph: &Graph<'_>, party: Party<'_>, target: &Member, request: &RequestBox) -> bool {
    if !reaching(graph, party, target, request).is_empty() {
        return true;
    }
    let Member::Workload(id, port) = target else { return false };
    let waypoints = graph.places.iter().enumerate().filter(|(_, place)| place.leads_to(*id, *port));
    let mut through = waypoints.filter_map(|(at, place)| match place.members.as_slice() {
        [Member::Waypoint(waypoint, ..), ..] => {
            let pods = graph.mesh().gateway_pods(*waypoint).next();
            Some((at, pods.map_or(Party::Waypoint(*waypoint), Party::Workload)))
        }
        _ => None,
    });
    through.any(|(at, waypoint)| {
        let mut edges = graph.into_place(meshproof_graph::PlaceId(at as u32));
        let enters = edges
            .any(|edge| graph.calls(edge, party) && graph.passing(edge, party, request).unwrap().is_some());
        enters && !reaching(graph, waypoint, target, request).is_empty()
    })
}

#[test]
fn through_waypoints_too() {
    let (mut allowed, mut asked) = (0, 0);
    for seed in 0..40 {
        let text = ambient_world(&mut Rng::with_seed(seed));
        let mesh = mesh(&text);
        let (graph, explainer) = (Graph::new(&mesh), Explainer::new(&mesh));
        for (from, to) in
            [("d/two", "one"), ("a/one", "one"), ("c/one", "one"), ("d/one", "two"), ("a/one", "two")]
        {
            let (namespace, name) = from.split_once('/').unwrap();
            let subject = Subject::Workload { namespace: namespace.to_owned(), name: name.to_owned() };
            let party = Party::Workload(find(&mesh, from));
            let target = Member::Workload(find(&mesh, &format!("d/{to}")), PORT);
            for request in METHODS.iter().flat_map(|method| PATHS.map(|path| (*method, path))) {
                let by = |way| explained(&explainer, &subject, ("d", to), way, request).unwrap();
                let answers = [by(Way::Fitting), by(Way::Direct)];
                let expected = answers.iter().any(|answer| answer.verdict == Verdict::Allow);
                let found = gets_there(&graph, party, &target, &one(request.0, request.1));
                assert_eq!(
                    found, expected,
                    "seed {seed}: {from} to d/{to}, {request:?}\n{answers:#?}\n{:#?}\n{text}",
                    graph.edges
                );
                asked += 1;
                allowed += usize::from(expected);
            }
        }
    }
    assert!(allowed * 10 > asked && allowed < asked, "{allowed} of {asked}");
}

#[test]
fn the_graph_says_what_explain_says() {
    let (mut allowed, mut asked) = (0, 0);
    let count = std::env::var("MESHPROOF_WORLDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    for seed in 0..count {
        let text = world(&mut Rng::with_seed(seed));
        let (some, all) = compare(seed, &text, &mesh(&text));
        allowed += some;
        asked += all;
    }
    assert!(allowed * 10 > asked && allowed * 10 < asked * 9, "{allowed} of {asked}");
}
