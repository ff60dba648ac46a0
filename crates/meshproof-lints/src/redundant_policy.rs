//! `redundant-policy`: a policy of which every rule adds nothing.
//!
//! A policy without rules (`spec: {}`) is a default deny and never redundant, and neither is the only ALLOW policy of some
//! proxy: without it everything would be allowed there.

use meshproof_authz::policy_of;
use meshproof_diagnostics::{Category, Confidence, Finding, Label};
use meshproof_ir::ResourceId;
use meshproof_resources::Action;
use meshproof_space::{Domain, Space, Worth};

use crate::Context;
use crate::policies::Policy;
use crate::restriction_without_effect::defeated;
use crate::rule_worth::{Cover, RuleAt, Verdict};
use crate::shadowed_rule::{level, shown, verb};

const ID: &str = "redundant-policy";

/// Runs the lint.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let policies = ctx.policies.iter().filter(|policy| is_redundant(ctx, policy));
    policies.filter_map(|policy| finding(ctx, policy)).collect()
}

/// Whether the policy could go as a whole, and nothing graver is to be said of it.
pub(crate) fn is_redundant(ctx: &Context<'_>, policy: &Policy<'_>) -> bool {
    let worths = ctx.worths();
    if policy.dry_run || policy.rules.is_empty() || worths.is_sole(policy.id) {
        return false;
    }
    let mut superfluous = 0;
    for at in 0..policy.rules.len() {
        let rule = (policy.id, at);
        match worths.verdict(rule) {
            Verdict::Superfluous(cover) if defeated(ctx, rule, cover).is_none() => superfluous += 1,
            Verdict::Never(..) | Verdict::Refused(_) => {}
            _ => return false,
        }
    }
    superfluous > 0
}

fn finding(ctx: &Context<'_>, policy: &Policy<'_>) -> Option<Finding> {
    let covers: Vec<(RuleAt, &Cover)> = (0..policy.rules.len())
        .filter_map(|at| match ctx.worths().verdict((policy.id, at)) {
            Verdict::Superfluous(cover) => Some(((policy.id, at), cover)),
            _ => None,
        })
        .collect();
    let mut by: Vec<RuleAt> = covers.iter().flat_map(|(_, cover)| cover.by.iter().copied()).collect();
    by.sort_unstable();
    by.dedup();
    let mut others: Vec<ResourceId> = by.iter().map(|rule| rule.0).filter(|id| *id != policy.id).collect();
    others.dedup();
    let name = |id: &ResourceId| ctx.policies.get(*id).map(Policy::name).unwrap_or_default();
    let listed = match others.as_slice() {
        [] => return None,
        [one] => name(one),
        [one, two] => format!("{} and {}", name(one), name(two)),
        [one, two, rest @ ..] => format!("{}, {} and {} more", name(one), name(two), rest.len()),
    };
    let (rule, cover) = *covers.first()?;
    let does = verb(policy.action);
    let message = match others.as_slice() {
        [one] if is_equivalent(ctx, policy, *one, cover) => {
            format!("{} {does} exactly what {listed} {does}", policy.name())
        }
        _ => format!("{} adds nothing: {listed} {does} whatever it {does}", policy.name()),
    };
    let denies = |id: &ResourceId| ctx.policies.get(*id).is_some_and(|policy| policy.action == Action::Deny);
    let message = match policy.action == Action::Allow && others.iter().any(denies) {
        true => format!("{} adds nothing: {listed} decide whatever it allows", policy.name()),
        false => message,
    };
    let label = Label::new(policy.meta.name_span(), "without this policy nothing changes");
    let mut finding = Finding::new(ID, level(ctx, rule, &by), Category::Dead, message, label)
        .with_resource(policy.meta.resource_name())
        .with_confidence(Confidence::High)
        .with_help("remove one of them; if this policy was meant to restrict the other, it cannot: ALLOW policies only ever add to each other");
    for other in others.iter().take(3) {
        finding = finding
            .with_related(ctx.resource(*other).meta.name_span(), "this policy matches the same requests");
    }
    Some(match shown(ctx, rule, cover) {
        Some(witness) => finding.with_witness(witness),
        None => finding,
    })
}

/// Whether the other policy matches no more than this one, either.
fn is_equivalent(ctx: &Context<'_>, policy: &Policy<'_>, other: ResourceId, cover: &Cover) -> bool {
    let Some((_, at)) = ctx.worths().at(ctx, cover.point, cover.chain) else { return false };
    let (Some(own), Some(other)) = (policy_of(ctx.mesh, policy.id), policy_of(ctx.mesh, other)) else {
        return false;
    };
    // Of rules that cover each other the first stays.
    let policies = [own, other];
    let space = Space::new(&policies, &at.chain, &Domain::default());
    let worths = space.worths();
    let mut of_other = space.rules().iter().zip(&worths).filter(|(rule, _)| rule.id.policy == 1);
    of_other.all(|(_, worth)| matches!(worth, Worth::Superfluous(_) | Worth::NeverMatches | Worth::Dropped))
}
