//! The filters of one chain.

use std::collections::BTreeSet;

use meshproof_authz::{Context, CustomFilter, Engine, Policy, lower, lower_custom, usable_provider};
use meshproof_ir::Settings;
use meshproof_resources::ExtensionProvider;
use serde_json::Value;

use crate::ext_authz;

/// The filters of one chain, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChainFilters {
    /// As protobuf JSON, under the names that istiod gives them.
    pub filters: Vec<Value>,
    /// How many of them, from the first, stand before the verification of tokens: those of CUSTOM policies.
    pub before_tokens: usize,
    /// What is not as istiod would send it, or only if something is as assumed. Sentences without a final stop.
    pub doubts: BTreeSet<String>,
}

/// The filters that a chain has for these policies: CUSTOM with external authorization, then AUDIT, DENY and ALLOW. The
/// chain is one for TCP with [`Engine::EnvoyTcp`], else one for HTTP.
///
/// `context.providers` says which providers there are; `settings` describe them. One that is only known by name cannot
/// be asked: what would be sent to it is refused, and that is a doubt.
pub fn chain_filters(policies: &[Policy<'_>], context: &Context, settings: &Settings) -> ChainFilters {
    let mut described = context.clone();
    described.providers.retain(|name, _| described_provider(settings, name).is_some());
    let mut chain = ChainFilters::default();
    for custom in lower_custom(policies, &described) {
        let CustomFilter { provider, asks, filter } = custom;
        chain.filters.push(filter);
        match described_provider(settings, &provider) {
            Some(described) if asks => {
                if let Ok(kind) = usable_provider(described) {
                    let is_tcp = context.engine == Engine::EnvoyTcp;
                    chain.filters.push(ext_authz::filter(described, kind, is_tcp));
                }
            }
            _ => chain.doubts.extend(doubt(settings, &provider)),
        }
    }
    chain.before_tokens = chain.filters.len();
    chain.filters.extend(lower(policies, context).filters);
    chain
}

fn described_provider<'s>(settings: &'s Settings, name: &str) -> Option<&'s ExtensionProvider> {
    let is_it = |provider: &&ExtensionProvider| provider.name.as_ref().is_some_and(|own| own.value == name);
    settings.extension_providers.iter().find(is_it)
}

/// Why a provider that is not asked might be asked after all.
fn doubt(settings: &Settings, provider: &str) -> Option<String> {
    if described_provider(settings, provider).is_some() {
        // It is unusable, or one of several: istiod refuses as well.
        return None;
    }
    if settings.provider_names.iter().any(|known| known == provider) {
        return Some(format!(
            "the provider {provider} is known by name only; what it would be asked about is refused"
        ));
    }
    settings.written_at.is_empty().then(|| {
        format!("no MeshConfig is in the input; the provider {provider} is taken to be missing, and what it would be asked about is refused")
    })
}
