//! The answer to one question, for people and for tools.

mod json;
mod text;

pub use json::write as write_json;
pub use text::write as write_text;

use meshproof_source::{SourceMap, Span};

/// `file:line` of a place.
fn place(sources: &SourceMap, span: Span) -> String {
    format!("{}:{}", sources.get(span.source).name, sources.position(span).line)
}
