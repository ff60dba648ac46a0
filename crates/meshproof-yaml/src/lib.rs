//! Spanned YAML and JSON trees with Kubernetes' scalar rules.
//!
//! [`parse`] turns one document (a byte range of a source) into a flat [`Tree`]; every key and value keeps its byte
//! span and scalars are resolved late, from raw text and style. The event parser behind it is not visible outside.

mod problem;
mod scalar;
mod tree;

pub use problem::{Problem, ProblemKind};
pub use scalar::Scalar;
pub use tree::{NodeRef, Shape, Tree};
