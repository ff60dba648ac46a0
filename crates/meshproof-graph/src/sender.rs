//! The gateways of a port, as matches of VirtualServices ask for them.

use meshproof_ir::{Mesh, ResourceId, WorkloadId};
use meshproof_resources::{Server, Spec, TextMap};
use meshproof_source::Span;
use meshproof_transport::{GatewayListener, RouteSender};

/// What matches of VirtualServices may ask of a gateway.
pub(crate) struct Asked<'m> {
    labels: Option<&'m TextMap>,
    namespace: &'m str,
    gateways: Vec<String>,
    ports: Vec<u16>,
    /// The scheme of requests on the port; nothing where there are several.
    pub scheme: Option<&'static str>,
}

impl<'m> Asked<'m> {
    /// `servers`: those of one port of the gateway's pods.
    pub fn of(mesh: &'m Mesh, servers: &[GatewayListener], id: WorkloadId) -> Asked<'m> {
        let workload = mesh.workload(id);
        let mut objects: Vec<ResourceId> = servers.iter().map(|server| server.object).collect();
        objects.sort_unstable();
        objects.dedup();
        let (mut gateways, mut ports) = (Vec::new(), Vec::new());
        let spans: Vec<Span> = servers.iter().map(|server| server.span).collect();
        for object in objects {
            let namespace = mesh.placement[object.index()].1.map_or("", |id| mesh.namespace_display(id));
            gateways.push(format!("{namespace}/{}", mesh.resource(object).meta.name()));
            if let Spec::Gateway(gateway) = &mesh.resource(object).spec {
                let of_port = |server: &&Server| spans.contains(&server.deciding_span());
                let servers = gateway.servers.iter().filter(of_port);
                let numbers = servers.filter_map(|server| server.port.as_ref()?.number.as_ref());
                ports.extend(numbers.map(|number| number.value));
            }
        }
        Asked {
            labels: (!mesh.is_presumed(id)).then_some(&workload.labels),
            namespace: mesh.namespace_display(workload.namespace),
            gateways,
            ports,
            scheme: None,
        }
    }

    /// For the routes of a VirtualService of this namespace.
    pub fn sender<'a>(&'a self, own: &'a str) -> RouteSender<'a> {
        RouteSender {
            labels: self.labels,
            namespace: self.namespace,
            gateways: &self.gateways,
            ports: &self.ports,
            scheme: self.scheme,
            own,
        }
    }
}
