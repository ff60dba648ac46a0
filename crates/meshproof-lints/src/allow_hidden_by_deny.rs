//! `allow-hidden-by-deny`: ALLOW rules, or single values of them, of which DENY takes back every request.

mod partial;

use meshproof_authz::{Decision, Evaluation, Request, evaluate};
use meshproof_diagnostics::{Category, Confidence, Finding, Label, Witness};
use meshproof_resources::Action;
use meshproof_space::{RuleId, Space};

use crate::Context;
use crate::points::Point;
use crate::rule_worth::{At, Cover, RuleAt, Verdict};
use crate::shadowed_rule::level;
use crate::shown::{
    first_matching, matches, named_first, rule_name, rule_names, rule_of, rule_span, with_known_caller,
    witness,
};

const ID: &str = "allow-hidden-by-deny";

/// Runs the lint.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for policy in ctx.policies.iter().filter(|policy| policy.enforces(Action::Allow)) {
        for at in 0..policy.rules.len() {
            let rule = (policy.id, at);
            if let Verdict::Refused(cover) = ctx.worths().verdict(rule) {
                findings.extend(finding(ctx, rule, cover));
            }
        }
    }
    findings.extend(partial::findings(ctx));
    findings
}

fn finding(ctx: &Context<'_>, rule: RuleAt, cover: &Cover) -> Option<Finding> {
    // A DENY for everything is a lock-down; `deny-all-gap` tells of it.
    let closes = |other: &RuleAt| {
        let rules = ctx.policies.get(other.0).map(|policy| &policy.rules);
        rules.and_then(|rules| rules.get(other.1)).is_some_and(|rule| rule.denies_everything(None))
    };
    if cover.by.iter().any(closes) {
        return None;
    }
    let policy = ctx.policies.get(rule.0)?;
    let written = rule_of(ctx, rule)?;
    let others = rule_names(ctx, None, &cover.by);
    let verb = if cover.by.len() == 1 { "denies" } else { "deny" };
    let message =
        format!("{} lets nobody in: {others} {verb} every request that it allows", rule_name(ctx, rule));
    let label = Label::new(rule_span(written), "DENY comes first, so this never lets anybody in");
    let mut finding = Finding::new(ID, level(ctx, rule, &cover.by), Category::Conflict, message, label)
        .with_resource(policy.meta.resource_name())
        .with_confidence(Confidence::High)
        .with_help("narrow the DENY, or remove the ALLOW rule");
    for other in cover.by.iter().take(3) {
        if let Some(other) = rule_of(ctx, *other) {
            finding = finding.with_related(rule_span(other), "this rule denies them");
        }
    }
    Some(match shown(ctx, rule, cover) {
        Some(witness) => finding.with_witness(witness),
        None => finding,
    })
}

/// A request that the rule matches and that is refused.
fn shown(ctx: &Context<'_>, rule: RuleAt, cover: &Cover) -> Option<Witness> {
    let (point, at) = ctx.worths().at(ctx, cover.point, cover.chain)?;
    let place = point.policies.iter().position(|id| *id == rule.0)?;
    let id = RuleId { policy: place, rule: rule.1 };
    let request =
        named_first(|domain| Space::new(&at.policies, &at.chain, domain).find_refused(id).ok().flatten())?;
    told(ctx, point, &at, rule, &cover.by, *request)
}

/// The refused request as a witness, if the evaluator confirms that the rule matches and that it is refused.
fn told(
    ctx: &Context<'_>,
    point: &Point,
    at: &At<'_>,
    rule: RuleAt,
    by: &[RuleAt],
    request: Request,
) -> Option<Witness> {
    let place = point.policies.iter().position(|id| *id == rule.0)?;
    let holds =
        |evaluation: &Evaluation| evaluation.decision == Decision::Deny && matches(evaluation, place, rule.1);
    let request = with_known_caller(ctx, at, request, |request, decider| {
        decider.matches(place, rule.1, request) && decider.decision(request) == Decision::Deny
    });
    let evaluation = evaluate(&at.policies, &request, &at.chain);
    holds(&evaluation).then_some(())?;
    let mut reasons = vec![format!("{} matches", rule_name(ctx, rule))];
    let denying = first_matching(point, &evaluation, by);
    reasons.extend(
        denying.map(|other| format!("{} matches as well, and DENY comes first", rule_name(ctx, other))),
    );
    let rules = [Some(rule), denying].into_iter().flatten();
    let written: Vec<_> = rules.filter_map(|rule| rule_of(ctx, rule)).collect();
    Some(witness(ctx, point, at, &request, &written, reasons))
}
