//! What passes, box by box: the boxes without their exceptions hold exactly the requests that the evaluator allows.

use fastrand::Rng;
use meshproof_authz::{Context, Decision, Engine, Policy, evaluate};
use meshproof_grammar::pattern::Pattern;
use meshproof_space::{Allowed, AllowedBox, Clause, Domain, Limit, RequestBox, Space, Test, Variable};

use crate::common::{Policies, context};
use crate::pool::Pool;
use crate::reading::lies_in;
use crate::world::{JWT, NETWORK, PATHS, PORTS, SOURCES, TEXTS, World};
use crate::{DECIDING, SAMPLE, http, times};

/// Checks every request of the pool that lies in `question`.
fn check(allowed: &Allowed, question: &RequestBox, list: &[Policy<'_>], context: &Context, pool: &Pool) {
    assert!(allowed.unknown.is_empty());
    let excepted = |of: &AllowedBox, request: &_| {
        let except = of.except.as_ref().expect("exceptions");
        except.iter().any(|exception| lies_in(request, &exception.asks, context))
    };
    for request in pool.requests.iter().filter(|request| lies_in(request, question, context)) {
        let holding: Vec<&AllowedBox> =
            allowed.boxes.iter().filter(|of| lies_in(request, &of.asks, context)).collect();
        let passes = evaluate(list, request, context).decision == Decision::Allow;
        let said = holding.iter().any(|of| !excepted(of, request));
        assert_eq!(passes, said, "{request:?}\n{allowed:#?}");
        let refused = holding.iter().find(|of| of.passing == Ok(None));
        assert!(!passes || refused.is_none(), "{request:?}\n{refused:#?}");
    }
    for of in &allowed.boxes {
        match &of.passing {
            Ok(Some(request)) => {
                assert!(
                    lies_in(request, &of.asks, context) && !excepted(of, request),
                    "{request:?}\n{of:#?}"
                );
                assert!(lies_in(request, question, context), "{request:?}\n{of:#?}");
            }
            Ok(None) => {}
            Err(Limit::Unconfirmed) => panic!("the evaluator disagrees: {of:#?}"),
            Err(_) => {}
        }
    }
}

fn run(world: &World, context: &Context, question: &RequestBox, pool: &Pool, rounds: usize, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    for _ in 0..rounds * times() {
        let policies = Policies::read(&world.text(&mut rng));
        let list = policies.list();
        let sample = pool.sample(&mut rng, SAMPLE);
        let domain = Domain::default();
        let space = Space::with_probes(&list, context, &domain, std::slice::from_ref(question));
        check(&space.allowed_boxes_in(0), question, &list, context, &sample);
        check(&space.allowed_boxes(), &RequestBox::all(), &list, context, &sample);
    }
}

#[test]
fn texts() {
    let world = World { from: None, to: Some(&TEXTS), when: &["host", ":method"], actions: DECIDING };
    let question = RequestBox::of(vec![Clause::any(
        Variable::Method,
        vec![Test::Header(Pattern::Exact("GET".to_owned()))],
    )]);
    run(&world, &http(), &question, &Pool::texts(), 60, 31);
}

#[test]
fn templates() {
    let world = World { from: None, to: Some(&PATHS), when: &[], actions: DECIDING };
    let question = RequestBox::of(vec![Clause::any(
        Variable::Path,
        vec![Test::Path(Pattern::Prefix("/a/".to_owned()))],
    )]);
    run(&world, &http(), &question, &Pool::paths(meshproof_authz::PathNormalization::Base), 40, 32);
}

#[test]
fn sources() {
    let world = World { from: Some(&SOURCES), to: None, when: &["source."], actions: DECIDING };
    let principal = Pattern::Exact("cluster.local/ns/a/sa/b".to_owned());
    for question in [Test::Principal(principal), Test::Absent] {
        let question = RequestBox::of(vec![Clause::any(Variable::Peer, vec![question])]);
        for (seed, engine) in (33..).zip([Engine::EnvoyHttp, Engine::EnvoyTcp, Engine::Ztunnel]) {
            run(&world, &context(engine), &question, &Pool::peers(false), 30, seed);
        }
    }
}

#[test]
fn addresses_and_tokens() {
    let world = World { from: Some(&NETWORK), to: Some(&PORTS), when: &["remote.ip"], actions: DECIDING };
    let port = RequestBox::of(vec![Clause::any(Variable::DestinationPort, vec![Test::Port(80)])]);
    run(&world, &http(), &port, &Pool::addresses(false), 40, 36);
    let world = World { from: Some(&JWT), to: None, when: &["claims"], actions: &["ALLOW", "DENY"] };
    let token = RequestBox::of(vec![Clause::none(Variable::Token, vec![Test::Absent])]);
    run(&world, &http(), &token, &Pool::tokens(&["i", "j"]), 40, 37);
}

fn said(spec: &str) -> Vec<String> {
    let text = spec.split('\n').enumerate();
    let text: Vec<String> =
        text.map(|(at, spec)| crate::common::policy("foo", &format!("p{at}"), spec)).collect();
    let policies = Policies::read(&text.join("---\n"));
    let list = policies.list();
    let context = http();
    let allowed = Space::new(&list, &context, &Domain::default()).allowed_boxes();
    let boxes = allowed.boxes.iter().map(|of| {
        let except = of.except.as_ref().expect("exceptions").iter().map(|it| format!(" except {}", it.asks));
        let end = if of.passing == Ok(None) { ": none passes" } else { "" };
        format!("{}{}{end}", of.asks, except.collect::<String>())
    });
    boxes.collect()
}

#[test]
fn boxes_are_said_in_words() {
    assert_eq!(
        said("{action: DENY, rules: [{to: [{operation: {ports: ['80']}}]}]}"),
        ["anything except anything to port 80"]
    );
    assert_eq!(
        said(
            "{rules: [{from: [{source: {namespaces: [a]}}], to: [{operation: {methods: [GET, POST], paths: ['/api/*']}}]}]}\n\
             {action: DENY, rules: [{from: [{source: {namespaces: ['a*']}}], to: [{operation: {paths: ['/api/x', '/y']}}]}]}"
        ),
        ["GET, POST on /api/* from namespace a except anything on /api/x, /y"]
    );
    assert_eq!(
        said(
            "{rules: [{to: [{operation: {paths: ['/a']}}]}]}\n{action: DENY, rules: [{to: [{operation: {paths: ['/a*']}}]}]}"
        ),
        ["anything on /a except anything: none passes"]
    );
    assert_eq!(
        said(
            "{rules: [{from: [{source: {notPrincipals: ['*']}}], when: [{key: 'request.headers[x]', notValues: [v]}]}]}"
        ),
        ["anything without an identity with header x: anything but v"]
    );
}
