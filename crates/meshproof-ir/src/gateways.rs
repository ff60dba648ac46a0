//! Gateways of the Gateway API: whose they are, the Services in front of them, the pods behind.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_resources::{KubernetesGateway, Resource, Spec, Text, TextMap};

use crate::capture::{GATEWAY_NAME, MESH_CONTROLLER};
use crate::deployed;
use crate::placement::Kinds;
use crate::{
    ChainPort, ClusterId, GatewayId, Identity, Mesh, NamespaceId, ResourceId, RouteParent, ServiceId,
    WorkloadId,
};

/// Whose proxy serves a Gateway, by the controller of its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GatewayRole {
    /// `istio.io/mesh-controller`: a waypoint.
    Waypoint,
    /// `istio.io/gateway-controller`: a gateway at the edge of the mesh.
    Ingress,
    /// Another controller: no policy of Istio is enforced there.
    Foreign,
    /// The class is not in the input. Nothing is known of policies that are meant for it; as far as calls go it is
    /// treated as foreign.
    Unknown,
}

/// A Gateway of gateway.networking.k8s.io.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    /// The object.
    pub resource: ResourceId,
    /// Its namespace.
    pub namespace: NamespaceId,
    /// Whose proxy serves it.
    pub role: GatewayRole,
    /// Services in front of its proxy; none for Gateways that are not istiod's.
    pub services: Vec<GatewayService>,
    /// Pods of its proxy. Those in another namespace than the Gateway get no listener (waypoint reference, G1).
    pub workloads: Vec<WorkloadId>,
    /// Routes that name it as a parent, in resource order, whether they are admitted or not.
    pub routes: Vec<RouteParent>,
}

/// A Service in front of a Gateway's proxy.
#[derive(Clone, Debug, PartialEq)]
pub enum GatewayService {
    /// It is in the input.
    Written(ServiceId),
    /// istiod makes it.
    Deployed(DeployedService),
}

/// A Service that istiod makes, in the namespace of its Gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct DeployedService {
    /// Its name.
    pub name: String,
    /// Its labels, which are those of the pods too.
    pub labels: TextMap,
    /// Its ports; targets have the same number.
    pub ports: Vec<ChainPort>,
}

impl Gateway {
    /// The Service that istiod makes, unless the input holds it.
    pub fn deployed_service(&self) -> Option<&DeployedService> {
        self.services.iter().find_map(|service| match service {
            GatewayService::Deployed(service) => Some(service),
            GatewayService::Written(_) => None,
        })
    }
}

impl Mesh {
    /// A Gateway of the Gateway API.
    pub fn gateway(&self, id: GatewayId) -> &Gateway {
        &self.gateways[id.index()]
    }

    /// Every Gateway of the Gateway API with its id.
    pub fn gateways_with_ids(&self) -> impl Iterator<Item = (GatewayId, &Gateway)> {
        self.gateways.iter().enumerate().map(|(at, gateway)| (GatewayId(at as u32), gateway))
    }

    /// The Gateway that an object is.
    pub fn gateway_of(&self, resource: ResourceId) -> Option<GatewayId> {
        let at = self.gateways.binary_search_by_key(&resource, |gateway| gateway.resource).ok()?;
        Some(GatewayId(at as u32))
    }

    /// A Gateway by name.
    pub fn gateway_named(&self, namespace: NamespaceId, name: &str) -> Option<GatewayId> {
        let key = (namespace, name);
        let at = self.gateway_names.partition_point(|id| self.gateway_key(*id) < key);
        self.gateway_names.get(at).copied().filter(|id| self.gateway_key(*id) == key)
    }

    /// The object of a Gateway.
    pub fn gateway_spec(&self, id: GatewayId) -> Option<&KubernetesGateway> {
        match &self.resource(self.gateway(id).resource).spec {
            Spec::KubernetesGateway(gateway) => Some(gateway),
            _ => None,
        }
    }

    /// `namespace/name` of a Gateway for people.
    pub fn gateway_display(&self, id: GatewayId) -> String {
        let (namespace, name) = self.gateway_key(id);
        format!("{}/{name}", self.namespace_display(namespace))
    }

    /// The pods of a Gateway that serve it: those in its own namespace. What an ingress gateway checks on every port is
    /// attached to [these workloads](crate::Workload::policies); istiod gives all of them one label set, but pods that
    /// somebody else deploys may differ.
    pub fn gateway_pods(&self, id: GatewayId) -> impl Iterator<Item = WorkloadId> {
        let gateway = self.gateway(id);
        let is_local = |pods: &WorkloadId| self.workload(*pods).namespace == gateway.namespace;
        gateway.workloads.iter().copied().filter(is_local)
    }

    /// What the proxy of a Gateway proves to be: the identity that stands behind calls it sends on.
    pub fn gateway_identity(&self, id: GatewayId) -> Option<&Identity> {
        self.gateway_pods(id).next().and_then(|pods| self.identity_of(pods))
    }

    fn gateway_key(&self, id: GatewayId) -> (NamespaceId, &str) {
        let gateway = self.gateway(id);
        (gateway.namespace, self.resource(gateway.resource).meta.name())
    }

    fn deployed_key(&self, id: GatewayId) -> (NamespaceId, &str) {
        let gateway = self.gateway(id);
        (gateway.namespace, gateway.deployed_service().map_or("", |service| &service.name))
    }

    /// The Gateway for which istiod makes the Service of this name.
    pub(crate) fn gateway_behind(&self, namespace: NamespaceId, service: &str) -> Option<GatewayId> {
        let key = (namespace, service);
        let at = self.deployed_names.partition_point(|id| self.deployed_key(*id) < key);
        self.deployed_names.get(at).copied().filter(|id| self.deployed_key(*id) == key)
    }

    /// The Service that an object is.
    pub(crate) fn service_of(&self, resource: ResourceId) -> Option<ServiceId> {
        let at = self.services.binary_search_by_key(&resource, |service| service.resource).ok()?;
        Some(ServiceId(at as u32))
    }

    /// Fills the table of Gateways. Objects must be found by name already.
    pub(crate) fn add_gateways(&mut self, kinds: &Kinds) {
        if kinds.gateways.is_empty() {
            return;
        }
        let table = {
            let controllers = deployed::controllers(&self.resources, &kinds.gateway_classes);
            let pods = self.pods_of_gateways();
            let gateway = |id: &ResourceId| {
                let resource = &self.resources[id.index()];
                let Spec::KubernetesGateway(spec) = &resource.spec else { return None };
                let (cluster, namespace) = self.placement[id.index()];
                let class = spec.class.as_ref().map_or("", |class| class.value.as_str());
                let controller = controllers.get(class).copied();
                let named = Named { id: *id, cluster, namespace: namespace?, resource, spec };
                Some(self.new_gateway(&named, controller, &pods))
            };
            kinds.gateways.iter().filter_map(gateway).collect()
        };
        self.gateways = table;
        let mut names: Vec<GatewayId> = (0..self.gateways.len() as u32).map(GatewayId).collect();
        names.sort_by(|left, right| (self.gateway_key(*left), left).cmp(&(self.gateway_key(*right), right)));
        self.gateway_names = names;
        let deployed = |id: &GatewayId| self.gateway(*id).deployed_service().is_some();
        let mut deployed: Vec<GatewayId> = self.gateway_names.iter().copied().filter(deployed).collect();
        deployed
            .sort_by(|left, right| (self.deployed_key(*left), left).cmp(&(self.deployed_key(*right), right)));
        self.deployed_names = deployed;
        self.add_routes(&kinds.routes);
    }

    /// Proxies by the namespace and name of the Gateway in their label.
    fn pods_of_gateways(&self) -> HashMap<(NamespaceId, &str), Vec<WorkloadId>, RandomState> {
        let mut pods: HashMap<(NamespaceId, &str), Vec<WorkloadId>, RandomState> = HashMap::default();
        for (id, workload) in self.workloads_with_ids() {
            if let Some(name) = workload.labels.get(GATEWAY_NAME) {
                pods.entry((workload.namespace, &name.value)).or_default().push(id);
            }
        }
        pods
    }

    fn new_gateway(
        &self,
        of: &Named<'_>,
        controller: Option<&'static str>,
        pods: &HashMap<(NamespaceId, &str), Vec<WorkloadId>, RandomState>,
    ) -> Gateway {
        let class = of.spec.class.as_ref().map_or("", |class| class.value.as_str());
        let is_class_written = self.objects(of.cluster, None, "GatewayClass", class).next().is_some();
        let mut gateway = Gateway {
            resource: of.id,
            namespace: of.namespace,
            role: match controller {
                Some(MESH_CONTROLLER) => GatewayRole::Waypoint,
                Some(_) => GatewayRole::Ingress,
                None if is_class_written => GatewayRole::Foreign,
                None => GatewayRole::Unknown,
            },
            services: Vec::new(),
            workloads: Vec::new(),
            routes: Vec::new(),
        };
        let Some(controller) = controller else { return gateway };
        if deployed::is_deployed(of.spec) {
            let name = deployed::name(of.resource, of.spec, controller);
            gateway.services.push(match self.service_named(of.cluster, of.namespace, &name) {
                Some(service) => GatewayService::Written(service),
                None => GatewayService::Deployed(DeployedService {
                    name,
                    labels: deployed::labels(of.resource, of.spec, controller),
                    ports: deployed::ports(of.resource, of.spec),
                }),
            });
            gateway.workloads =
                pods.get(&(of.namespace, of.resource.meta.name())).cloned().unwrap_or_default();
            return gateway;
        }
        for service in self.services_of_addresses(of) {
            gateway.workloads.extend(&self.services[service.index()].workloads);
            gateway.services.push(GatewayService::Written(service));
        }
        gateway.workloads.sort_unstable();
        gateway.workloads.dedup();
        gateway
    }

    /// The Services that a Gateway's addresses name: `name` in its own namespace, or the full host name.
    fn services_of_addresses(&self, of: &Named<'_>) -> Vec<ServiceId> {
        let service = |(kind, address): &(Option<Text>, Text)| {
            if kind.as_ref().is_none_or(|kind| kind.value != "Hostname") {
                return None;
            }
            let mut parts = address.value.splitn(3, '.');
            let name = parts.next()?;
            let namespace = match parts.next() {
                None => of.namespace,
                Some(_) if !parts.next()?.starts_with("svc.") => return None,
                Some(namespace) => self.namespace_by_name(of.cluster, namespace)?,
            };
            self.service_named(of.cluster, namespace, name)
        };
        let mut services: Vec<ServiceId> = of.spec.addresses.iter().filter_map(service).collect();
        services.sort_unstable();
        services.dedup();
        services
    }

    fn service_named(&self, cluster: ClusterId, namespace: NamespaceId, name: &str) -> Option<ServiceId> {
        self.objects(cluster, Some(namespace), "Service", name).find_map(|id| self.service_of(id))
    }
}

/// A Gateway while the table is made.
struct Named<'a> {
    id: ResourceId,
    cluster: ClusterId,
    namespace: NamespaceId,
    resource: &'a Resource,
    spec: &'a KubernetesGateway,
}
