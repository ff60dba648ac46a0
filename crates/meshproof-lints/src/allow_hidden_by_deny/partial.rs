//! Single values of ALLOW rules that never let anybody in, while the rest of the rule does.

use meshproof_authz::Policy;
use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::ResourceId;
use meshproof_resources::{Action, AuthorizationPolicy, Field, Match, Rule, Text};
use meshproof_space::{Domain, RuleId, Space, Worth};

use super::ID;
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
        if let Some(source) = rule.from.items.first_mut() {
            let fields = [
                &mut source.principals,
                &mut source.request_principals,
                &mut source.namespaces,
                &mut source.service_accounts,
                &mut source.trust_domains,
                &mut source.ip_blocks,
                &mut source.remote_ip_blocks,
            ];
            fields.into_iter().nth(place.field).into_iter().for_each(keep);
        }
    } else {
        rule.to.items = rule.to.items.get(place.item).cloned().into_iter().collect();
        if let Some(operation) = rule.to.items.first_mut() {
            let fields =
                [&mut operation.hosts, &mut operation.ports, &mut operation.methods, &mut operation.paths];
            fields.into_iter().nth(place.field).into_iter().for_each(keep);
        }
    }
    rule
}

/// Values of the rule that DENY takes back wholly.
fn in_rule(ctx: &Context<'_>, at: usize, rule: RuleAt, left: &mut usize) -> Vec<Finding> {
    let worths = ctx.worths();
    let (Some(written), Some(policy), Some((point, place))) =
        (rule_of(ctx, rule), ctx.policies.get(rule.0), worths.at(ctx, at, 0))
    else {
        return Vec::new();
    };
    let denies: Vec<(ResourceId, Policy<'_>)> = point
        .policies
        .iter()
        .copied()
        .zip(place.policies.iter().copied())
        .filter(|(_, policy)| policy.action() == Action::Deny && !policy.is_dry_run())
        .collect();
    let Some(own) = meshproof_authz::policy_of(ctx.mesh, rule.0) else { return Vec::new() };
    let spec_of = |rule: Rule| AuthorizationPolicy {
        rules: Field { key: None, items: vec![rule] },
        ..policy.spec.clone()
    };
    let beside_denies = |spec: &AuthorizationPolicy, ask: &dyn Fn(&Space<'_>) -> Option<Vec<RuleId>>| {
        let narrowed = Policy { spec, ..own };
        let policies: Vec<Policy<'_>> =
            std::iter::once(narrowed).chain(denies.iter().map(|(_, deny)| *deny)).collect();
        ask(&Space::new(&policies, &place.chain, &Domain::default()))
    };
    // Nothing is hidden in a rule that no DENY meets.
    let meets = beside_denies(&spec_of(written.clone()), &|space| {
        matches!(space.find_refused(RuleId { policy: 0, rule: 0 }), Ok(Some(_))).then(Vec::new)
    });
    if meets.is_none() {
        return Vec::new();
    }
    let refused_by = |space: &Space<'_>| match space.worths().into_iter().next()? {
        Worth::Refused(by) => Some(by),
        _ => None,
    };
    let mut findings = Vec::new();
    for (value, text) in values(written).take(VALUES) {
        *left = left.saturating_sub(1);
        let Some(by) = beside_denies(&spec_of(narrowed(written, value)), &refused_by) else { continue };
        let by: Vec<RuleAt> = by.into_iter().map(|id| (denies[id.policy - 1].0, id.rule)).collect();
        let others = rule_names(ctx, None, &by);
        let verb = if by.len() == 1 { "denies" } else { "deny" };
        let message = format!(
            "`{}` in {} lets nobody in: {others} {verb} every request that it would allow",
            text.value,
            rule_name(ctx, rule)
        );
        let mut finding = Finding::new(
            ID,
            Level::Info,
            Category::Conflict,
            message,
            Label::new(text.span, "DENY comes first"),
        )
        .with_resource(policy.meta.resource_name())
        .with_confidence(Confidence::Medium)
        .with_help("remove the value, or narrow the DENY");
        for other in by.iter().take(2) {
            if let Some(other) = rule_of(ctx, *other) {
                finding = finding.with_related(rule_span(other), "this rule denies them");
            }
        }
        findings.push(finding);
    }
    findings
}
