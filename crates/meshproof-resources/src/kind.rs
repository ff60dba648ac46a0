//! Which objects are read: kind, API group and versions.

/// A kind that is decoded. Several spellings may share one (all kinds that make pods, all routes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    AuthorizationPolicy,
    PeerAuthentication,
    RequestAuthentication,
    DestinationRule,
    Workload,
    Service,
    Namespace,
    ServiceAccount,
    ServiceEntry,
    WorkloadEntry,
    WorkloadGroup,
    Sidecar,
    Gateway,
    VirtualService,
    EnvoyFilter,
    ProxyConfig,
    Telemetry,
    KubernetesGateway,
    GatewayClass,
    HttpRoute,
    GrpcRoute,
    TlsRoute,
    TcpRoute,
    ReferenceGrant,
    NetworkPolicy,
    CalicoNetworkPolicy,
    CalicoGlobalNetworkPolicy,
    CalicoTier,
    CalicoNetworkSet,
    CalicoGlobalNetworkSet,
    OtherNetworkPolicy,
    OtherClusterNetworkPolicy,
    Endpoints,
    EndpointSlice,
    Ingress,
    WebhookConfiguration,
    ApiService,
    ServiceMonitor,
    PodMonitor,
    ConfigMap,
    IstioOperator,
    SailIstio,
}

struct Known {
    name: &'static str,
    group: &'static str,
    versions: &'static [&'static str],
    kind: Kind,
}

const NETWORKING: &str = "networking.istio.io";
/// Calico's API server, and what it stores (or takes without one).
const CALICO: &str = "projectcalico.org";
const CALICO_CRD: &str = "crd.projectcalico.org";
/// Policies for administrators, which stand before and behind those of Kubernetes.
const POLICY_API: &str = "policy.networking.k8s.io";
const CILIUM: &str = "cilium.io";
const GATEWAY_API: &str = "gateway.networking.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";
const ADMISSION_VERSIONS: &[&str] = &["v1", "v1beta1"];
/// Of the Prometheus operator.
const MONITORING: &str = "monitoring.coreos.com";
const ISTIO: &[&str] = &["v1", "v1beta1", "v1alpha3"];
const SECURITY: &[&str] = &["v1", "v1beta1"];
/// Versions that the API server no longer serves but that mean the same are still in use in repositories.
const APPS: &[&str] = &["v1", "v1beta2", "v1beta1"];
const EXTENSIONS: &[&str] = &["v1beta1"];
const GATEWAY_VERSIONS: &[&str] = &["v1", "v1beta1", "v1alpha2", "v1alpha3"];
const POLICY_VERSIONS: &[&str] = &["v1alpha1", "v1alpha2"];
const BATCH: &[&str] = &["v1", "v1beta1", "v2alpha1"];
const CORE: &[&str] = &["v1"];

const KNOWN: &[Known] = &[
    known("AuthorizationPolicy", "security.istio.io", SECURITY, Kind::AuthorizationPolicy),
    known("PeerAuthentication", "security.istio.io", SECURITY, Kind::PeerAuthentication),
    known("RequestAuthentication", "security.istio.io", SECURITY, Kind::RequestAuthentication),
    known("DestinationRule", "networking.istio.io", ISTIO, Kind::DestinationRule),
    known("Pod", "", CORE, Kind::Workload),
    known("ReplicationController", "", CORE, Kind::Workload),
    known("Deployment", "apps", APPS, Kind::Workload),
    known("ReplicaSet", "apps", APPS, Kind::Workload),
    known("StatefulSet", "apps", APPS, Kind::Workload),
    known("DaemonSet", "apps", APPS, Kind::Workload),
    known("Deployment", "extensions", EXTENSIONS, Kind::Workload),
    known("ReplicaSet", "extensions", EXTENSIONS, Kind::Workload),
    known("DaemonSet", "extensions", EXTENSIONS, Kind::Workload),
    known("Job", "batch", BATCH, Kind::Workload),
    known("CronJob", "batch", BATCH, Kind::Workload),
    known("Rollout", "argoproj.io", &["v1alpha1"], Kind::Workload),
    known("Service", "", CORE, Kind::Service),
    known("Namespace", "", CORE, Kind::Namespace),
    known("ServiceAccount", "", CORE, Kind::ServiceAccount),
    known("ServiceEntry", NETWORKING, ISTIO, Kind::ServiceEntry),
    known("WorkloadEntry", NETWORKING, ISTIO, Kind::WorkloadEntry),
    known("WorkloadGroup", NETWORKING, ISTIO, Kind::WorkloadGroup),
    known("Sidecar", NETWORKING, ISTIO, Kind::Sidecar),
    known("Gateway", NETWORKING, ISTIO, Kind::Gateway),
    known("VirtualService", NETWORKING, ISTIO, Kind::VirtualService),
    known("EnvoyFilter", NETWORKING, &["v1alpha3"], Kind::EnvoyFilter),
    known("ProxyConfig", NETWORKING, &["v1beta1"], Kind::ProxyConfig),
    known("Telemetry", "telemetry.istio.io", &["v1", "v1alpha1"], Kind::Telemetry),
    known("Gateway", GATEWAY_API, GATEWAY_VERSIONS, Kind::KubernetesGateway),
    known("GatewayClass", GATEWAY_API, GATEWAY_VERSIONS, Kind::GatewayClass),
    known("HTTPRoute", GATEWAY_API, GATEWAY_VERSIONS, Kind::HttpRoute),
    known("GRPCRoute", GATEWAY_API, GATEWAY_VERSIONS, Kind::GrpcRoute),
    known("TLSRoute", GATEWAY_API, GATEWAY_VERSIONS, Kind::TlsRoute),
    known("TCPRoute", GATEWAY_API, GATEWAY_VERSIONS, Kind::TcpRoute),
    known("ReferenceGrant", GATEWAY_API, GATEWAY_VERSIONS, Kind::ReferenceGrant),
    known("NetworkPolicy", "networking.k8s.io", CORE, Kind::NetworkPolicy),
    known("NetworkPolicy", "extensions", EXTENSIONS, Kind::NetworkPolicy),
    known("NetworkPolicy", CALICO, &["v3"], Kind::CalicoNetworkPolicy),
    known("NetworkPolicy", CALICO_CRD, CORE, Kind::CalicoNetworkPolicy),
    known("GlobalNetworkPolicy", CALICO, &["v3"], Kind::CalicoGlobalNetworkPolicy),
    known("GlobalNetworkPolicy", CALICO_CRD, CORE, Kind::CalicoGlobalNetworkPolicy),
    known("Tier", CALICO, &["v3"], Kind::CalicoTier),
    known("Tier", CALICO_CRD, CORE, Kind::CalicoTier),
    known("NetworkSet", CALICO, &["v3"], Kind::CalicoNetworkSet),
    known("NetworkSet", CALICO_CRD, CORE, Kind::CalicoNetworkSet),
    known("GlobalNetworkSet", CALICO, &["v3"], Kind::CalicoGlobalNetworkSet),
    known("GlobalNetworkSet", CALICO_CRD, CORE, Kind::CalicoGlobalNetworkSet),
    known("AdminNetworkPolicy", POLICY_API, POLICY_VERSIONS, Kind::OtherClusterNetworkPolicy),
    known("BaselineAdminNetworkPolicy", POLICY_API, POLICY_VERSIONS, Kind::OtherClusterNetworkPolicy),
    known("ClusterNetworkPolicy", POLICY_API, POLICY_VERSIONS, Kind::OtherClusterNetworkPolicy),
    known("CiliumNetworkPolicy", CILIUM, &["v2"], Kind::OtherNetworkPolicy),
    known("CiliumClusterwideNetworkPolicy", CILIUM, &["v2"], Kind::OtherClusterNetworkPolicy),
    known("HostEndpoint", CALICO, &["v3"], Kind::OtherClusterNetworkPolicy),
    known("HostEndpoint", CALICO_CRD, CORE, Kind::OtherClusterNetworkPolicy),
    known("Endpoints", "", CORE, Kind::Endpoints),
    known("EndpointSlice", "discovery.k8s.io", &["v1", "v1beta1"], Kind::EndpointSlice),
    known("Ingress", "networking.k8s.io", &["v1", "v1beta1"], Kind::Ingress),
    known("Ingress", "extensions", EXTENSIONS, Kind::Ingress),
    known("ValidatingWebhookConfiguration", ADMISSION, ADMISSION_VERSIONS, Kind::WebhookConfiguration),
    known("MutatingWebhookConfiguration", ADMISSION, ADMISSION_VERSIONS, Kind::WebhookConfiguration),
    known("APIService", "apiregistration.k8s.io", &["v1", "v1beta1"], Kind::ApiService),
    known("ServiceMonitor", MONITORING, CORE, Kind::ServiceMonitor),
    known("PodMonitor", MONITORING, CORE, Kind::PodMonitor),
    known("ConfigMap", "", CORE, Kind::ConfigMap),
    known("IstioOperator", "install.istio.io", &["v1alpha1"], Kind::IstioOperator),
    known("Istio", "sailoperator.io", &["v1", "v1alpha1"], Kind::SailIstio),
];

const fn known(
    name: &'static str,
    group: &'static str,
    versions: &'static [&'static str],
    kind: Kind,
) -> Known {
    Known { name, group, versions, kind }
}

impl Kind {
    /// The kind with this group and name, whatever its version.
    pub fn of(group: &str, name: &str) -> Option<Kind> {
        find(group, name).map(|known| known.kind)
    }

    /// Every name of a decoded kind; a document that contains none of them cannot matter (lists are named after
    /// their items).
    pub fn names() -> impl Iterator<Item = &'static str> {
        KNOWN.iter().map(|known| known.name)
    }

    /// The versions in which a kind is or was served; empty for unknown kinds.
    pub fn versions(group: &str, name: &str) -> &'static [&'static str] {
        find(group, name).map_or(&[], |known| known.versions)
    }
}

fn find(group: &str, name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name && known.group == group)
}
