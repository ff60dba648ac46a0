//! Connections without a request: a clear answer, or that the request is needed.

use meshproof_authz::{Certificate, Context, Decision, Engine, HttpRequest, Peer, Request, Token};
use meshproof_compiler::table::{Form, ReportOrder, Seen, decide, table, table_in};
use meshproof_engine::{Connection, Context as Prepared, Phase, Table, Verdict};

use crate::common::Policies;
use crate::{compare, everything};

/// Whatever request follows, it is decided as the connection was, when that had an answer.
#[test]
fn an_answer_holds_for_every_request() {
    let (mut answered, mut open) = (0, 0);
    for seed in 0..150 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let text = everything::policies(&mut rng, 3);
        let policies = Policies::read(&text);
        let context = everything::context(&mut rng);
        let bytes = table(&policies.list(), &context, ReportOrder::Name).unwrap();
        let table = Table::open(&bytes).unwrap();
        let first = everything::request(&mut rng);
        let Ok(view) = meshproof_authz::View::before_tokens(&first, &context) else { continue };
        let names: Vec<&[u8]> = view.names.iter().map(String::as_bytes).collect();
        let connection = Connection {
            names: &names,
            source: view.source,
            remote: view.remote,
            destination: view.destination,
            port: view.port,
            sni: view.sni.as_deref().map(str::as_bytes),
        };
        let mut prepared = Prepared::new();
        table.prepare(&connection, &mut prepared);
        let said = table.decide_connection(&prepared);
        for _ in 0..40 {
            let request = everything::request(&mut rng);
            let Ok(view) = meshproof_authz::View::new(&request, &context) else { continue };
            let full = table.decide(&prepared, &Seen(&view));
            match said.verdict {
                Verdict::NeedsL7 => open += 1,
                Verdict::AskProvider(_) => {
                    assert!(matches!(full.verdict, Verdict::AskProvider(_) | Verdict::Deny))
                }
                // A provider may come first; what is refused stays so.
                Verdict::Deny if matches!(full.verdict, Verdict::AskProvider(_)) => {}
                verdict => {
                    assert_eq!(verdict, full.verdict, "{text}\n{connection:?}\n{request:?}");
                    answered += 1;
                }
            }
        }
    }
    assert!(answered > 500 && open > 500, "{answered} {open}");
}

#[test]
fn what_is_needed_is_told() {
    let decide = |spec: &str| {
        let policies = Policies::spec(spec);
        let bytes = table(&policies.list(), &Context::new(Engine::EnvoyHttp), ReportOrder::Name).unwrap();
        let table = Table::open(&bytes).unwrap();
        let mut prepared = Prepared::for_table(&table);
        table.prepare(&Connection { port: 80, ..Connection::default() }, &mut prepared);
        let decision = table.decide_connection(&prepared);
        (decision.verdict, decision.phase)
    };
    assert_eq!(decide("{rules: [{to: [{operation: {paths: [/a]}}]}]}").0, Verdict::NeedsL7);
    assert_eq!(decide("{rules: [{to: [{operation: {ports: ['80']}}]}]}"), (Verdict::Allow, Phase::Allow));
    let other_port = "{rules: [{to: [{operation: {ports: ['81'], paths: [/a]}}]}]}";
    assert_eq!(decide(other_port), (Verdict::Deny, Phase::AllowNoneMatched));
    assert_eq!(decide("{action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}").0, Verdict::NeedsL7);
    assert_eq!(decide("{action: DENY, rules: [{}]}"), (Verdict::Deny, Phase::Deny));
}

/// ztunnel knows clients by the parts of their identity; another name is nobody's, even if a policy has just that text.
#[test]
fn names_of_no_workload_are_nobody_to_ztunnel() {
    let policies = Policies::spec("{rules: [{from: [{source: {principals: [x/y, td1/ns/a/sa/b, '']}}]}]}");
    let bytes = table(&policies.list(), &Context::new(Engine::Ztunnel), ReportOrder::Name).unwrap();
    let table = Table::open(&bytes).unwrap();
    let mut prepared = Prepared::new();
    let mut verdict = |name: &[u8]| {
        table.prepare(&Connection { names: &[name], ..Connection::default() }, &mut prepared);
        table.decide_connection(&prepared).verdict
    };
    assert_eq!(verdict(b"spiffe://td1/ns/a/sa/b"), Verdict::Allow);
    for name in ["spiffe://x/y", "spiffe://", "x/y", "", "spiffe://td1/ns/a/sa/b/c"] {
        assert_eq!(verdict(name.as_bytes()), Verdict::Deny, "{name}");
    }
}

/// Envoy looks for `/ns/NAME/` anywhere in a name, so one that is not that of a workload may come across many rows.
#[test]
fn a_name_with_many_namespaces_meets_all_their_rules() {
    let rule = |at: usize| {
        format!("{{from: [{{source: {{namespaces: [n{at}]}}}}], to: [{{operation: {{paths: [/p{at}]}}}}]}}")
    };
    let rules: Vec<String> = (0..40).map(rule).collect();
    let policies = Policies::spec(&format!("{{rules: [{}]}}", rules.join(", ")));
    let context = Context::new(Engine::EnvoyHttp);
    let name: String = (0..30).map(|at| format!("ns/n{at}/")).collect();
    let name = format!("spiffe://td/{name}sa/x");
    for form in [Form::Best, Form::Words] {
        let bytes = table_in(form, &policies.list(), &context, ReportOrder::Name).unwrap();
        let table = Table::open(&bytes).unwrap();
        let mut prepared = Prepared::for_table(&table);
        for at in 0..40 {
            let certificate = Certificate { uris: vec![name.clone()], ..Certificate::default() };
            let request = Request {
                peer: Peer::Certificate(certificate),
                http: Some(HttpRequest {
                    method: "GET".to_owned(),
                    target: format!("/p{at}"),
                    headers: Vec::new(),
                    token: Token::None,
                }),
                ..everything::request(&mut fastrand::Rng::with_seed(at))
            };
            compare(&policies.list(), &table, &mut prepared, &request, &context).unwrap();
            let said = decide(&table, &mut prepared, &request, &context).decision;
            assert_eq!(said == Decision::Allow, at < 30, "{at}");
        }
    }
}
