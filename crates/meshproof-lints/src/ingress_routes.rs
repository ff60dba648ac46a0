//! Where ingress gateways send requests from outside: routes of VirtualServices and of the Gateway API.

use meshproof_ir::{Called, GatewayId, GatewayRole, ResourceId, ServiceId, WorkloadId};
use meshproof_resources::{ObjectRef, Route, Server, ServerTlsMode, Spec};

use crate::Context;
use crate::istio_gateways::{GatewayPods, bound, destination, server_mode, virtual_services};

/// Workloads looked at per destination.
const TRIED: usize = 8;

/// A route from a gateway whose clients need no certificate.
pub(crate) struct FromOutside {
    /// The pods of the gateway.
    pub(crate) proxy: WorkloadId,
    /// The Gateway, of either API.
    pub(crate) gateway: ResourceId,
    /// The VirtualService, HTTPRoute or the like.
    pub(crate) route: ResourceId,
    /// Workloads that it leads to.
    pub(crate) servers: Vec<WorkloadId>,
}

/// Every such route.
pub(crate) fn from_outside(ctx: &Context<'_>) -> Vec<FromOutside> {
    let mut found = of_virtual_services(ctx);
    for (id, gateway) in ctx.mesh.gateways_with_ids() {
        if gateway.role == GatewayRole::Ingress {
            found.extend(of_gateway(ctx, id));
        }
    }
    found
}

/// Whether clients need no certificate.
pub(crate) fn takes_anybody(server: &Server) -> bool {
    !matches!(
        server_mode(server),
        Some(ServerTlsMode::Mutual | ServerTlsMode::IstioMutual | ServerTlsMode::AutoPassthrough)
    )
}

fn of_virtual_services(ctx: &Context<'_>) -> Vec<FromOutside> {
    let pods = GatewayPods::new(ctx);
    let mut found = Vec::new();
    if pods.is_empty() {
        return found;
    }
    for (route, place, routes) in virtual_services(ctx) {
        // What calls of the mesh are sent through is a way out.
        if routes.gateways.iter().any(|name| name.value == "mesh") {
            continue;
        }
        let hosts = routes.http.iter().flat_map(|route| route.route.iter());
        let hosts = hosts.filter_map(|to| destination(ctx, place, to));
        let servers: Vec<WorkloadId> =
            hosts.flat_map(|host| host.workloads.iter().copied().take(TRIED)).collect();
        for bound in bound(ctx, place, routes) {
            if bound.gateway.servers.is_empty() || !bound.gateway.servers.iter().all(takes_anybody) {
                continue;
            }
            let proxies = pods.of(ctx, place.0, bound.gateway);
            let proxies = proxies.into_iter().map(|(proxy, _)| proxy);
            let of_proxy = |proxy| FromOutside { proxy, gateway: bound.id, route, servers: servers.clone() };
            found.extend(proxies.map(of_proxy));
        }
    }
    found
}

fn of_gateway(ctx: &Context<'_>, id: GatewayId) -> Vec<FromOutside> {
    let Some(proxy) = ctx.mesh.gateway_pods(id).next() else { return Vec::new() };
    let gateway = ctx.mesh.gateway(id);
    let routes = gateway.routes.iter().filter_map(|parent| match &ctx.resource(parent.route).spec {
        Spec::Route(route) => Some((parent.route, &**route)),
        _ => None,
    });
    routes
        .map(|(id, route)| {
            let services = backends(ctx, id, route).map(|(_, service)| service);
            let servers = services
                .flat_map(|service| ctx.mesh.services[service.index()].workloads.iter().copied().take(TRIED));
            FromOutside { proxy, gateway: gateway.resource, route: id, servers: servers.collect() }
        })
        .collect()
}

/// The Services that a route of the Gateway API sends to.
pub(crate) fn backends<'c>(
    ctx: &'c Context<'_>,
    id: ResourceId,
    route: &'c Route,
) -> impl Iterator<Item = (&'c ObjectRef, ServiceId)> {
    let (cluster, own) = ctx.mesh.placement[id.index()];
    route.rules.iter().flat_map(|rule| rule.backend_refs.iter()).filter_map(move |backend| {
        if backend.kind.as_ref().is_some_and(|kind| kind.value != "Service") {
            return None;
        }
        let namespace = match &backend.namespace {
            Some(name) => ctx.mesh.namespace_by_name(cluster, &name.value)?,
            None => own?,
        };
        match ctx.mesh.service_called(namespace, &backend.name.as_ref()?.value)? {
            Called::Service(service) => Some((backend, service)),
            _ => None,
        }
    })
}
