//! The graph as a picture: DOT, Mermaid, JSON, SVG, and a page to look around in.

mod dot;
mod html;
mod json;
mod layout;
mod mermaid;
mod routes;
mod svg;

pub use dot::write as write_dot;
pub use html::write as write_html;
pub use json::write as write_json;
pub use mermaid::write as write_mermaid;
pub use svg::write as write_svg;

use std::borrow::Cow;
use std::collections::BTreeMap;

use meshproof_explain::Outcome;
use meshproof_graph::{NodeKind, Openness, Picture, PictureEdge, PictureNode};
use meshproof_source::{SourceMap, Span};

use crate::position::Positions;

/// With more nodes a still picture shows namespaces.
const NODES: usize = 60;
/// With more edges too.
const EDGES: usize = 240;

/// The picture, or that of its namespaces where it would be too full to be read.
fn readable(picture: &Picture) -> Cow<'_, Picture> {
    if picture.nodes.len() > NODES || picture.edges.len() > EDGES {
        Cow::Owned(picture.collapsed())
    } else {
        Cow::Borrowed(picture)
    }
}

/// The colour of an edge.
fn stroke(transport: Outcome) -> &'static str {
    match transport {
        Outcome::Mtls => "#1a7f37",
        Outcome::Tls => "#0969da",
        Outcome::Plaintext => "#cf222e",
        Outcome::Refused | Outcome::Unknown => "#6e7781",
    }
}

/// The colours of a node, and the name of the class that has them. Groups of callers are called by nobody.
fn colours(node: &PictureNode) -> (&'static str, (&'static str, &'static str)) {
    match node.kind {
        NodeKind::Outside | NodeKind::Callers | NodeKind::Token => (CALLERS.0, CALLERS.1),
        _ => (node.openness.word(), fill(node.openness)),
    }
}

/// Class and colours of callers.
const CALLERS: (&str, (&str, &str)) = ("callers", ("#ffffff", "#57606a"));

/// The colours of an openness: inside, border.
fn fill(openness: Openness) -> (&'static str, &'static str) {
    match openness {
        Openness::Nobody => ("#f6f8fa", "#8c959f"),
        Openness::Named => ("#dafbe1", "#1a7f37"),
        Openness::Mesh => ("#fff8c5", "#9a6700"),
        Openness::Anybody => ("#ffebe9", "#cf222e"),
    }
}

/// Edges between the same nodes over the same transport are one line.
struct Line {
    from: usize,
    to: usize,
    transport: Outcome,
    certain: bool,
    /// The ports, or how many edges it stands for.
    label: String,
    /// What there is to tell, in lines of text.
    title: String,
    /// How far it stands from the middle, where others lie beside it.
    shift: f64,
}

/// How far lines in opposite directions stand from the middle.
const OPPOSITE: f64 = 0.6;
/// Ports that are named at one line.
const PORTS: usize = 3;

/// The lines of a picture.
fn lines(picture: &Picture) -> Vec<Line> {
    let mut bundles: BTreeMap<(usize, usize, Outcome, bool), Vec<&PictureEdge>> = BTreeMap::new();
    for edge in &picture.edges {
        bundles.entry((edge.from, edge.to, edge.transport, edge.certain)).or_default().push(edge);
    }
    let mut beside: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (from, to, ..) in bundles.keys() {
        *beside.entry((*from, *to)).or_default() += 1;
    }
    let mut drawn: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let line =
        |((from, to, transport, certain), edges): ((usize, usize, Outcome, bool), Vec<&PictureEdge>)| {
            let nth = drawn.entry((from, to)).or_default();
            let answered = match beside.contains_key(&(to, from)) {
                true if from < to => -OPPOSITE,
                true => OPPOSITE,
                false => 0.0,
            };
            let shift = *nth as f64 - (beside[&(from, to)] as f64 - 1.0) / 2.0 + answered;
            *nth += 1;
            let title: Vec<String> = edges.iter().take(8).map(|edge| sentence(picture, edge)).collect();
            Line { from, to, transport, certain, label: label(&edges), title: title.join("\n"), shift }
        };
    bundles.into_iter().map(line).collect()
}

fn label(edges: &[&PictureEdge]) -> String {
    let mut ports: Vec<String> =
        edges.iter().filter_map(|edge| edge.port).map(|port| format!(":{port}")).collect();
    ports.dedup();
    let count: usize = edges.iter().map(|edge| edge.count).sum();
    match ports.len() {
        0 if count == 1 => String::new(),
        0 => format!("×{count}"),
        few if few <= PORTS => ports.join(" "),
        many => format!("{} and {} more", ports[..PORTS].join(" "), many - PORTS),
    }
}

/// One line about an edge.
fn sentence(picture: &Picture, edge: &PictureEdge) -> String {
    let (from, to) = (&picture.nodes[edge.from].label, &picture.nodes[edge.to].label);
    let Some(told) = edge.told.and_then(|at| picture.told.get(at)) else {
        return format!("{from} → {to}: {} {}", edge.count, edge.transport.word());
    };
    let except = match told.except.is_empty() {
        true => String::new(),
        false => format!(", except {}", told.except.join("; ")),
    };
    let port = edge.port.map_or_else(String::new, |port| format!(":{port}"));
    let (requests, transport) = (told.requests.join("; "), edge.transport.word());
    format!("{from} → {to}{port}: {requests} over {transport}{except}")
}

/// The texts of colours, for legends.
const OPENNESS: [(Openness, &str); 4] = [
    (Openness::Anybody, "open to somebody without an identity"),
    (Openness::Mesh, "open to many of the mesh"),
    (Openness::Named, "open to callers that rules name"),
    (Openness::Nobody, "reached by nobody"),
];

const TRANSPORTS: [(Outcome, &str); 4] = [
    (Outcome::Mtls, "mTLS"),
    (Outcome::Plaintext, "plaintext"),
    (Outcome::Tls, "TLS that no proxy opens"),
    (Outcome::Unknown, "not known"),
];

/// Positions of every place that the picture names.
fn positions(picture: &Picture, sources: &SourceMap) -> Positions {
    let spans = picture.told.iter().flat_map(|told| &told.because).filter_map(|one| one.span);
    Positions::of_spans(spans.collect::<Vec<Span>>().into_iter(), sources)
}

/// Text for XML and HTML.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in crate::clean::clean(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(character),
        }
    }
    out
}
