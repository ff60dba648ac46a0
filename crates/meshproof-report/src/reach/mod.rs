//! Who can reach what, for people and for tools.

mod json;
mod text;

pub(crate) use json::list;
pub use json::write as write_json;
pub use text::write as write_text;

use meshproof_graph::{Reach, ReachEdge, Witness};
use meshproof_source::{SourceMap, Span};

use crate::position::Positions;

/// One set-up of the input with its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct SetUp {
    /// The folder that holds it; nothing where the input is one set-up.
    pub name: Option<String>,
    /// Its answer.
    pub reach: Reach,
}

/// Positions of every place that a report names.
fn positions(set_ups: &[SetUp], sources: &SourceMap) -> Positions {
    let edges = set_ups.iter().flat_map(|set_up| {
        let hops = set_up.reach.paths.iter().flat_map(|path| &path.hops);
        set_up.reach.edges.iter().chain(hops)
    });
    Positions::of_spans(edges.flat_map(spans), sources)
}

fn spans(edge: &ReachEdge) -> impl Iterator<Item = Span> {
    edge.told.because.iter().filter_map(|one| one.span)
}

/// A witness in one line: `GET /api from shop/web`.
pub(crate) fn shown(witness: &Witness) -> String {
    let mut said = match (&witness.method, &witness.path) {
        (Some(method), Some(path)) => format!("{method} {path}"),
        _ => "a connection".to_owned(),
    };
    if let Some(host) = &witness.host {
        said.push_str(&format!(" at {host}"));
    }
    for (name, value) in &witness.headers {
        said.push_str(&format!(" with {name}: {value}"));
    }
    if let Some(claims) = &witness.claims {
        said.push_str(&format!(" with a token {claims}"));
    }
    if let Some(sni) = &witness.sni {
        said.push_str(&format!(" for server name {sni}"));
    }
    said.push_str(&format!(" from {}", witness.from));
    if let Some(source) = &witness.source {
        said.push_str(&format!(" at {source}"));
    }
    said
}
