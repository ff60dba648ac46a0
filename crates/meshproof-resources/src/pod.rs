//! Pods and everything that makes pods: Pod, Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob,
//! ReplicationController, Argo Rollout.

use meshproof_source::{Span, Spanned};

use crate::{Text, TextMap};

/// A workload object: the template of its pods and what stands around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// The pods it makes; absent when a Rollout refers to another object (`workloadRef`).
    pub template: Option<PodTemplate>,
    /// `spec.workloadRef` of a Rollout: kind and name.
    pub workload_ref: Option<(Text, Text)>,
    /// `spec.selector.matchLabels` (or the plain selector of a ReplicationController).
    pub selector: TextMap,
    /// `spec.replicas`.
    pub replicas: Option<Spanned<u32>>,
}

/// A pod, or the template of pods.
#[derive(Clone, Debug, PartialEq)]
pub struct PodTemplate {
    /// The template (or the Pod object).
    pub span: Span,
    /// Labels of the pods.
    pub labels: TextMap,
    /// Annotations of the pods.
    pub annotations: TextMap,
    /// `serviceAccountName` (or the deprecated `serviceAccount`).
    pub service_account: Option<Text>,
    /// `hostNetwork`.
    pub host_network: bool,
    /// `containers`, then init containers.
    pub containers: Vec<Container>,
}

/// One container.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// Name.
    pub name: Option<Text>,
    /// Image.
    pub image: Option<Text>,
    /// Declared ports.
    pub ports: Vec<ContainerPort>,
    /// An init container.
    pub init: bool,
    /// An init container with `restartPolicy: Always` (native sidecar).
    pub sidecar: bool,
    /// `securityContext.runAsUser`.
    pub run_as_user: Option<Spanned<i64>>,
    /// Ports (number or name) that HTTP, TCP and gRPC probes of this container use; the bool tells HTTP probes.
    pub probes: Vec<(PortRef, bool)>,
}

/// A declared container port.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerPort {
    /// Number.
    pub number: Spanned<u16>,
    /// Name.
    pub name: Option<Text>,
    /// Transport.
    pub protocol: Transport,
}

/// `protocol` of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Transport {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

/// A port by number or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortRef {
    /// By number.
    Number(Spanned<u16>),
    /// By container port name.
    Name(Text),
}
