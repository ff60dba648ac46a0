//! The part of a source line that fits the terminal.

use std::ops::Range;

use crate::Style;
use crate::clean::{excerpt, fitting_prefix, fitting_suffix};

/// A line of a source cut to the part worth showing.
pub(crate) struct Window<'a> {
    /// The whole line.
    line: &'a str,
    /// Where it starts in the source.
    start: usize,
    /// The bytes of the line that are shown.
    part: Range<usize>,
    /// What stands for what was cut off.
    omission: &'static str,
}

impl<'a> Window<'a> {
    /// Fits `line`, which starts at byte `start` of its source, into `columns`, so that the bytes `focus` of the
    /// source can be seen, or at least begin to be.
    pub(crate) fn new(
        line: &'a str,
        start: usize,
        focus: Range<usize>,
        columns: usize,
        style: Style,
    ) -> Self {
        let omission = if style.unicode { "…" } else { "..." };
        let part = Self::choose(line, start, focus, columns, omission.chars().count());
        Window { line, start, part, omission }
    }

    fn choose(line: &str, start: usize, focus: Range<usize>, columns: usize, mark: usize) -> Range<usize> {
        if fitting_prefix(line, columns) == line.len() {
            return 0..line.len();
        }
        let inner = |offset: usize| offset.clamp(start, start + line.len()) - start;
        let from_start = fitting_prefix(line, columns.saturating_sub(mark));
        if inner(focus.end) <= from_start {
            return 0..from_start;
        }
        let columns = columns.saturating_sub(2 * mark).max(1);
        // A third of the room for what stands before.
        let first = inner(focus.start) - fitting_suffix(&line[..inner(focus.start)], columns / 3);
        first..first + fitting_prefix(&line[first..], columns)
    }

    /// Appends what is shown, without a line break.
    pub(crate) fn push_to(&self, out: &mut String) {
        out.push_str(self.left_mark());
        out.push_str(&excerpt(&self.line[self.part.clone()]));
        if self.part.end < self.line.len() {
            out.push_str(self.omission);
        }
    }

    /// Where byte `offset` of the source stands in what is shown; what was cut off stands at the cut.
    pub(crate) fn shown_offset(&self, offset: usize) -> usize {
        let inner = offset.saturating_sub(self.start).clamp(self.part.start, self.part.end);
        self.left_mark().len() + excerpt(&self.line[self.part.start..inner]).len()
    }

    fn left_mark(&self) -> &'static str {
        if self.part.start > 0 { self.omission } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, focus: Range<usize>, columns: usize) -> (String, String) {
        let window = Window::new(line, 100, focus.start + 100..focus.end + 100, columns, Style::default());
        let mut text = String::new();
        window.push_to(&mut text);
        let (from, to) = (window.shown_offset(focus.start + 100), window.shown_offset(focus.end + 100));
        let part = text[from..to].to_owned();
        (text, part)
    }

    #[test]
    fn short_lines_are_whole() {
        assert_eq!(shown("a:\tb", 3..4, 10), ("a:  b".into(), "b".into()));
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let line: String = ('a'..='z').collect();
        assert_eq!(shown(&line, 1..3, 10), ("abcdefghi…".into(), "bc".into()));
        assert_eq!(shown(&line, 12..14, 10), ("…klmnopqr…".into(), "mn".into()));
        assert_eq!(shown(&line, 24..26, 10), ("…wxyz".into(), "yz".into()));
        assert_eq!(shown(&line, 12..26, 10), ("…klmnopqr…".into(), "mnopqr".into()));
        assert_eq!(shown(&line, 26..26, 10), ("…yz".into(), "".into()));
    }
}
