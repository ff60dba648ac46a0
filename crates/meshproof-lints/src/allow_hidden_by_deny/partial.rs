//! Single values of ALLOW rules that never let anybody in, while the rest of the rule does.

use meshproof_authz::{Policy, Request, policy_of};
use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::ResourceId;
use meshproof_resources::{Action, AuthorizationPolicy, Field, Match, Rule, Text};
use meshproof_space::{Domain, RuleId, Space, Worth};

use super::{ID, told};
use crate::Context;
use crate::hash::Set;
use crate::rule_worth::{RuleAt, Verdict};
use crate::shown::{rule_name, rule_names, rule_of, rule_span};

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
        for id in point.policies.iter().filter(|id| acts(id, Action::Allow)) {
            let Some(policy) = ctx.policies.get(*id) else { continue };
            for number in 0..policy.rules.len() {
                let rule = (*id, number);
                let has_lists = rule_of(ctx, rule).is_some_and(|rule| values(rule).next().is_some());
                // What is taken back at one place may pass at another.
                let is_used = matches!(worths.verdict(rule), Verdict::Fine);
                if has_lists && is_used && left > 0 && worths.places(*id).len() == 1 && done.insert(rule) {
                    findings.extend(in_rule(ctx, at, rule, &mut left));
                }
            }
        }
    }
    findings
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

/// Values of the rule that DENY takes back wholly.
fn in_rule(ctx: &Context<'_>, at: usize, rule: RuleAt, left: &mut usize) -> Vec<Finding> {
    let (Some(written), Some((point, place))) = (rule_of(ctx, rule), ctx.worths().at(ctx, at, 0)) else {
        return Vec::new();
    };
    let Some(own) = policy_of(ctx.mesh, rule.0) else { return Vec::new() };
    let mut denying: Vec<ResourceId> = Vec::new();
    let mut denies: Vec<Policy<'_>> = Vec::new();
    for (id, policy) in point.policies.iter().zip(&place.policies) {
        if policy.action() == Action::Deny && !policy.is_dry_run() {
            denying.push(*id);
            denies.push(*policy);
        }
    }
    let beside = |rule: Rule| AuthorizationPolicy {
        rules: Field { key: None, items: vec![rule] },
        ..own.spec.clone()
    };
    let first = RuleId { policy: 0, rule: 0 };
    let among = |spec: &AuthorizationPolicy, ask: &dyn Fn(&Space<'_>) -> Option<Hidden>| {
        let policies = [&[Policy { spec, ..own }], denies.as_slice()].concat();
        ask(&Space::new(&policies, &place.chain, &Domain::default()))
    };
    let refused = |space: &Space<'_>| space.find_refused(first).ok().flatten();
    // Nothing is hidden in a rule that no DENY meets.
    let meets = |space: &Space<'_>| refused(space).map(|request| Hidden { by: Vec::new(), request });
    if among(&beside(written.clone()), &meets).is_none() {
        return Vec::new();
    }
    let hidden = |space: &Space<'_>| match space.worths().into_iter().next()? {
        Worth::Refused(by) => Some(Hidden { by, request: refused(space)? }),
        _ => None,
    };
    let mut findings = Vec::new();
    for (value, text) in values(written).take(VALUES) {
        *left = left.saturating_sub(1);
        let Some(Hidden { by, request }) = among(&beside(narrowed(written, value)), &hidden) else {
            continue;
        };
        let by: Vec<RuleAt> = by.into_iter().map(|id| (denying[id.policy - 1], id.rule)).collect();
        let Some(witness) = told(ctx, point, &place, rule, &by, *request) else { continue };
        findings.push(finding(ctx, rule, text, &by).with_witness(witness));
    }
    findings
}

/// Rules that take a value back, and a request with it that they refuse.
struct Hidden {
    by: Vec<RuleId>,
    request: Box<Request>,
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
