//! What a rule leads to, and how it is reported.

use meshproof_authz::{Context, CustomOutcome, Engine, Policy, custom_outcomes};
use meshproof_engine as engine;
use meshproof_resources::Action;
use meshproof_space::{Effect, LoweredRule};

/// What a match of a rule leads to, and under which name it is reported.
pub(super) struct Report<'l> {
    pub effect: engine::Effect,
    /// Who is asked; empty where nobody is.
    pub provider: &'l str,
    pub name: String,
    /// What is written around its own name there, if anything is.
    pub around: Option<Box<[String; 2]>>,
}

/// How rules are reported, each with whether it is on trial. `policies` are all that apply.
pub(super) fn reports<'p>(
    policies: &'p [Policy<'_>],
    context: &'p Context,
) -> impl for<'l> Fn(&'l LoweredRule, bool) -> Report<'l> {
    let outcome_of = custom_outcomes(policies, context);
    move |rule, on_trial| {
        let (effect, provider) = effect(rule, on_trial);
        let policy = policies.get(rule.id.policy);
        let refused =
            policy.filter(|policy| effect == engine::Effect::Refuse && policy.action() == Action::Custom);
        let around = refused.and_then(|policy| match outcome_of(policy) {
            CustomOutcome::Unusable => {
                Some(Box::new([before(policy), "-deny-due-to-bad-CUSTOM-action".to_owned()]))
            }
            CustomOutcome::OnTrial => Some(Box::new([before(policy), String::new()])),
            CustomOutcome::Asked { .. } => None,
        });
        let own = policy.map(|policy| match context.engine {
            Engine::EnvoyHttp | Engine::EnvoyTcp => policy.rule_id(rule.id.rule),
            Engine::Ztunnel => policy.id(),
            Engine::Grpc => format!("{}-{}-{}", policy.namespace, policy.name, rule.id.rule),
        });
        let own = own.unwrap_or_default();
        let name = match &around {
            Some(around) => format!("{}{own}{}", around[0], around[1]),
            None => own,
        };
        Report { effect, provider, name, around }
    }
}

fn effect(rule: &LoweredRule, on_trial: bool) -> (engine::Effect, &str) {
    match &rule.effect {
        Effect::Refuse => (engine::Effect::Refuse, ""),
        Effect::Delegate(provider) => (engine::Effect::Ask, provider.as_str()),
        Effect::Audit => (engine::Effect::Audit, ""),
        Effect::Deny if on_trial => (engine::Effect::DryDeny, ""),
        Effect::Allow if on_trial => (engine::Effect::DryAllow, ""),
        Effect::Deny => (engine::Effect::Deny, ""),
        Effect::Allow => (engine::Effect::Allow, ""),
    }
}

/// Istio 1.32, `builder.go`: how istiod names rules that no provider is asked about.
fn before(policy: &Policy<'_>) -> String {
    let provider = policy.spec.provider.as_ref().map_or("", |name| name.value.as_str());
    let dash = if provider.is_empty() { "" } else { "-" };
    format!("istio-ext-authz-{provider}{dash}")
}
