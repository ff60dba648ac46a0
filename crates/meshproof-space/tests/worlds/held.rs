//! Sets that are held against the search, which knows nothing of them, and against the evaluator.

use fastrand::Rng;
use meshproof_authz::{Context, Engine, Policy, evaluate};
use meshproof_space::{
    Among, Clause, Comparison, Diagram, Domain, Effect, Held, Limit, Outcome, Projection, RequestBox, RuleId,
    RuleState, Space, Variable,
};

use crate::common::{Policies, context};
use crate::pool::Pool;
use crate::reading::lies_in;
use crate::world::{GLOBS, JWT, NETWORK, PATHS, PORTS, REPEATED, SOURCES, TEXTS, World};
use crate::{DECIDING, OUTCOMES, forwarding, has, http, splitting, times};

/// Every set of the point in every relation to the others.
fn check(
    space: &Space<'_>,
    list: &[Policy<'_>],
    context: &Context,
    pool: &Pool,
    text: &str,
) -> Result<(), Limit> {
    let mut diagram = space.diagram()?;
    let rules: Vec<(RuleId, Effect)> =
        space.rules().iter().map(|rule| (rule.id, rule.effect.clone())).collect();
    for outcome in OUTCOMES {
        let set = diagram.of_outcome(outcome)?;
        if let Ok(found) = space.find(outcome) {
            assert_eq!(diagram.is_empty(set), found.is_none(), "{outcome:?}\n{text}\n{context:?}");
        }
        if !diagram.is_empty(set) {
            let request = diagram.example(set)?;
            assert!(
                has(&evaluate(list, &request, context), outcome),
                "{outcome:?} {request:?}\n{text}\n{context:?}"
            );
        }
        let other = diagram.complement(set)?;
        if !diagram.is_empty(other) {
            let request = diagram.example(other)?;
            assert!(
                !has(&evaluate(list, &request, context), outcome),
                "{outcome:?} {request:?}\n{text}\n{context:?}"
            );
        }
    }
    let sets: Result<Vec<Held>, Limit> = rules.iter().map(|(rule, _)| diagram.of_rule(*rule)).collect();
    let sets = sets?;
    for (at, (rule, state)) in space.rule_states(Among::SameEffect).into_iter().enumerate() {
        let mut others = diagram.nothing();
        for (other, (id, effect)) in rules.iter().enumerate() {
            if *id != rule && *effect == rules[at].1 {
                others = diagram.union(others, sets[other])?;
            }
        }
        let adds = !diagram.includes(others, sets[at]);
        match state {
            RuleState::Adds => assert!(adds, "{rule:?}\n{text}\n{context:?}"),
            RuleState::NeverMatches => assert!(diagram.is_empty(sets[at]), "{rule:?}\n{text}\n{context:?}"),
            RuleState::CoveredBy(_) => {
                assert!(!adds && !diagram.is_empty(sets[at]), "{rule:?}\n{text}\n{context:?}");
            }
            RuleState::Unknown(_) => {}
        }
    }
    let contained = space.contained_rules();
    for (inner, (id, effect)) in rules.iter().enumerate().filter(|_| contained.unknown.is_empty()) {
        for (outer, (other, of_other)) in rules.iter().enumerate() {
            if id != other && effect == of_other && !diagram.is_empty(sets[inner]) {
                let said = contained.pairs.contains(&(*id, *other));
                assert_eq!(said, diagram.includes(sets[outer], sets[inner]), "{id:?} {other:?}\n{text}");
            }
        }
    }
    laws(&mut diagram, &sets)?;
    boxes(space, &mut diagram)?;
    projections(&mut diagram, list, context, pool)
}

fn laws(diagram: &mut Diagram<'_>, sets: &[Held]) -> Result<(), Limit> {
    for pair in sets.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let (not_a, not_b) = (diagram.complement(a)?, diagram.complement(b)?);
        let (either, both) = (diagram.union(a, b)?, diagram.intersection(a, b)?);
        assert_eq!(diagram.complement(either)?, diagram.intersection(not_a, not_b)?);
        assert_eq!(diagram.complement(both)?, diagram.union(not_a, not_b)?);
        assert_eq!(diagram.complement(not_a)?, a);
        assert_eq!(diagram.difference(a, b)?, diagram.intersection(a, not_b)?);
        assert_eq!(diagram.union(a, a)?, a);
        assert_eq!(diagram.union(a, not_a)?, diagram.everything());
        assert_eq!(diagram.intersection(a, not_a)?, diagram.nothing());
        assert!(diagram.includes(either, a) && diagram.includes(a, both));
    }
    Ok(())
}

/// The boxes that are read are the set that is held.
fn boxes(space: &Space<'_>, diagram: &mut Diagram<'_>) -> Result<(), Limit> {
    let mut union = diagram.nothing();
    for of in space.allowed_boxes().boxes {
        let mut own = diagram.of_box(&of.asks)?;
        for exception in of.except? {
            let refused = diagram.of_box(&exception.asks)?;
            own = diagram.difference(own, refused)?;
        }
        assert_eq!(diagram.is_empty(own), of.passing?.is_none());
        union = diagram.union(union, own)?;
    }
    assert_eq!(union, diagram.of_outcome(Outcome::Allowed)?);
    Ok(())
}

/// What an allowed request has is among what occurs.
fn projections(
    diagram: &mut Diagram<'_>,
    list: &[Policy<'_>],
    context: &Context,
    pool: &Pool,
) -> Result<(), Limit> {
    let allowed = diagram.of_outcome(Outcome::Allowed)?;
    for variable in diagram.variables().to_vec() {
        let projection = diagram.project(allowed, &variable)?;
        let mut said = diagram.nothing();
        for clause in &projection.clauses {
            let of = RequestBox::of(vec![clause.clone()]);
            if let Ok(values) = diagram.of_box(&of) {
                assert!(!diagram.is_empty(values), "{projection}");
                said = diagram.union(said, values)?;
            }
        }
        let passes = |request: &&_| has(&evaluate(list, request, context), Outcome::Allowed);
        for request in pool.requests.iter().filter(passes).filter(|_| projection.is_all) {
            let holds = |clause: &Clause| lies_in(request, &RequestBox::of(vec![clause.clone()]), context);
            let occurs = projection.clauses.iter().any(holds);
            assert!(occurs, "{variable:?}: {projection}\n{request:?}");
        }
    }
    Ok(())
}

fn run(world: &World, contexts: &[Context], domain: &Domain, pool: &Pool, rounds: usize, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut unknown = 0;
    for round in 0..rounds * times() {
        let text = world.text(&mut rng);
        let policies = Policies::read(&text);
        let list = policies.list();
        let context = &contexts[round % contexts.len()];
        let space = Space::new(&list, context, domain);
        let sample = pool.sample(&mut rng, 60);
        unknown += usize::from(check(&space, &list, context, &sample, &text).is_err());
    }
    assert!(unknown * 20 <= rounds * times(), "{unknown} of {} not held", rounds * times());
}

#[test]
fn sets_of_texts() {
    let world = World { from: None, to: Some(&TEXTS), when: &["host", ":method"], actions: DECIDING };
    run(&world, &[http()], &Domain::default(), &Pool::texts(), 40, 41);
}

#[test]
fn sets_of_paths() {
    let world = World { from: None, to: Some(&PATHS), when: &[":path"], actions: DECIDING };
    let mut merging = http();
    merging.semantics.normalization = meshproof_authz::PathNormalization::MergeSlashes;
    let pool = Pool::paths(meshproof_authz::PathNormalization::Base);
    run(&world, &[http()], &Domain::default(), &pool, 20, 42);
    let world = World { when: &[], ..world };
    let pool = Pool::paths(meshproof_authz::PathNormalization::MergeSlashes);
    run(&world, &[merging], &Domain::default(), &pool, 20, 43);
}

#[test]
fn sets_of_sources() {
    let world = World { from: Some(&SOURCES), to: None, when: &["source."], actions: DECIDING };
    let contexts = [http(), context(Engine::EnvoyTcp), context(Engine::Ztunnel), context(Engine::Grpc)];
    run(&world, &contexts, &Domain::default(), &Pool::peers(false), 40, 44);
    let no_plaintext = Domain { plaintext: false, ..Domain::default() };
    run(&world, &contexts, &no_plaintext, &Pool::peers(false).with_names(), 20, 45);
}

#[test]
fn sets_of_addresses() {
    let world =
        World { from: Some(&NETWORK), to: Some(&PORTS), when: &["destination.ip"], actions: DECIDING };
    run(&world, &[http(), context(Engine::EnvoyTcp)], &Domain::default(), &Pool::addresses(false), 30, 46);
}

#[test]
fn sets_of_tokens_and_headers() {
    let world =
        World { from: Some(&JWT), to: None, when: &["claims"], actions: &["ALLOW", "DENY", "CUSTOM"] };
    run(&world, &[http()], &Domain::default(), &Pool::tokens(&["i", "j"]), 30, 47);
    let world = World {
        from: None,
        to: None,
        when: &["headers[x]", "headers[y]", "sni", "envoy"],
        actions: DECIDING,
    };
    run(&world, &[http(), context(Engine::Grpc)], &Domain::default(), &Pool::headers(), 40, 48);
}

#[test]
fn both_sides_of_a_change() {
    let world = World { from: Some(&SOURCES), to: Some(&TEXTS), when: &[], actions: DECIDING };
    let mut rng = Rng::with_seed(49);
    for _ in 0..30 * times() {
        let (old, new) = (world.text(&mut rng), world.text(&mut rng));
        let (before, after) = (Policies::read(&old), Policies::read(&new));
        let (before, after) = (before.list(), after.list());
        let context = http();
        let comparison = Comparison::new((&before, &context), (&after, &context), &Domain::default());
        let mut diagram = comparison.diagram().unwrap();
        let [was, is] = [0, 1].map(|side| diagram.of_outcome_at(side, Outcome::Allowed).unwrap());
        let gained = diagram.difference(is, was).unwrap();
        let lost = diagram.difference(was, is).unwrap();
        assert_eq!(diagram.is_empty(gained), comparison.gained() == Ok(None), "{old}\n=====\n{new}");
        assert_eq!(diagram.is_empty(lost), comparison.lost() == Ok(None), "{old}\n=====\n{new}");
        assert_eq!(was == is, diagram.is_empty(gained) && diagram.is_empty(lost));
    }
}

fn occurring(spec: &str, variable: &Variable) -> Projection {
    let policies = Policies::read(spec);
    let list = policies.list();
    let context = http();
    let space = Space::new(&list, &context, &Domain::default());
    let mut diagram = space.diagram().unwrap();
    let allowed = diagram.of_outcome(Outcome::Allowed).unwrap();
    diagram.project(allowed, variable).unwrap()
}

#[test]
fn projections_read_well() {
    let spec = |at: usize, spec: &str| crate::common::policy("foo", &format!("p{at}"), spec);
    let text = [
        spec(0, "{rules: [{from: [{source: {namespaces: [a, 'b*']}}], to: [{operation: {methods: [GET], paths: ['/api/*']}}]}, \
                 {from: [{source: {principals: [cluster.local/ns/x/sa/y]}}], to: [{operation: {notMethods: [DELETE]}}]}]}"),
        spec(1, "{action: DENY, rules: [{to: [{operation: {paths: ['/api/admin*']}}]}, {from: [{source: {namespaces: [bad]}}]}]}"),
    ]
    .join("---\n");
    let said = |variable| occurring(&text, &variable).to_string();
    assert_eq!(said(Variable::Method), "any except DELETE");
    assert_eq!(said(Variable::Path), "any except /api/admin*");
    assert_eq!(said(Variable::Peer), "namespaces b* except namespace bad or namespace a or sa x/y");
    let nothing = spec(0, "{action: DENY, rules: [{}]}");
    assert_eq!(occurring(&nothing, &Variable::Method).to_string(), "none");
    let plain = spec(0, "{rules: [{from: [{source: {notPrincipals: ['*']}}]}]}");
    assert_eq!(occurring(&plain, &Variable::Peer).to_string(), "nobody known (no client certificate)");
    let known = spec(0, "{rules: [{from: [{source: {principals: ['*']}}]}]}");
    assert_eq!(occurring(&known, &Variable::Peer).to_string(), "anybody with an identity");
}

#[test]
fn sets_of_foreign_names() {
    let domain = Domain { foreign: true, ..Domain::default() };
    for (fields, seed) in [(&SOURCES, 50), (&GLOBS, 51)] {
        let world = World { from: Some(fields), to: None, when: &[], actions: DECIDING };
        run(&world, &[http()], &domain, &Pool::peers(true), 6, seed);
    }
}

#[test]
fn sets_of_repeated_variables() {
    let world = World { from: None, to: Some(&REPEATED), when: &[], actions: DECIDING };
    run(&world, &[http()], &Domain::default(), &Pool::short_paths(), 20, 52);
}

#[test]
fn sets_of_client_addresses_and_their_header() {
    let world =
        World { from: Some(&NETWORK), to: None, when: &["x-forwarded-for", "remote.ip"], actions: DECIDING };
    run(&world, &forwarding(), &Domain::default(), &Pool::forwarded(false), 60, 53);
}

#[test]
fn sets_of_words_of_tokens() {
    let world = World {
        from: Some(&JWT),
        to: None,
        when: &["claims[iss]", "claims[sub]"],
        actions: &["ALLOW", "DENY"],
    };
    let issuers = ["i", "j", "i j", "x i", "ix j"];
    run(&world, &splitting(), &Domain::default(), &Pool::tokens(&issuers), 45, 54);
}

#[test]
fn an_issuer_that_is_split_at_blanks_is_two_views_of_one_text() {
    let policies = Policies::spec(
        "{rules: [{from: [{source: {requestPrincipals: ['a b/*']}}], when: [{key: 'request.auth.claims[iss]', values: [a]}]}]}",
    );
    let list = policies.list();
    let mut context = http();
    // Issuer and claim are one text, so nothing passes.
    assert_eq!(Space::new(&list, &context, &Domain::default()).find(Outcome::Allowed), Ok(None));
    context.semantics.space_delimited_claims.push("iss".to_owned());
    let space = Space::new(&list, &context, &Domain::default());
    assert!(space.find(Outcome::Allowed).unwrap().is_some());
    let mut diagram = space.diagram().unwrap();
    let allowed = diagram.of_outcome(Outcome::Allowed).unwrap();
    assert!(!diagram.is_empty(allowed));
}

#[test]
fn what_is_too_large_is_not_held() {
    // Pairs of roles, and of scopes: every set of them is told from every other one.
    let pairs: Vec<String> = (0..30)
        .map(|at| {
            format!(
                "{{when: [{{key: 'request.auth.claims[role]', values: [r{at}]}}, {{key: 'request.auth.claims[group]', values: [g{at}]}}]}}"
            )
        })
        .collect();
    let policies = Policies::spec(&format!("{{rules: [{}]}}", pairs.join(", ")));
    let list = policies.list();
    let context = http();
    let space = Space::new(&list, &context, &Domain::default());
    let set = space.diagram().and_then(|mut diagram| diagram.of_outcome(Outcome::Allowed));
    assert_eq!(set, Err(Limit::Nodes));
    assert!(space.find(Outcome::Allowed).unwrap().is_some());
}
