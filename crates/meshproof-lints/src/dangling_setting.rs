//! `dangling-setting`: ports and subsets of a DestinationRule that its host does not have.
//!
//! `portLevelSettings` are keyed by the Service's port, unlike `portLevelMtls` (mutual-TLS reference §2.5, DR16).

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::ServiceId;
use meshproof_resources::{PortTrafficPolicy, Spec, Subset};

use crate::Context;
use crate::clients::{ClientRule, Host};
use crate::selectors::asks_for_later_labels;

const ID: &str = "dangling-setting";
/// Workloads and subsets looked at per Service.
const LOOKED_AT: usize = 1_000;

/// Runs the lint: one finding per port entry and per subset.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let rules = &ctx.clients().rules;
    // What a wildcard covers beyond the input nobody knows.
    for rule in rules.iter().filter(|rule| !rule.host.starts_with('*') && !rule.covers.is_empty()) {
        let subsets = rule.rule.subsets.iter().take(LOOKED_AT);
        let policies = rule.rule.traffic_policy.iter();
        let of_subsets = subsets.clone().filter_map(|subset| subset.traffic_policy.as_ref());
        let entries = policies.chain(of_subsets).flat_map(|policy| policy.port_level.iter());
        findings.extend(entries.filter_map(|entry| port(ctx, rule, entry)));
        findings.extend(subsets.filter_map(|own| subset(ctx, rule, own)));
    }
    findings
}

fn hosts<'h>(ctx: &'h Context<'_>, rule: &'h ClientRule<'_>) -> impl Iterator<Item = &'h Host<'h>> {
    rule.covers.iter().map(|at| &ctx.clients().hosts[*at as usize])
}

fn port(ctx: &Context<'_>, rule: &ClientRule<'_>, entry: &PortTrafficPolicy) -> Option<Finding> {
    let port = entry.port.as_ref()?;
    let mut ports: Vec<u16> = hosts(ctx, rule).flat_map(|host| &host.ports).map(|port| port.number).collect();
    ports.sort_unstable();
    ports.dedup();
    // Aliases have no ports of their own.
    if ports.is_empty() || ports.binary_search(&port.value).is_ok() {
        return None;
    }
    let meant = hosts(ctx, rule).find_map(|host| service_port(ctx, host, port.value));
    let name = ctx.resource(rule.id).meta.resource_name();
    let message = format!("{name} sets something for port {}, which {} does not have", port.value, rule.host);
    let known: Vec<String> = ports.iter().take(8).map(u16::to_string).collect();
    let label = match meant {
        Some(_) => "the pods' port; clients call the Service's".to_owned(),
        None => format!("the host has {}", known.join(", ")),
    };
    let finding = Finding::new(ID, Level::Warning, Category::Dead, message, Label::new(port.span, label))
        .with_resource(name)
        .with_confidence(Confidence::Medium);
    Some(match meant {
        Some(meant) => finding
            .with_help(format!("write {meant} here: portLevelSettings are keyed by the port of the Service"))
            .with_edit(ctx.inner(port.span), meant.to_string()),
        None => finding.with_help("use a port of the Service, or remove the entry"),
    })
}

/// The port of a Service that leads to this port of its pods.
fn service_port(ctx: &Context<'_>, host: &Host<'_>, target: u16) -> Option<u16> {
    let service = service_of(ctx, host)?;
    let spec = ctx.mesh.service_spec(service)?;
    let first = ctx.mesh.workload(*host.workloads.first()?);
    let port = first.ports.iter().find(|port| port.number == target)?;
    let binding = port.bindings.iter().find(|binding| binding.service == service)?;
    Some(spec.ports.get(binding.port)?.port.value)
}

fn service_of(ctx: &Context<'_>, host: &Host<'_>) -> Option<ServiceId> {
    let first = ctx.mesh.workload(*host.workloads.first()?);
    first.services.iter().copied().find(|id| ctx.mesh.services[id.index()].resource == host.resource)
}

fn subset(ctx: &Context<'_>, rule: &ClientRule<'_>, subset: &Subset) -> Option<Finding> {
    let [at] = rule.covers.as_slice() else { return None };
    let host = &ctx.clients().hosts[*at as usize];
    let is_service = matches!(ctx.resource(host.resource).spec, Spec::Service(_));
    let (_, first) = subset.labels.entries.first()?;
    let found = |id: &meshproof_ir::WorkloadId| subset.labels.is_subset_of(&ctx.mesh.workload(*id).labels);
    if !is_service
        || host.workloads.is_empty()
        || host.workloads.len() > LOOKED_AT
        || asks_for_later_labels(&subset.labels)
        || host.workloads.iter().any(found)
    {
        return None;
    }
    let meta = &ctx.resource(rule.id).meta;
    let name = meta.resource_name();
    let own = subset.name.as_ref()?;
    let used = ctx.clients().is_subset_used(rule.cluster, host.name, &own.value);
    let unsure = ctx.is_incomplete(host.namespace) || ctx.has_operators(host.namespace);
    let level = if used && !unsure { Level::Warning } else { Level::Info };
    let message = match used {
        true => {
            format!("a route sends to subset {} of {name}, which selects no pod of {}", own.value, host.name)
        }
        false => format!("subset {} of {name} selects no pod of {}", own.value, host.name),
    };
    let category = if used { Category::Outage } else { Category::Dead };
    Some(
        Finding::new(
            ID,
            level,
            category,
            message,
            Label::new(first.span, "no pod of the Service has this label"),
        )
        .with_resource(name)
        .with_confidence(Confidence::Medium)
        .with_related(ctx.resource(host.resource).meta.name_span(), "the Service")
        .with_help("labels of subsets are compared with the labels of the pod template, letter by letter"),
    )
}
