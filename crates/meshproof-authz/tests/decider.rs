//! What is decided without a trace is what the trace tells.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::random::{engine, request, spec, text};
use common::{Policies, context, dry_run, policy};
use meshproof_authz::{
    By, Context, Decider, Decision, Engine, Evaluation, Phase, Provider, ProviderAnswer, ProviderKind,
    Request, RuleVerdict, Standing, Token,
};
use proptest::prelude::*;

/// CUSTOM policies beside the random ones.
const CUSTOM: [&str; 3] = [
    "{action: CUSTOM, provider: {name: one}, rules: [{to: [{operation: {paths: ['/a*']}}]}]}",
    "{action: CUSTOM, provider: {name: two}, rules: [{to: [{operation: {methods: [GET]}}]}, {}]}",
    "{action: CUSTOM, rules: [{when: [{key: 'request.headers[x]', values: ['1']}]}]}",
];

fn at(engine: Engine, answer: ProviderAnswer, several: bool) -> Context {
    let mut context = context(engine);
    context.trust_domains = vec!["cluster.local".to_owned(), "td1".to_owned()];
    context.semantics.multiple_custom_providers = several;
    context.semantics.ztunnel_dry_run = several;
    for (name, kind) in [("one", ProviderKind::Grpc), ("two", ProviderKind::Http)] {
        context.providers.insert(name.to_owned(), Provider { kind, fail_open: several, answer });
    }
    context
}

/// The rules that match, as the trace tells.
fn matched(evaluation: &Evaluation, wanted: impl Fn(Phase, Standing) -> bool) -> Vec<(usize, usize)> {
    let phases = evaluation.trace.phases.iter();
    let policies = phases.flat_map(|phase| phase.policies.iter().map(move |policy| (phase.phase, policy)));
    let chosen = policies.filter(|(phase, policy)| wanted(*phase, policy.standing));
    let rules = chosen.flat_map(|(_, policy)| policy.rules.iter().map(move |rule| (policy.policy, rule)));
    let rules = rules.filter(|(_, rule)| rule.verdict == RuleVerdict::Matched);
    rules.map(|(policy, rule)| (policy, rule.rule)).collect()
}

/// What follows from the trace alone once CUSTOM policies and tokens let a request through.
fn told_by_the_trace(evaluation: &Evaluation) -> Decision {
    let any =
        |phase| !matched(evaluation, |of, standing| of == phase && standing == Standing::Enforced).is_empty();
    match evaluation.by {
        By::NoAllowPolicy => Decision::Allow,
        _ if any(Phase::Deny) || !any(Phase::Allow) => Decision::Deny,
        _ => Decision::Allow,
    }
}

fn check(text: &str, request: &Request, context: &Context) -> Result<(), TestCaseError> {
    let policies = Policies::read(text);
    let list = policies.list();
    let decider = Decider::new(&list, context);
    let evaluation = policies.evaluate(request, context);
    prop_assert_eq!(decider.decision(request), evaluation.decision);
    prop_assert_eq!(decider.is_delegated(request), !evaluation.delegated.is_empty());
    prop_assert_eq!(decider.is_audited(request), evaluation.audit.is_some());
    if !matches!(evaluation.by, By::Custom | By::Proxy(_)) {
        prop_assert_eq!(evaluation.decision, told_by_the_trace(&evaluation));
    }
    let shown = matched(&evaluation, |_, _| true);
    if evaluation.decision != Decision::Reject(400) {
        let mut matching = decider.matching(request);
        for (at, policy) in list.iter().enumerate() {
            for rule in 0..policy.spec.rules.iter().count() {
                prop_assert_eq!(decider.matches(at, rule, request), shown.contains(&(at, rule)));
            }
        }
        matching.retain(|rule| !shown.contains(rule));
        prop_assert_eq!(matching, vec![]);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn decisions_are_those_of_the_trace(
        specs in prop::collection::vec(spec(), 1..4),
        customs in prop::sample::subsequence(&CUSTOM[..], 0..=2),
        answer in prop::sample::select(vec![
            ProviderAnswer::Unknown, ProviderAnswer::Allow, ProviderAnswer::Deny, ProviderAnswer::Error,
        ]),
        several in any::<bool>(),
        on_trial in any::<bool>(),
        refused in prop::bool::weighted(0.2),
        mut request in request(),
        engine in engine(),
    ) {
        let mut text = text(&specs);
        for (at, custom) in customs.iter().enumerate() {
            let written = if on_trial { dry_run("foo", &format!("c{at}"), custom) } else { policy("foo", &format!("c{at}"), custom) };
            text = format!("{text}---\n{written}");
        }
        if on_trial {
            text = format!("{text}---\n{}", dry_run("foo", "trial", "{action: DENY, rules: [{}]}"));
        }
        if refused {
            request.http.as_mut().unwrap().token = Token::Refused("expired".to_owned());
        }
        check(&text, &request, &at(engine, answer, several))?;
    }
}

#[test]
fn targets_that_no_policy_sees() {
    let policies = Policies::spec("{rules: [{}]}");
    let list = policies.list();
    let context = context(Engine::EnvoyHttp);
    let decider = Decider::new(&list, &context);
    let refused = common::http(common::A, "GET", "a b");
    assert_eq!(decider.decision(&refused), Decision::Reject(400));
    assert!(!decider.matches(0, 0, &refused), "no rule is asked about it");
    assert!(decider.matches(0, 0, &common::http(common::A, "GET", "/")));
    assert!(!decider.matches(0, 1, &common::http(common::A, "GET", "/")), "there is no such rule");
}
