//! The places of a finding as excerpts of their files.
//!
//! miette draws labels under lines well, but it reads a source from its start for every label, orders places by
//! offset, knows one file per report, and prints lines whole and raw. So it gets one short stretch of lines at a time,
//! cut to the terminal's width and made safe, with the labels moved accordingly; the frame around stretches is ours.

use std::ops::Range;

use meshproof_diagnostics::{Finding, Label, Level};
use meshproof_source::{LineColumn, Source, SourceId, SourceMap};

use crate::Style;
use crate::clean::{width, wrap};
use crate::draw::{Excerpt, Mark, draw};
use crate::position::{Positions, char_start};
use crate::window::Window;

/// A place over more lines than this is shown by its first line.
const MOST_LINES_OF_A_PLACE: usize = 4;

/// Places with at most this many lines between them are shown in one stretch.
const LARGEST_GAP: usize = 2;

/// Labels are wrapped, but not into columns narrower than this.
const NARROWEST_LABEL: usize = 30;

/// A place can join one of the first stretches of a finding, which are the ones that are drawn. The limit keeps a
/// finding with very many places from being compared pair by pair.
const STRETCHES_TO_JOIN: usize = 32;

/// One place of a finding, ready to be drawn.
pub(crate) struct Place<'a> {
    pub(crate) label: &'a Label,
    pub(crate) position: LineColumn,
    primary: bool,
    /// Bytes to underline: on character boundaries, without white space at the end.
    bytes: Range<usize>,
    last_line: usize,
}

impl<'a> Place<'a> {
    fn new(label: &'a Label, primary: bool, sources: &SourceMap, positions: &Positions) -> Self {
        let source = sources.get(label.span.source);
        let position = positions.start(label.span);
        let start = char_start(&source.text, label.span.start as usize);
        let mut end = char_start(&source.text, label.span.end as usize).max(start);
        if positions.end(label.span).line > position.line + MOST_LINES_OF_A_PLACE {
            end = source.line_range(position.line).end.max(start);
        }
        end = start + source.text[start..end].trim_end().len();
        let mut last_line = position.line;
        while source.line_range(last_line).end < end && last_line < source.line_count() {
            last_line += 1;
        }
        Place { label, position, primary, bytes: start..end, last_line }
    }
}

/// Neighbouring lines of one file with the places in them.
pub(crate) struct Stretch<'a> {
    pub(crate) source: SourceId,
    /// The places, in the order of the finding.
    pub(crate) places: Vec<Place<'a>>,
    /// First and last line of the places, from 1.
    lines: (usize, usize),
}

/// The places of a finding by stretches: the one with the primary place first, then in the order of the finding.
pub(crate) fn stretches<'a>(
    finding: &'a Finding,
    sources: &SourceMap,
    positions: &Positions,
    style: Style,
) -> Vec<Stretch<'a>> {
    let mut stretches: Vec<Stretch<'a>> = Vec::new();
    let labels = std::iter::once(&finding.primary).chain(&finding.related).enumerate();
    for (at, label) in labels {
        let place = Place::new(label, at == 0, sources, positions);
        let source = sources.get(label.span.source);
        let lines = (place.position.line, place.last_line);
        // A line that has to be cut shows one place only. Bytes are at least the columns of common text.
        let is_long = |line: usize| source.line_range(line).len() > columns_for_text(line, style);
        let neighbour = stretches.iter_mut().take(STRETCHES_TO_JOIN).find(|stretch| {
            stretch.source == label.span.source
                && lines.0 <= stretch.lines.1 + 1 + LARGEST_GAP
                && stretch.lines.0 <= lines.1 + 1 + LARGEST_GAP
                && !is_long(lines.0)
                && !is_long(stretch.lines.0)
        });
        match neighbour {
            Some(stretch) => {
                stretch.lines = (stretch.lines.0.min(lines.0), stretch.lines.1.max(lines.1));
                stretch.places.push(place);
            }
            None => stretches.push(Stretch { source: label.span.source, lines, places: vec![place] }),
        }
    }
    stretches
}

/// Columns for the text of a line beside its number.
fn columns_for_text(line: usize, style: Style) -> usize {
    style.width.saturating_sub(digits(line) + 5).max(20)
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

impl Stretch<'_> {
    /// The lines to draw: those of the places, and some around them when all is wanted.
    fn drawn_lines(&self, source: &Source, style: Style) -> (usize, usize) {
        let context = if style.verbose { 2 } else { 0 };
        // What follows the last line break counts as a line, but is nothing to see.
        let last_line = source.line_count() - usize::from(source.text.ends_with('\n'));
        let last = (self.lines.1 + context).min(last_line).max(self.lines.1);
        (self.lines.0.saturating_sub(context).max(1), last)
    }

    /// Columns of its line numbers.
    pub(crate) fn number_width(&self, source: &Source, style: Style) -> usize {
        digits(self.drawn_lines(source, style).1)
    }

    /// Its lines with labels under them, without the frame. `number_width` is that of the widest stretch of the
    /// finding.
    pub(crate) fn draw(
        &self,
        source: &Source,
        level: Level,
        style: Style,
        number_width: usize,
    ) -> Vec<String> {
        let (first, last) = self.drawn_lines(source, style);
        // Places over several lines are drawn as brackets left of the text, side by side.
        let brackets = self.places.iter().filter(|place| place.last_line > place.position.line).count();
        let gutter = if brackets > 0 { brackets + 3 } else { 0 };
        let columns = style.width.saturating_sub(number_width + 5 + gutter).max(20);
        let mut text = String::new();
        let mut ends: Vec<(usize, usize)> = vec![(0, 0); self.places.len()];
        let mut label_columns = vec![gutter; self.places.len()];
        for line in first..=last {
            let range = source.line_range(line);
            let focus = self.focus(line, range.start);
            let window = Window::new(&source.text[range.clone()], range.start, focus, columns, style);
            let base = text.len();
            window.push_to(&mut text);
            for (at, place) in self.places.iter().enumerate() {
                if place.position.line == line {
                    ends[at].0 = base + window.shown_offset(place.bytes.start);
                }
                if place.last_line == line {
                    ends[at].1 = (base + window.shown_offset(place.bytes.end)).max(ends[at].0);
                }
                if place.position.line == line && place.last_line == line {
                    let (start, end) = ends[at];
                    label_columns[at] += width(&text[base..start]) + width(&text[start..end]) / 2;
                }
            }
            text.push('\n');
        }
        let marks = self.places.iter().enumerate().map(|(at, place)| {
            let room = style.width.saturating_sub(number_width + label_columns[at] + 9).max(NARROWEST_LABEL);
            let label = wrap(&style.glyphs(place.label.text.clone()), room).join("\n");
            Mark { start: ends[at].0, end: ends[at].1, text: label, primary: place.primary }
        });
        let marks = marks.collect();
        let padding = " ".repeat(number_width.saturating_sub(digits(last)));
        let excerpt = Excerpt { text, first_line: first, line_count: last - first + 1 };
        draw(&excerpt, marks, level, style).into_iter().map(|line| format!("{padding}{line}")).collect()
    }

    /// The bytes of a line that should be seen when it has to be cut.
    fn focus(&self, line: usize, start: usize) -> Range<usize> {
        let starting = self.places.iter().find(|place| place.position.line == line);
        let ending = self.places.iter().find(|place| place.last_line == line);
        match (starting, ending) {
            (Some(place), _) => place.bytes.clone(),
            (None, Some(place)) => place.bytes.end..place.bytes.end,
            (None, None) => start..start,
        }
    }
}
