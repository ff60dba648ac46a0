//! Gateways of networking.istio.io: their pods, and the Services that VirtualServices lead to from them.

use meshproof_grammar::host::resolve;
use meshproof_ir::{Capture, ClusterId, NamespaceId, ResourceId, Workload, WorkloadId};
use meshproof_resources::{Gateway, RouteDestination, Server, ServerTlsMode, Spec, VirtualService};

use crate::Context;
use crate::clients::Host;

/// Pods looked at per Gateway.
const TRIED: usize = 8;

/// Pods that serve Gateway objects.
pub(crate) struct GatewayPods {
    all: Vec<WorkloadId>,
}

impl GatewayPods {
    pub(crate) fn new(ctx: &Context<'_>) -> Self {
        let gateways = ctx.mesh.workloads_with_ids().filter(|(_, pods)| pods.capture.is(&Capture::Gateway));
        GatewayPods { all: gateways.map(|(id, _)| id).collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The pods of a Gateway object, in whatever namespace.
    pub(crate) fn of<'c>(
        &self,
        ctx: &'c Context<'_>,
        cluster: ClusterId,
        gateway: &Gateway,
    ) -> Vec<(WorkloadId, &'c Workload)> {
        let serves = |pods: &Workload| {
            ctx.mesh.namespace(pods.namespace).cluster == cluster
                && gateway.selector.is_subset_of(&pods.labels)
        };
        let all = self.all.iter().map(|id| (*id, ctx.mesh.workload(*id)));
        all.filter(|(_, pods)| serves(pods)).take(TRIED).collect()
    }
}

/// A Gateway object that a VirtualService names.
pub(crate) struct Bound<'c> {
    pub(crate) id: ResourceId,
    pub(crate) gateway: &'c Gateway,
}

/// The Gateway objects that a VirtualService names: `name` of its own namespace, or `namespace/name`.
pub(crate) fn bound<'c>(
    ctx: &'c Context<'_>,
    (cluster, own): (ClusterId, NamespaceId),
    routes: &'c VirtualService,
) -> impl Iterator<Item = Bound<'c>> {
    routes.gateways.iter().filter(|name| name.value != "mesh").filter_map(move |name| {
        let (namespace, name) = match name.value.split_once('/') {
            Some((".", name)) => (own, name),
            Some((namespace, name)) => (ctx.mesh.namespace_by_name(cluster, namespace)?, name),
            None => (own, name.value.as_str()),
        };
        ctx.mesh.objects(cluster, Some(namespace), "Gateway", name).find_map(|id| {
            match &ctx.resource(id).spec {
                Spec::Gateway(gateway) => Some(Bound { id, gateway }),
                _ => None,
            }
        })
    })
}

/// Every VirtualService with its place.
pub(crate) fn virtual_services<'c>(
    ctx: &'c Context<'_>,
) -> impl Iterator<Item = (ResourceId, (ClusterId, NamespaceId), &'c VirtualService)> {
    ctx.mesh.resources.iter().enumerate().filter_map(|(at, resource)| {
        let (cluster, namespace) = ctx.mesh.placement[at];
        match &resource.spec {
            Spec::VirtualService(routes) => Some((ResourceId(at as u32), (cluster, namespace?), &**routes)),
            _ => None,
        }
    })
}

/// The Service that a destination means.
pub(crate) fn destination<'c>(
    ctx: &'c Context<'_>,
    (cluster, own): (ClusterId, NamespaceId),
    destination: &RouteDestination,
) -> Option<&'c Host<'c>> {
    let own = ctx.mesh.namespace(own).name.as_deref()?;
    let name = resolve(&destination.host.as_ref()?.value, own, "cluster.local");
    let at = ctx.clients().named(cluster, &name).next()?;
    ctx.clients().hosts.get(at as usize)
}

/// The mode of a server's TLS; none for plaintext. `tls` without `mode` passes through.
pub(crate) fn server_mode(server: &Server) -> Option<ServerTlsMode> {
    let tls = server.tls.as_ref()?;
    Some(tls.mode.as_ref().map_or(ServerTlsMode::Passthrough, |mode| mode.value))
}
