//! Settings of a cluster from every place that writes them: ConfigMaps, IstioOperator, Helm values.

use meshproof_resources::{Field, MeshConfig, OutboundMode, Resource, Spec, Text};
use meshproof_source::{Span, Spanned};

use crate::placement::Placement;
use crate::{Fact, Origin, Settings, SettingsOverride};

/// The settings of each cluster; the user's own word counts in all of them.
pub(crate) fn settings(
    resources: &[Resource],
    placement: &Placement,
    user: &SettingsOverride,
) -> Vec<Settings> {
    let mut written: Vec<Vec<&MeshConfig>> = vec![Vec::new(); placement.clusters.len()];
    for id in &placement.kinds.mesh_configs {
        if let Spec::MeshConfig(config) = &resources[id.index()].spec {
            written[placement.places[id.index()].0.index()].push(config);
        }
    }
    let settings = |places: Vec<&MeshConfig>| {
        let mut settings = combine(&places);
        user.apply(&mut settings);
        settings
    };
    written.into_iter().map(settings).collect()
}

fn combine(places: &[&MeshConfig]) -> Settings {
    let mut settings = Settings::default();
    let text = |get: fn(&MeshConfig) -> Option<&Text>| {
        places.iter().filter_map(|config| get(config)).map(|text| (text.value.clone(), text.span)).collect()
    };
    let flag = |get: fn(&MeshConfig) -> Option<&Spanned<bool>>| {
        places.iter().filter_map(|config| get(config)).map(|flag| (flag.value, flag.span)).collect()
    };
    agree(&mut settings.trust_domain, text(|config| config.trust_domain.as_ref()));
    agree(
        &mut settings.root_namespace,
        text(|config| config.root_namespace.as_ref().or(config.istio_namespace.as_ref())),
    );
    agree(&mut settings.auto_mtls, flag(|config| config.enable_auto_mtls.as_ref()));
    agree(&mut settings.inject_by_default, flag(|config| config.enable_namespaces_by_default.as_ref()));
    agree(&mut settings.rewrite_probes, flag(|config| config.rewrite_probes.as_ref()));
    agree(&mut settings.include_inbound_ports, text(|config| config.include_inbound_ports.as_ref()));
    agree(&mut settings.exclude_inbound_ports, text(|config| config.exclude_inbound_ports.as_ref()));
    agree(&mut settings.include_outbound_ports, text(|config| config.include_outbound_ports.as_ref()));
    agree(&mut settings.exclude_outbound_ports, text(|config| config.exclude_outbound_ports.as_ref()));
    agree(&mut settings.include_ip_ranges, text(|config| config.include_ip_ranges.as_ref()));
    agree(&mut settings.exclude_ip_ranges, text(|config| config.exclude_ip_ranges.as_ref()));
    let derived = |get: fn(&MeshConfig) -> Option<(bool, Span)>| {
        places.iter().filter_map(|config| get(config)).collect()
    };
    agree(
        &mut settings.allow_any_outbound,
        derived(|config| {
            config.outbound.as_ref().map(|mode| (mode.value == OutboundMode::AllowAny, mode.span))
        }),
    );
    agree(
        &mut settings.auto_inject,
        derived(|config| config.auto_inject.as_ref().map(|value| (value.value != "disabled", value.span))),
    );
    agree(
        &mut settings.interception_none,
        derived(|config| config.interception_mode.as_ref().map(|mode| (mode.value == "NONE", mode.span))),
    );
    agree(&mut settings.sidecar_hbone, derived(hbone));
    let normalizations = places.iter().filter_map(|config| config.path_normalization.as_ref());
    agree(&mut settings.path_normalization, normalizations.map(|mode| (mode.value, mode.span)).collect());
    let proxies = places.iter().filter_map(|config| config.num_trusted_proxies.as_ref());
    agree(&mut settings.trusted_proxies, proxies.map(|count| (count.value, count.span)).collect());
    lists(&mut settings, places);
    features(&mut settings, places);
    settings
}

/// One value from all places, or doubt.
fn agree<T: PartialEq + std::fmt::Debug>(fact: &mut Fact<T>, found: Vec<(T, Span)>) {
    let mut found = found.into_iter();
    let Some((first, span)) = found.next() else { return };
    *fact = match found.find(|(other, _)| *other != first) {
        None => Fact::Known(first, Origin::Written(span)),
        Some((other, _)) => Fact::Unknown(format!(
            "mesh settings in the input disagree: {first:?} in one place, {other:?} in another"
        )),
    };
}

/// The ambient profile turns HBONE on for sidecars; the proxy's metadata says it one by one.
fn hbone(config: &MeshConfig) -> Option<(bool, Span)> {
    if let Some(value) = config.proxy_metadata.get("ISTIO_META_ENABLE_HBONE") {
        return Some((value.value == "true", value.span));
    }
    let profile = config.profile.as_ref().filter(|profile| profile.value == "ambient")?;
    Some((true, profile.span))
}

fn lists(settings: &mut Settings, places: &[&MeshConfig]) {
    fn add<'a>(list: &mut Vec<String>, values: impl IntoIterator<Item = &'a Text>) {
        for value in values {
            if !list.contains(&value.value) {
                list.push(value.value.clone());
            }
        }
    }
    let first = |get: fn(&MeshConfig) -> &Field<Text>| -> Vec<String> {
        let written = places.iter().map(|config| get(config)).find(|field| field.key.is_some());
        written.into_iter().flat_map(|field| field.iter()).map(|text| text.value.clone()).collect()
    };
    settings.default_service_export_to = first(|config| &config.default_service_export_to);
    settings.default_virtual_service_export_to = first(|config| &config.default_virtual_service_export_to);
    settings.default_destination_rule_export_to = first(|config| &config.default_destination_rule_export_to);
    for config in places {
        settings.written_at.push(config.span);
        add(&mut settings.trust_domain_aliases, config.trust_domain_aliases.iter());
        add(&mut settings.ca_trust_domains, &config.ca_trust_domains);
        add(&mut settings.revisions, config.revision.iter().chain(config.revision_tags.iter()));
        for provider in config.extension_providers.iter() {
            let Some(name) = &provider.name else { continue };
            if !settings.provider_names.contains(&name.value) {
                settings.provider_names.push(name.value.clone());
                settings.extension_providers.push(provider.clone());
            }
        }
        if settings.discovery_selectors.is_empty() {
            settings.discovery_selectors = config.discovery_selectors.items.clone();
        }
        for (name, value) in &config.proxy_metadata.entries {
            if !settings.proxy_metadata.iter().any(|(known, _)| *known == name.value) {
                settings.proxy_metadata.push((name.value.clone(), value.value.clone()));
            }
        }
        if settings.network.is_none() {
            settings.network = config.network.as_ref().map(|network| network.value.clone());
        }
    }
}

fn features(settings: &mut Settings, places: &[&MeshConfig]) {
    for config in places {
        for (name, _) in &config.features {
            let Some(value) = config.feature(&name.value) else { continue };
            let written = Fact::Known(value.value.clone(), Origin::Written(value.span));
            match settings.features.iter_mut().find(|(flag, _)| *flag == name.value) {
                None => settings.features.push((name.value.clone(), written)),
                Some((_, known)) if known.known().is_some_and(|known| *known != value.value) => {
                    *known = Fact::Unknown(format!(
                        "feature flag {} has different values in the input",
                        name.value
                    ));
                }
                Some(_) => {}
            }
        }
    }
    let selectors = settings.feature("ENABLE_SELECTOR_BASED_K8S_GATEWAY_POLICY").cloned();
    if let Some(flag) = selectors {
        settings.selectors_reach_gateways = match flag {
            Fact::Known(value, origin) => Fact::Known(value != "false", origin),
            Fact::Unknown(reason) => Fact::Unknown(reason),
        };
    }
}
