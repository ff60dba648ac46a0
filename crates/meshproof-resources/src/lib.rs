//! One file per kind: what was *written*, every value with its span; decoding and admission-grade validation.
//!
//! [`decode()`] turns one document into [`Resource`]s (several for a `List`). Decoding is lenient: what
//! can be read is read, whatever admission says of the object. What it means is the next crate's business.

pub mod admission;
mod api_backends;
mod authorization_policy;
mod calico;
mod calico_tier;
mod decode;
mod destination_rule;
mod embedded;
mod endpoints;
mod envoy_filter;
mod extension_provider;
mod gateway;
mod ingress;
mod kind;
mod kubernetes_gateway;
mod label_selector;
mod mesh_config;
mod monitor;
mod network_policy;
mod object;
mod patch;
mod peer_authentication;
mod pod;
mod read;
mod request_authentication;
mod route;
pub mod schema;
mod service;
mod service_entry;
mod sidecar;
mod spec;
#[cfg(test)]
mod tests;
mod virtual_service;
mod workload_entry;

pub use api_backends::*;
pub use authorization_policy::*;
pub use calico::{CalicoEntity, CalicoPolicy, CalicoRule};
pub use calico_tier::*;
pub use decode::{Decoded, Issue, NotObject, decode, decode_with_text};
pub use destination_rule::*;
pub use endpoints::*;
pub use envoy_filter::*;
pub use extension_provider::*;
pub use gateway::*;
pub use ingress::*;
pub use kind::Kind;
pub use kubernetes_gateway::*;
pub use label_selector::*;
pub use mesh_config::*;
pub use monitor::*;
pub use network_policy::*;
pub use object::*;
pub use patch::*;
pub use peer_authentication::*;
pub use pod::*;
pub use request_authentication::*;
pub use route::*;
pub use service::*;
pub use service_entry::*;
pub use sidecar::*;
pub use spec::*;
pub use virtual_service::*;
pub use workload_entry::*;
