//! `rule-never-matches`: a rule whose tests contradict each other, so that no request passes them all.

use meshproof_authz::{Evaluation, Part, Policy, RuleVerdict, evaluate};
use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level, Witness};
use meshproof_resources::{Action, AuthorizationPolicy, Field, Match, Rule};
use meshproof_space::{RuleId, Space};

use crate::Context;
use crate::never_matches::Cause;
use crate::rule_worth::{RuleAt, Verdict};
use crate::shown::{named_first, rule_name, rule_of, rule_span, with_known_caller, witness};

const ID: &str = "rule-never-matches";

/// Runs the lint.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for policy in ctx.policies.iter().filter(|policy| !policy.dry_run) {
        for (at, facts) in policy.rules.iter().enumerate() {
            let rule = (policy.id, at);
            let Verdict::Never(point, chain) = ctx.worths().verdict(rule) else { continue };
            // Values that no request has are told of one by one.
            if facts.dead.iter().any(|never| never.cause != Cause::Contradiction) {
                continue;
            }
            let contradiction = facts.dead.iter().find(|never| never.cause == Cause::Contradiction);
            let span = contradiction.map_or(rule_span(facts.rule), |never| never.span);
            let reason = contradiction.map_or("its tests exclude each other", |never| never.reason.as_str());
            let consequence = match policy.action {
                Action::Allow => "it lets nobody in",
                Action::Deny => "it denies nothing",
                Action::Audit => "it marks nothing",
                Action::Custom => "its provider is never asked",
            };
            let message = format!("no request can match {}: {consequence}", rule_name(ctx, rule));
            let finding = Finding::new(ID, Level::Warning, Category::Dead, message, Label::new(span, reason))
                .with_resource(policy.meta.resource_name())
                .with_confidence(Confidence::High)
                .with_help("within one rule everything must hold at once; write alternatives as rules, sources or operations of their own");
            findings.push(match nearest(ctx, rule, point, chain) {
                Some(witness) => finding.with_witness(witness),
                None => finding,
            });
        }
    }
    findings
}

/// A request that comes close: it passes the positive lists, and what it fails is told.
fn nearest(ctx: &Context<'_>, rule: RuleAt, point: usize, chain: usize) -> Option<Witness> {
    let (point, at) = ctx.worths().at(ctx, point, chain)?;
    let place = point.policies.iter().position(|id| *id == rule.0)?;
    let written = rule_of(ctx, rule)?;
    let own = at.policies.get(place)?;
    let without_conditions = Rule { when: Field::default(), ..without_exceptions(written) };
    let first_only = first_tests(without_conditions.clone());
    let looser = [without_exceptions(written), without_conditions, first_only];
    let request = looser.into_iter().find_map(|looser| {
        let spec =
            AuthorizationPolicy { rules: Field { key: None, items: vec![looser] }, ..own.spec.clone() };
        let alone = [Policy { spec: &spec, ..*own }];
        named_first(|domain| {
            Space::new(&alone, &at.chain, domain).find_match(RuleId { policy: 0, rule: 0 }).ok()?
        })
    })?;
    let before = failing(&evaluate(&at.policies, &request, &at.chain), place, rule.1)?;
    let request = with_known_caller(ctx, &at, *request, |request, decider| {
        failing(&decider.evaluate(request), place, rule.1).as_ref() == Some(&before)
    });
    let reasons = vec![format!("{} fails at `{}`", rule_name(ctx, rule), before.join("` and `"))];
    Some(witness(ctx, point, &at, &request, &[written], reasons))
}

/// The rule without its `not` lists.
fn without_exceptions(rule: &Rule) -> Rule {
    let mut rule = rule.clone();
    let sources = rule.from.items.iter_mut().flat_map(|source| source.tests_mut());
    let operations = rule.to.items.iter_mut().flat_map(|operation| operation.tests_mut());
    sources.chain(operations).for_each(|test| test.not_values = Field::default());
    for condition in &mut rule.when.items {
        condition.values.not_values = Field::default();
    }
    rule
}

/// The rule with the first list of each source and operation alone.
fn first_tests(mut rule: Rule) -> Rule {
    fn keep<'t>(tests: impl IntoIterator<Item = &'t mut Match>) {
        let wanted = tests.into_iter().filter(|test| !test.is_empty());
        wanted.skip(1).for_each(|test| *test = Match::default());
    }
    rule.from.items.iter_mut().for_each(|source| keep(source.tests_mut()));
    rule.to.items.iter_mut().for_each(|operation| keep(operation.tests_mut()));
    rule
}

/// The fields at which the rule fails: of its first source, of its first operation, of its conditions.
fn failing(evaluation: &Evaluation, policy: usize, rule: usize) -> Option<Vec<String>> {
    let policies = evaluation.trace.phases.iter().flat_map(|phase| &phase.policies);
    let rules = policies.filter(|known| known.policy == policy).flat_map(|known| &known.rules);
    let found = rules.into_iter().find(|known| known.rule == rule)?;
    let RuleVerdict::Failed(failed) = &found.verdict else { return None };
    let told = failed.iter().filter(|test| matches!(test.part, Part::From(0) | Part::To(0) | Part::When(_)));
    let mut fields: Vec<String> = told.map(|test| test.field.clone()).collect();
    fields.dedup();
    (!fields.is_empty()).then_some(fields)
}
