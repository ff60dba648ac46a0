//! Tokens are nodes: small random worlds whose rules ask for tokens and claims, against requests that are explained one by
//! one.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{find, injected, mesh, namespace, pod, policy, service};
use fastrand::Rng;
use meshproof_explain::{Destination, Explainer, HttpParts, Question, Subject, Verdict, Way};
use meshproof_grammar::pattern::Pattern;
use meshproof_graph::{Bearer, Edge, Graph, Node, Party, Reach, ReachQuestion, Scope, TokenId};
use meshproof_ir::{Layer, Mesh};
use meshproof_space::{Clause, RequestBox, Test, Variable};

const PORT: u16 = 8080;
const ISSUERS: [&str; 2] = ["https://a.example", "https://b.example/realms/x"];
const SUBJECTS: [&str; 2] = ["alice", "bob"];
const METHODS: [&str; 2] = ["GET", "POST"];
const PODS: [&str; 2] = ["one", "two"];

/// A token of the test; none where there is no issuer.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Token {
    issuer: &'static str,
    subject: &'static str,
    role: Option<&'static str>,
}

impl Token {
    fn all() -> Vec<Token> {
        let mut all = Vec::new();
        for issuer in ISSUERS {
            for subject in SUBJECTS {
                all.extend([None, Some("admin")].map(|role| Token { issuer, subject, role }));
            }
        }
        all
    }

    fn bearer(self) -> Bearer {
        format!("{}/{}", self.issuer, self.subject).parse().unwrap()
    }
}

fn authentication(of: &str, pod: &str, issuer: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: jwt-{pod}, namespace: {of}}}\n\
         spec: {{selector: {{matchLabels: {{pod: {pod}}}}}, jwtRules: [{issuer}]}}\n---\n"
    )
}

fn source(rng: &mut Rng) -> String {
    let not = if rng.u8(0..6) == 0 { "notRequestPrincipals" } else { "requestPrincipals" };
    let principals = [
        "*",
        "https://a.example/*",
        "https://a.example/alice",
        "https://b.example/realms/x/bob",
        "https://b.example/*",
        "*/alice",
    ];
    let own: Vec<String> =
        rng.choose_multiple(&principals, 2).into_iter().map(|name| format!("\"{name}\"")).collect();
    let sender = match rng.u8(0..4) {
        0 => ", principals: [cluster.local/ns/a/sa/one]",
        1 => ", namespaces: [b]",
        _ => "",
    };
    format!("from: [{{source: {{{not}: [{}]{sender}}}}}]", own.join(", "))
}

fn when(rng: &mut Rng) -> String {
    let conditions = [
        "{key: \"request.auth.claims[role]\", values: [admin]}",
        "{key: \"request.auth.claims[role]\", notValues: [admin]}",
        "{key: \"request.auth.claims[iss]\", values: [\"https://a.example\"]}",
        "{key: \"request.auth.claims[sub]\", values: [bob]}",
        "{key: \"request.auth.audiences\", values: [api]}",
        "{key: \"request.auth.audiences\", notValues: [api]}",
    ];
    format!("when: [{}]", rng.choice(&conditions).unwrap())
}

fn world(rng: &mut Rng) -> String {
    let mut text = namespace("istio-system", "") + &injected("a") + &injected("b");
    for of in ["a", "b"] {
        for name in PODS {
            text.push_str(&(pod(of, name, name, "") + &service(of, name, "http", "")));
            let rules: Vec<String> = rng
                .choose_multiple(&ISSUERS, 2)
                .into_iter()
                .map(|issuer| {
                    format!("{{issuer: \"{issuer}\", audiences: [api], jwksUri: https://keys.example}}")
                })
                .collect();
            let count = if rng.u8(0..4) == 0 { 1 } else { 2 };
            if rng.u8(0..5) > 0 {
                text.push_str(&authentication(of, name, &rules[..count].join(", ")));
            }
        }
    }
    for at in 0..rng.usize(1..5) {
        let (of, own) = (*rng.choice(&["a", "b"]).unwrap(), *rng.choice(&PODS).unwrap());
        let action = *rng.choice(&["ALLOW", "ALLOW", "ALLOW", "DENY"]).unwrap();
        let rules: Vec<String> = (0..rng.usize(1..3))
            .map(|_| {
                let mut parts = Vec::new();
                if rng.u8(0..4) > 0 {
                    parts.push(source(rng));
                }
                if rng.u8(0..3) == 0 || parts.is_empty() {
                    parts.push(when(rng));
                }
                if rng.u8(0..3) == 0 {
                    parts.push(format!(
                        "to: [{{operation: {{methods: [{}]}}}}]",
                        rng.choice(&METHODS).unwrap()
                    ));
                }
                format!("{{{}}}", parts.join(", "))
            })
            .collect();
        let spec = format!(
            "selector: {{matchLabels: {{pod: {own}}}}}, action: {action}, rules: [{}]",
            rules.join(", ")
        );
        text.push_str(&policy(of, &format!("p{at}"), &spec));
    }
    text
}

/// The box of one request.
fn one(method: &str, token: Option<Token>) -> RequestBox {
    let exactly = |text: &str| Pattern::Exact(text.to_owned());
    let test = match token {
        None => Test::Absent,
        Some(token) => {
            Test::Token { issuer: Some(exactly(token.issuer)), subject: Some(exactly(token.subject)) }
        }
    };
    let role = match token.and_then(|token| token.role) {
        Some(role) => Test::Text(exactly(role)),
        None => Test::Absent,
    };
    // Every token of the test is for the same audience.
    let audience = token.map(|_| Test::Text(exactly("api")));
    let claim = |name: &str| Variable::Claim(vec![name.to_owned()]);
    let mut clauses = vec![
        Clause::any(Variable::Method, vec![Test::Header(exactly(method))]),
        Clause::any(Variable::Token, vec![test]),
        Clause::any(claim("role"), vec![role]),
    ];
    clauses.extend(audience.map(|audience| Clause::any(claim("aud"), vec![audience])));
    RequestBox::of(clauses)
}

fn is_allowed(
    explainer: &Explainer<'_>,
    from: &Subject,
    to: &str,
    method: &str,
    token: Option<Token>,
) -> bool {
    let mut claims = serde_json::Map::new();
    if let Some(token) = token {
        claims.insert("iss".to_owned(), token.issuer.into());
        claims.insert("sub".to_owned(), token.subject.into());
        claims.insert("aud".to_owned(), "api".into());
        claims.extend(token.role.map(|role| ("role".to_owned(), role.into())));
    }
    [Way::Fitting, Way::Direct].into_iter().any(|way| {
        let question = Question {
            from: from.clone(),
            to: to.parse::<Destination>().unwrap(),
            way,
            speaks: Layer::Http,
            http: HttpParts { method: method.to_owned(), claims: claims.clone(), ..HttpParts::default() },
            from_cluster: None,
            to_cluster: None,
            source_ip: None,
            remote_ip: None,
            sni: None,
        };
        explainer.answers(&question).unwrap().iter().any(|answer| answer.verdict == Verdict::Allow)
    })
}

fn reach(graph: &Graph<'_>, from: &str, to: &str) -> Reach {
    let scope =
        Scope { from: Some(from.parse().unwrap()), to: Some(to.parse().unwrap()), ..Scope::default() };
    graph.reach(&ReachQuestion { scope, transitive: false, names: 3 }).unwrap()
}

/// The tokens of which an edge starts at the nodes, as the graph has them.
fn tokens_of(graph: &Graph<'_>, edge: &Edge) -> Vec<TokenId> {
    let all = (0..graph.tokens.len() as u32).map(TokenId);
    all.filter(|token| graph.of_token(*token).any(|one| std::ptr::eq(one, edge))).collect()
}

fn compare(seed: u64, text: &str, mesh: &Mesh) -> (usize, usize) {
    let (graph, explainer) = (Graph::new(mesh), Explainer::new(mesh));
    let mut parties = vec![(Subject::Plaintext(None), Party::Outsider)];
    for of in ["a", "b"] {
        for name in PODS {
            let subject = Subject::Workload { namespace: of.to_owned(), name: name.to_owned() };
            parties.push((subject, Party::Workload(find(mesh, &format!("{of}/{name}")))));
        }
    }
    let (mut by_token, mut asked) = (0, 0);
    for (of, name) in [("a", "one"), ("a", "two"), ("b", "one"), ("b", "two")] {
        let to = format!("{of}/{name}:{PORT}");
        let id = find(mesh, &format!("{of}/{name}"));
        // Where nobody reads tokens a request with one is a request without.
        let reads_tokens = mesh.workload(id).request_authentications.iter().next().is_some();
        let edges: Vec<&Edge> =
            graph.places_of(id, PORT).iter().flat_map(|place| graph.into_place(*place)).collect();
        let asking = |token: Token, edge: &&Edge| {
            tokens_of(&graph, edge).iter().any(|id| token.bearer().is_one_of(graph.token(*id)))
        };
        for edge in &edges {
            assert_eq!(tokens_of(&graph, edge), sorted(&edge.tokens), "seed {seed}\n{text}");
        }
        // What each token opens, by whoever sends it.
        let mut opened: Vec<(Token, bool)> = Token::all().into_iter().map(|token| (token, false)).collect();
        for (subject, party) in &parties {
            if matches!(subject, Subject::Workload { namespace, name: own } if namespace == of && own == name)
            {
                continue;
            }
            for method in METHODS {
                let without = is_allowed(&explainer, subject, &to, method, None);
                let tokens = Token::all().into_iter().filter(|_| reads_tokens).map(Some);
                for token in [None].into_iter().chain(tokens) {
                    let expected = is_allowed(&explainer, subject, &to, method, token);
                    let through: Vec<&&Edge> = edges
                        .iter()
                        .filter(|edge| graph.calls(edge, *party))
                        .filter(|edge| graph.passing(edge, *party, &one(method, token)).unwrap().is_some())
                        .collect();
                    let about = format!("seed {seed}: {subject} to {to}, {method} with {token:?}");
                    assert_eq!(!through.is_empty(), expected, "{about}\n{through:#?}\n{text}");
                    asked += 1;
                    // Nobody gets along an edge of tokens without one of them.
                    for edge in &through {
                        let is_borne = match token {
                            None => edge.tokens.is_empty(),
                            Some(token) => edge.tokens.is_empty() || asking(token, edge),
                        };
                        assert!(is_borne, "{about}\n{edge:#?}\n{text}");
                    }
                    let is_by_token = expected && !without;
                    by_token += usize::from(is_by_token);
                    if let Some(token) = token.filter(|_| expected) {
                        let starts = through.iter().any(|edge| asking(token, edge));
                        assert!(starts || !is_by_token, "{about}\n{through:#?}\n{text}");
                        let known = opened.iter_mut().find(|(one, _)| *one == token).unwrap();
                        known.1 |= starts;
                    }
                }
            }
        }
        for issuer in ISSUERS {
            for subject in SUBJECTS {
                let is_it = |token: &Token| (token.issuer, token.subject) == (issuer, subject);
                let expected = opened.iter().any(|(token, opens)| is_it(token) && *opens);
                let mut told = reach(&graph, &format!("token:{issuer}/{subject}"), &to);
                // Nobody was asked about calls to itself.
                told.edges.retain(|edge| {
                    edge.told.count != Some(1) || edge.told.callers != [format!("{of}/{name}")]
                });
                assert_eq!(
                    !told.edges.is_empty(),
                    expected,
                    "seed {seed}: {issuer}/{subject} to {to}\n{told:#?}\n{text}"
                );
                for edge in told.edges {
                    let witness = edge.told.witness.unwrap();
                    let claims: serde_json::Value = serde_json::from_str(&witness.claims.unwrap()).unwrap();
                    assert_eq!((&claims["iss"], &claims["sub"]), (&issuer.into(), &subject.into()));
                }
            }
        }
    }
    (by_token, asked)
}

fn sorted(tokens: &[TokenId]) -> Vec<TokenId> {
    let mut tokens = tokens.to_vec();
    tokens.sort_unstable();
    tokens
}

#[test]
fn edges_start_at_the_tokens_that_they_take() {
    let (mut by_token, mut asked) = (0, 0);
    let count = std::env::var("MESHPROOF_WORLDS").ok().and_then(|text| text.parse().ok()).unwrap_or(16);
    for seed in 0..count {
        let text = world(&mut Rng::with_seed(seed));
        let (some, all) = compare(seed, &text, &mesh(&text));
        by_token += some;
        asked += all;
    }
    assert!(by_token * 20 > asked, "{by_token} of {asked}");
}

/// One node for each class of tokens, and one arrow for each class that a rule names.
#[test]
fn nodes_grow_with_what_policies_tell_apart() {
    let sizes = [4, 8].map(|count| {
        let mut text = namespace("istio-system", "") + &injected("a");
        for at in 0..count {
            let name = format!("w{at}");
            text.push_str(&(pod("a", &name, &name, "") + &service("a", &name, "http", "")));
            text.push_str(&authentication(
                "a",
                &name,
                "{issuer: \"https://a.example\", jwksUri: https://keys.example}",
            ));
            let selector = format!("selector: {{matchLabels: {{pod: {name}}}}}");
            let from = "rules: [{from: [{source: {requestPrincipals: [\"https://a.example/*\"]}}]}]";
            text.push_str(&policy("a", &name, &format!("{selector}, {from}")));
        }
        let mesh = mesh(&text);
        let graph = Graph::new(&mesh);
        let nodes = graph.graph.node_weights().filter(|node| matches!(node, Node::Token(_))).count();
        let arrows = graph.of_token(TokenId(0)).count();
        assert_eq!(graph.graph.edge_count(), graph.edges.len() + arrows);
        (nodes, arrows, graph.edges.len())
    });
    assert_eq!(sizes, [(1, 8, 8), (1, 16, 16)]);
}

/// So many rules are not told apart by what they need tokens for.
#[test]
fn many_rules_that_ask_for_tokens_by_refusing_whoever_has_none() {
    let ask = |count: usize| {
        let rule =
            |at: usize| format!("{{from: [{{source: {{principals: [cluster.local/ns/a/sa/c{at}]}}}}]}}");
        let rules: Vec<String> = (0..count).map(rule).collect();
        let refusing = "action: DENY, rules: [{from: [{source: {notRequestPrincipals: [\"*\"]}}]}]";
        let text = namespace("istio-system", "")
            + &injected("a")
            + &pod("a", "c0", "c0", "")
            + &service("a", "c0", "http", "")
            + &authentication("a", "c0", "{issuer: \"https://a.example\", jwksUri: https://keys.example}")
            + &policy("a", "refusing", refusing)
            + &policy("a", "letting", &format!("rules: [{}]", rules.join(", ")));
        let mesh = mesh(&text);
        let graph = Graph::new(&mesh);
        let by_token = graph.edges.iter().filter(|edge| !edge.tokens.is_empty()).count();
        (graph.edges.len(), by_token)
    };
    assert_eq!(ask(4), (4, 4));
    // None is told apart.
    assert_eq!(ask(257), (257, 0));
}
