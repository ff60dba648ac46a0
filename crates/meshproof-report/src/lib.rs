//! Findings as people and machines read them.
//!
//! Each format is one module with one `write` function over the same four things: the findings, the texts they point
//! into, the [`Summary`] of the run, and where needed a [`Style`]. Output is deterministic: findings are written in
//! the order given, and the only thing that varies between runs, the elapsed time, is the caller's to give.
//!
//! Messages and excerpts carry text of the input, which is not to be trusted: whatever a terminal would act on is
//! shown as an escape.

mod clean;
pub mod concise;
mod draw;
mod excerpt;
pub mod explain;
pub mod graph;
pub mod json;
mod position;
pub mod reach;
mod style;
mod summary;
pub mod text;
pub mod tls;
mod window;

pub use style::Style;
pub use summary::{Skipped, Summary};
