//! For Graphviz.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use meshproof_graph::{NodeKind, Picture};

use super::{OPENNESS, TRANSPORTS, colours, fill, lines, readable, stroke};
use crate::clean::clean;

/// Writes the graph.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, picture: &Picture) -> io::Result<()> {
    let picture = readable(picture);
    writeln!(out, "digraph mesh {{")?;
    for note in &picture.notes {
        writeln!(out, "  // {}", clean(note))?;
    }
    writeln!(out, "  rankdir=LR; compound=true; fontname=\"Helvetica\";")?;
    writeln!(out, "  node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\", fontsize=11];")?;
    writeln!(out, "  edge [fontname=\"Helvetica\", fontsize=9];")?;
    let mut groups: BTreeMap<Option<Cow<'_, str>>, Vec<usize>> = BTreeMap::new();
    for (at, node) in picture.nodes.iter().enumerate() {
        groups.entry(node.frame()).or_default().push(at);
    }
    for (number, (namespace, nodes)) in groups.into_iter().enumerate() {
        let space = if namespace.is_some() { "    " } else { "  " };
        if let Some(namespace) = &namespace {
            writeln!(out, "  subgraph cluster_{number} {{")?;
            writeln!(out, "    label={}; color=\"#8c959f\";", quoted(namespace))?;
        }
        for at in nodes {
            let node = &picture.nodes[at];
            let (_, (inside, border)) = colours(node);
            let shape = match node.kind {
                NodeKind::Outside | NodeKind::Callers | NodeKind::Token => ", shape=ellipse",
                NodeKind::Gateway | NodeKind::Waypoint => ", shape=hexagon",
                NodeKind::Workload | NodeKind::Namespace => "",
            };
            let text = quoted(&node.label);
            writeln!(out, "{space}n{at} [label={text}, fillcolor=\"{inside}\", color=\"{border}\"{shape}];")?;
        }
        if namespace.is_some() {
            writeln!(out, "  }}")?;
        }
    }
    for line in lines(&picture) {
        let style = if line.certain { "" } else { ", style=dashed" };
        let (text, title) = (quoted(&line.label), quoted(&line.title));
        let color = stroke(line.transport);
        writeln!(
            out,
            "  n{} -> n{} [label={text}, color=\"{color}\", tooltip={title}{style}];",
            line.from, line.to
        )?;
    }
    writeln!(out, "  subgraph cluster_legend {{")?;
    writeln!(out, "    label=\"Legend (dashed: the input leaves it open)\"; fontsize=10;")?;
    for (openness, text) in OPENNESS {
        let (inside, border) = fill(openness);
        let name = openness.word();
        writeln!(out, "    l_{name} [label={}, fillcolor=\"{inside}\", color=\"{border}\"];", quoted(text))?;
    }
    for (transport, text) in TRANSPORTS {
        let (name, color) = (transport.word(), stroke(transport));
        writeln!(
            out,
            "    t_{name} [label={}, shape=plaintext, style=\"\", fontcolor=\"{color}\"];",
            quoted(text)
        )?;
    }
    writeln!(out, "  }}\n}}")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", clean(text).replace('\\', "\\\\").replace('"', "\\\""))
}
