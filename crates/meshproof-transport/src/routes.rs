//! Routes of the mesh: VirtualServices for sidecars, by the hosts that they are for and those that they send to.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_grammar::host::resolve;
use meshproof_ir::{ClusterId, Mesh, NamespaceId, ResourceId};
use meshproof_resources::{RouteDestination, Spec, VirtualService};

use crate::export;

/// The gateway that means all sidecars.
const MESH: &str = "mesh";
/// The domain of Kubernetes Services.
pub(crate) const CLUSTER_DOMAIN: &str = "cluster.local";

/// VirtualServices of sidecars.
#[derive(Debug, Default)]
pub(crate) struct MeshRoutes<'m> {
    by_destination: HashMap<(ClusterId, String), Vec<(ResourceId, &'m VirtualService)>, RandomState>,
    by_host: HashMap<(ClusterId, String), Vec<(ResourceId, &'m VirtualService)>, RandomState>,
}

impl<'m> MeshRoutes<'m> {
    pub(crate) fn new(mesh: &'m Mesh) -> Self {
        let mut routes = MeshRoutes::default();
        for (at, resource) in mesh.resources.iter().enumerate() {
            let Spec::VirtualService(service) = &resource.spec else { continue };
            let is_for_mesh =
                service.gateways.is_empty() || service.gateways.iter().any(|name| name.value == MESH);
            let (cluster, namespace) = mesh.placement[at];
            let Some(namespace) = namespace.filter(|_| is_for_mesh) else { continue };
            let own = mesh.namespace(namespace).name.as_deref().unwrap_or_default();
            for host in service.hosts.iter() {
                let host = resolve(&host.value, own, CLUSTER_DOMAIN);
                routes.by_host.entry((cluster, host)).or_default().push((ResourceId(at as u32), service));
            }
            for destination in destinations(service) {
                let Some(host) = &destination.host else { continue };
                let host = resolve(&host.value, own, CLUSTER_DOMAIN);
                let list = routes.by_destination.entry((cluster, host)).or_default();
                let id = ResourceId(at as u32);
                if list.last().is_none_or(|(last, _)| *last != id) {
                    list.push((id, service));
                }
            }
        }
        routes
    }

    /// Those that send to a host.
    pub(crate) fn leading_to(
        &self,
        cluster: ClusterId,
        host: &str,
    ) -> impl Iterator<Item = (ResourceId, &'m VirtualService)> {
        self.by_destination.get(&(cluster, host.to_owned())).into_iter().flatten().copied()
    }

    /// Those that are for a host, by its whole name. One for `*.shop` does not count as one for `cart.shop`.
    pub(crate) fn for_host(
        &self,
        cluster: ClusterId,
        host: &str,
    ) -> impl Iterator<Item = (ResourceId, &'m VirtualService)> {
        self.by_host.get(&(cluster, host.to_owned())).into_iter().flatten().copied()
    }

    /// The hosts that a VirtualService sends to, by their whole names.
    pub(crate) fn destinations(&self, mesh: &Mesh, id: ResourceId, service: &VirtualService) -> Vec<String> {
        let own = mesh.placement[id.index()].1.and_then(|id| mesh.namespace(id).name.as_deref());
        let hosts = destinations(service).filter_map(|to| to.host.as_ref());
        let mut hosts: Vec<String> =
            hosts.map(|host| resolve(&host.value, own.unwrap_or_default(), CLUSTER_DOMAIN)).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

    /// Whether a proxy in `from` sees it.
    pub(crate) fn is_seen(
        &self,
        mesh: &Mesh,
        id: ResourceId,
        service: &VirtualService,
        from: NamespaceId,
    ) -> bool {
        let (cluster, namespace) = mesh.placement[id.index()];
        let name = |id: NamespaceId| mesh.namespace(id).name.as_deref();
        let defaults = &mesh.settings_of(cluster).default_virtual_service_export_to;
        export::seen(export::values(&service.export_to), defaults, namespace.and_then(name), name(from))
            .is_some()
    }
}

/// The namespaces that VirtualServices name: in `exportTo`, and in what they ask of clients.
pub(crate) fn namespaces_named(service: &VirtualService) -> impl Iterator<Item = &str> {
    let of_http = service.http.iter().flat_map(|route| route.matches.iter());
    let of_l4 = service.tls.iter().chain(service.tcp.iter()).flat_map(|route| route.matches.iter());
    let asked = of_http.filter_map(|one| one.source_namespace.as_ref());
    let asked = asked.chain(of_l4.filter_map(|one| one.source_namespace.as_ref()));
    service.export_to.iter().chain(asked).map(|name| name.value.as_str())
}

/// Every destination of a VirtualService.
fn destinations(service: &VirtualService) -> impl Iterator<Item = &RouteDestination> {
    let http = service.http.iter().flat_map(|route| route.route.iter().chain(&route.mirrors));
    let others = service.tls.iter().chain(service.tcp.iter()).flat_map(|route| route.route.iter());
    http.chain(others)
}
