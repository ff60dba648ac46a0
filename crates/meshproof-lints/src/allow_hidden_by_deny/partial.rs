//! Single values of ALLOW rules that never let anybody in, while the rest of the rule does.

use meshproof_authz::Policy;
use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::ResourceId;
use meshproof_resources::{Action, AuthorizationPolicy, Match, Rule, Text};
use meshproof_space::{Domain, RuleId, Space};

use super::{ID, told};
use crate::Context;
use crate::excerpt::{refused, with_rules};
use crate::hash::Set;
use crate::rule_worth::{RuleAt, Verdict};
use crate::shown::{rule_name, rule_names, rule_of, rule_span};
use crate::stage::Stage;

/// Values looked at per rule and in all.
const VALUES: usize = 64;
const VALUES_IN_ALL: usize = 20_000;

pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let worths = ctx.worths();
    let mut left = VALUES_IN_ALL;
    let mut done: Set<RuleAt> = Set::default();
    let mut findings = Vec::new();
    for (at, point) in worths.points.list.iter().enumerate() {
        let acts =
            |id: &&ResourceId, action| ctx.policies.get(**id).is_some_and(|policy| policy.enforces(action));
        if !point.policies.iter().any(|id| acts(&id, Action::Deny)) {
            continue;
        }
        let mut asked: Vec<Asked<'_>> = Vec::new();
        for id in point.policies.iter().filter(|id| acts(id, Action::Allow)) {
            let Some(policy) = ctx.policies.get(*id) else { continue };
            for number in 0..policy.rules.len() {
                let rule = (*id, number);
                let Some(written) = rule_of(ctx, rule) else { continue };
                let has_lists = values(written).next().is_some();
                // What is taken back at one place may pass at another.
                let is_used = matches!(worths.verdict(rule), Verdict::Fine);
                if has_lists && is_used && worths.places(*id).len() == 1 && done.insert(rule) {
                    let most = VALUES.min(left);
                    let alone = values(written).take(most);
                    let before = asked.len();
                    asked.extend(alone.map(|(place, text)| Asked {
                        rule,
                        text,
                        narrowed: narrowed(written, place),
                    }));
                    left -= asked.len() - before;
                }
            }
        }
        findings.extend(at_point(ctx, at, &asked));
    }
    findings
}

/// A value that is asked about.
struct Asked<'p> {
    rule: RuleAt,
    text: &'p Text,
    /// The rule with this value alone in its list.
    narrowed: Rule,
}

/// Values of lists that have others beside them.
fn values(rule: &Rule) -> impl Iterator<Item = (Place, &Text)> {
    let sources = rule.from.iter().enumerate().flat_map(|(item, source)| {
        let fields = source.fields().into_iter().enumerate();
        fields.flat_map(move |(field, (_, test))| {
            in_list(test, Place { is_source: true, item, field, value: 0 })
        })
    });
    let operations = rule.to.iter().enumerate().flat_map(|(item, operation)| {
        let fields = operation.fields().into_iter().enumerate();
        fields.flat_map(move |(field, (_, test))| {
            in_list(test, Place { is_source: false, item, field, value: 0 })
        })
    });
    sources.chain(operations)
}

fn in_list(test: &Match, place: Place) -> impl Iterator<Item = (Place, &Text)> {
    let many = test.values.items.len() > 1;
    let values = test.values.iter().enumerate().filter(move |_| many);
    values.map(move |(value, text)| (Place { value, ..place }, text))
}

/// Where a value stands in a rule.
#[derive(Clone, Copy, Debug)]
struct Place {
    is_source: bool,
    item: usize,
    field: usize,
    value: usize,
}

/// The rule with this source or operation alone, and this value alone in its list.
fn narrowed(rule: &Rule, place: Place) -> Rule {
    let mut rule = rule.clone();
    let keep = |test: &mut Match| {
        let value = test.values.items.get(place.value).cloned();
        test.values.items = value.into_iter().collect();
    };
    if place.is_source {
        rule.from.items = rule.from.items.get(place.item).cloned().into_iter().collect();
        let tests = rule.from.items.first_mut().into_iter().flat_map(|source| source.tests_mut());
        tests.skip(place.field).take(1).for_each(keep);
    } else {
        rule.to.items = rule.to.items.get(place.item).cloned().into_iter().collect();
        let tests = rule.to.items.first_mut().into_iter().flat_map(|operation| operation.tests_mut());
        tests.skip(place.field).take(1).for_each(keep);
    }
    rule
}

/// Values that DENY takes back wholly. All values are rules of their own, in one space with what denies.
fn at_point(ctx: &Context<'_>, at: usize, asked: &[Asked<'_>]) -> Vec<Finding> {
    if asked.is_empty() {
        return Vec::new();
    }
    let Some((point, place)) = ctx.worths().at(ctx, at, 0) else { return Vec::new() };
    let stage = Stage::new(point, &place);
    let mut read: Vec<(Policy<'_>, AuthorizationPolicy)> = Vec::new();
    let mut ids: Vec<RuleId> = Vec::with_capacity(asked.len());
    for of_policy in asked.chunk_by(|a, b| a.rule.0 == b.rule.0) {
        let own = stage.place(of_policy[0].rule).and_then(|at| place.policies.get(at));
        let Some(own) = own else { return Vec::new() };
        ids.extend((0..of_policy.len()).map(|rule| RuleId { policy: read.len(), rule }));
        let rules = of_policy.iter().map(|asked| asked.narrowed.clone()).collect();
        read.push((*own, with_rules(own.spec, rules)));
    }
    let mut policies: Vec<Policy<'_>> = read.iter().map(|(own, spec)| Policy { spec, ..*own }).collect();
    let mut denying: Vec<ResourceId> = Vec::new();
    for (id, policy) in point.policies.iter().zip(&place.policies) {
        if policy.action() == Action::Deny && !policy.is_dry_run() {
            denying.push(*id);
            policies.push(*policy);
        }
    }
    let domain = Domain::default();
    let refusals = Space::new(&policies, &place.chain, &domain).refusals(&ids);
    let mut findings = Vec::new();
    for (Asked { rule, text, narrowed }, by) in asked.iter().zip(refusals) {
        let Some(by) = by else { continue };
        let by: Vec<RuleAt> = by.into_iter().map(|id| (denying[id.policy - read.len()], id.rule)).collect();
        let request = refused(ctx, &stage, (*rule, narrowed), &by, &domain);
        let witness = request.and_then(|request| told(ctx, &stage, *rule, &by, *request));
        findings.extend(witness.map(|witness| finding(ctx, *rule, text, &by).with_witness(witness)));
    }
    findings
}

fn finding(ctx: &Context<'_>, rule: RuleAt, text: &Text, by: &[RuleAt]) -> Finding {
    let verb = if by.len() == 1 { "denies" } else { "deny" };
    let message = format!(
        "`{}` in {} lets nobody in: {} {verb} every request that it would allow",
        text.value,
        rule_name(ctx, rule),
        rule_names(ctx, None, by)
    );
    let mut finding =
        Finding::new(ID, Level::Info, Category::Conflict, message, Label::new(text.span, "DENY comes first"))
            .with_resource(ctx.resource(rule.0).meta.resource_name())
            .with_confidence(Confidence::Medium)
            .with_help("remove the value, or narrow the DENY");
    for other in by.iter().take(2).filter_map(|other| rule_of(ctx, *other)) {
        finding = finding.with_related(rule_span(other), "this rule denies them");
    }
    finding
}
