//! Endpoints in other clusters of the mesh: a proxy is told those of every cluster that has the Service in a namespace of
//! the same name (Istio 1.32, model/push_context.go; multi-cluster installation guides).

use meshproof_ir::{ClusterId, Fact, Mesh};
use meshproof_resources::Text;

use crate::endpoints::{Endpoint, Endpoints};
use crate::registry::{HostPort, Registry, Resolution};
use crate::{EndpointAddress, Evidence, Wire};

/// Names the network of a cluster, on the namespace of its control plane.
const NETWORK: &str = "topology.istio.io/network";

impl<'m> Endpoints<'m> {
    /// The endpoints of a port in other clusters.
    pub(crate) fn elsewhere(&self, registry: &Registry<'m>, port: &HostPort<'m>) -> Vec<Endpoint<'m>> {
        let mut found = Vec::new();
        for twin in registry.twins(port.service) {
            if registry.service(twin).resolution() != Resolution::Endpoints {
                continue;
            }
            for other in registry.ports(twin).into_iter().filter(|other| other.name == port.name) {
                let (endpoints, _) = self.of_port(registry, &other);
                found.extend(endpoints);
            }
        }
        found
    }
}

impl Registry<'_> {
    /// Objects for the same host in a namespace of the same name, one of each other cluster.
    pub(crate) fn twins(&self, service: u32) -> Vec<u32> {
        let mesh = self.mesh();
        let own = self.service(service);
        let namespace = mesh.namespace(own.namespace);
        let Some(name) = namespace.name.as_deref().filter(|_| !own.is_entry()) else { return Vec::new() };
        let others = (0..mesh.clusters.len() as u32).map(ClusterId).filter(|id| *id != namespace.cluster);
        let twin = |cluster: ClusterId| {
            self.of_host(cluster, own.host).iter().copied().find(|at| {
                let other = self.service(*at);
                other.host == own.host && mesh.namespace(other.namespace).name.as_deref() == Some(name)
            })
        };
        others.filter_map(twin).collect()
    }
}

/// What reaches an endpoint in another network: mutual TLS of the mesh, which an east-west gateway passes on unopened by
/// its server name. Endpoints that get anything else are left out of the cluster (Istio 1.32, xds/endpoints/ep_filters.go).
pub(crate) fn across_networks(
    mesh: &Mesh,
    from: ClusterId,
    endpoint: &Endpoint<'_>,
    sent: Fact<Wire>,
    evidence: &mut Vec<Evidence>,
) -> Option<Fact<Wire>> {
    let EndpointAddress::Workload(id) = endpoint.address else { return Some(sent) };
    let there = mesh.namespace(mesh.workload(id).namespace).cluster;
    let (Some(own), Some(other)) = (network(mesh, from), network(mesh, there)) else { return Some(sent) };
    if there == from || own == other {
        return Some(sent);
    }
    match sent {
        Fact::Known(Wire::IstioMtls, _) => {
            let text = format!("the east-west gateway of network {other} passes it on unopened");
            evidence.push(Evidence { object: None, span: None, text });
            Some(sent)
        }
        Fact::Known(Wire::Hbone | Wire::HboneTls, _) => {
            Some(Fact::Unknown(format!("how a tunnel gets to network {other} is not known")))
        }
        Fact::Known(..) => None,
        Fact::Unknown(_) => Some(sent),
    }
}

/// The network of a cluster, where the input names it.
fn network(mesh: &Mesh, cluster: ClusterId) -> Option<&str> {
    let settings = mesh.settings_of(cluster);
    let root = mesh.namespace_by_name(cluster, settings.root());
    let labels = root.and_then(|root| mesh.namespace(root).labels.known());
    let label = labels.and_then(|labels| labels.get(NETWORK)).map(|network: &Text| network.value.as_str());
    label.or(settings.network.as_deref())
}
