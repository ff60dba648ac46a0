//! `protocol-conflict`: Services that send different protocols to one port of the same pods (mutual-TLS reference §5,
//! §11.3 ST26).

use std::collections::BTreeMap;

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Called, PortBinding, ServiceId, Workload, WorkloadPort};
use meshproof_source::Span;

use crate::Context;
use crate::peers::is_protected;

const ID: &str = "protocol-conflict";
/// Services looked at per port.
const LOOKED_AT: usize = 64;

/// Runs the lint: one finding per pair of Services.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut found: BTreeMap<(ServiceId, ServiceId), Finding> = BTreeMap::new();
    for workload in ctx.mesh.workloads.iter().filter(|workload| is_protected(workload)) {
        // Listeners written in a Sidecar, and ztunnel, do not ask the Services.
        if workload.sidecar.is_some() || workload.ambient.is_some() {
            continue;
        }
        for port in workload.ports.iter().filter(|port| port.bindings.len() > 1) {
            if let Some((pair, finding)) = at_port(ctx, workload, port) {
                found.entry(pair).or_insert(finding);
            }
        }
    }
    found.into_values().collect()
}

/// Class and place of a Service port.
fn class(ctx: &Context<'_>, binding: &PortBinding) -> Option<(ProtocolClass, Span)> {
    let spec = ctx.mesh.service_spec(binding.service)?;
    let port = spec.ports.get(binding.port)?;
    let ports = ctx.mesh.chain_ports(Called::Service(binding.service));
    let class = ports.iter().find(|chain| chain.span == port.port.span)?.class;
    let written = port.app_protocol.as_ref().or(port.name.as_ref());
    Some((class, written.map_or(port.port.span, |text| text.span)))
}

fn at_port(
    ctx: &Context<'_>,
    workload: &Workload,
    port: &WorkloadPort,
) -> Option<((ServiceId, ServiceId), Finding)> {
    let mut bindings = port.bindings.iter().take(LOOKED_AT);
    let first = bindings.next()?;
    let (one, place) = class(ctx, first)?;
    let (other, (two, other_place)) = bindings.find_map(|binding| {
        let found = class(ctx, binding).filter(|(class, _)| *class != one)?;
        Some((binding, found)).filter(|_| binding.service != first.service)
    })?;
    let meta = |id: ServiceId| &ctx.resource(ctx.mesh.services[id.index()].resource).meta;
    let name = meta(other.service).resource_name();
    let message = format!(
        "{name} and {} send {} and {} to port {} of {}; the older of them decides which policies can be enforced there",
        meta(first.service).resource_name(),
        spoken(two),
        spoken(one),
        port.number,
        ctx.workload_name(workload)
    );
    // Without policies it is a matter of metrics.
    let level = if workload.policies.is_empty() { Level::Info } else { Level::Warning };
    let finding = Finding::new(
        ID,
        level,
        Category::Conflict,
        message,
        Label::new(other_place, format!("{} here", spoken(two))),
    )
    .with_resource(name)
    .with_confidence(Confidence::Medium)
    .with_related(place, format!("{} here", spoken(one)))
    .with_help("give both Service ports a name or an appProtocol of one protocol");
    Some(((first.service, other.service), finding))
}

fn spoken(class: ProtocolClass) -> &'static str {
    match class {
        ProtocolClass::Http => "HTTP",
        ProtocolClass::Tcp => "TCP",
        ProtocolClass::Auto => "a protocol without a name",
        ProtocolClass::Udp => "datagrams",
    }
}
