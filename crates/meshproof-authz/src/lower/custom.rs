//! The filters in front of external authorization.
//!
//! Rules: Istio 1.32, `security/authz/builder/{builder,extauthz}.go`. An RBAC filter whose shadow rules never refuse
//! notes which rule matches; the ext_authz filter behind it asks the provider only then.

use std::collections::BTreeMap;

use meshproof_resources::Action;
use serde_json::{Map, Value, json};

use super::{HTTP, TCP, rules};
use crate::context::{Context, Engine, ProviderKind};
use crate::policy::Policy;

/// CUSTOM policies of one chain.
#[derive(Clone, Debug, PartialEq)]
pub struct LoweredCustom {
    /// One per provider, in the order of their names.
    pub filters: Vec<CustomFilter>,
    /// Policies that are not lowered, by their place in the list: their provider cannot be used, several providers
    /// meet, or they are on trial. istiod refuses what they match; that refusal is not part of `filters`.
    pub left_out: Vec<usize>,
}

/// What stands before the ext_authz filter of a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomFilter {
    /// The provider. Its own settings describe the ext_authz filter that has to follow.
    pub provider: String,
    /// The RBAC filter, as protobuf JSON.
    pub filter: Value,
}

/// The filters for the CUSTOM policies of a chain. They stand in front of what [`lower`](super::lower) makes. On a TCP
/// chain there are none for a provider that speaks HTTP: istiod forgets its policies there.
pub fn lower_custom(policies: &[Policy<'_>], context: &Context) -> LoweredCustom {
    let mut by_provider: BTreeMap<Option<&str>, Vec<(usize, Policy<'_>)>> = BTreeMap::new();
    for (at, policy) in policies.iter().enumerate().filter(|(_, policy)| policy.action() == Action::Custom) {
        let name = policy.spec.provider.as_ref().map(|name| name.value.as_str());
        by_provider.entry(name).or_default().push((at, *policy));
    }
    let too_many = by_provider.len() > 1 && !context.semantics.multiple_custom_providers;
    let is_tcp = context.engine == Engine::EnvoyTcp;
    let mut lowered = LoweredCustom { filters: Vec::new(), left_out: Vec::new() };
    for (name, customs) in by_provider {
        let provider = name.and_then(|name| Some((name, context.providers.get(name)?)));
        let Some((name, provider)) = provider.filter(|_| !too_many) else {
            lowered.left_out.extend(customs.iter().map(|(at, _)| at));
            continue;
        };
        let (on_trial, enforced): (Vec<_>, Vec<_>) =
            customs.into_iter().partition(|(_, policy)| policy.is_dry_run());
        lowered.left_out.extend(on_trial.iter().map(|(at, _)| at));
        if is_tcp && provider.kind == ProviderKind::Http {
            continue;
        }
        let enforced: Vec<Policy<'_>> = enforced.into_iter().map(|(_, policy)| policy).collect();
        lowered.filters.extend(filter(name, &enforced, context));
    }
    lowered.left_out.sort_unstable();
    lowered
}

fn filter(provider: &str, policies: &[Policy<'_>], context: &Context) -> Option<CustomFilter> {
    let mut shadow = rules(policies, (Action::Custom, "DENY"), false, context)?;
    if let Some(Value::Object(entries)) = shadow.get_mut("policies") {
        let named = std::mem::take(entries).into_iter();
        entries.extend(named.map(|(id, rule)| (format!("istio-ext-authz-{provider}-{id}"), rule)));
    }
    let is_tcp = context.engine == Engine::EnvoyTcp;
    let (name, type_url) = if is_tcp { TCP } else { HTTP };
    let mut config = Map::new();
    config.insert("@type".to_owned(), json!(type_url));
    if is_tcp {
        config.insert("statPrefix".to_owned(), json!("tcp."));
    }
    config.insert("shadowRulesStatPrefix".to_owned(), json!("istio_ext_authz_"));
    config.insert("shadowRules".to_owned(), shadow);
    let filter = json!({ "name": name, "typedConfig": config });
    Some(CustomFilter { provider: provider.to_owned(), filter })
}
