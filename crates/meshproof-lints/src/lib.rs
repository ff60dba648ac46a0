//! One file per lint, and what the lints share: the context, facts of policies, names that exist.
//!
//! [`Context::new`] joins the mesh with what is known about the world around it; [`run`] asks every lint of
//! [`LINTS`]. A lint is two lines in [`registry`], one file here, and one page in `docs/lints/`.

mod accounts;
mod ambient_mtls_mismatch;
mod automatic;
mod blocked_tunnel;
mod calls;
mod client_tls_mismatch;
mod clients;
mod conflicting_rules;
mod context;
mod cover;
mod dangling_setting;
mod default_open;
mod deny_all_gap;
mod envoy_filter;
mod erased_tls;
mod hash;
mod http_deny_at_ztunnel;
mod identity_over_plaintext;
mod ignored_credential;
mod ignored_tls_field;
mod ineffective_injection;
mod network;
mod never_matches;
mod open_passthrough;
mod patterns;
mod peers;
mod permissive_mtls;
mod plaintext_client;
mod policies;
mod proof;
mod protocol_conflict;
mod refused_probe;
pub mod registry;
mod selector_matches_nothing;
mod selectors;
mod shadowed_destination_rule;
mod shared_account;
mod similar;
mod split_rule;
mod tls_without_mode;
mod tunnel_around_ports;
mod tunnels;
mod uncaptured_port;
mod unenforced_policy;
mod unenforced_target;
mod unknown_principal;
mod unrequired_token;
mod untrusted_alias;
mod unused_destination_rule;
mod unverified_tls;
mod waypoint_bypass;
mod waypoint_calls;
mod witnesses;

pub use context::{Context, World};
pub use registry::{LINTS, Lint, drop_repeated, lint, run};
