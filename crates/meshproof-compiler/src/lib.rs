//! Policies in the form in which proxies take them.
//!
//! [`compile`] gives the RBAC and ext_authz filters of every proxy of a mesh, chain by chain, as istiod would send
//! them, and tells what could not be known. [`document`] and [`index`] put them into files.

mod chain;
mod compile;
mod ext_authz;
mod files;
pub mod table;

pub use chain::{ChainFilters, chain_filters};
pub use compile::{Chain, ChainPort, Compiled, NotEmitted, Proxy, compile};
pub use files::{FORMAT, TARGET, document, file_names, index};
