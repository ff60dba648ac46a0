//! The filters in front of external authorization.
//!
//! Rules: Istio 1.32, `security/authz/builder/{builder,extauthz}.go`. An RBAC filter whose shadow rules never refuse
//! notes which rule matches; the ext_authz filter behind it asks the provider only then.

use std::collections::BTreeSet;

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

/// The filters for the CUSTOM policies of a chain. They stand in front of what [`lower`](super::lower) makes.
pub fn lower_custom(policies: &[Policy<'_>], context: &Context) -> LoweredCustom {
    let customs = || policies.iter().enumerate().filter(|(_, policy)| policy.action() == Action::Custom);
    let named = |policy: &Policy<'_>| policy.spec.provider.as_ref().map(|name| name.value.clone());
    let names: BTreeSet<Option<String>> = customs().map(|(_, policy)| named(policy)).collect();
    let too_many = names.len() > 1 && !context.semantics.multiple_custom_providers;
    let is_usable = |policy: &Policy<'_>| {
        let known = named(policy).is_some_and(|name| context.providers.contains_key(&name));
        known && !too_many && !policy.is_dry_run()
    };
    let left_out = customs().filter(|(_, policy)| !is_usable(policy)).map(|(at, _)| at).collect();
    let is_tcp = context.engine == Engine::EnvoyTcp;
    let (name, type_url) = if is_tcp { TCP } else { HTTP };
    let mut filters = Vec::new();
    for provider in names.into_iter().flatten() {
        // A provider that speaks HTTP cannot be asked about other bytes, and istiod leaves its policies out there.
        let kind = context.providers.get(&provider).map(|provider| provider.kind);
        if is_tcp && kind == Some(ProviderKind::Http) {
            continue;
        }
        let own: Vec<Policy<'_>> = customs()
            .filter(|(_, policy)| is_usable(policy) && named(policy).as_deref() == Some(provider.as_str()))
            .map(|(_, policy)| *policy)
            .collect();
        let Some(mut shadow) = rules(&own, (Action::Custom, "DENY"), false, context) else { continue };
        if let Some(Value::Object(entries)) = shadow.get_mut("policies") {
            let named = std::mem::take(entries).into_iter();
            entries.extend(named.map(|(id, rule)| (format!("istio-ext-authz-{provider}-{id}"), rule)));
        }
        let mut config = Map::new();
        config.insert("@type".to_owned(), json!(type_url));
        if is_tcp {
            config.insert("statPrefix".to_owned(), json!("tcp."));
        }
        config.insert("shadowRulesStatPrefix".to_owned(), json!("istio_ext_authz_"));
        config.insert("shadowRules".to_owned(), shadow);
        filters.push(CustomFilter { provider, filter: json!({ "name": name, "typedConfig": config }) });
    }
    LoweredCustom { filters, left_out }
}
