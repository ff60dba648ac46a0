//! The gateway that looks for a route: matches of VirtualServices also ask who it is.

use meshproof_ir::{Mesh, ResourceId, WorkloadId};
use meshproof_resources::{HttpMatch, Server, Spec, Text, TextMap};
use meshproof_source::Span;
use meshproof_transport::GatewayListener;

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
    pub fn sender<'a>(&'a self, own: &'a str) -> Sender<'a> {
        Sender {
            labels: self.labels,
            namespace: self.namespace,
            gateways: &self.gateways,
            ports: &self.ports,
            scheme: self.scheme,
            own,
        }
    }
}

/// A gateway, as matches ask for it.
pub(crate) struct Sender<'a> {
    /// The labels of its pods; nothing where they are not in the input.
    pub labels: Option<&'a TextMap>,
    /// Their namespace.
    pub namespace: &'a str,
    /// The Gateway objects of the port, as `namespace/name`.
    pub gateways: &'a [String],
    /// The numbers that their servers give the port (Istio 1.32, core/gateway.go `buildGatewayHTTPRouteConfig`).
    pub ports: &'a [u16],
    /// The scheme of requests, unless clients name another one; nothing where there are several.
    pub scheme: Option<&'static str>,
    /// The namespace of the VirtualService, which short names of Gateways mean.
    pub own: &'a str,
}

impl Sender<'_> {
    /// Whether a match is for this gateway; nothing where that is not known. With `gateways` nobody looks at labels (Istio 1.32,
    /// core/route/route.go `sourceMatchHTTP`).
    pub fn is_meant(&self, one: &HttpMatch) -> Option<bool> {
        let by_source =
            match one.gateways.is_empty() {
                true => both(self.has_labels(&one.source_labels), self.is_in(one)),
                false => all_or_none(self.gateways.iter().map(|gateway| {
                    one.gateways.iter().any(|name| full_name(&name.value, self.own) == *gateway)
                })),
            };
        let by_port = match &one.port {
            None => Some(true),
            Some(port) => all_or_none(self.ports.iter().map(|own| *own == port.value)),
        };
        both(by_source, by_port)
    }

    fn is_in(&self, one: &HttpMatch) -> Option<bool> {
        let wanted = one.source_namespace.as_ref().map(|name| name.value.as_str());
        Some(wanted.is_none_or(|name| name.is_empty() || name == self.namespace))
    }

    fn has_labels(&self, wanted: &TextMap) -> Option<bool> {
        if wanted.entries.is_empty() {
            return Some(true);
        }
        let labels = self.labels?;
        let has = |(key, value): &(Text, Text)| match labels.get(&key.value) {
            Some(own) => Some(own.value == value.value),
            // Injection and controllers add some with such names.
            None if key.value.contains('/') || key.value == "pod-template-hash" => None,
            None => Some(false),
        };
        wanted.entries.iter().map(has).fold(Some(true), both)
    }
}

/// The whole name of a Gateway object.
fn full_name(written: &str, own: &str) -> String {
    match written.split_once('/') {
        Some((".", name)) => format!("{own}/{name}"),
        Some(_) => written.to_owned(),
        None => format!("{own}/{written}"),
    }
}

fn both(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// What holds of all or of none of some; not known where there are none.
fn all_or_none(mut of: impl Iterator<Item = bool>) -> Option<bool> {
    let first = of.next()?;
    of.all(|other| other == first).then_some(first)
}
