//! The small languages inside manifest strings, in nom.
//!
//! One file per language. Each gives a plain typed value, a `parse` that either returns it or a [`ParseError`] with
//! byte positions inside the string, and a `Display` that parses back to the same value. The written grammar and its
//! accepted and rejected examples live in `grammar/<name>.{ebnf,ok,bad}` and run as tests.
//!
//! Where the mesh itself accepts every string (match patterns, principals, request principals), `parse` cannot fail
//! either; what reads like a mistake is reported by a second question such as [`pattern::Pattern::oddity`].

pub mod calico;
pub mod cidr;
pub mod dns;
pub mod dry_run;
pub mod duration;
pub mod error;
pub mod host;
pub mod label_selector;
pub mod namespace_pattern;
pub mod path;
pub mod path_template;
pub mod pattern;
pub mod port;
pub mod principal;
pub mod protocol;
pub mod provider_name;
pub mod request_principal;
pub mod service_account;
pub mod spiffe;
mod text;
pub mod trust_domain;
pub mod uri_template;
pub mod when_key;

pub use error::ParseError;
