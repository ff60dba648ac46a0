//! `allow-hidden-by-deny`: ALLOW rules, or single values of them, of which DENY takes back every request.

mod partial;

use meshproof_authz::{By, Decision, Request};
use meshproof_diagnostics::{Category, Confidence, Finding, Label, Witness};
use meshproof_resources::Action;

use crate::excerpt::refused;
use crate::rule_worth::{Cover, RuleAt, Verdict};
use crate::shadowed_rule::level;
use crate::shown::{from_known_caller, named_first, rule_name, rule_names, rule_of, rule_span};
use crate::stage::Stage;
use crate::{Context, shown, stage};

const ID: &str = "allow-hidden-by-deny";

/// Runs the lint.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut hidden: Vec<(RuleAt, &Cover)> = Vec::new();
    for policy in ctx.policies.iter().filter(|policy| policy.enforces(Action::Allow)) {
        for at in 0..policy.rules.len() {
            let rule = (policy.id, at);
            if let Verdict::Refused(cover) = ctx.worths().verdict(rule) {
                hidden.push((rule, cover));
            }
        }
    }
    let mut findings = stage::findings(ctx, &hidden, |stage, rule, cover| finding(ctx, stage, rule, cover));
    findings.extend(partial::findings(ctx));
    findings
}

fn finding(ctx: &Context<'_>, stage: Option<&Stage<'_>>, rule: RuleAt, cover: &Cover) -> Option<Finding> {
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
    Some(match stage.and_then(|stage| proof(ctx, stage, rule, cover)) {
        Some(witness) => finding.with_witness(witness),
        None => finding,
    })
}

/// A request that the rule matches and that is refused.
fn proof(ctx: &Context<'_>, stage: &Stage<'_>, rule: RuleAt, cover: &Cover) -> Option<Witness> {
    let written = rule_of(ctx, rule)?;
    let request = named_first(|domain| refused(ctx, stage, (rule, written), &cover.by, domain))?;
    told(ctx, stage, rule, &cover.by, *request)
}

/// The refused request as a witness, if the evaluator confirms that the rule matches and that it is refused.
fn told(
    ctx: &Context<'_>,
    stage: &Stage<'_>,
    rule: RuleAt,
    by: &[RuleAt],
    request: Request,
) -> Option<Witness> {
    let (point, at) = (stage.point, stage.at);
    let place = stage.place(rule)?;
    let decider = stage.decider();
    let request = from_known_caller(ctx, at, decider, request, |seen| {
        seen.is_matched_by(place, rule.1) && seen.decision() == Decision::Deny
    });
    let seen = decider.seen(&request)?;
    let is_refused = seen.decision() == Decision::Deny && seen.is_matched_by(place, rule.1);
    is_refused.then_some(())?;
    let mut reasons = vec![format!("{} matches", rule_name(ctx, rule))];
    let denying = stage.first_matching(&seen, by);
    reasons.extend(
        denying.map(|other| format!("{} matches as well, and DENY comes first", rule_name(ctx, other))),
    );
    let rules = [Some(rule), denying].into_iter().flatten();
    let written: Vec<_> = rules.filter_map(|rule| rule_of(ctx, rule)).collect();
    Some(shown::told(ctx, point, at, &request, (&Decision::Deny, &By::Deny), &written, reasons))
}
