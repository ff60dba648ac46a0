//! `dead-end-waypoint`: ingress gateways that are told to use a waypoint which takes no tunnels on port 15008 (waypoint
//! reference, N3).

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_ir::{Called, Fact, GatewayId, IngressRoute, ServiceId};

use crate::Context;
use crate::hash::Set;
use crate::ingress_routes::from_outside;

const ID: &str = "dead-end-waypoint";

/// Runs the lint: one finding per Service.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    if ctx.mesh.gateways.is_empty() {
        return Vec::new();
    }
    let mut seen: Set<ServiceId> = Set::default();
    let mut findings = Vec::new();
    for way in from_outside(ctx) {
        for id in &way.servers {
            for service in &ctx.mesh.workload(*id).services {
                if seen.insert(*service)
                    && let Some(waypoint) = dead_end(ctx, *service)
                {
                    findings.push(finding(ctx, *service, waypoint, &way));
                }
            }
        }
    }
    findings
}

/// The waypoint of a Service that gateways do not reach.
fn dead_end(ctx: &Context<'_>, service: ServiceId) -> Option<GatewayId> {
    let called = Called::Service(service);
    let Fact::Known(binding, _) = ctx.mesh.waypoint_of(called) else { return None };
    let waypoint = binding.waypoint.ok()?;
    let is_nowhere = matches!(ctx.mesh.ingress_route(called), Fact::Known(IngressRoute::Nowhere(_), _));
    is_nowhere.then_some(waypoint)
}

fn finding(
    ctx: &Context<'_>,
    service: ServiceId,
    waypoint: GatewayId,
    way: &crate::ingress_routes::FromOutside,
) -> Finding {
    let object = &ctx.resource(ctx.mesh.services[service.index()].resource).meta;
    let proxy = ctx.mesh.workload(way.proxy);
    let gateway = ctx.mesh.gateway_display(waypoint);
    let message = format!(
        "requests from outside for {} go nowhere: gateways are told to send them through waypoint {gateway}, whose Service has no port 15008",
        object.resource_name()
    );
    let because = vec![
        "istio.io/ingress-use-waypoint holds for the Service".to_owned(),
        format!("gateways look for the endpoints of {gateway} on port 15008, and there are none"),
    ];
    let witness = Witness {
        from: "plaintext".to_owned(),
        to: ctx.workload_name(proxy),
        port: None,
        transport: Some("plaintext"),
        method: Some("GET".to_owned()),
        path: Some("/".to_owned()),
        decision: Decision::Deny,
        because,
    };
    let spec = ctx.mesh.gateway_spec(waypoint);
    let listener = spec.and_then(|spec| spec.listeners.iter().next()).map(|listener| listener.span);
    let place = ctx.resource(ctx.mesh.gateway(waypoint).resource).meta.name_span();
    let mut finding = Finding::new(
        ID,
        Level::Warning,
        Category::Outage,
        message,
        Label::new(place, "has no listener on port 15008"),
    )
    .with_resource(ctx.resource(ctx.mesh.gateway(waypoint).resource).meta.resource_name())
    .with_confidence(Confidence::Medium)
    .with_related(object.name_span(), "this Service")
    .with_related(ctx.resource(way.route).meta.name_span(), "routes requests from outside")
    .with_witness(witness)
    .with_help("give the waypoint a listener with protocol HBONE on port 15008");
    if let Some(listener) = listener {
        let first = ctx.sources.snippet(listener).lines().next().map_or(0, str::len);
        finding = finding.with_related(listener.part(0, first), "its listener");
    }
    finding
}
