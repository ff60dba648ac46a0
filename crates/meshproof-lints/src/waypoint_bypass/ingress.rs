//! Ingress gateways, which send around waypoints unless told otherwise: routes of the Gateway API, and VirtualServices
//! of Gateway objects.

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level, Witness};
use meshproof_ir::{
    Called, Capture, Fact, GatewayId, GatewayRole, IngressRoute, ResourceId, ServiceId, WorkloadId,
};
use meshproof_resources::Spec;
use meshproof_source::Span;

use super::{Guarded, ID, refuses};
use crate::Context;
use crate::hash::{Map, Set};
use crate::ingress_routes::backends;
use crate::network::{may_be_shielded, may_be_stopped};
use crate::proof::is_settled;
use crate::waypoint_calls::{calls_from, refused_only_by};

/// Destinations looked at, over all gateways; beyond it nothing more is claimed.
const TARGETS: usize = 100_000;

/// A route that leads to a Service.
struct Way {
    /// `namespace/name` of the Gateway, or the name of the pods that serve Gateway objects.
    gateway: String,
    /// `namespace/account` that the server sees.
    from: String,
    /// The pods of the gateway, where they are in the input.
    pods: Option<WorkloadId>,
    /// The HTTPRoute or VirtualService.
    route: ResourceId,
    /// The destination in it.
    place: Span,
}

/// One finding per route and Service.
pub(super) fn findings(ctx: &Context<'_>, guarded: &[Guarded]) -> Vec<Finding> {
    if guarded.is_empty() {
        return Vec::new();
    }
    let by_service: Map<ServiceId, &Guarded> =
        guarded.iter().map(|guarded| (guarded.service, guarded)).collect();
    let mut told = Set::default();
    let mut findings = Vec::new();
    for (way, service) in by_routes(ctx).into_iter().chain(by_virtual_services(ctx, guarded)) {
        let Some(guarded) = by_service.get(&service) else { continue };
        if told.insert((way.route, service)) {
            findings.extend(finding(ctx, &way, guarded));
        }
    }
    findings
}

/// Where Gateways of the Gateway API send to.
fn by_routes(ctx: &Context<'_>) -> Vec<(Way, ServiceId)> {
    let mut ways = Vec::new();
    let ingress = ctx.mesh.gateways_with_ids().filter(|(_, gateway)| gateway.role == GatewayRole::Ingress);
    for (id, gateway) in ingress {
        let Some(from) = account(ctx, id) else { continue };
        for parent in &gateway.routes {
            let Spec::Route(route) = &ctx.resource(parent.route).spec else { continue };
            for (backend, service) in backends(ctx, parent.route, route) {
                let Some(name) = &backend.name else { continue };
                let way = Way {
                    gateway: format!("Gateway {}", ctx.mesh.gateway_display(id)),
                    from: from.clone(),
                    pods: ctx.mesh.gateway_pods(id).next(),
                    route: parent.route,
                    place: name.span,
                };
                ways.push((way, service));
            }
        }
    }
    ways
}

/// Where the pods of Gateway objects send to, as far as it is guarded.
fn by_virtual_services(ctx: &Context<'_>, guarded: &[Guarded]) -> Vec<(Way, ServiceId)> {
    let by_host: Map<&str, Vec<ServiceId>> = guarded.iter().fold(Map::default(), |mut map, guarded| {
        if let Some(name) = ctx.mesh.services[guarded.service.index()].fqdn.as_deref() {
            map.entry(name).or_insert_with(Vec::new).push(guarded.service);
        }
        map
    });
    let mut ways = Vec::new();
    let mut looked_at = 0;
    for (id, workload) in ctx.mesh.workloads_with_ids() {
        if !workload.capture.is(&Capture::Gateway) || looked_at > TARGETS {
            continue;
        }
        let namespace = ctx.mesh.namespace(workload.namespace);
        let (Some(own), Some(account)) = (namespace.name.as_deref(), workload.service_account.known()) else {
            continue;
        };
        let targets = ctx.transport().gateway_targets(id);
        looked_at += targets.len();
        for target in targets {
            let (Some(route), Some(place)) = (target.route, target.span) else { continue };
            let services = by_host.get(target.host.as_str()).into_iter().flatten().copied();
            let of_cluster = |service: &ServiceId| {
                let place = ctx.mesh.services[service.index()].namespace;
                ctx.mesh.namespace(place).cluster == namespace.cluster
            };
            ways.extend(services.filter(of_cluster).map(|service| {
                let way = Way {
                    gateway: ctx.workload_name(workload),
                    from: format!("{own}/{account}"),
                    pods: Some(id),
                    route,
                    place,
                };
                (way, service)
            }));
        }
    }
    ways
}

/// `namespace/account` of a Gateway of the Gateway API.
fn account(ctx: &Context<'_>, gateway: GatewayId) -> Option<String> {
    let identity = ctx.mesh.gateway_identity(gateway)?;
    Some(format!("{}/{}", identity.namespace.as_ref()?, identity.account))
}

fn finding(ctx: &Context<'_>, way: &Way, guarded: &Guarded) -> Option<Finding> {
    let told = ctx.mesh.ingress_route(Called::Service(guarded.service));
    if !told.is(&IngressRoute::Endpoints) {
        return None;
    }
    let service = &ctx.mesh.services[guarded.service.index()];
    let policies = guarded.policies.iter().filter(|id| refuses(ctx, **id)).take(8);
    let (policy, workload, witness) = policies.filter_map(|id| ctx.policies.get(*id)).find_map(|policy| {
        service.workloads.iter().take(4).find_map(|id| {
            let workload = ctx.mesh.workload(*id);
            if !is_settled(ctx, workload) {
                return None;
            }
            // A gateway of the input is asked about by itself; of others it is not known what they may send.
            let tried = calls_from(ctx, &way.from, policy, workload).filter(|(_, port)| match way.pods {
                Some(pods) => !may_be_stopped(ctx, pods, *id, port.number),
                None => !may_be_shielded(ctx, workload),
            });
            let witness = refused_only_by(ctx, &guarded.policies, workload, tried)?;
            Some((policy, workload, witness))
        })
    })?;
    let name = policy.meta.resource_name();
    let object = &ctx.resource(service.resource).meta;
    let message = format!(
        "{} sends requests for {} around its waypoint {}, where {name} stands",
        way.gateway,
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
        Label::new(way.place, "requests from outside reach the pods past the policy"),
    )
    .with_resource(ctx.resource(way.route).meta.resource_name())
    .with_confidence(Confidence::Medium)
    .with_related(policy.meta.name_span(), "enforced at the waypoint only")
    .with_related(ctx.workload_span(workload), "these pods are called directly")
    .with_witness(Witness { because, ..witness })
    .with_help("label the Service with `istio.io/ingress-use-waypoint: \"true\"`");
    if let Fact::Known(_, origin) = told
        && let Some(span) = origin.span()
    {
        finding = finding.with_related(span, "not told to use the waypoint");
    }
    Some(finding)
}
