//! `misleading-name`: a DENY policy that is called a default deny and leaves everything else open.

use meshproof_authz::{Decision, evaluate};
use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_resources::Action;
use meshproof_space::{Outcome, Space};

use crate::Context;
use crate::hash::Set;
use crate::policies::Policy;
use crate::rule_worth::At;
use crate::shown::{matches, named_first, with_known_caller, witness};

const ID: &str = "misleading-name";

/// What a policy is called that closes everything.
const CLOSING: &[&str] = &[
    "deny-all",
    "denyall",
    "default-deny",
    "deny-default",
    "deny-by-default",
    "deny-everything",
    "allow-nothing",
    "allow-none",
];

/// What is said in a name that tells of exceptions.
const EXCEPTING: &[&str] =
    &["except", "but", "other", "from", "outside", "external", "unless", "non-", "not-", "http", "tcp"];

/// Runs the lint: one finding per policy.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut done = Set::default();
    let mut findings = Vec::new();
    for (at, point) in ctx.worths().points.list.iter().enumerate() {
        let policies = || point.policies.iter().filter_map(|id| ctx.policies.get(*id));
        // An ALLOW policy closes everything that it does not name.
        if policies().any(|policy| policy.enforces(Action::Allow)) {
            continue;
        }
        for policy in policies().filter(|policy| policy.enforces(Action::Deny) && is_called_closed(policy)) {
            if !done.contains(&policy.id)
                && let Some((point, place)) = ctx.worths().at(ctx, at, 0)
                && let Some(finding) = finding(ctx, policy, point, &place)
            {
                done.insert(policy.id);
                findings.push(finding);
            }
        }
    }
    findings
}

fn is_called_closed(policy: &Policy<'_>) -> bool {
    let name = policy.meta.name().to_ascii_lowercase().replace('_', "-");
    CLOSING.iter().any(|word| name.contains(word)) && !EXCEPTING.iter().any(|word| name.contains(word))
}

fn finding(
    ctx: &Context<'_>,
    policy: &Policy<'_>,
    point: &crate::points::Point,
    at: &At<'_>,
) -> Option<Finding> {
    let place = point.policies.iter().position(|id| *id == policy.id)?;
    let request = named_first(|domain| {
        Space::new(&at.policies, &at.chain, domain).find(Outcome::Allowed).ok().flatten()
    })?;
    let passes = |evaluation: &meshproof_authz::Evaluation| {
        let matched = (0..policy.rules.len()).any(|rule| matches(evaluation, place, rule));
        evaluation.decision == Decision::Allow && !matched
    };
    let request = with_known_caller(ctx, at, *request, |request, decider| passes(&decider.evaluate(request)));
    passes(&evaluate(&at.policies, &request, &at.chain)).then_some(())?;
    let message = format!(
        "{} is called a default deny and is none: what its rules do not match passes, since no ALLOW policy applies",
        policy.name()
    );
    let reasons = vec![
        format!("no rule of {} matches", policy.name()),
        "no ALLOW policy applies, and then everything that is not denied is allowed".to_owned(),
    ];
    let rules: Vec<_> = policy.rules.iter().map(|facts| facts.rule).collect();
    let label = Label::new(policy.meta.name_span(), "the name promises more than the rules hold");
    Some(
        Finding::new(ID, Level::Warning, Category::Hole, message, label)
            .with_resource(policy.meta.resource_name())
            .with_confidence(Confidence::Medium)
            .with_witness(witness(ctx, point, at, &request, &rules, reasons))
            .with_help("a default deny is an ALLOW policy without rules (`spec: {}`); if the policy is meant as it is, call it by what it denies"),
    )
}
