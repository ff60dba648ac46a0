//! For Mermaid, which pages of code hosts draw.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use meshproof_graph::{NodeKind, Picture};

use super::{CALLERS, OPENNESS, colours, fill, lines, readable, stroke};
use crate::clean::clean;

/// Writes the graph.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, picture: &Picture) -> io::Result<()> {
    let picture = readable(picture);
    writeln!(out, "flowchart LR")?;
    for note in &picture.notes {
        writeln!(out, "  %% {}", clean(note))?;
    }
    let mut groups: BTreeMap<Option<Cow<'_, str>>, Vec<usize>> = BTreeMap::new();
    for (at, node) in picture.nodes.iter().enumerate() {
        groups.entry(node.frame()).or_default().push(at);
    }
    for (number, (namespace, nodes)) in groups.into_iter().enumerate() {
        let space = if namespace.is_some() { "    " } else { "  " };
        if let Some(namespace) = &namespace {
            writeln!(out, "  subgraph g{number}[{}]", quoted(namespace))?;
        }
        for at in nodes {
            let node = &picture.nodes[at];
            let text = quoted(&node.label);
            let shape = match node.kind {
                NodeKind::Outside | NodeKind::Callers | NodeKind::Token => format!("([{text}])"),
                NodeKind::Gateway | NodeKind::Waypoint => format!("{{{{{text}}}}}"),
                NodeKind::Workload | NodeKind::Namespace => format!("[{text}]"),
            };
            writeln!(out, "{space}n{at}{shape}:::{}", colours(node).0)?;
        }
        if namespace.is_some() {
            writeln!(out, "  end")?;
        }
    }
    let lines = lines(&picture);
    for line in &lines {
        let arrow = if line.certain { "-->" } else { "-.->" };
        let text = if line.label.is_empty() { String::new() } else { format!("|{}|", quoted(&line.label)) };
        writeln!(out, "  n{} {arrow}{text} n{}", line.from, line.to)?;
    }
    for (at, line) in lines.iter().enumerate() {
        writeln!(out, "  linkStyle {at} stroke:{}", stroke(line.transport))?;
    }
    let of_openness = OPENNESS.map(|(openness, _)| (openness.word(), fill(openness)));
    for (name, (inside, border)) in of_openness.into_iter().chain([CALLERS]) {
        writeln!(out, "  classDef {name} fill:{inside},stroke:{border},color:#1f2328")?;
    }
    Ok(())
}

/// Mermaid reads `#` and `;` as entities, and no backslashes.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in clean(text).chars() {
        match character {
            '"' | '#' | ';' | '<' | '>' | '&' | '`' => out.push_str(&format!("#{};", u32::from(character))),
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}
