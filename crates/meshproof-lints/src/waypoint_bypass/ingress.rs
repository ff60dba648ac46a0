//! Ingress gateways, which send around waypoints unless told otherwise.

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level, Witness};
use meshproof_ir::{Called, Fact, GatewayId, GatewayRole, IngressRoute, ResourceId, ServiceId};
use meshproof_resources::{ObjectRef, Spec};

use super::{Guarded, ID, refuses};
use crate::Context;
use crate::hash::{Map, Set};
use crate::ingress_routes::backends;
use crate::network::may_be_shielded;
use crate::proof::is_settled;
use crate::waypoint_calls::{calls_from, refused_only_by};

/// One finding per route and Service.
pub(super) fn findings(ctx: &Context<'_>, guarded: &[Guarded]) -> Vec<Finding> {
    if guarded.is_empty() {
        return Vec::new();
    }
    let by_service: Map<ServiceId, &Guarded> =
        guarded.iter().map(|guarded| (guarded.service, guarded)).collect();
    let mut told = Set::default();
    let mut findings = Vec::new();
    for (id, gateway) in ctx.mesh.gateways_with_ids() {
        if gateway.role != GatewayRole::Ingress {
            continue;
        }
        for parent in &gateway.routes {
            let Spec::Route(route) = &ctx.resource(parent.route).spec else { continue };
            for (backend, service) in backends(ctx, parent.route, route) {
                let Some(guarded) = by_service.get(&service) else { continue };
                if told.insert((parent.route, service)) {
                    findings.extend(finding(ctx, id, parent.route, backend, guarded));
                }
            }
        }
    }
    findings
}

fn finding(
    ctx: &Context<'_>,
    gateway: GatewayId,
    route: ResourceId,
    backend: &ObjectRef,
    guarded: &Guarded,
) -> Option<Finding> {
    let way = ctx.mesh.ingress_route(Called::Service(guarded.service));
    if !way.is(&IngressRoute::Endpoints) {
        return None;
    }
    let identity = ctx.mesh.gateway_identity(gateway)?;
    let from = format!("{}/{}", identity.namespace.as_ref()?, identity.account);
    let service = &ctx.mesh.services[guarded.service.index()];
    let policies = guarded.policies.iter().filter(|id| refuses(ctx, **id)).take(8);
    let (policy, workload, witness) = policies.filter_map(|id| ctx.policies.get(*id)).find_map(|policy| {
        service.workloads.iter().take(4).find_map(|id| {
            let workload = ctx.mesh.workload(*id);
            if !is_settled(ctx, workload) || may_be_shielded(ctx, workload) {
                return None;
            }
            let tried = calls_from(ctx, &from, policy, workload);
            let witness = refused_only_by(ctx, &guarded.policies, workload, tried)?;
            Some((policy, workload, witness))
        })
    })?;
    let name = policy.meta.resource_name();
    let object = &ctx.resource(service.resource).meta;
    let message = format!(
        "Gateway {} sends requests for {} around its waypoint {}, where {name} stands",
        ctx.mesh.gateway_display(gateway),
        object.resource_name(),
        ctx.mesh.gateway_display(guarded.waypoint)
    );
    let because = vec![
        format!("{} would refuse it, and stands at the waypoint of the Service", policy.name()),
        "ingress gateways send to the pods directly unless istio.io/ingress-use-waypoint says otherwise"
            .to_owned(),
        "what is enforced at the pods lets it in".to_owned(),
    ];
    let mut finding = Finding::new(
        ID,
        Level::Warning,
        Category::Hole,
        message,
        Label::new(backend.name.as_ref()?.span, "requests from outside reach the pods past the policy"),
    )
    .with_resource(ctx.resource(route).meta.resource_name())
    .with_confidence(Confidence::Medium)
    .with_related(policy.meta.name_span(), "enforced at the waypoint only")
    .with_related(ctx.workload_span(workload), "these pods are called directly")
    .with_witness(Witness { because, ..witness })
    .with_help("label the Service with `istio.io/ingress-use-waypoint: \"true\"`");
    if let Fact::Known(_, origin) = way
        && let Some(span) = origin.span()
    {
        finding = finding.with_related(span, "not told to use the waypoint");
    }
    Some(finding)
}
