//! CUSTOM policies: whether they take part, and what a match leads to.

use std::collections::BTreeSet;

use meshproof_resources::Action;

use crate::context::{Context, Engine, ProviderAnswer, ProviderKind};
use crate::policy::Policy;
use crate::tested::CustomOutcome;
use crate::trace::Standing;

/// Whether and how a policy of an Envoy chain takes part.
pub(crate) fn standing(policy: &Policy<'_>, context: &Context, too_many: bool) -> Standing {
    let is_usable = !too_many && provider_problem(policy, context).is_none();
    match policy.action() {
        // Istio 1.32, `builder.go`: without a usable provider the rules on trial are forgotten.
        Action::Custom if policy.is_dry_run() && !is_usable => Standing::Skipped,
        Action::Custom if context.engine == Engine::EnvoyTcp && is_usable => {
            let kind =
                provider_name(policy).and_then(|name| context.providers.get(name)).map(|found| found.kind);
            if kind == Some(ProviderKind::Http) { Standing::Skipped } else { Standing::Enforced }
        }
        // With one, they stand among those that refuse. Admission knows no such policy.
        Action::Custom => Standing::Enforced,
        _ if policy.is_dry_run() => Standing::DryRun,
        _ => Standing::Enforced,
    }
}

fn provider_name<'a>(policy: &Policy<'a>) -> Option<&'a str> {
    policy.spec.provider.as_ref().map(|name| name.value.as_str()).filter(|name| !name.is_empty())
}

/// Whether several providers meet where istiod only knows one (Istio 1.32, `builder.go`).
pub(crate) fn has_too_many_providers(policies: &[Policy<'_>], context: &Context) -> bool {
    let customs = policies.iter().filter(|policy| policy.action() == Action::Custom);
    let providers: BTreeSet<Option<&str>> = customs.map(provider_name).collect();
    providers.len() > 1 && !context.semantics.multiple_custom_providers
}

/// What istiod appends to the names of rules that no provider can be asked about.
pub(crate) const BAD_CUSTOM: &str = "-deny-due-to-bad-CUSTOM-action";

/// What istiod writes before the names of a CUSTOM policy's rules.
pub(crate) fn custom_prefix(policy: &Policy<'_>) -> String {
    let provider = provider_name(policy).map(|name| format!("{name}-")).unwrap_or_default();
    format!("istio-ext-authz-{provider}")
}

/// Why the provider of a CUSTOM policy cannot be asked (Istio 1.32, `extauthz.go`).
fn provider_problem(policy: &Policy<'_>, context: &Context) -> Option<&'static str> {
    match provider_name(policy) {
        None => Some("the policy names no provider"),
        Some(name) if !context.providers.contains_key(name) => {
            Some("the mesh has no usable provider of that name")
        }
        Some(_) => None,
    }
}

/// What becomes of a request that the CUSTOM policy matches.
pub(crate) fn custom_outcome<'a>(
    too_many: bool,
    policy: &Policy<'a>,
    context: &Context,
) -> CustomOutcome<'a> {
    let provider = provider_name(policy).and_then(|name| Some((name, context.providers.get(name)?)));
    let Some((name, provider)) = provider.filter(|_| !too_many) else { return CustomOutcome::Unusable };
    if policy.is_dry_run() {
        return CustomOutcome::OnTrial;
    }
    let refuses = match provider.answer {
        ProviderAnswer::Unknown | ProviderAnswer::Allow => false,
        ProviderAnswer::Deny => true,
        ProviderAnswer::Error => !provider.fail_open,
    };
    CustomOutcome::Asked { provider: name, answer: provider.answer, refuses }
}
