//! Settings inside ConfigMaps: a YAML or JSON text inside a value.

use meshproof_source::{Span, Spanned};
use meshproof_yaml::{NodeRef, Shape, Style, parse};

use crate::decode::Issue;
use crate::read::mapping_at;
use crate::{ExtensionProvider, Field, LabelSelector, MeshConfig, MeshConfigOrigin, Meta, TextMap};

/// Reads the settings in a ConfigMap of istiod; `None` for every other ConfigMap. `document` is the text of the whole
/// source when the caller has it: then settings in a `|` block are pointed at one by one, otherwise at the block.
pub(crate) fn mesh_config(
    meta: &Meta,
    object: NodeRef<'_>,
    document: Option<&str>,
    issues: &mut Vec<Issue>,
) -> Option<MeshConfig> {
    let revised = |base: &str| {
        let rest = meta.name().strip_prefix(base);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    // The injector's name begins like that of a revision, so it is looked at first.
    let (origin, key) = match () {
        () if revised("istio-sidecar-injector") => (MeshConfigOrigin::InjectorConfigMap, "values"),
        () if revised("istio") => (MeshConfigOrigin::ConfigMap, "mesh"),
        () => return None,
    };
    let (key, value) = mapping_at(object, "data")?.entry(key)?;
    let content = value.str()?;
    let mut config = MeshConfig::empty(origin, value.span());
    let source = value.span().source;
    let problems = match document.and_then(|text| Some((text, block_body(value, text)?))) {
        Some((text, body)) => {
            let parsed = parse(source, text, body);
            if let Some(tree) = &parsed.tree {
                config.read(tree.root());
            }
            parsed.tree.is_none().then_some(parsed.problems)
        }
        None => {
            let parsed = parse(source, content, 0..content.len());
            if let Some(tree) = &parsed.tree {
                config.read(tree.root());
                config.point_at(value.span());
            }
            // Places inside the value mean nothing outside of it.
            let problems = parsed.problems.into_iter().map(|mut problem| {
                problem.span = key.span();
                problem
            });
            parsed.tree.is_none().then(|| problems.collect())
        }
    };
    if let Some(problems) = problems {
        let reason = problems.first().map_or("it does not parse", |problem| problem.message.as_str());
        issues.push(Issue {
            lint: "unreadable-mesh-config",
            span: problems.first().map_or(key.span(), |problem| problem.span),
            message: format!("the mesh settings in this ConfigMap cannot be read: {reason}"),
            help: Some("settings from here count as not written; mend the text inside the value".to_owned()),
        });
    }
    if config.revision.is_none() {
        config.revision = meta.labels.get("istio.io/rev").cloned();
    }
    Some(config)
}

/// The lines of a `|` block: as they stand they are a YAML document of their own, only indented.
fn block_body(value: NodeRef<'_>, text: &str) -> Option<std::ops::Range<usize>> {
    let span = value.span();
    let (start, end) = (span.start as usize, span.end as usize);
    let written = text.get(start..end).filter(|_| value.style() == Style::Literal)?;
    Some(start + written.find('\n')? + 1..end)
}

impl MeshConfig {
    fn read(&mut self, root: NodeRef<'_>) {
        match (root.shape(), self.origin) {
            (Shape::Mapping, MeshConfigOrigin::InjectorConfigMap) => self.read_values(root),
            (Shape::Mapping, _) => self.read_mesh_config(root),
            _ => {}
        }
    }

    /// Gives everything one place, for settings whose own places cannot be told.
    fn point_at(&mut self, span: Span) {
        for text in [
            &mut self.trust_domain,
            &mut self.root_namespace,
            &mut self.interception_mode,
            &mut self.default_tls_version,
            &mut self.mesh_tls_version,
            &mut self.network,
            &mut self.cluster_name,
            &mut self.mesh_id,
            &mut self.istio_namespace,
            &mut self.auto_inject,
            &mut self.include_inbound_ports,
            &mut self.exclude_inbound_ports,
            &mut self.include_outbound_ports,
            &mut self.exclude_outbound_ports,
            &mut self.include_ip_ranges,
            &mut self.exclude_ip_ranges,
            &mut self.revision,
            &mut self.profile,
        ] {
            place(text, span);
        }
        for texts in [
            &mut self.trust_domain_aliases,
            &mut self.default_service_export_to,
            &mut self.default_virtual_service_export_to,
            &mut self.default_destination_rule_export_to,
            &mut self.revision_tags,
        ] {
            place_list(texts, span);
        }
        place(&mut self.enable_auto_mtls, span);
        place(&mut self.prometheus_merge, span);
        place(&mut self.enable_namespaces_by_default, span);
        place(&mut self.rewrite_probes, span);
        place(&mut self.outbound, span);
        place(&mut self.path_normalization, span);
        place(&mut self.num_trusted_proxies, span);
        place_map(&mut self.proxy_metadata, span);
        self.ca_trust_domains.iter_mut().for_each(|domain| domain.span = span);
        for (name, value) in &mut self.features {
            (name.span, value.span) = (span, span);
        }
        place_key(&mut self.extension_providers, span);
        self.extension_providers.items.iter_mut().for_each(|provider| place_provider(provider, span));
        place_key(&mut self.discovery_selectors, span);
        self.discovery_selectors.items.iter_mut().for_each(|selector| place_selector(selector, span));
    }
}

fn place<T>(value: &mut Option<Spanned<T>>, span: Span) {
    if let Some(value) = value {
        value.span = span;
    }
}

fn place_key<T>(field: &mut Field<T>, span: Span) {
    field.key = field.key.map(|_| span);
}

fn place_list(field: &mut Field<crate::Text>, span: Span) {
    place_key(field, span);
    field.items.iter_mut().for_each(|item| item.span = span);
}

fn place_map(map: &mut TextMap, span: Span) {
    map.key = map.key.map(|_| span);
    for (name, value) in &mut map.entries {
        (name.span, value.span) = (span, span);
    }
}

fn place_provider(provider: &mut ExtensionProvider, span: Span) {
    provider.span = span;
    for text in [
        &mut provider.name,
        &mut provider.kind,
        &mut provider.service,
        &mut provider.status_on_error,
        &mut provider.path_prefix,
        &mut provider.timeout,
    ] {
        place(text, span);
    }
    place(&mut provider.port, span);
    place(&mut provider.fail_open, span);
    place(&mut provider.clear_route_cache, span);
    place_map(&mut provider.additional_headers_in_check, span);
    for headers in [
        &mut provider.request_headers_in_check,
        &mut provider.headers_to_upstream,
        &mut provider.headers_to_downstream_on_allow,
        &mut provider.headers_to_downstream_on_deny,
    ] {
        place_list(headers, span);
    }
}

fn place_selector(selector: &mut LabelSelector, span: Span) {
    selector.span = span;
    place_map(&mut selector.match_labels, span);
    place_key(&mut selector.match_expressions, span);
    for expression in &mut selector.match_expressions.items {
        expression.span = span;
        place(&mut expression.key, span);
        place(&mut expression.operator, span);
        place_list(&mut expression.values, span);
    }
}
