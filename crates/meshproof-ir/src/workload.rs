//! Workloads: pods of one template, with identity, capture, ports, modes and policies.

use meshproof_grammar::protocol::ProtocolClass;
use meshproof_resources::{MtlsMode, TextMap};
use meshproof_source::Span;

use crate::ambient::AmbientPeerAuthentication;
use crate::attachments::Attachments;
use crate::{Fact, NamespaceId, ResourceId, ServiceId};

/// How traffic of a pod meets the mesh (mutual-TLS reference §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capture {
    /// A sidecar is injected or written down.
    Sidecar,
    /// A sidecar that listens on HBONE too.
    SidecarHbone,
    /// ztunnel takes it.
    Ambient,
    /// An Istio gateway: its Gateway objects decide, not PeerAuthentication.
    Gateway,
    /// A waypoint.
    Waypoint,
    /// Proxyless gRPC.
    ProxylessGrpc,
    /// Not in the mesh.
    None,
}

/// What enforces policies at a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum EnforcementPoint {
    Sidecar,
    Gateway,
    Waypoint,
    Ztunnel,
    ProxylessGrpc,
}

/// A policy attached to a workload's enforcement point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The policy.
    pub policy: ResourceId,
    /// Certain, or why it only may be attached (unknown namespace, labels added at run time).
    pub certain: Result<(), String>,
}

/// Pods of one template (or one VM group) in one namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// The object that makes the pods.
    pub resource: ResourceId,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: NamespaceId,
    /// Labels of the pods as written (runtime and injected labels are not among them).
    pub labels: TextMap,
    /// Service account; `default` when none is written.
    pub service_account: Fact<String>,
    /// How its traffic meets the mesh.
    pub capture: Fact<Capture>,
    /// `hostNetwork: true`.
    pub host_network: bool,
    /// Ports that anything says something of, sorted by number: declared by containers, sent to by Services, or with
    /// a PeerAuthentication entry or a capture annotation of their own.
    pub ports: Vec<WorkloadPort>,
    /// Whether the proxy sees ports without an entry of their own.
    pub other_ports: PortCapture,
    /// Mode of every port without an entry of its own.
    pub mode: EffectiveMode,
    /// Where ztunnel refuses plaintext; only for pods it captures. `mode` and the ports say the same.
    pub ambient: Option<AmbientPeerAuthentication>,
    /// AuthorizationPolicies that the enforcement point evaluates, sorted by resource.
    pub policies: Attachments,
    /// RequestAuthentications that the enforcement point evaluates, sorted by resource.
    pub request_authentications: Attachments,
    /// EnvoyFilters that change what it receives (the first few): what is said of it is unverified.
    pub envoy_filters: Vec<ResourceId>,
    /// The Sidecar object in force; only where a sidecar may run.
    pub sidecar: Option<ResourceId>,
    /// Services that select it.
    pub services: Vec<ServiceId>,
}

impl Workload {
    /// What enforces policies here; `None` when nothing does or it is not known.
    pub fn enforcement_point(&self) -> Option<EnforcementPoint> {
        match self.capture.known()? {
            Capture::Sidecar | Capture::SidecarHbone => Some(EnforcementPoint::Sidecar),
            Capture::Ambient => Some(EnforcementPoint::Ztunnel),
            Capture::Gateway => Some(EnforcementPoint::Gateway),
            Capture::Waypoint => Some(EnforcementPoint::Waypoint),
            Capture::ProxylessGrpc => Some(EnforcementPoint::ProxylessGrpc),
            Capture::None => None,
        }
    }
}

/// The PeerAuthentication mode in force and who decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveMode {
    /// The mode; never `Unset`. Unknown when an undecidable object could decide.
    pub mode: Fact<MtlsMode>,
    /// The deciding object.
    pub decided_by: Option<ResourceId>,
    /// Objects that lose to an older one of their scope and would have had a say (the first few of each scope).
    pub shadowed: Vec<ResourceId>,
}

/// A Service port that leads to a workload port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortBinding {
    /// The Service.
    pub service: ServiceId,
    /// Index into its `ports`.
    pub port: usize,
}

/// A ServiceEntry port that leads to a workload port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryBinding {
    /// The ServiceEntry.
    pub entry: ResourceId,
    /// Index into its `ports`.
    pub port: usize,
}

/// Whether the proxy sees traffic to a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortCapture {
    /// It does.
    Captured,
    /// It goes around the proxy: no PeerAuthentication, no AuthorizationPolicy.
    Excluded {
        /// The annotation (or mesh value) that says so; absent for Istio's own ports and for datagrams.
        by: Option<Span>,
    },
}

/// One port of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadPort {
    /// Number.
    pub number: u16,
    /// Where a container declares it; absent for ports known from Services alone.
    pub declared: Option<Span>,
    /// Container port name.
    pub name: Option<String>,
    /// Protocol class of the inbound chain.
    pub protocol: Fact<ProtocolClass>,
    /// Service ports that lead here, sorted by Service.
    pub bindings: Vec<PortBinding>,
    /// ServiceEntry ports that lead here.
    pub service_entries: Vec<EntryBinding>,
    /// Mode of this port.
    pub mode: EffectiveMode,
    /// Whether the proxy sees it.
    pub capture: PortCapture,
}

impl WorkloadPort {
    /// The first port of a Service that leads here.
    pub fn binding_of(&self, service: ServiceId) -> Option<&PortBinding> {
        let at = self.bindings.partition_point(|binding| binding.service < service);
        self.bindings.get(at).filter(|binding| binding.service == service)
    }
}
