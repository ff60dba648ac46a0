//! `unusable-provider`: a CUSTOM policy whose provider the mesh configuration does not have, so that whatever it matches is
//! refused (Istio 1.32, security/authz/builder/extauthz.go).

use meshproof_authz::{CustomOutcome, Decision, Engine, custom_outcome, evaluate};
use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_resources::Action;
use meshproof_space::{RuleId, Space};

use crate::Context;
use crate::hash::Set;
use crate::points::Point;
use crate::policies::Policy;
use crate::rule_worth::At;
use crate::shown::{matches, named_first, rule_name, with_known_caller, witness};

const ID: &str = "unusable-provider";

/// Runs the lint: one finding per policy.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut done = Set::default();
    let mut findings = Vec::new();
    for (at, point) in ctx.worths().points.list.iter().enumerate() {
        // Without a MeshConfig in the input nobody knows which providers there are.
        if ctx.mesh.settings_of(point.cluster).written_at.is_empty() || point.is_unsettled(ctx.mesh) {
            continue;
        }
        let policies = point.policies.iter().filter_map(|id| ctx.policies.get(*id));
        for policy in policies.filter(|policy| policy.enforces(Action::Custom)) {
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

fn finding(ctx: &Context<'_>, policy: &Policy<'_>, point: &Point, at: &At<'_>) -> Option<Finding> {
    if at.chain.engine != Engine::EnvoyHttp {
        return None;
    }
    let place = point.policies.iter().position(|id| *id == policy.id)?;
    let own = at.policies.get(place)?;
    if !matches!(custom_outcome(&at.policies, own, &at.chain), CustomOutcome::Unusable) {
        return None;
    }
    let refused = |evaluation: &meshproof_authz::Evaluation, rule: usize| {
        evaluation.decision == Decision::Deny && matches(evaluation, place, rule)
    };
    let (rule, request) = (0..policy.rules.len()).find_map(|rule| {
        let request = named_first(|domain| {
            Space::new(&at.policies, &at.chain, domain).find_match(RuleId { policy: place, rule }).ok()?
        })?;
        refused(&evaluate(&at.policies, &request, &at.chain), rule).then_some((rule, request))
    })?;
    let request =
        with_known_caller(ctx, at, *request, |request, decider| refused(&decider.evaluate(request), rule));
    let settings = ctx.mesh.settings_of(point.cluster);
    let named = policy.spec.provider.as_ref();
    let name = named.map_or("", |name| name.value.as_str());
    let names: Vec<&str> = settings
        .extension_providers
        .iter()
        .filter_map(|provider| provider.name.as_ref().map(|name| name.value.as_str()))
        .chain(settings.provider_names.iter().map(String::as_str))
        .collect();
    let is_known = names.contains(&name);
    let reason = match is_known {
        true => "the mesh configuration describes it so that it cannot be asked".to_owned(),
        false => format!("the mesh configuration has no provider {name}"),
    };
    let message = format!("{} refuses whatever it matches: {reason}", policy.name());
    let near = names.iter().find(|known| strsim::osa_distance(known, name) <= 2).filter(|_| !is_known);
    let help = match near {
        Some(near) => format!("did you mean {near}?"),
        None => "add the provider to `extensionProviders` of the mesh configuration, or name one of those that are there".to_owned(),
    };
    let level = match ctx.world.incomplete {
        Some(_) => Level::Warning,
        None => Level::Error,
    };
    let reasons = vec![
        format!("{} matches", rule_name(ctx, (policy.id, rule))),
        "a provider that cannot be asked counts as one that says no".to_owned(),
    ];
    let span = named.map_or(policy.meta.name_span(), |name| name.span);
    let mut finding =
        Finding::new(ID, level, Category::Outage, message, Label::new(span, "this provider is not asked"))
            .with_resource(policy.meta.resource_name())
            .with_confidence(Confidence::High)
            .with_witness(witness(ctx, point, at, &request, &[policy.rules.get(rule)?.rule], reasons))
            .with_help(help);
    if let Some(written) = settings.written_at.first() {
        finding = finding.with_related(*written, "the mesh configuration");
    }
    Some(finding)
}
