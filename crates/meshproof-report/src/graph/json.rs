//! The graph as one JSON object. `"format": 1` promises these keys; later releases of the same format may add some.

use std::io::{self, Write};

use meshproof_graph::{Picture, PictureEdge, PictureNode, TokenPrincipal};
use meshproof_source::SourceMap;
use serde_json::{Value, json};

use super::positions;
use crate::position::Positions;
use crate::reach::{list, shown};

/// Writes the graph and a line break.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, picture: &Picture, sources: &SourceMap) -> io::Result<()> {
    let positions = positions(picture, sources);
    let nodes = picture.nodes.iter().enumerate().map(|(at, node)| of_node(at, node));
    let edges = picture.edges.iter().map(|edge| of_edge(picture, edge, sources, &positions));
    // One after the other: of a large mesh the whole would be held twice.
    write!(out, "{{\n  \"format\": 1,\n  \"workloads\": {}", picture.workloads)?;
    list(out, "notes", picture.notes.iter().map(|note| json!(note)))?;
    list(out, "nodes", nodes)?;
    list(out, "edges", edges)?;
    out.write_all(b"\n}\n")
}

/// The whole of it, for the page.
pub(super) fn value(picture: &Picture, sources: &SourceMap) -> Value {
    let positions = positions(picture, sources);
    let nodes: Vec<Value> = picture.nodes.iter().enumerate().map(|(at, node)| of_node(at, node)).collect();
    let edges: Vec<Value> =
        picture.edges.iter().map(|edge| of_edge(picture, edge, sources, &positions)).collect();
    json!({ "format": 1, "workloads": picture.workloads, "notes": picture.notes, "nodes": nodes, "edges": edges })
}

fn of_node(at: usize, node: &PictureNode) -> Value {
    json!({
        "id": at,
        "label": node.label,
        "namespace": node.namespace,
        "setUp": node.set_up,
        "kind": node.kind.word(),
        "openness": node.openness.word(),
        "members": node.members,
        "token": node.token.as_ref().map(token),
        "ports": node.ports,
    })
}

/// A class of tokens; null stands for whatever it is.
fn token(token: &TokenPrincipal) -> Value {
    let issuer = token.issuer.as_ref().map(ToString::to_string);
    let subject = token.subject.as_ref().map(ToString::to_string);
    json!({ "issuer": issuer, "subject": subject, "from": token.as_asked() })
}

fn of_edge(picture: &Picture, edge: &PictureEdge, sources: &SourceMap, positions: &Positions) -> Value {
    let told = edge.told.and_then(|at| picture.told.get(at));
    let because: Vec<Value> = told
        .iter()
        .flat_map(|told| &told.because)
        .map(|one| {
            let place = one
                .span
                .map(|span| format!("{}:{}", sources.get(span.source).name, positions.start(span).line));
            json!({ "text": one.text, "object": one.object, "place": place })
        })
        .collect();
    json!({
        "from": edge.from,
        "to": edge.to,
        "port": edge.port,
        "transport": edge.transport.word(),
        "certain": edge.certain,
        "who": told.map(|told| &told.who),
        "tokens": told.map(|told| &told.tokens),
        "requests": told.map(|told| &told.requests),
        "except": told.map(|told| &told.except),
        "may": told.map(|told| &told.may),
        "notes": told.map(|told| &told.notes),
        "because": because,
        "witness": told.and_then(|told| told.witness.as_ref()).map(shown),
    })
}
