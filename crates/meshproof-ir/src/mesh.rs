//! The mesh as a whole.

use meshproof_resources::{Resource, TextMap};

use crate::identity::Identities;
use crate::index::Index;
use crate::ingress_route::SelectingEntries;
use crate::peer_modes::PeerModes;
use crate::target_refs::References;
use crate::unrendered::Unrendered;
use crate::waypoint_chains::Waypoints;
use crate::{
    ClusterId, Fact, Gateway, GatewayId, NamespaceId, ResourceId, ServiceId, Settings, Workload, WorkloadId,
};

/// Everything the input says, joined.
#[derive(Debug)]
pub struct Mesh {
    /// Every decoded object, in the order of sources and offsets.
    pub resources: Vec<Resource>,
    /// Cluster and namespace of each resource (index = resource); no namespace for cluster-wide kinds.
    pub placement: Vec<(ClusterId, Option<NamespaceId>)>,
    /// Mesh-wide settings; of the first cluster, when there are several.
    pub settings: Settings,
    /// Clusters read together; one without a name when none was named.
    pub clusters: Vec<Cluster>,
    /// Namespaces: those with an object, and those that other objects name.
    pub namespaces: Vec<Namespace>,
    /// Workloads in resource order.
    pub workloads: Vec<Workload>,
    /// Services in resource order.
    pub services: Vec<Service>,
    /// Gateways of the Gateway API in resource order, waypoints among them.
    pub gateways: Vec<Gateway>,
    /// Those Gateways by namespace and name.
    pub(crate) gateway_names: Vec<GatewayId>,
    /// Those for which istiod makes a Service, by the namespace and name of that.
    pub(crate) deployed_names: Vec<GatewayId>,
    pub(crate) references: References,
    pub(crate) waypoints: Waypoints,
    pub(crate) selecting_entries: SelectingEntries,
    /// Settings of each cluster.
    pub(crate) cluster_settings: Vec<Settings>,
    pub(crate) identities: Identities,
    pub(crate) peer_modes: PeerModes,
    pub(crate) selectors_tried: u64,
    pub(crate) index: Index,
    pub(crate) unrendered: Unrendered,
}

/// One cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// As named on the command line or in its MeshConfig.
    pub name: Option<String>,
}

/// How the namespace of objects that name none is called for people. No namespace of Kubernetes has such a name.
pub const UNNAMED: &str = "(no namespace)";

/// One namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Namespace {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its name; absent for the namespace that a folder's objects without `metadata.namespace` share.
    pub name: Option<String>,
    /// The Namespace object, when the input has it.
    pub resource: Option<ResourceId>,
    /// Its labels; unknown without the object.
    pub labels: Fact<TextMap>,
    /// Workloads in it.
    pub workloads: Vec<WorkloadId>,
    /// Services in it.
    pub services: Vec<ServiceId>,
    /// ServiceAccount objects in it.
    pub service_accounts: Vec<ResourceId>,
    /// AuthorizationPolicies in it.
    pub policies: Vec<ResourceId>,
}

/// One Service with the workloads it selects.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// The object.
    pub resource: ResourceId,
    /// Its namespace.
    pub namespace: NamespaceId,
    /// `name.namespace.svc.cluster.local`; absent when the namespace is unknown.
    pub fqdn: Option<String>,
    /// Workloads it selects.
    pub workloads: Vec<WorkloadId>,
}
