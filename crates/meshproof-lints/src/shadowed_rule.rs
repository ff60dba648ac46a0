//! `shadowed-rule`: a rule that adds nothing, since others match whatever it matches.

use meshproof_authz::{By, Decision};
use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level, Witness};
use meshproof_resources::Action;
use meshproof_space::RuleId;

use crate::conflicting_rules::together;
use crate::redundant_policy::is_redundant;
use crate::restriction_without_effect::defeated;
use crate::rule_worth::{Cover, RuleAt, Verdict};
use crate::shown::{from_known_caller, rule_name, rule_names, rule_of, rule_span, told};
use crate::stage::Stage;
use crate::{Context, stage};

const ID: &str = "shadowed-rule";

/// Runs the lint.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut shadowed: Vec<(RuleAt, &Cover)> = Vec::new();
    for policy in ctx.policies.iter().filter(|policy| !policy.dry_run) {
        if is_redundant(ctx, policy) {
            continue;
        }
        for at in 0..policy.rules.len() {
            let rule = (policy.id, at);
            match ctx.worths().verdict(rule) {
                Verdict::Superfluous(cover) if defeated(ctx, rule, cover).is_none() => {
                    shadowed.push((rule, cover));
                }
                Verdict::Unknown(limit) => {
                    let Some(written) = rule_of(ctx, rule) else { continue };
                    let message =
                        format!("whether {} adds anything is not known: {limit}", rule_name(ctx, rule));
                    let label = Label::new(rule_span(written), "this rule was not compared with the others");
                    findings.push(
                        Finding::new(ID, Level::Info, Category::Dead, message, label)
                            .with_resource(policy.meta.resource_name())
                            .with_confidence(Confidence::Low)
                            .with_help("fewer alternatives in one rule can be compared"),
                    );
                }
                _ => {}
            }
        }
    }
    findings.extend(stage::findings(ctx, &shadowed, |stage, rule, cover| finding(ctx, stage, rule, cover)));
    findings
}

/// What a match of a rule does, as a verb.
pub(crate) fn verb(action: Action) -> &'static str {
    match action {
        Action::Allow => "allows",
        Action::Deny => "denies",
        Action::Audit => "marks",
        Action::Custom => "sends to the provider",
    }
}

/// How sure it is that the covering rules are applied where the rule is.
pub(crate) fn level(ctx: &Context<'_>, rule: RuleAt, by: &[RuleAt]) -> Level {
    let levels = by.iter().map(|other| together(ctx, rule.0, other.0));
    levels.min().unwrap_or(Level::Warning).min(Level::Warning)
}

fn finding(ctx: &Context<'_>, stage: Option<&Stage<'_>>, rule: RuleAt, cover: &Cover) -> Option<Finding> {
    let policy = ctx.policies.get(rule.0)?;
    let written = rule_of(ctx, rule)?;
    let does = verb(policy.action);
    let others = rule_names(ctx, Some(rule), &cover.by);
    let denies =
        |other: &RuleAt| ctx.policies.get(other.0).is_some_and(|policy| policy.action == Action::Deny);
    let how = match policy.action == Action::Allow && cover.by.iter().any(denies) {
        true => "decided already by",
        false => "matched already by",
    };
    let message = format!("{} adds nothing: whatever it {does} is {how} {others}", rule_name(ctx, rule),);
    let label = Label::new(rule_span(written), "without this rule nothing changes");
    let mut finding = Finding::new(ID, level(ctx, rule, &cover.by), Category::Dead, message, label)
        .with_resource(policy.meta.resource_name())
        .with_confidence(Confidence::High)
        .with_help("remove the rule; if it was meant to restrict the others, it cannot: rules only ever add to each other");
    for other in cover.by.iter().take(3) {
        if let Some(other) = rule_of(ctx, *other) {
            finding = finding.with_related(rule_span(other), "this rule matches the same requests");
        }
    }
    Some(match stage.and_then(|stage| shown_on(stage, ctx, rule, cover)) {
        Some(witness) => finding.with_witness(witness),
        None => finding,
    })
}

/// A request that the rule matches, and one of the others, at the place of the cover, which is that of the stage.
pub(crate) fn shown_on(stage: &Stage<'_>, ctx: &Context<'_>, rule: RuleAt, cover: &Cover) -> Option<Witness> {
    let Stage { point, at, .. } = stage;
    let place = point.policies.iter().position(|id| *id == rule.0)?;
    let id = RuleId { policy: place, rule: rule.1 };
    let request = stage.find(|space| {
        let passing = space.find_passing(id).ok().flatten();
        passing.or_else(|| space.find_match(id).ok().flatten())
    })?;
    let decision = stage.decider().decision(&request);
    let request = from_known_caller(ctx, at, stage.decider(), *request, |seen| {
        seen.is_matched_by(place, rule.1) && seen.decision() == decision
    });
    let seen = stage.decider().seen(&request)?;
    let mut reasons = vec![format!("{} matches", rule_name(ctx, rule))];
    let also = stage.first_matching(&seen, &cover.by);
    reasons.extend(also.map(|other| format!("{} matches as well", rule_name(ctx, other))));
    let written: Vec<_> =
        [Some(rule), also].into_iter().flatten().filter_map(|rule| rule_of(ctx, rule)).collect();
    let action = ctx.policies.get(rule.0)?.action;
    let by = match (&decision, action) {
        (Decision::Allow, _) => By::Allow,
        // The rule matches.
        (_, Action::Allow | Action::Deny) => By::Deny,
        (_, Action::Audit | Action::Custom) => stage.decider().evaluate(&request).by,
    };
    Some(told(ctx, point, at, &request, (&decision, &by), &written, reasons))
}
