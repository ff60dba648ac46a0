//! The filters in front of external authorization.
//!
//! Rules: Istio 1.32, `security/authz/builder/{builder,extauthz}.go`. An RBAC filter whose shadow rules never refuse
//! notes which rule matches; the ext_authz filter behind it asks the provider only then. Where no provider can be
//! asked, the RBAC filter refuses what its rules match.

use std::collections::BTreeMap;

use meshproof_resources::Action;
use serde_json::{Map, Value, json};

use super::{HTTP, TCP, rules};
use crate::context::{Context, Engine, ProviderKind};
use crate::custom::{BAD_CUSTOM, custom_prefix, has_too_many_providers};
use crate::policy::Policy;

/// The policies of one provider on a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomFilter {
    /// The provider as the policies name it; empty when they name none.
    pub provider: String,
    /// Whether the ext_authz filter of the provider, which its own settings describe, has to follow. Else the filter
    /// itself refuses: there is no usable provider of that name, or there are several.
    pub asks: bool,
    /// The RBAC filter, as protobuf JSON.
    pub filter: Value,
}

/// The filters for the CUSTOM policies of a chain, one per provider in the order of their names. They stand in front of
/// what [`lower`](super::lower) makes. On a TCP chain there are none for a provider that speaks HTTP: istiod forgets its
/// policies there.
pub fn lower_custom(policies: &[Policy<'_>], context: &Context) -> Vec<CustomFilter> {
    let mut by_provider: BTreeMap<&str, Vec<Policy<'_>>> = BTreeMap::new();
    for policy in policies.iter().filter(|policy| policy.action() == Action::Custom) {
        let name = policy.spec.provider.as_ref().map_or("", |name| name.value.as_str());
        by_provider.entry(name).or_default().push(*policy);
    }
    let too_many = has_too_many_providers(policies, context);
    let is_tcp = context.engine == Engine::EnvoyTcp;
    let mut filters = Vec::new();
    for (name, customs) in by_provider {
        let usable = context.providers.get(name).filter(|_| !too_many);
        if is_tcp && usable.is_some_and(|provider| provider.kind == ProviderKind::Http) {
            continue;
        }
        let asks = usable.is_some();
        let config = if asks { noting(&customs, context) } else { refusing(&customs, context) };
        let (filter_name, type_url) = if is_tcp { TCP } else { HTTP };
        let mut typed = Map::new();
        typed.insert("@type".to_owned(), json!(type_url));
        if is_tcp {
            typed.insert("statPrefix".to_owned(), json!("tcp."));
        }
        typed.extend(config);
        let filter = json!({ "name": filter_name, "typedConfig": typed });
        filters.push(CustomFilter { provider: name.to_owned(), asks, filter });
    }
    filters
}

/// Notes what matches. Policies on trial, which admission does not know, refuse.
fn noting(policies: &[Policy<'_>], context: &Context) -> Map<String, Value> {
    let mut config = Map::new();
    config.insert("shadowRules".to_owned(), named(policies, false, context, ""));
    config.insert("shadowRulesStatPrefix".to_owned(), json!("istio_ext_authz_"));
    let on_trial = named(policies, true, context, "");
    if on_trial["policies"].as_object().is_some_and(|entries| !entries.is_empty()) {
        config.insert("rules".to_owned(), on_trial);
    }
    config
}

/// Refuses what matches.
fn refusing(policies: &[Policy<'_>], context: &Context) -> Map<String, Value> {
    Map::from_iter([("rules".to_owned(), named(policies, false, context, BAD_CUSTOM))])
}

/// The rules of the policies that are on trial, or are not, under the names that istiod gives them.
fn named(policies: &[Policy<'_>], on_trial: bool, context: &Context, end: &str) -> Value {
    let mut entries = Map::new();
    for policy in policies {
        let made = rules(std::slice::from_ref(policy), (Action::Custom, "DENY"), on_trial, context);
        let Some(made) = made.as_ref().and_then(|made| made["policies"].as_object()) else { continue };
        let start = custom_prefix(policy);
        entries.extend(made.iter().map(|(id, rule)| (format!("{start}{id}{end}"), rule.clone())));
    }
    json!({ "action": "DENY", "policies": entries })
}
