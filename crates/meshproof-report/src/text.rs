//! Plain text for people: what is wrong, the places, the proof, what to do.

use std::collections::HashSet;
use std::io::{self, Write};

use meshproof_diagnostics::{Finding, Label};
use meshproof_source::{LineColumn, Origin, SourceMap};

use crate::clean::{clean, wrap};
use crate::draw::Frame;
use crate::excerpt::stretches;
use crate::position::Positions;
use crate::style::level_name;
use crate::{Style, Summary};

/// Stretches of lines that are drawn per finding, normally and in verbose output. Further places are named with their
/// position, and beyond [`MOST_PLACES`] counted.
const MOST_STRETCHES: [usize; 2] = [4, 16];

/// Places that are named in addition, in output that is not verbose.
const MOST_PLACES: usize = 8;

/// Writes the findings and the closing lines.
///
/// # Errors
/// Those of `out`.
pub fn write(
    out: &mut dyn Write,
    findings: &[Finding],
    sources: &SourceMap,
    summary: &Summary,
    style: Style,
) -> io::Result<()> {
    let positions = Positions::of(findings, sources);
    let frame = Frame::new(style);
    let mut explained = HashSet::new();
    for finding in findings {
        write_header(out, finding, style)?;
        write_places(out, finding, sources, &positions, &frame, style)?;
        write_proof_and_help(out, finding, style)?;
        // Once per lint is enough to know where to read on.
        if explained.insert(finding.lint) {
            write_note(out, "more", &format!("meshproof lint {}", finding.lint), style)?;
        }
        writeln!(out)?;
    }
    summary.write(out, style)
}

fn write_header(out: &mut dyn Write, finding: &Finding, style: Style) -> io::Result<()> {
    let level = style.level(finding.level, &format!("{}[{}]", level_name(finding.level), finding.lint));
    let message = style.glyphs(clean(&finding.message).into_owned());
    writeln!(out, "{level} {}", style.bold(&message))
}

fn write_places(
    out: &mut dyn Write,
    finding: &Finding,
    sources: &SourceMap,
    positions: &Positions,
    frame: &Frame,
    style: Style,
) -> io::Result<()> {
    let mut drawn = stretches(finding, sources, positions, style);
    let rest = drawn.split_off(drawn.len().min(MOST_STRETCHES[usize::from(style.verbose)]));
    let number_width = drawn
        .iter()
        .map(|stretch| stretch.number_width(sources.get(stretch.source), style))
        .max()
        .unwrap_or(1);
    let indent = " ".repeat(number_width + 2);
    for (at, stretch) in drawn.iter().enumerate() {
        if let Some(head) = stretch.places.first() {
            let corner = if at == 0 { &frame.top } else { &frame.middle };
            writeln!(out, "{indent}{corner}{}", place(head.label, head.position, sources, style))?;
        }
        for line in stretch.draw(sources.get(stretch.source), finding.level, style, number_width) {
            writeln!(out, "{line}")?;
        }
    }
    let named: Vec<_> = rest.iter().flat_map(|stretch| &stretch.places).collect();
    let shown = if style.verbose { named.len() } else { named.len().min(MOST_PLACES) };
    for (at, other) in named[..shown].iter().enumerate() {
        let corner = if at + 1 == named.len() { &frame.last } else { &frame.middle };
        let text = style.glyphs(clean(&other.label.text).into_owned());
        let place = place(other.label, other.position, sources, style);
        writeln!(out, "{}", format!("{indent}{corner}{place} {text}").trim_end())?;
    }
    if shown < named.len() {
        let hidden = named.len() - shown;
        let places = if hidden == 1 { "place" } else { "places" };
        return writeln!(
            out,
            "{indent}{} {hidden} more {places}, listed with -v or --output json",
            frame.last
        );
    }
    if named.is_empty() { writeln!(out, "{indent}{}", frame.bottom) } else { Ok(()) }
}

/// `[file:line:column]`, and for rendered text by whom it was written.
fn place(label: &Label, position: LineColumn, sources: &SourceMap, style: Style) -> String {
    let source = sources.get(label.span.source);
    let LineColumn { line, column } = position;
    let place = style.place(&format!("{}:{line}:{column}", clean(&source.name)));
    match &source.origin {
        Origin::Rendered { by } => format!("[{place}] {}", style.dim(&format!("rendered by {}", clean(by)))),
        Origin::File | Origin::Stdin => format!("[{place}]"),
    }
}

fn write_proof_and_help(out: &mut dyn Write, finding: &Finding, style: Style) -> io::Result<()> {
    if let Some(witness) = &finding.witness {
        let mut proof = witness.to_string();
        // The first reason belongs to the decision, the others follow from it.
        if let Some(reason) = witness.because.first() {
            proof.push_str(": ");
            proof.push_str(reason);
        }
        for reason in witness.because.iter().skip(1) {
            proof.push('\n');
            proof.push_str(reason);
        }
        write_note(out, "proof", &proof, style)?;
    }
    if let Some(help) = &finding.help {
        write_note(out, "help", help, style)?;
    }
    Ok(())
}

/// A titled note under the places; further lines stand under the first.
fn write_note(out: &mut dyn Write, title: &str, text: &str, style: Style) -> io::Result<()> {
    const TITLE_WIDTH: usize = 8;
    const INDENT: &str = "   ";
    let room = style.width.saturating_sub(INDENT.len() + TITLE_WIDTH).max(40);
    for (at, line) in wrap(&style.glyphs(text.to_owned()), room).iter().enumerate() {
        let title = if at == 0 { title } else { "" };
        let padding = " ".repeat(TITLE_WIDTH - title.len());
        let title = if title.is_empty() { String::new() } else { style.dim(title) };
        writeln!(out, "{}", format!("{INDENT}{title}{padding}{line}").trim_end())?;
    }
    Ok(())
}
