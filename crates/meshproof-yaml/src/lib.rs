//! Spanned YAML and JSON trees with Kubernetes' scalar rules.
//!
//! [`parse`] turns one document (a byte range of a source) into a flat [`Tree`]; every key and value keeps its byte
//! span and scalars are resolved late, from raw text and style. The event parser behind it is not visible outside.

mod build;
mod check;
mod events;
mod fast;
mod json;
mod parse;
mod prefilter;
mod problem;
mod scalar;
mod syntax;
mod template;
mod tree;

pub use parse::{Parsed, Reader, parse, parse_with};
pub use prefilter::{Relevance, may_matter};
pub use problem::{Problem, ProblemKind};
pub use scalar::Scalar;
pub use template::{TemplateKind, TemplateMarker, is_placeholder, template_marker};
pub use tree::{NodeRef, Shape, Style, Tree};
