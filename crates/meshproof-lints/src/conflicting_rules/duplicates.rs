//! Objects of which only one counts: equal names, DestinationRules of one host.

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_grammar::host::resolve;
use meshproof_ir::{ClusterId, NamespaceId, ResourceId};
use meshproof_resources::{DestinationRule, Spec};

use super::{ID, revision, together};
use crate::Context;
use crate::hash::Map;

pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = names(ctx);
    findings.extend(destination_rules(ctx));
    findings.extend(side_by_side(ctx));
    findings
}

/// Groups resources by a key, in the order of the input.
pub(super) fn groups<K: std::hash::Hash + Eq>(
    ctx: &Context<'_>,
    key: impl Fn(ResourceId) -> Option<K>,
) -> Vec<Vec<ResourceId>> {
    // Most keys stand alone: only the second of a key opens a group.
    let mut first: Map<K, (ResourceId, usize)> = Map::default();
    let mut found: Vec<Vec<ResourceId>> = Vec::new();
    for at in 0..ctx.mesh.resources.len() as u32 {
        let id = ResourceId(at);
        let Some(key) = key(id) else { continue };
        let (one, group) = first.entry(key).or_insert((id, usize::MAX));
        if *one == id {
            continue;
        }
        if *group == usize::MAX {
            *group = found.len();
            found.push(vec![*one]);
        }
        found[*group].push(id);
    }
    found
}

/// One kind, namespace and name twice: whichever is applied last replaces the other.
fn names(ctx: &Context<'_>) -> Vec<Finding> {
    let key = |id: ResourceId| {
        let resource = ctx.resource(id);
        let meta = &resource.meta;
        let (cluster, namespace) = ctx.mesh.placement[id.index()];
        if let Some(namespace) = namespace
            && ctx.mesh.namespaces[namespace.index()].name.is_none()
        {
            return None;
        }
        let whole = !matches!(resource.spec, Spec::Patch(_)) && ctx.mesh.unrendered(id).is_none();
        let named = whole && !meta.name().is_empty();
        let group = meta.api_version.value.split_once('/').map_or("", |(group, _)| group);
        named.then(|| (cluster, namespace, group, meta.kind.value.as_str(), meta.name()))
    };
    let mut findings = Vec::new();
    for group in groups(ctx, key) {
        let Some((first, rest)) = group.split_first() else { continue };
        for other in rest {
            let (one, two) = (&ctx.resource(*first).meta, &ctx.resource(*other).meta);
            let same = same_text(ctx.sources.snippet(one.span), ctx.sources.snippet(two.span));
            // Two files are mostly variants of which one is applied.
            let one_file = one.span.source == two.span.source;
            let level = if same || !one_file { Level::Info } else { Level::Warning };
            let name = two.resource_name();
            let message = match same {
                true => format!("{name} is written twice, with the same content"),
                false => format!("{name} is written twice with different content; the one applied last wins"),
            };
            findings.push(
                Finding::new(
                    ID,
                    level,
                    Category::Conflict,
                    message,
                    Label::new(two.name_span(), "the second one"),
                )
                .with_resource(name)
                .with_related(one.name_span(), "the first one")
                .with_confidence(Confidence::Medium)
                .with_help("keep one, or check the folders of different environments one by one"),
            );
        }
    }
    findings
}

/// Equal apart from comments and white space at the line ends.
fn same_text(one: &str, two: &str) -> bool {
    lines(one).eq(lines(two))
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    // A quote after the mark may mean that the mark stands inside a value; then the line counts whole.
    let bare = |line: &str| -> usize {
        match line.split_once(" #") {
            Some((before, comment)) if !comment.contains(['"', '\'']) => before.trim_end().len(),
            _ => line.trim_end().len(),
        }
    };
    text.trim_end().lines().map(move |line| &line[..bare(line)]).filter(|line| !line.is_empty())
}

/// Of several rules for one host in one namespace only one traffic policy survives (mutual-TLS reference §2.4).
fn destination_rules(ctx: &Context<'_>) -> Vec<Finding> {
    type Key<'k> = (ClusterId, NamespaceId, Option<&'k str>, String, Vec<String>);
    let key = |id: ResourceId| -> Option<Key<'_>> {
        let resource = ctx.resource(id);
        let Spec::DestinationRule(rule) = &resource.spec else { return None };
        let (cluster, namespace) = ctx.mesh.placement[id.index()];
        let namespace = namespace?;
        let name = ctx.mesh.namespaces[namespace.index()].name.as_deref()?;
        if rule.workload_selector.is_some() || rule.traffic_policy.is_none() {
            return None;
        }
        let mut export: Vec<String> = rule.export_to.iter().map(|to| to.value.clone()).collect();
        export.sort_unstable();
        let host = resolve(&rule.host.as_ref()?.value, name, "cluster.local");
        Some((cluster, namespace, revision(&resource.meta), host, export))
    };
    let mut findings = Vec::new();
    for group in groups(ctx, key) {
        let Some((first, rest)) = group.split_first() else { continue };
        findings.extend(rest.iter().filter_map(|other| rule_pair(ctx, *first, *other)));
    }
    findings
}

/// Of rules for one host in one namespace with different `exportTo`, a client that sees several follows the newest alone
/// (mutual-TLS reference §2.4).
fn side_by_side(ctx: &Context<'_>) -> Vec<Finding> {
    let key = |id: ResourceId| {
        let resource = ctx.resource(id);
        let Spec::DestinationRule(rule) = &resource.spec else { return None };
        let (cluster, namespace) = ctx.mesh.placement[id.index()];
        let name = ctx.mesh.namespace(namespace?).name.as_deref()?;
        if rule.workload_selector.is_some() || rule.traffic_policy.is_none() {
            return None;
        }
        let host = resolve(&rule.host.as_ref()?.value, name, "cluster.local");
        Some((cluster, namespace, revision(&resource.meta), host))
    };
    let exports = |id: ResourceId| -> Vec<&str> {
        let Spec::DestinationRule(rule) = &ctx.resource(id).spec else { return Vec::new() };
        let mut values: Vec<&str> = rule.export_to.iter().map(|to| to.value.as_str()).collect();
        values.sort_unstable();
        values
    };
    let mut findings = Vec::new();
    for group in groups(ctx, key) {
        let Some((first, rest)) = group.split_first() else { continue };
        let (own, namespace) = (exports(*first), ctx.namespace_of(*first));
        let name = namespace.and_then(|id| ctx.mesh.namespace(id).name.as_deref()).unwrap_or_default();
        let meets = |other: &&ResourceId| {
            let theirs = exports(**other);
            own != theirs && share_a_client(&own, &theirs, name)
        };
        findings.extend(rest.iter().filter(meets).filter_map(|other| {
            let finding = rule_pair(ctx, *first, *other)?;
            let (one, two) = (&ctx.resource(*first).meta, &ctx.resource(*other).meta);
            let message = format!(
                "{} and {} are for one host with different exportTo; clients that see both follow the newer one alone",
                two.resource_name(),
                one.resource_name()
            );
            Some(Finding { message, level: finding.level.min(Level::Warning), ..finding })
        }));
    }
    findings
}

/// Whether a namespace sees both of two lists of `exportTo` in namespace `own`; an empty one means all namespaces.
fn share_a_client(one: &[&str], other: &[&str], own: &str) -> bool {
    let to_all = |list: &[&str]| list.is_empty() || list.contains(&"*");
    let nobody = |list: &[&str]| list == ["~"];
    let named = |list: &[&str], name: &str| {
        to_all(list) || list.contains(&name) || (name == own && list.contains(&"."))
    };
    let resolved = |value: &str| if value == "." { own.to_owned() } else { value.to_owned() };
    if nobody(one) || nobody(other) {
        return false;
    }
    to_all(one) || to_all(other) || one.iter().any(|value| named(other, &resolved(value)))
}

fn rule_pair(ctx: &Context<'_>, first: ResourceId, other: ResourceId) -> Option<Finding> {
    let (one, two) = (&ctx.resource(first).meta, &ctx.resource(other).meta);
    let (left, right) = (policy_span(ctx, first)?, policy_span(ctx, other)?);
    if one.name() == two.name() || same_text(ctx.sources.snippet(left), ctx.sources.snippet(right)) {
        return None;
    }
    let name = two.resource_name();
    let message = format!(
        "{name} and {} are for one host; only the trafficPolicy of the older one is used",
        one.resource_name()
    );
    let point = |span: meshproof_source::Span| {
        span.part(0, ctx.sources.snippet(span).lines().next().map_or(0, str::len))
    };
    Some(
        Finding::new(
            ID,
            together(ctx, first, other),
            Category::Conflict,
            message,
            Label::new(point(right), "not merged with the other one, field by field or otherwise"),
        )
        .with_resource(name)
        .with_related(point(left), "the other one")
        .with_help("write one DestinationRule per host, or merge the two trafficPolicies"),
    )
}

fn policy_span(ctx: &Context<'_>, id: ResourceId) -> Option<meshproof_source::Span> {
    let Spec::DestinationRule(rule) = &ctx.resource(id).spec else { return None };
    let rule: &DestinationRule = rule;
    rule.traffic_policy.as_ref().map(|policy| policy.span)
}
