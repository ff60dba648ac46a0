//! Which VirtualServices are for a Gateway, and the virtual hosts that they make on a server.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_grammar::host::{Host, resolve};
use meshproof_ir::{ClusterId, Mesh, NamespaceId, ResourceId, sort_by_age};
use meshproof_resources::{HttpMatch, RouteDestination, Server, Spec, VirtualHttpRoute, VirtualService};

use super::servers::{MergedServer, hosts};
use crate::export::{self, Seen};
use crate::routes::CLUSTER_DOMAIN;

/// VirtualServices by the Gateway that they name (`namespace/name`), the oldest first.
#[derive(Debug, Default)]
pub(crate) struct GatewayRoutes<'m> {
    by_gateway: HashMap<(ClusterId, String), Vec<(ResourceId, &'m VirtualService)>, RandomState>,
}

impl<'m> GatewayRoutes<'m> {
    pub(crate) fn new(mesh: &'m Mesh) -> Self {
        let mut ids: HashMap<(ClusterId, String), Vec<ResourceId>, RandomState> = HashMap::default();
        for (at, resource) in mesh.resources.iter().enumerate() {
            let Spec::VirtualService(service) = &resource.spec else { continue };
            let (cluster, Some(namespace)) = mesh.placement[at] else { continue };
            let own = mesh.namespace(namespace).name.as_deref().unwrap_or_default();
            for name in service.gateways.iter() {
                let list = ids.entry((cluster, gateway_name(&name.value, own))).or_default();
                let id = ResourceId(at as u32);
                if list.last() != Some(&id) {
                    list.push(id);
                }
            }
        }
        let mut routes = GatewayRoutes::default();
        for (key, mut ids) in ids {
            sort_by_age(&mut ids, &mesh.resources);
            let services = ids.into_iter().filter_map(|id| match &mesh.resource(id).spec {
                Spec::VirtualService(service) => Some((id, service.as_ref())),
                _ => None,
            });
            routes.by_gateway.insert(key, services.collect());
        }
        routes
    }

    /// Those for a Gateway that a proxy in `from` sees: what is kept there first, then what is exported there.
    pub(crate) fn of_gateway(
        &self,
        mesh: &Mesh,
        gateway: ResourceId,
        from: NamespaceId,
    ) -> Vec<(ResourceId, &'m VirtualService)> {
        let key = full_name(mesh, gateway);
        let cluster = mesh.placement[gateway.index()].0;
        let name = |id: NamespaceId| mesh.namespace(id).name.as_deref();
        let defaults = &mesh.settings_of(cluster).default_virtual_service_export_to;
        let all = self.by_gateway.get(&(cluster, key)).into_iter().flatten();
        let mut seen: Vec<(Seen, (ResourceId, &'m VirtualService))> = all
            .filter_map(|(id, service)| {
                let own = mesh.placement[id.index()].1.and_then(name);
                let seen = export::seen(export::values(&service.export_to), defaults, own, name(from))?;
                Some((seen, (*id, *service)))
            })
            .collect();
        seen.sort_by_key(|(seen, _)| *seen);
        seen.into_iter().map(|(_, service)| service).collect()
    }
}

/// `namespace/name` of a Gateway.
pub(crate) fn full_name(mesh: &Mesh, gateway: ResourceId) -> String {
    let namespace = mesh.placement[gateway.index()].1.map_or("", |id| mesh.namespace_display(id));
    format!("{namespace}/{}", mesh.resource(gateway).meta.name())
}

/// The full name of a Gateway as a VirtualService in `own` writes it (Istio 1.32, model/config.go
/// `resolveGatewayName`).
pub(crate) fn gateway_name(written: &str, own: &str) -> String {
    if written == "mesh" {
        return written.to_owned();
    }
    match written.split_once('/') {
        Some((".", name)) => format!("{own}/{name}"),
        Some(_) => written.to_owned(),
        None => match written.split_once('.') {
            // An old form: `name.namespace.svc.cluster.local`.
            Some((name, rest)) => format!("{}/{name}", rest.split('.').next().unwrap_or(rest)),
            None => format!("{own}/{written}"),
        },
    }
}

/// The names that server and VirtualService have in common (Istio 1.32, host/names.go `Intersection`).
pub(crate) fn shared_hosts(
    mesh: &Mesh,
    server: &MergedServer<'_>,
    (id, service): (ResourceId, &VirtualService),
) -> Vec<String> {
    let own = mesh.placement[id.index()].1.map_or("", |id| mesh.namespace_display(id));
    shared(&server.hosts, (own, service))
}

/// The names that a server of a Gateway in namespace `of` and a VirtualService in namespace `own` have in common, as they
/// are written: a name, one with a star in front, or a star.
pub fn names_in_common(
    (of, server): (&str, &Server),
    (own, service): (&str, &VirtualService),
) -> Vec<String> {
    shared(&hosts(server, of), (own, service))
}

fn shared(of_server: &[String], (own, service): (&str, &VirtualService)) -> Vec<String> {
    let of_server = of_server.iter().filter_map(|host| match host.split_once('/') {
        Some((namespace, host)) => (namespace == own).then_some(host),
        None => Some(host.as_str()),
    });
    let mut shared = Vec::new();
    for host in of_server {
        for other in service.hosts.iter().map(|host| host.value.as_str()) {
            let narrower = match (is_within(host, other), is_within(other, host)) {
                (true, _) => host,
                (false, true) => other,
                _ => continue,
            };
            if !shared.iter().any(|known| known == narrower) {
                shared.push(narrower.to_owned());
            }
        }
    }
    shared
}

/// Whether every name of a host belongs to another one.
pub(crate) fn is_within(host: &str, other: &str) -> bool {
    match other.strip_prefix('*') {
        None => host == other,
        Some(ending) if !host.ends_with(ending) => false,
        Some(_) => match (Host::parse(host), Host::parse(other)) {
            (Ok(host), Ok(other)) => host.is_within(&other),
            _ => host == other,
        },
    }
}

/// A route of a virtual host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostRoute<'m> {
    pub(crate) service: ResourceId,
    pub(crate) route: &'m VirtualHttpRoute,
    pub(crate) is_conditional: bool,
}

/// The HTTP routes of a VirtualService on a server; everything behind one without conditions is never reached.
pub(crate) fn http_routes<'m>(
    (id, service): (ResourceId, &'m VirtualService),
    gateway: &str,
    own: &str,
    port: u16,
) -> Vec<HostRoute<'m>> {
    let mut routes = Vec::new();
    for route in service.http.iter() {
        if route.matches.is_empty() {
            routes.push(HostRoute { service: id, route, is_conditional: false });
            break;
        }
        let fits = |one: &&HttpMatch| {
            let at_port = one.port.as_ref().is_none_or(|number| number.value == port);
            at_port && (one.gateways.is_empty() || names(one.gateways.iter(), gateway, own))
        };
        let fitting: Vec<&HttpMatch> = route.matches.iter().filter(fits).collect();
        if fitting.is_empty() {
            continue;
        }
        let is_conditional = !fitting.iter().any(|one| matches_everything(one));
        routes.push(HostRoute { service: id, route, is_conditional });
        if !is_conditional {
            break;
        }
    }
    routes
}

fn matches_everything(one: &HttpMatch) -> bool {
    let all_paths = match &one.uri {
        None => true,
        Some(meshproof_resources::StringMatch::Prefix(prefix)) => prefix.value == "/",
        Some(_) => false,
    };
    all_paths
        && one.scheme.is_none()
        && one.method.is_none()
        && one.authority.is_none()
        && one.headers.is_empty()
        && one.without_headers.is_empty()
        && one.query_params.is_empty()
        // At a gateway these are asked of its own labels and namespace, which the list of routes does not know.
        && one.source_labels.is_empty()
        && one.source_namespace.is_none()
}

/// Whether a list of Gateways names this one.
pub(crate) fn names<'t>(
    list: impl IntoIterator<Item = &'t meshproof_resources::Text>,
    gateway: &str,
    own: &str,
) -> bool {
    list.into_iter().any(|name| gateway_name(&name.value, own) == gateway)
}

/// The full name of the host of a destination.
pub(crate) fn destination_host(destination: &RouteDestination, own: &str) -> Option<String> {
    Some(resolve(&destination.host.as_ref()?.value, own, CLUSTER_DOMAIN))
}
