//! The effective mTLS of ports and the outcome per client, for people and for tools.

mod json;
mod kinds;
mod text;

pub use json::write as write_json;
pub use text::write as write_text;

use meshproof_explain::tls::{TlsRow, TlsTable};
use meshproof_source::{SourceMap, Span};

use crate::position::Positions;

/// How a pod is called without a Service.
const ADDRESS: &str = "address";

/// One set-up of the input with its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetUp {
    /// The folder that holds it; nothing where the input is one set-up.
    pub name: Option<String>,
    /// Its table.
    pub table: TlsTable,
}

/// Positions of every place that a report names.
fn positions(set_ups: &[SetUp], sources: &SourceMap) -> Positions {
    Positions::of_spans(set_ups.iter().flat_map(|set_up| set_up.table.rows.iter().flat_map(spans)), sources)
}

fn spans(row: &TlsRow) -> impl Iterator<Item = Span> {
    let because = row.clients.iter().flat_map(|clients| &clients.because).filter_map(|one| one.span);
    row.place.into_iter().chain(row.notes.iter().filter_map(|note| note.span)).chain(because)
}
