//! Small worlds against the evaluator: what is said to be empty must hold no request of a pool that is made of everything
//! the policies mention and its neighbours; what is found was confirmed before.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../meshproof-authz/tests/common/mod.rs"]
mod common;

mod allowed;
mod changes;
mod held;
mod oracle;
mod pool;
mod reading;
mod world;

use common::{Policies, context};
use fastrand::Rng;
use meshproof_authz::{
    ClientAddress, Context, Decision, Engine, Evaluation, HeaderMatching, IdentityFlavour, PathNormalization,
    Policy, RuleVerdict, Token, evaluate,
};
use meshproof_space::{
    Among, Domain, Effect, Issuer, Limit, Outcome, RuleId, RuleState, Space, Tokens, Worth, rule_worths,
};
use pool::Pool;
use world::{GLOBS, JWT, NETWORK, PATHS, PORTS, REPEATED, SOURCES, TEXTS, World};

/// Counts what could not be answered, which has to stay rare.
#[derive(Default)]
struct Tally {
    asked: usize,
    unknown: usize,
}

const OUTCOMES: [Outcome; 4] = [Outcome::Allowed, Outcome::Denied, Outcome::Delegated, Outcome::Audited];

fn has(evaluation: &Evaluation, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Allowed => evaluation.decision == Decision::Allow,
        Outcome::Denied => evaluation.decision == Decision::Deny,
        Outcome::Delegated => !evaluation.delegated.is_empty(),
        Outcome::Audited => evaluation.audit.is_some(),
    }
}

/// Rules in relation to each other, against the rules that each request of the pool matches.
fn check_rules(space: &Space<'_>, matched: &[Vec<RuleId>], text: &str) {
    let effect = |rule: RuleId| &space.rules().iter().find(|known| known.id == rule).unwrap().effect;
    for (rule, state) in space.rule_states(Among::SameEffect) {
        let alone = matched.iter().any(|rules| {
            rules.contains(&rule)
                && !rules.iter().any(|other| *other != rule && effect(*other) == effect(rule))
        });
        match state {
            RuleState::Adds => {
                assert!(!matches!(space.find_decided_by(rule), Ok(None)), "{rule:?} adds\n{text}");
            }
            RuleState::NeverMatches => {
                assert!(!matched.iter().any(|rules| rules.contains(&rule)), "{rule:?} never matches\n{text}");
            }
            RuleState::CoveredBy(_) => {
                assert!(!alone, "{rule:?} is covered\n{text}");
                if let Ok(Some(cover)) = space.necessary_cover(rule, Among::SameEffect) {
                    let held = matched.iter().filter(|rules| rules.contains(&rule));
                    let mut missed = held.filter(|rules| !rules.iter().any(|other| cover.contains(other)));
                    assert!(missed.next().is_none(), "{rule:?} is covered by {cover:?}\n{text}");
                }
            }
            RuleState::Unknown(_) => {}
        }
    }
    check_worths(space, matched, text);
    for (inner, outer) in space.contained_rules().pairs {
        let mut missed = matched.iter().filter(|rules| rules.contains(&inner) && !rules.contains(&outer));
        assert!(missed.next().is_none(), "{inner:?} lies in {outer:?}\n{text}");
    }
}

/// What is superfluous can be left out all at once: whatever was matched still is, by a rule that stays.
fn check_worths(space: &Space<'_>, matched: &[Vec<RuleId>], text: &str) {
    let (rules, worths) = (space.rules(), space.worths());
    assert_eq!(rules.len(), worths.len());
    let refuses = |effect: &Effect| matches!(effect, Effect::Deny | Effect::Refuse);
    let any = |ids: &[RuleId], wanted: &dyn Fn(&Effect, &Worth) -> bool| {
        let chosen = rules.iter().zip(&worths).filter(|(rule, _)| ids.contains(&rule.id));
        chosen.into_iter().any(|(rule, worth)| wanted(&rule.effect, worth))
    };
    let stays = |worth: &Worth| matches!(worth, Worth::Adds | Worth::Unknown(_));
    for ids in matched {
        for (rule, worth) in rules.iter().zip(&worths).filter(|(rule, _)| ids.contains(&rule.id)) {
            let own = &rule.effect;
            let replaced = any(ids, &|effect, worth| effect == own && stays(worth));
            let refused = any(ids, &|effect, _| refuses(effect));
            match worth {
                Worth::Adds | Worth::Unknown(_) => {}
                Worth::Dropped | Worth::NeverMatches => panic!("{:?} is {worth:?}\n{text}", rule.id),
                Worth::Refused(by) => {
                    assert!(*own == Effect::Allow && refused, "{:?} is {worth:?}\n{text}", rule.id);
                    assert!(by.iter().any(|by| ids.contains(by)), "{:?} is {worth:?}\n{text}", rule.id);
                }
                Worth::Superfluous(by) => {
                    let fine = replaced || (*own == Effect::Allow && refused);
                    assert!(fine, "{:?} is {worth:?}\n{text}", rule.id);
                    assert!(by.iter().any(|by| ids.contains(by)), "{:?} is {worth:?}\n{text}", rule.id);
                }
            }
        }
    }
}

/// What is plain without a search is what a search finds.
fn check_plain(policies: &[Policy<'_>], context: &Context, text: &str) {
    let space = Space::new(policies, context, &Domain::default());
    let searched = space.rules().iter().map(|rule| rule.id).zip(space.worths());
    let searched: Vec<(RuleId, Worth)> = searched.filter(|(_, worth)| *worth != Worth::Dropped).collect();
    let told = rule_worths(policies, context);
    assert_eq!(told.len(), searched.len(), "{text}");
    for (told, searched) in told.iter().zip(&searched) {
        let gave_up = matches!(searched.1, Worth::Unknown(_)) && told.1 == Worth::Adds;
        assert!(told == searched || gave_up, "told {told:?}, searched {searched:?}\n{text}\n{context:?}");
    }
}

fn check(text: &str, context: &Context, domain: &Domain, pool: &Pool, tally: &mut Tally) {
    let policies = Policies::read(text);
    let list: Vec<Policy<'_>> = policies.list();
    check_plain(&list, context, text);
    let space = Space::new(&list, context, domain);
    let evaluations: Vec<_> = pool.requests.iter().map(|request| evaluate(&list, request, context)).collect();
    let mut answered = |answer: meshproof_space::Answer, shown: Option<usize>, what: &str| {
        tally.asked += 1;
        match answer {
            Ok(None) => assert!(
                shown.is_none(),
                "{what}: said to be empty, but {:?}\n{text}\n{context:?}",
                pool.requests[shown.unwrap()]
            ),
            Ok(Some(_)) => {}
            Err(Limit::Unconfirmed) => panic!("{what}: the evaluator disagrees\n{text}\n{context:?}"),
            Err(_) => tally.unknown += 1,
        }
    };
    for outcome in OUTCOMES {
        let shown = evaluations.iter().position(|evaluation| has(evaluation, outcome));
        answered(space.find(outcome), shown, &format!("{outcome:?}"));
    }
    let matched: Vec<Vec<RuleId>> = evaluations
        .iter()
        .map(|evaluation| {
            let policies = evaluation.trace.phases.iter().flat_map(|phase| &phase.policies);
            let rules =
                policies.flat_map(|policy| policy.rules.iter().map(move |rule| (policy.policy, rule)));
            let matched = rules.filter(|(_, rule)| rule.verdict == RuleVerdict::Matched);
            matched.map(|(policy, rule)| RuleId { policy, rule: rule.rule }).collect()
        })
        .collect();
    check_rules(&space, &matched, text);
    let mut rules: Vec<RuleId> = space.rules().iter().map(|rule| rule.id).collect();
    rules.dedup();
    for rule in rules {
        let shown = matched.iter().position(|rules| rules.contains(&rule));
        answered(space.find_match(rule), shown, &format!("match of {rule:?}"));
        let effect = &space.rules().iter().find(|known| known.id == rule).unwrap().effect;
        let same: Vec<RuleId> =
            space.rules().iter().filter(|other| other.effect == *effect).map(|other| other.id).collect();
        let shown = matched.iter().position(|rules| {
            rules.contains(&rule) && !rules.iter().any(|other| *other != rule && same.contains(other))
        });
        answered(space.find_decided_by(rule), shown, &format!("decided by {rule:?}"));
        if *effect == Effect::Allow {
            let with = |decision| {
                let both = matched.iter().zip(&evaluations);
                both.into_iter()
                    .position(|(rules, found)| rules.contains(&rule) && found.decision == decision)
            };
            answered(space.find_refused(rule), with(Decision::Deny), &format!("refused {rule:?}"));
            answered(space.find_passing(rule), with(Decision::Allow), &format!("passing {rule:?}"));
        }
    }
}

/// As many requests of a pool are put to one world.
const SAMPLE: usize = 200;

/// `WORLDS=n` in the environment makes it n times as many worlds.
fn times() -> usize {
    std::env::var("WORLDS").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// Checks `rounds` worlds.
fn run(world: &World, contexts: &[Context], domain: &Domain, pool: &Pool, rounds: usize, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut tally = Tally::default();
    for round in 0..rounds * times() {
        let text = world.text(&mut rng);
        let sample = pool.sample(&mut rng, SAMPLE);
        check(&text, &contexts[round % contexts.len()], domain, &sample, &mut tally);
    }
    assert!(tally.unknown * 200 <= tally.asked, "{} of {} unknown", tally.unknown, tally.asked);
}

const DECIDING: &[&str] = &["ALLOW", "ALLOW", "DENY", "AUDIT"];

fn http() -> Context {
    let mut context = context(Engine::EnvoyHttp);
    context.trust_domains.push("td1".to_owned());
    let kind = meshproof_authz::ProviderKind::Grpc;
    let known = meshproof_authz::Provider { kind, fail_open: false, answer: Default::default() };
    context.providers.insert("known".to_owned(), known);
    context
}

#[test]
fn texts() {
    let world = World { from: None, to: Some(&TEXTS), when: &[], actions: &["ALLOW", "DENY", "CUSTOM"] };
    run(&world, &[http()], &Domain::default(), &Pool::texts(), 80, 1);
}

#[test]
fn templates() {
    let world = World { from: None, to: Some(&PATHS), when: &[], actions: DECIDING };
    for mode in [PathNormalization::Base, PathNormalization::MergeSlashes, PathNormalization::None] {
        let mut context = http();
        context.semantics.normalization = mode;
        run(&world, &[context], &Domain::default(), &Pool::paths(mode), 40, 2);
    }
}

#[test]
fn queries() {
    let world = World { from: None, to: Some(&PATHS), when: &[":path"], actions: DECIDING };
    run(&world, &[http()], &Domain::default(), &Pool::paths(PathNormalization::Base), 40, 3);
}

#[test]
fn views_of_one_value() {
    let world = World { from: None, to: Some(&TEXTS), when: &["host", ":method"], actions: DECIDING };
    run(&world, &[http()], &Domain::default(), &Pool::texts(), 40, 4);
}

#[test]
fn workloads() {
    let world = World { from: Some(&SOURCES), to: None, when: &["source."], actions: DECIDING };
    let contexts = [http(), context(Engine::EnvoyTcp), context(Engine::Ztunnel), context(Engine::Grpc)];
    run(&world, &contexts, &Domain::default(), &Pool::peers(false), 120, 5);
    let no_plaintext = Domain { plaintext: false, ..Domain::default() };
    run(&world, &contexts, &no_plaintext, &Pool::peers(false).with_names(), 40, 6);
}

#[test]
fn namespaces_with_several_stars() {
    let world = World { from: Some(&GLOBS), to: None, when: &[], actions: DECIDING };
    run(&world, &[http()], &Domain::default(), &Pool::peers(false), 30, 7);
}

#[test]
fn foreign_names() {
    let domain = Domain { foreign: true, ..Domain::default() };
    let mut filter_state = http();
    filter_state.identity = IdentityFlavour::FilterState;
    for fields in [&SOURCES, &GLOBS] {
        let world = World { from: Some(fields), to: None, when: &[], actions: DECIDING };
        run(&world, &[http(), filter_state.clone()], &domain, &Pool::peers(true), 20, 8);
    }
}

#[test]
fn addresses() {
    let world = World {
        from: Some(&NETWORK),
        to: Some(&PORTS),
        when: &["remote.ip", "destination.ip"],
        actions: DECIDING,
    };
    let mut gateway = http();
    gateway.semantics.client_address = ClientAddress::TrustedProxies(0);
    let mut behind = http();
    behind.semantics.client_address = ClientAddress::TrustedProxies(2);
    let contexts =
        [http(), context(Engine::EnvoyTcp), context(Engine::Ztunnel), context(Engine::Grpc), gateway, behind];
    run(&world, &contexts, &Domain::default(), &Pool::addresses(false), 60, 9);
    let proxied = Domain { proxy_protocol: true, ..Domain::default() };
    run(&world, &contexts[1..2], &proxied, &Pool::addresses(true), 20, 10);
}

#[test]
fn tokens() {
    let world =
        World { from: Some(&JWT), to: None, when: &["claims"], actions: &["ALLOW", "DENY", "CUSTOM"] };
    run(
        &world,
        &[http(), context(Engine::Grpc)],
        &Domain::default(),
        &Pool::tokens(&["i", "j", "k"]),
        100,
        11,
    );
    let issuers = Domain { tokens: Tokens::Issuers(vec![issuer("i", &[])]), ..Domain::default() };
    run(&world, &[http()], &issuers, &Pool::tokens(&["i"]), 40, 12);
    let none = Domain { tokens: Tokens::None, ..Domain::default() };
    run(&world, &[http()], &none, &Pool::tokens(&[]), 20, 13);
}

fn issuer(name: &str, audiences: &[&str]) -> Issuer {
    let audiences = audiences.iter().map(|&audience| audience.to_owned()).collect();
    Issuer { name: name.to_owned(), audiences }
}

#[test]
fn tokens_are_for_audiences() {
    let world = World { from: Some(&JWT), to: None, when: &["audiences"], actions: DECIDING };
    let issuers = vec![issuer("i", &["x", "xy"]), issuer("j", &[]), issuer("k", &["b"])];
    let pool = Pool::audiences(&issuers);
    let domain = Domain { tokens: Tokens::Issuers(issuers.clone()), ..Domain::default() };
    run(&world, &[http()], &domain, &pool, 120, 17);
    // What is found is such a token, too.
    let (mut rng, mut found) = (Rng::with_seed(18), 0);
    for _ in 0..100 {
        let text = world.text(&mut rng);
        let (policies, context) = (Policies::read(&text), http());
        let policies = policies.list();
        let space = Space::new(&policies, &context, &domain);
        for request in OUTCOMES.iter().filter_map(|outcome| space.find(*outcome).unwrap()) {
            let Some(Token::Verified { claims, .. }) = request.http.map(|http| http.token) else { continue };
            let of = issuers.iter().find(|issuer| claims["iss"] == issuer.name.as_str()).unwrap();
            let aud = claims.get("aud");
            let is_for = |name: &String| match aud {
                Some(serde_json::Value::Array(list)) => list.iter().any(|one| one == name.as_str()),
                other => other.is_some_and(|one| one == name.as_str()),
            };
            assert!(of.audiences.is_empty() || of.audiences.iter().any(is_for), "{claims:?}\n{text}");
            found += 1;
        }
    }
    assert!(found > 50, "{found}");
}

#[test]
fn headers_and_metadata() {
    let world = World {
        from: None,
        to: None,
        when: &["headers[x]", "headers[y]", "sni", "envoy"],
        actions: DECIDING,
    };
    let mut joined = http();
    joined.semantics.headers = HeaderMatching::Joined;
    let contexts = [http(), joined, context(Engine::Grpc), context(Engine::EnvoyTcp)];
    run(&world, &contexts, &Domain::default(), &Pool::headers(), 120, 14);
}

#[test]
fn repeated_variables_of_templates() {
    let world = World { from: None, to: Some(&REPEATED), when: &[], actions: DECIDING };
    run(&world, &[http()], &Domain::default(), &Pool::short_paths(), 40, 16);
}

/// Proxies that take the client address from the last entry, from the one before it, and not from the header.
fn forwarding() -> Vec<Context> {
    let rules = [
        ClientAddress::Forwarded(0),
        ClientAddress::Forwarded(1),
        ClientAddress::TrustedProxies(1),
        ClientAddress::TrustedProxies(0),
    ];
    let of = |rule| {
        let mut context = http();
        context.semantics.client_address = rule;
        context
    };
    rules.map(of).to_vec()
}

#[test]
fn client_addresses_and_the_header_that_names_them() {
    let world =
        World { from: Some(&NETWORK), to: None, when: &["x-forwarded-for", "remote.ip"], actions: DECIDING };
    run(&world, &forwarding(), &Domain::default(), &Pool::forwarded(false), 80, 17);
    let proxied = Domain { proxy_protocol: true, ..Domain::default() };
    run(&world, &forwarding(), &proxied, &Pool::forwarded(true), 20, 18);
}

#[test]
fn ipv6_addresses_have_many_texts() {
    let policies = Policies::spec(
        "{rules: [{from: [{source: {remoteIpBlocks: ['2001:db8::1'], notIpBlocks: ['2001:db8::/32']}}], \
         when: [{key: 'request.headers[x-forwarded-for]', notValues: ['*::1']}]}]}",
    );
    let list = policies.list();
    let context = forwarding().remove(0);
    let mut request = common::http("", "GET", "/");
    request.source = "10.0.0.1".parse().unwrap();
    let line = ("x-forwarded-for".to_owned(), "2001:db8:0:0:0:0:0:1".to_owned());
    request.http.as_mut().unwrap().headers.push(line);
    assert_eq!(evaluate(&list, &request, &context).decision, Decision::Allow);
    let space = Space::new(&list, &context, &Domain::default());
    assert!(!matches!(space.find(Outcome::Allowed), Ok(None)));
    let states = space.rule_states(Among::SameEffect);
    assert!(states.iter().all(|(_, state)| *state != RuleState::NeverMatches), "{states:?}");
}

/// Kinds of requests are few: blocks, times three where paths are looked at, times two where tokens are.
#[test]
fn address_blocks_that_are_told_apart() {
    let is_held = |blocks: usize, to: &str, token: &str| {
        let blocks: Vec<String> = (0..blocks).map(|at| format!("'10.0.{at}.0/24'")).collect();
        let policies = Policies::spec(&format!(
            "{{rules: [{{from: [{{source: {{remoteIpBlocks: [{}], notIpBlocks: ['10.0.0.0/24']{token}}}}}], {to} \
             when: [{{key: 'request.headers[x-forwarded-for]', notValues: ['x']}}]}}]}}",
            blocks.join(", ")
        ));
        let list = policies.list();
        Space::new(&list, &forwarding()[0], &Domain::default()).diagram().is_ok()
    };
    let paths = "to: [{operation: {paths: ['/a']}}],";
    let token = ", requestPrincipals: ['*']";
    for (most, to, token) in [(198, "", ""), (82, paths, ""), (39, paths, token)] {
        assert!(is_held(most, to, token), "{most} {to} {token}");
        assert!(!is_held(most + 1, to, token), "{most} {to} {token}");
    }
}

/// Ends of headers that IPv6 addresses may have or avoid: not everything is known then, and nothing is told wrong.
#[test]
fn client_addresses_of_ipv6_and_the_ends_of_their_texts() {
    let pool = Pool::forwarded_v6();
    let blocks = ["2001:db8::1", "2001:db8::9", "2001:db8::/32", "10.1.2.3"];
    let (mut empty, mut unconfirmed) = (0, 0);
    for (remote, source) in blocks.iter().flat_map(|remote| blocks.iter().map(move |source| (remote, source)))
    {
        for (half, end) in ["values", "notValues"]
            .into_iter()
            .flat_map(|half| ["*::1", "*:1", "*1", "*1.2.3", "*, 2001:db8::1"].map(|end| (half, end)))
        {
            let policies = Policies::spec(&format!(
                "{{rules: [{{from: [{{source: {{remoteIpBlocks: ['{remote}'], notIpBlocks: ['{source}']}}}}], \
                 when: [{{key: 'request.headers[x-forwarded-for]', {half}: ['{end}']}}]}}]}}"
            ));
            let list = policies.list();
            let context = &forwarding()[0];
            let space = Space::new(&list, context, &Domain::default());
            let found = space.find(Outcome::Allowed);
            match &found {
                Ok(None) => {
                    let mut requests = pool.requests.iter();
                    let shown = requests.find(|it| evaluate(&list, it, context).decision == Decision::Allow);
                    assert!(shown.is_none(), "{remote} {source} {half} {end}: {shown:?}");
                    empty += 1;
                }
                Ok(Some(_)) => {}
                Err(limit) => {
                    assert_eq!(*limit, Limit::Unconfirmed);
                    unconfirmed += 1;
                }
            }
            if let Ok(mut diagram) = space.diagram() {
                let allowed = diagram.of_outcome(Outcome::Allowed).unwrap();
                assert_eq!(diagram.is_empty(allowed), found == Ok(None), "{remote} {source} {half} {end}");
            }
        }
    }
    assert!(empty > 0 && unconfirmed * 5 < 160, "{empty} {unconfirmed}");
}

/// Where lines are joined before they are tested, what names the address and what tests see is one text: not everything is
/// known then, and nothing is told wrong.
#[test]
fn joined_lines_that_name_client_addresses() {
    let world =
        World { from: Some(&NETWORK), to: None, when: &["x-forwarded-for", "remote.ip"], actions: DECIDING };
    let (mut rng, pool) = (Rng::with_seed(20), Pool::forwarded(false));
    let mut unconfirmed = 0;
    for mut context in forwarding().into_iter().cycle().take(60 * times()) {
        context.semantics.headers = HeaderMatching::Joined;
        let text = world.text(&mut rng);
        let policies = Policies::read(&text);
        let list = policies.list();
        let space = Space::new(&list, &context, &Domain::default());
        for outcome in OUTCOMES {
            match space.find(outcome) {
                Ok(None) => {
                    let sample = pool.sample(&mut rng, SAMPLE);
                    let shown =
                        sample.requests.iter().find(|it| has(&evaluate(&list, it, &context), outcome));
                    assert!(shown.is_none(), "{outcome:?} {shown:?}\n{text}");
                }
                Ok(Some(_)) => {}
                Err(limit) => {
                    assert_eq!(limit, Limit::Unconfirmed, "{text}");
                    assert!(space.diagram().is_err(), "{text}");
                    unconfirmed += 1;
                }
            }
        }
    }
    assert!(unconfirmed * 10 < 60 * times() * OUTCOMES.len(), "{unconfirmed}");
}

/// Issuers and subjects that are also told word by word.
fn splitting() -> Vec<Context> {
    let of = |claims: &[&str]| {
        let mut context = http();
        context.semantics.space_delimited_claims.extend(claims.iter().map(|claim| (*claim).to_owned()));
        context
    };
    vec![of(&["iss"]), of(&["sub"]), of(&["iss", "sub"])]
}

#[test]
fn issuers_and_subjects_word_by_word() {
    let world = World {
        from: Some(&JWT),
        to: None,
        when: &["claims[iss]", "claims[sub]"],
        actions: &["ALLOW", "DENY"],
    };
    let issuers = ["i", "j", "k", "i j", "x i", "ix j", " i", "x"];
    run(&world, &splitting(), &Domain::default(), &Pool::tokens(&issuers), 30, 19);
}

#[test]
fn everything_together() {
    let world = World { from: Some(&SOURCES), to: Some(&TEXTS), when: &["x]", "sni"], actions: DECIDING };
    run(&world, &[http()], &Domain::default(), &Pool::mixed(), 30, 15);
}
