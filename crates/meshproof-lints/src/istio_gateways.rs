//! Gateways of networking.istio.io: their pods, and the Services that VirtualServices lead to from them.

use meshproof_grammar::host::resolve;
use meshproof_ir::{Capture, ClusterId, NamespaceId, ResourceId, Workload, WorkloadId};
use meshproof_resources::{Gateway, RouteDestination, Server, ServerTlsMode, Spec, VirtualService};

use crate::Context;
use crate::clients::Host;
use crate::hash::Map;

/// Pods looked at per Gateway.
const TRIED: usize = 8;

/// Pods that serve Gateway objects, by label.
pub(crate) struct GatewayPods<'c> {
    by_label: Map<(ClusterId, &'c str, &'c str), Vec<WorkloadId>>,
}

impl<'c> GatewayPods<'c> {
    pub(crate) fn new(ctx: &'c Context<'_>) -> Self {
        let mut by_label: Map<(ClusterId, &'c str, &'c str), Vec<WorkloadId>> = Map::default();
        for (id, pods) in ctx.mesh.workloads_with_ids().filter(|(_, pods)| pods.capture.is(&Capture::Gateway))
        {
            let cluster = ctx.mesh.namespace(pods.namespace).cluster;
            for (key, value) in &pods.labels.entries {
                by_label.entry((cluster, &key.value, &value.value)).or_default().push(id);
            }
        }
        GatewayPods { by_label }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_label.is_empty()
    }

    fn with_label<'s>(&'s self, label: (ClusterId, &'s str, &'s str)) -> &'s [WorkloadId] {
        self.by_label.get(&label).map_or(&[], Vec::as_slice)
    }

    /// The pods of a Gateway object, in whatever namespace; none for one without a selector, which is for all.
    pub(crate) fn of(
        &self,
        ctx: &'c Context<'_>,
        cluster: ClusterId,
        gateway: &Gateway,
    ) -> Vec<(WorkloadId, &'c Workload)> {
        let lists = gateway
            .selector
            .entries
            .iter()
            .map(|(key, value)| self.with_label((cluster, &key.value, &value.value)));
        let rarest = lists.min_by_key(|pods| pods.len()).unwrap_or_default();
        let pods = rarest.iter().map(|id| (*id, ctx.mesh.workload(*id)));
        pods.filter(|(_, pods)| gateway.selector.is_subset_of(&pods.labels)).take(TRIED).collect()
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
