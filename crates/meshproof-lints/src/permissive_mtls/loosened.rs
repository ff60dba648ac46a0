//! PeerAuthentications that take back a STRICT, or say it where nobody listens.

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::{NamespaceId, ResourceId, Workload};
use meshproof_resources::{MtlsMode, PeerAuthentication, Spec};

use super::ID;
use crate::Context;
use crate::conflicting_rules::revision;
use crate::context::{captured_ports, served_ports};
use crate::hash::{Map, Set};
use crate::peers::{is_protected, peer_authentications, selected, takes_plaintext};

pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let strict = strict_scopes(ctx);
    let deciders = deciders(ctx);
    let mut findings = Vec::new();
    for (id, policy) in peer_authentications(ctx) {
        findings.extend(ignored_in_root(ctx, id, policy));
        findings.extend(looser_than_above(ctx, id, policy, &strict, &deciders));
        findings.extend(looser_ports(ctx, id, policy));
        findings.extend(service_port_keys(ctx, id, policy));
    }
    findings.extend(beside_strict(ctx, &deciders));
    findings
}

/// The STRICT object of a namespace as a whole; of the root namespace it holds for the mesh.
fn strict_scopes(ctx: &Context<'_>) -> Map<NamespaceId, ResourceId> {
    let mut scopes = Map::default();
    for (id, policy) in peer_authentications(ctx) {
        let strict = policy.mode.as_ref().is_some_and(|mode| mode.value == MtlsMode::Strict);
        if let (true, false, Some(namespace)) = (strict, policy.selects_workloads(), ctx.namespace_of(id)) {
            scopes.entry(namespace).or_insert(id);
        }
    }
    scopes
}

/// One workload per object that decides for a whole workload.
fn deciders<'c>(ctx: &'c Context<'_>) -> Map<ResourceId, &'c Workload> {
    let mut found = Map::default();
    for workload in ctx.mesh.workloads.iter().filter(|workload| is_protected(workload)) {
        if let Some(id) = workload.mode.decided_by {
            found.entry(id).or_insert(workload);
        }
    }
    found
}

fn warning(ctx: &Context<'_>, id: ResourceId, category: Category, message: String, label: Label) -> Finding {
    Finding::new(ID, Level::Warning, category, message, label)
        .with_resource(ctx.resource(id).meta.resource_name())
        .with_confidence(Confidence::Medium)
}

/// Selectors have no effect in the root namespace (mutual-TLS reference §1.2).
fn ignored_in_root(ctx: &Context<'_>, id: ResourceId, policy: &PeerAuthentication) -> Option<Finding> {
    let namespace = ctx.namespace_of(id)?;
    if !policy.selects_workloads() || !ctx.is_root(namespace) {
        return None;
    }
    let name = ctx.resource(id).meta.resource_name();
    let selector = policy.selector.as_ref()?;
    let message =
        format!("{name} is ignored: in the root namespace a PeerAuthentication cannot select workloads");
    let label = Label::new(
        selector.match_labels.key.unwrap_or(selector.span),
        "a selector here makes Istio ignore the object",
    );
    Some(warning(ctx, id, Category::Hole, message, label).with_help("put it into the namespace of the workloads, or remove the selector to set the mode of the whole mesh"))
}

/// The most specific object wins, not the strictest.
fn looser_than_above(
    ctx: &Context<'_>,
    id: ResourceId,
    policy: &PeerAuthentication,
    strict: &Map<NamespaceId, ResourceId>,
    deciders: &Map<ResourceId, &Workload>,
) -> Option<Finding> {
    let mode =
        policy.mode.as_ref().filter(|mode| matches!(mode.value, MtlsMode::Permissive | MtlsMode::Disable))?;
    let workload = deciders.get(&id)?;
    let namespace = ctx.namespace_of(id).filter(|namespace| !ctx.is_root(*namespace))?;
    let cluster = ctx.mesh.namespaces[namespace.index()].cluster;
    let of_mesh = || {
        let root = ctx.mesh.settings_of(cluster).root();
        ctx.mesh.namespace_by_name(cluster, root).and_then(|root| strict.get(&root))
    };
    let own = strict.get(&namespace).filter(|_| policy.selects_workloads());
    let above = *own.or_else(of_mesh).filter(|above| **above != id)?;
    if revision(&ctx.resource(above).meta) != revision(&ctx.resource(id).meta) {
        return None;
    }
    let name = ctx.resource(id).meta.resource_name();
    let word = mode.value.as_str();
    let message = format!(
        "{name} opens {} to plaintext: {word} here replaces STRICT of {}",
        ctx.workload_name(workload),
        ctx.resource(above).meta.resource_name()
    );
    let place = match &ctx.resource(above).spec {
        Spec::PeerAuthentication(above) => above.mode.as_ref().map(|mode| mode.span),
        _ => None,
    };
    let finding =
        warning(ctx, id, Category::Hole, message, Label::new(mode.span, "the more specific object wins"))
            .with_help("use STRICT, or keep the exception as small as it can be: one workload, one port");
    Some(match place {
        Some(span) => finding.with_related(span, "the wider object says STRICT"),
        None => finding,
    })
}

/// Workloads that take plaintext by default while somebody made others of their namespace STRICT one by one.
fn beside_strict(ctx: &Context<'_>, deciders: &Map<ResourceId, &Workload>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut told: Set<NamespaceId> = Set::default();
    for (id, policy) in peer_authentications(ctx) {
        let strict = policy.mode.as_ref().filter(|mode| mode.value == MtlsMode::Strict);
        let (Some(mode), Some(namespace)) = (strict, ctx.namespace_of(id)) else { continue };
        if !policy.selects_workloads() || !deciders.contains_key(&id) || told.contains(&namespace) {
            continue;
        }
        let members = ctx.mesh.namespaces[namespace.index()].workloads.iter();
        let by_default = |workload: &&Workload| {
            is_protected(workload)
                && workload.mode.decided_by.is_none()
                && captured_ports(workload).any(takes_plaintext)
        };
        let open: Vec<&Workload> =
            members.map(|id| &ctx.mesh.workloads[id.index()]).filter(by_default).collect();
        let Some(first) = open.first() else { continue };
        told.insert(namespace);
        let name = ctx.resource(id).meta.resource_name();
        let rest = match open.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more of the namespace"),
        };
        let message = format!(
            "{}{rest} take plaintext: {name} makes other workloads STRICT, and no object sets their mode",
            ctx.workload_name(first)
        );
        let label = Label::new(mode.span, "STRICT for the selected workloads only");
        findings.push(
            warning(ctx, id, Category::Hole, message, label)
                .with_confidence(Confidence::Low)
                .with_related(ctx.workload_span(first), "PERMISSIVE, the default")
                .with_help("set STRICT for the namespace with a PeerAuthentication without a selector"),
        );
    }
    findings
}

/// Port entries that open a port of an otherwise STRICT workload.
fn looser_ports(ctx: &Context<'_>, id: ResourceId, policy: &PeerAuthentication) -> Vec<Finding> {
    let open: Vec<_> = policy
        .port_level
        .iter()
        .filter(|(_, mode)| matches!(mode.value, MtlsMode::Permissive | MtlsMode::Disable))
        .collect();
    if open.is_empty() {
        return Vec::new();
    }
    let workloads = selected(ctx, id, policy);
    let finding = |(port, mode): &(meshproof_source::Spanned<u16>, meshproof_source::Spanned<MtlsMode>)| {
        let workload = workloads.iter().find(|workload| {
            is_protected(workload)
                && workload.mode.mode.is(&MtlsMode::Strict)
                && captured_ports(workload).any(|at| at.number == port.value && takes_plaintext(at))
        })?;
        let name = ctx.resource(id).meta.resource_name();
        let message = format!(
            "{name} opens {}:{} to plaintext, while the workload is STRICT",
            ctx.workload_name(workload),
            port.value
        );
        let label = Label::new(mode.span, "plaintext is accepted on this port");
        let finding = warning(ctx, id, Category::Hole, message, label)
            .with_help("if only probes or scrapers need the port, suppress this with a reason");
        Some(match workload.mode.mode.span() {
            Some(span) => finding.with_related(span, "STRICT for the other ports"),
            None => finding,
        })
    };
    open.into_iter().filter_map(finding).collect()
}

/// `portLevelMtls` is keyed by the workload's port, not by the Service's.
fn service_port_keys(ctx: &Context<'_>, id: ResourceId, policy: &PeerAuthentication) -> Vec<Finding> {
    if policy.port_level.is_empty() {
        return Vec::new();
    }
    let workloads = selected(ctx, id, policy);
    let finding = |(port, mode): &(meshproof_source::Spanned<u16>, meshproof_source::Spanned<MtlsMode>)| {
        let (workload, target) = workloads.iter().find_map(|workload| {
            let mut ports = served_ports(workload);
            if ports.any(|at| at.number == port.value) {
                return None;
            }
            let target = served_ports(workload).find(|at| {
                at.bindings.iter().any(|binding| {
                    let service = &ctx.mesh.services[binding.service.index()];
                    match &ctx.resource(service.resource).spec {
                        Spec::Service(spec) => {
                            spec.ports.get(binding.port).is_some_and(|at| at.port.value == port.value)
                        }
                        _ => false,
                    }
                })
            })?;
            Some((*workload, target))
        })?;
        let name = ctx.resource(id).meta.resource_name();
        let current = target.mode.mode.known().map_or("unknown", |mode| mode.as_str());
        let message = format!(
            "{name} sets {} on port {}, which no pod of {} listens on; port {} behind it stays {current}",
            mode.value.as_str(),
            port.value,
            ctx.workload_name(workload),
            target.number
        );
        let label = Label::new(port.span, format!("a Service port; the pods listen on {}", target.number));
        let category = if mode.value == MtlsMode::Strict { Category::Hole } else { Category::Dead };
        Some(
            warning(ctx, id, category, message, label)
                .with_help(format!(
                    "write {} here: portLevelMtls is keyed by the port of the pods",
                    target.number
                ))
                .with_edit(ctx.inner(port.span), target.number.to_string()),
        )
    };
    policy.port_level.iter().filter_map(finding).collect()
}
