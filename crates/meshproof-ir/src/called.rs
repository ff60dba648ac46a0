//! What a caller can address: what waypoints are looked up for.

use meshproof_grammar::protocol::ProtocolClass;
use meshproof_resources::{Service as ServiceSpec, ServiceEntry, Spec, TextMap, WorkloadEntry};
use meshproof_source::Span;

use crate::services::{entry_port_class, service_port_class};
use crate::{ClusterId, GatewayId, Mesh, NamespaceId, ResourceId, ServiceId, WorkloadId};

/// Something that a caller addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Called {
    /// A Service of the input.
    Service(ServiceId),
    /// The Service that istiod makes for a Gateway and that the input does not hold.
    GatewayService(GatewayId),
    /// The hosts of a ServiceEntry; all of them are treated alike.
    ServiceEntry(ResourceId),
    /// The address of a pod or of a WorkloadEntry.
    Workload(WorkloadId),
    /// The address of an endpoint that is written in a ServiceEntry.
    Endpoint {
        /// The ServiceEntry.
        entry: ResourceId,
        /// Index into its `endpoints`.
        endpoint: usize,
    },
}

/// A port with the filter chains that proxies give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainPort {
    /// Number on the Service or ServiceEntry.
    pub number: u16,
    /// Class of its chains; never datagrams.
    pub class: ProtocolClass,
    /// Where it is written.
    pub span: Span,
}

impl Called {
    /// Whether it is a service, as opposed to the address of one workload.
    pub fn is_service(self) -> bool {
        matches!(self, Called::Service(_) | Called::GatewayService(_) | Called::ServiceEntry(_))
    }
}

/// Metadata by which waypoints are chosen.
pub(crate) struct Choosing<'m> {
    pub(crate) cluster: ClusterId,
    pub(crate) namespace: NamespaceId,
    pub(crate) labels: &'m TextMap,
    pub(crate) annotations: &'m TextMap,
}

static NONE: TextMap = TextMap { key: None, entries: Vec::new() };

impl Mesh {
    /// Everything that can be addressed: Services, those of Gateways, ServiceEntries, workloads, written endpoints.
    pub fn callable(&self) -> impl Iterator<Item = Called> {
        let services = (0..self.services.len() as u32).map(|id| Called::Service(ServiceId(id)));
        let deployed = self.gateways_with_ids().filter(|(_, gateway)| gateway.deployed_service().is_some());
        let entries = self.resources.iter().enumerate().flat_map(|(at, resource)| {
            let entry = ResourceId(at as u32);
            let spec = match &resource.spec {
                Spec::ServiceEntry(spec) => Some(spec),
                _ => None,
            };
            let endpoints = 0..spec.map_or(0, |spec| spec.endpoints.len());
            let endpoints = endpoints.map(move |endpoint| Called::Endpoint { entry, endpoint });
            spec.map(|_| Called::ServiceEntry(entry)).into_iter().chain(endpoints)
        });
        let workloads = (0..self.workloads.len() as u32).map(|id| Called::Workload(WorkloadId(id)));
        services.chain(deployed.map(|(id, _)| Called::GatewayService(id))).chain(entries).chain(workloads)
    }

    /// A Service by name, whether it is in the input or istiod makes it for a Gateway.
    pub fn service_called(&self, namespace: NamespaceId, name: &str) -> Option<Called> {
        let cluster = self.namespace(namespace).cluster;
        let written =
            self.objects(cluster, Some(namespace), "Service", name).find_map(|id| self.service_of(id));
        written
            .map(Called::Service)
            .or_else(|| self.gateway_behind(namespace, name).map(Called::GatewayService))
    }

    /// The ports of a service that get filter chains, datagrams left out; none for workloads and endpoints, whose
    /// traffic meets one pair of chains whatever its port.
    pub fn chain_ports(&self, called: Called) -> Vec<ChainPort> {
        let mut ports = match called {
            Called::Service(id) => self.service_spec(id).map(service_ports).unwrap_or_default(),
            Called::GatewayService(id) => {
                self.gateway(id).deployed_service().map(|service| service.ports.clone()).unwrap_or_default()
            }
            Called::ServiceEntry(id) => self.service_entry(id).map(entry_ports).unwrap_or_default(),
            Called::Workload(_) | Called::Endpoint { .. } => Vec::new(),
        };
        ports.retain(|port| port.class != ProtocolClass::Udp);
        ports
    }

    /// The object of a Service.
    pub fn service_spec(&self, id: ServiceId) -> Option<&ServiceSpec> {
        match &self.resource(self.services[id.index()].resource).spec {
            Spec::Service(service) => Some(service),
            _ => None,
        }
    }

    /// A ServiceEntry, when the object is one.
    pub fn service_entry(&self, id: ResourceId) -> Option<&ServiceEntry> {
        match &self.resource(id).spec {
            Spec::ServiceEntry(entry) => Some(entry),
            _ => None,
        }
    }

    /// The namespace in which something stands; none for a ServiceEntry without one.
    pub fn namespace_of(&self, called: Called) -> Option<NamespaceId> {
        match called {
            Called::Service(id) => Some(self.services[id.index()].namespace),
            Called::GatewayService(id) => Some(self.gateway(id).namespace),
            Called::ServiceEntry(id) | Called::Endpoint { entry: id, .. } => self.placement[id.index()].1,
            Called::Workload(id) => Some(self.workload(id).namespace),
        }
    }

    /// Labels and annotations by which a waypoint is chosen (waypoint reference, C3).
    pub(crate) fn choosing(&self, called: Called) -> Option<Choosing<'_>> {
        let namespace = self.namespace_of(called)?;
        let of_object = |id: ResourceId| {
            let meta = &self.resource(id).meta;
            (&meta.labels, &meta.annotations)
        };
        let (labels, annotations) = match called {
            Called::Service(id) => of_object(self.services[id.index()].resource),
            Called::GatewayService(id) => (&self.gateway(id).deployed_service()?.labels, &NONE),
            Called::ServiceEntry(id) => of_object(id),
            Called::Workload(id) => (&self.workload(id).labels, &NONE),
            Called::Endpoint { entry, endpoint } => (&self.endpoint(entry, endpoint)?.labels, &NONE),
        };
        Some(Choosing { cluster: self.namespace(namespace).cluster, namespace, labels, annotations })
    }

    fn endpoint(&self, entry: ResourceId, endpoint: usize) -> Option<&WorkloadEntry> {
        self.service_entry(entry)?.endpoints.get(endpoint)
    }
}

fn service_ports(service: &ServiceSpec) -> Vec<ChainPort> {
    let port = |port: &meshproof_resources::ServicePort| ChainPort {
        number: port.port.value,
        class: service_port_class(port),
        span: port.port.span,
    };
    service.ports.iter().map(port).collect()
}

fn entry_ports(entry: &ServiceEntry) -> Vec<ChainPort> {
    let port = |port: &meshproof_resources::IstioPort| {
        let number = port.number.as_ref()?;
        Some(ChainPort { number: number.value, class: entry_port_class(port), span: number.span })
    };
    entry.ports.iter().filter_map(port).collect()
}
