//! What the manifests mean: the mesh with its workloads, ports, identities, modes and attached policies.
//!
//! [`Mesh::build`](mesh::Mesh) takes every decoded resource and answers the questions that analyses ask. Every fact
//! carries its [`Origin`]; what the input cannot tell is [`Fact::Unknown`] with a reason, never a guess.

mod fact;
mod ids;
mod mesh;
mod workload;

pub use fact::{Fact, Origin};
pub use ids::{ClusterId, NamespaceId, ResourceId, ServiceId, WorkloadId};
pub use mesh::{Cluster, Mesh, Namespace, Service, Settings};
pub use workload::{
    Attachment, Capture, EffectiveMode, EnforcementPoint, PortBinding, PortCapture, Workload, WorkloadPort,
};
