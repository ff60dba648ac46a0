//! The way from the mesh to the evaluator: what is attached somewhere, and what kind of place that is.

use std::collections::BTreeMap;

use meshproof_grammar::dry_run::DryRun;
use meshproof_ir::{ClusterId, Fact, Mesh, ResourceId, Settings};

use crate::context::{Context, Engine, Provider, ProviderAnswer, ProviderKind};
use crate::policy::Policy;
use crate::provider::usable_provider;
use crate::semantics::{ClientAddress, HeaderMatching, PathNormalization, Semantics};

/// An AuthorizationPolicy of the mesh; nothing when the object is none, or stands in no namespace.
pub fn policy_of(mesh: &Mesh, id: ResourceId) -> Option<Policy<'_>> {
    let namespace = mesh.placement[id.index()].1?;
    Some(Policy::new(&mesh.resource(id).meta, mesh.policy(id)?, mesh.namespace_display(namespace)))
}

/// An enforcement point of a cluster with the settings of that cluster. Where the input contradicts itself, Istio's
/// default counts; [`unknown_settings`] tells what that concerns.
pub fn context_of(mesh: &Mesh, cluster: ClusterId, engine: Engine) -> Context {
    let settings = mesh.settings_of(cluster);
    let mut context = Context::new(engine);
    let domains: Vec<String> = settings.trust_domains().map(str::to_owned).collect();
    if settings.trust_domain.known().is_some() {
        context.trust_domains = domains;
    }
    context.providers = providers(settings);
    context.semantics = semantics(settings);
    context
}

/// What a decision depends on and the settings leave open.
pub fn unknown_settings(settings: &Settings) -> impl Iterator<Item = &str> {
    let domain = match &settings.trust_domain {
        Fact::Unknown(reason) => Some(reason.as_str()),
        Fact::Known(..) => None,
    };
    let path = match &settings.path_normalization {
        Fact::Unknown(reason) => Some(reason.as_str()),
        Fact::Known(..) => None,
    };
    let proxies = match &settings.trusted_proxies {
        Fact::Unknown(reason) => Some(reason.as_str()),
        Fact::Known(..) => None,
    };
    domain.into_iter().chain(path).chain(proxies)
}

fn semantics(settings: &Settings) -> Semantics {
    use meshproof_resources::PathNormalization as Written;
    // Flags of istiod and the annotation of dry runs are read by the same function of Go.
    let is_on = |flag: &str| {
        let value = settings.feature(flag).and_then(Fact::known);
        value.is_some_and(|value| DryRun::parse(value).is_ok_and(|flag| flag.0))
    };
    let normalization = match settings.path_normalization.known() {
        Some(Written::None) => PathNormalization::None,
        Some(Written::MergeSlashes) => PathNormalization::MergeSlashes,
        Some(Written::DecodeAndMergeSlashes) => PathNormalization::DecodeAndMergeSlashes,
        Some(Written::Default | Written::Base) | None => PathNormalization::Base,
    };
    let joins = settings.joins_headers.is(&true);
    Semantics {
        headers: if joins { HeaderMatching::Joined } else { HeaderMatching::Individual },
        normalization,
        multiple_custom_providers: is_on("PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS"),
        ztunnel_dry_run: is_on("AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY"),
        ..Semantics::default()
    }
}

/// A gateway: it looks at `x-forwarded-for` only as far as the settings tell it to trust proxies in front.
pub fn gateway_context_of(mesh: &Mesh, cluster: ClusterId, engine: Engine) -> Context {
    let mut context = context_of(mesh, cluster, engine);
    let trusted = mesh.settings_of(cluster).trusted_proxies.known().copied().unwrap_or_default();
    context.semantics.client_address = ClientAddress::TrustedProxies(trusted);
    context
}

/// The providers that CUSTOM policies can name, each with an answer that is not known (Istio 1.32, `extauthz.go`).
fn providers(settings: &Settings) -> BTreeMap<String, Provider> {
    let mut providers = BTreeMap::new();
    for written in &settings.extension_providers {
        let (Some(name), Ok(kind)) = (&written.name, usable_provider(written)) else { continue };
        let fail_open = written.fail_open.as_ref().is_some_and(|flag| flag.value);
        let answer = ProviderAnswer::Unknown;
        providers.insert(name.value.clone(), Provider { kind, fail_open, answer });
    }
    // Known by name alone: nothing tells its protocol, and over gRPC it can be asked about everything.
    let written = |name: &String| {
        let names = settings.extension_providers.iter().filter_map(|provider| provider.name.as_ref());
        names.into_iter().any(|written| written.value == *name)
    };
    for name in settings.provider_names.iter().filter(|name| !written(name)) {
        let unknown =
            Provider { kind: ProviderKind::Grpc, fail_open: false, answer: ProviderAnswer::Unknown };
        providers.entry(name.clone()).or_insert(unknown);
    }
    providers
}
