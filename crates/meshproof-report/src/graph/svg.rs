//! A still picture.

use std::collections::BTreeMap;
use std::io::{self, Write};

use meshproof_graph::{NodeKind, Picture};

use super::layout::{Layout, layout};
use super::routes::{Roads, Route};
use super::{Line, OPENNESS, TRANSPORTS, colours, fill, lines, readable, stroke, xml};

const LEGEND: f64 = 56.0;

/// Writes the picture.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, picture: &Picture) -> io::Result<()> {
    let picture = readable(picture);
    let layout = layout(&picture);
    let (width, height) = (layout.width.max(900.0), layout.height + LEGEND);
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\">"
    )?;
    writeln!(out, "<title>Who can reach what</title>")?;
    writeln!(out, "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>")?;
    writeln!(out, "<defs>")?;
    for (transport, _) in TRANSPORTS {
        writeln!(
            out,
            "<marker id=\"{}\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" \
             orient=\"auto\"><path d=\"M0 0L10 5L0 10z\" fill=\"{}\"/></marker>",
            transport.word(),
            stroke(transport)
        )?;
    }
    writeln!(out, "</defs>")?;
    for (title, area) in &layout.boxes {
        writeln!(
            out,
            "<g><rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"8\" fill=\"#f6f8fa\" \
             stroke=\"#d0d7de\"/><text x=\"{:.1}\" y=\"{:.1}\" font-weight=\"bold\" fill=\"#57606a\">{}</text></g>",
            area.x,
            area.y,
            area.width,
            area.height,
            area.x + 12.0,
            area.y + 20.0,
            xml(title)
        )?;
    }
    edges(out, &picture, &layout)?;
    for (node, area) in picture.nodes.iter().zip(&layout.nodes) {
        let (_, (inside, border)) = colours(node);
        let round = match node.kind {
            NodeKind::Outside | NodeKind::Callers | NodeKind::Token => 16.0,
            NodeKind::Gateway | NodeKind::Waypoint => 0.0,
            NodeKind::Workload | NodeKind::Namespace => 6.0,
        };
        writeln!(
            out,
            "<g><title>{}</title><rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"{round}\" \
             fill=\"{inside}\" stroke=\"{border}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" \
             fill=\"#1f2328\">{}</text></g>",
            xml(&node.members.join(", ")),
            area.x,
            area.y,
            area.width,
            area.height,
            area.x + area.width / 2.0,
            area.y + area.height / 2.0 + 4.0,
            xml(&shortened(&node.label))
        )?;
    }
    legend(out, layout.height)?;
    writeln!(out, "</svg>")
}

fn edges(out: &mut dyn Write, picture: &Picture, layout: &Layout) -> io::Result<()> {
    let lines = lines(picture);
    let dense = lines.len() > 120;
    let opacity = if dense { 0.45 } else { 0.85 };
    let roads = Roads::new(&layout.nodes, layout.titles().collect(), lines.len());
    let mut labels = Labels::default();
    for edge in &lines {
        let route = roads.between(edge.from, edge.to, edge.shift * 8.0);
        let dashed = if edge.certain { "" } else { " stroke-dasharray=\"5 4\"" };
        writeln!(
            out,
            "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.4\" stroke-opacity=\"{opacity}\" \
             marker-end=\"url(#{})\"{dashed}><title>{}</title></path>",
            route.path(),
            stroke(edge.transport),
            edge.transport.word(),
            title(&edge.title)
        )?;
        if !dense && !edge.label.is_empty() {
            labels.add(edge, &route);
        }
    }
    labels.write(out)?;
    Ok(())
}

/// Labels at the ends of lines: one for all lines that say the same at one side of a node, others above or below it.
#[derive(Default)]
struct Labels {
    /// By node and side: how many there are, and what was said.
    at: BTreeMap<(usize, bool), Vec<String>>,
    written: Vec<String>,
}

/// Labels at one side of a node; further ones are told by the lines themselves.
const STACKED: usize = 3;

impl Labels {
    fn add(&mut self, edge: &Line, route: &Route) {
        let (is_left, end) = (route.is_from_left(), route.end());
        let known = self.at.entry((edge.to, is_left)).or_default();
        if known.len() == STACKED || known.contains(&edge.label) {
            return;
        }
        let step = known.len() as f64 * 10.0;
        known.push(edge.label.clone());
        // Those of the two sides would meet between columns.
        let y = if is_left { end.1 - 4.0 - step } else { end.1 + 11.0 + step };
        let (x, anchor) = if is_left { (end.0 - 9.0, "end") } else { (end.0 + 9.0, "start") };
        self.written.push(format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"9\" fill=\"{}\">{}</text>",
            stroke(edge.transport),
            xml(&edge.label)
        ));
    }

    /// Over the lines.
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.written.iter().try_for_each(|label| writeln!(out, "{label}"))
    }
}

fn legend(out: &mut dyn Write, top: f64) -> io::Result<()> {
    let mut x = 16.0;
    for (openness, text) in OPENNESS {
        let (inside, border) = fill(openness);
        writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"16\" height=\"12\" rx=\"3\" fill=\"{inside}\" stroke=\"{border}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\" fill=\"#57606a\">{text}</text>",
            top + 6.0,
            x + 22.0,
            top + 16.0
        )?;
        x += 44.0 + text.len() as f64 * 5.8;
    }
    let mut x = 16.0;
    let lines = TRANSPORTS.iter().map(|(transport, text)| (stroke(*transport), *text, ""));
    for (color, text, dash) in
        lines.chain([("#57606a", "perhaps: the input leaves it open", " stroke-dasharray=\"5 4\"")])
    {
        writeln!(
            out,
            "<line x1=\"{x:.1}\" y1=\"{0:.1}\" x2=\"{1:.1}\" y2=\"{0:.1}\" stroke=\"{color}\" stroke-width=\"2\"{dash}/>\
             <text x=\"{2:.1}\" y=\"{3:.1}\" font-size=\"11\" fill=\"#57606a\">{text}</text>",
            top + 34.0,
            x + 18.0,
            x + 24.0,
            top + 38.0
        )?;
        x += 48.0 + text.len() as f64 * 5.8;
    }
    Ok(())
}

/// Line by line.
fn title(text: &str) -> String {
    text.lines().map(xml).collect::<Vec<_>>().join("\n")
}

/// A label that fits into the widest node.
fn shortened(label: &str) -> String {
    const MOST: usize = 54;
    match label.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &label[..at]),
        None => label.to_owned(),
    }
}
