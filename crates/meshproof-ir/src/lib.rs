//! What the manifests mean: the mesh with its workloads, ports, identities, modes and attached policies.
//!
//! [`Mesh::build`] takes every decoded resource and answers the questions that analyses ask. Every fact carries its
//! [`Origin`]; what the input cannot tell is [`Fact::Unknown`] with a reason, never a guess.

mod acceptance;
mod age;
mod allowed_routes;
mod ambient;
mod attachment;
mod attachments;
mod build;
mod called;
mod capture;
mod deployed;
mod doubts;
mod envoy_filter;
mod fact;
mod floating;
mod gateway_ports;
mod gateways;
mod identity;
mod ids;
mod inbound;
mod index;
mod ingress_route;
mod labels;
mod mesh;
mod mesh_config;
mod peer_authentication;
mod peer_modes;
mod placement;
mod pods;
mod ports;
mod presumed;
mod query;
mod scopes;
mod services;
mod settings;
mod sidecars;
mod target_refs;
mod unrendered;
mod waypoint_binding;
mod waypoint_chains;
mod workload;
mod ztunnel;

pub use acceptance::{Acceptance, ClientTls, Layer, Refusal, accept};
pub use age::{all_dated, sort_by_age};
pub use ambient::AmbientPeerAuthentication;
pub use attachments::{Attachments, AttachmentsIter};
pub use build::{BuildOptions, ResourceInput};
pub use called::{Called, ChainPort};
pub use doubts::is_given_later;
pub use fact::{Fact, Origin};
pub use gateway_ports::{GatewayPort, RouteParent};
pub use gateways::{DeployedService, Gateway, GatewayRole, GatewayService};
pub use identity::Identity;
pub use ids::{ClusterId, GatewayId, NamespaceId, ResourceId, ServiceId, WorkloadId};
pub use ingress_route::IngressRoute;
pub use labels::{LabelSet, SelectorIndex};
pub use mesh::{Cluster, Mesh, Namespace, Service, UNNAMED};
pub use services::{entry_port_class, service_port_class};
pub use settings::{Assumption, Dataplane, Settings, SettingsOverride};
pub use waypoint_binding::{Canary, NoWaypoint, WaypointBinding};
pub use waypoint_chains::ProxyPolicies;
pub use workload::{
    Attachment, Capture, EffectiveMode, EnforcementPoint, EntryBinding, PortBinding, PortCapture, Workload,
    WorkloadPort,
};
pub use ztunnel::ZtunnelPolicies;
