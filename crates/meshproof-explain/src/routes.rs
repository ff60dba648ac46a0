//! Where VirtualServices send a call that a sidecar makes to a host.

use std::collections::HashMap;

use meshproof_grammar::host::resolve;
use meshproof_ir::{Mesh, ResourceId};
use meshproof_resources::{RouteDestination, Spec, VirtualService};

use crate::answer::Evidence;

/// The gateway that means all sidecars.
const MESH: &str = "mesh";
const CLUSTER_DOMAIN: &str = "cluster.local";

/// VirtualServices for sidecars, by host.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    by_host: HashMap<String, Vec<ResourceId>>,
}

/// What becomes of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Routed {
    /// No VirtualService has a say.
    Straight,
    /// All of it goes to this subset of the same host.
    Subset(String, Evidence),
    /// Some of it goes somewhere else.
    Elsewhere(Evidence),
}

impl Routes {
    /// Indexes the VirtualServices of a mesh.
    pub fn new(mesh: &Mesh) -> Self {
        let mut routes = Routes::default();
        for (at, resource) in mesh.resources.iter().enumerate() {
            let Spec::VirtualService(service) = &resource.spec else { continue };
            let for_mesh =
                service.gateways.is_empty() || service.gateways.iter().any(|name| name.value == MESH);
            if !for_mesh {
                continue;
            }
            let own = namespace(mesh, ResourceId(at as u32));
            for host in service.hosts.iter() {
                let host = resolve(&host.value, own, CLUSTER_DOMAIN);
                routes.by_host.entry(host).or_default().push(ResourceId(at as u32));
            }
        }
        routes
    }

    /// What becomes of calls to a host, by its whole name.
    pub fn of(&self, mesh: &Mesh, host: &str) -> Routed {
        let Some(id) = self.by_host.get(host).and_then(|list| list.first()).copied() else {
            return Routed::Straight;
        };
        let resource = mesh.resource(id);
        let Spec::VirtualService(service) = &resource.spec else { return Routed::Straight };
        let own = namespace(mesh, id);
        let name = format!("VirtualService {own}/{}", resource.meta.name());
        let mut targets: Vec<(String, Option<&str>, &RouteDestination)> = destinations(service)
            .filter_map(|destination| {
                let to = resolve(&destination.host.as_ref()?.value, own, CLUSTER_DOMAIN);
                Some((to, destination.subset.as_ref().map(|subset| subset.value.as_str()), destination))
            })
            .collect();
        targets.dedup_by(|a, b| (&a.0, a.1) == (&b.0, b.1));
        match targets.as_slice() {
            [] => Routed::Straight,
            [(to, None, _)] if to == host => Routed::Straight,
            [(to, Some(subset), destination)] if to == host => {
                let text = format!("{name} sends it to subset {subset}");
                Routed::Subset((*subset).to_owned(), Evidence::at(text, destination.span))
            }
            [first, ..] => {
                let (text, destination) = match targets.iter().find(|(to, ..)| to != host) {
                    Some((to, _, destination)) => {
                        (format!("{name} sends calls to {host} to {to}"), destination)
                    }
                    None => (format!("{name} sends calls to {host} to several subsets"), &first.2),
                };
                Routed::Elsewhere(Evidence::at(text, destination.span))
            }
        }
    }
}

fn namespace(mesh: &Mesh, id: ResourceId) -> &str {
    mesh.placement[id.index()].1.map_or("", |id| mesh.namespace_display(id))
}

fn destinations(service: &VirtualService) -> impl Iterator<Item = &RouteDestination> {
    let http = service.http.iter().flat_map(|route| route.route.iter());
    http.chain(service.tls.iter().chain(service.tcp.iter()).flat_map(|route| route.route.iter()))
}
