//! A decoded object of any kind.

use crate::{
    ApiBackends, AuthorizationPolicy, CalicoNetworkSet, CalicoPolicy, CalicoTier, DestinationRule, Endpoints,
    EnvoyFilter, Gateway, GatewayClass, Ingress, KubernetesGateway, MeshConfig, Meta, Monitor, NetworkPolicy,
    Patch, PeerAuthentication, ReferenceGrant, RequestAuthentication, Route, Service, ServiceEntry, Sidecar,
    VirtualService, Workload, WorkloadEntry, WorkloadGroup,
};

/// One decoded object.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Type, name, labels, place.
    pub meta: Meta,
    /// The rest.
    pub spec: Spec,
}

/// What the object is. Large parts are boxed so that small objects stay small.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Spec {
    AuthorizationPolicy(Box<AuthorizationPolicy>),
    PeerAuthentication(Box<PeerAuthentication>),
    RequestAuthentication(Box<RequestAuthentication>),
    DestinationRule(Box<DestinationRule>),
    /// Pod, Deployment and all other kinds that make pods; the kind stands in [`Meta::kind`].
    Workload(Box<Workload>),
    Service(Box<Service>),
    Namespace,
    ServiceAccount,
    ServiceEntry(Box<ServiceEntry>),
    WorkloadEntry(Box<WorkloadEntry>),
    WorkloadGroup(Box<WorkloadGroup>),
    Sidecar(Box<Sidecar>),
    /// Gateway of networking.istio.io.
    Gateway(Box<Gateway>),
    VirtualService(Box<VirtualService>),
    EnvoyFilter(Box<EnvoyFilter>),
    /// Recognised; not analysed.
    ProxyConfig,
    /// Recognised; has no say in who may call whom.
    Telemetry,
    /// Gateway of gateway.networking.k8s.io.
    KubernetesGateway(Box<KubernetesGateway>),
    GatewayClass(Box<GatewayClass>),
    /// HTTPRoute, GRPCRoute, TLSRoute, TCPRoute.
    Route(Box<Route>),
    ReferenceGrant(Box<ReferenceGrant>),
    NetworkPolicy(Box<NetworkPolicy>),
    /// NetworkPolicy and GlobalNetworkPolicy of Calico.
    CalicoPolicy(Box<CalicoPolicy>),
    CalicoTier(Box<CalicoTier>),
    /// NetworkSet and GlobalNetworkSet of Calico.
    CalicoNetworkSet(Box<CalicoNetworkSet>),
    /// AdminNetworkPolicy, policies of Cilium, HostEndpoint and the like: recognised, since packets may hang on them, and not
    /// evaluated; the kind stands in [`Meta::kind`].
    OtherNetworkPolicy {
        /// It lives in no namespace.
        cluster_wide: bool,
    },
    /// Endpoints and EndpointSlice; the kind stands in [`Meta::kind`].
    Endpoints(Box<Endpoints>),
    Ingress(Box<Ingress>),
    /// ValidatingWebhookConfiguration, MutatingWebhookConfiguration and APIService.
    ApiBackends(Box<ApiBackends>),
    /// ServiceMonitor and PodMonitor.
    Monitor(Box<Monitor>),
    /// A ConfigMap of istiod, an IstioOperator, or an Istio object of the Sail operator.
    MeshConfig(Box<MeshConfig>),
    /// An object of any known kind with `$patch`: never a whole object.
    Patch(Box<Patch>),
}
