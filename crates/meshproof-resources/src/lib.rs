//! One file per kind: what was *written*, every value with its span; decoding and admission-grade validation.
//!
//! [`decode()`] turns one document into [`Resource`]s (several for a `List`). Decoding is lenient: what
//! can be read is read, whatever admission says of the object. What it means is the next crate's business.

pub mod admission;
mod authorization_policy;
mod decode;
mod destination_rule;
mod kind;
mod object;
mod peer_authentication;
mod pod;
mod read;
mod request_authentication;
pub mod schema;
mod service;
mod spec;

pub use authorization_policy::*;
pub use decode::{Decoded, Issue, NotObject, decode};
pub use destination_rule::*;
pub use kind::Kind;
pub use object::*;
pub use peer_authentication::*;
pub use pod::*;
pub use request_authentication::*;
pub use service::*;
pub use spec::*;
