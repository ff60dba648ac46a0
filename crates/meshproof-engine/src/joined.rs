//! Several header lines as one text with commas between them, without putting it together.

use crate::format::{TEXT_EXACT, TEXT_SUFFIX};
use crate::kinds::TestKind;
use crate::test::Test;

/// The lines, visited in their order as often as is needed.
pub(crate) struct Joined<V> {
    lines: V,
    length: usize,
}

impl<V: Fn(&mut dyn FnMut(&[u8]))> Joined<V> {
    pub fn new(lines: V) -> Joined<V> {
        let mut joined = Joined { lines, length: 0 };
        let mut length = 0;
        joined.pieces(|at, piece| length = at + piece.len());
        joined.length = length;
        joined
    }

    /// The lines and the commas, each with its place in the text.
    fn pieces(&self, mut visit: impl FnMut(usize, &[u8])) {
        let mut at: Option<usize> = None;
        (self.lines)(&mut |line| {
            let mut start = 0;
            if let Some(end) = at {
                visit(end, b",");
                start = end + 1;
            }
            visit(start, line);
            at = Some(start + line.len());
        });
    }

    /// Whether the literal stands at the place.
    fn has(&self, start: usize, literal: &[u8]) -> bool {
        let Some(end) = start.checked_add(literal.len()).filter(|end| *end <= self.length) else {
            return false;
        };
        let mut same = 0;
        self.pieces(|at, piece| {
            let from = at.max(start);
            let to = (at + piece.len()).min(end);
            let mine = piece.get(from.saturating_sub(at)..to.saturating_sub(at));
            let wanted = literal.get(from.saturating_sub(start)..to.saturating_sub(start));
            if from < to && mine.is_some() && mine == wanted {
                same += to - from;
            }
        });
        same == literal.len()
    }

    /// Whether it is, begins with or ends with a text in two pieces; `way` is that of its test.
    pub fn passes_text(&self, way: u8, [start, rest]: [&[u8]; 2]) -> bool {
        let length = start.len() + rest.len();
        let at = match way {
            TEXT_EXACT => (self.length == length).then_some(0),
            TEXT_SUFFIX => self.length.checked_sub(length),
            _ => Some(0),
        };
        at.is_some_and(|at| self.has(at, start) && self.has(at + start.len(), rest))
    }

    /// The tests that header lines can meet.
    pub fn passes(&self, test: &Test<'_>) -> bool {
        let literal = test.first;
        match test.kind {
            TestKind::Exists => true,
            TestKind::Exact => self.length == literal.len() && self.has(0, literal),
            TestKind::Prefix => self.has(0, literal),
            TestKind::Suffix => {
                self.length.checked_sub(literal.len()).is_some_and(|at| self.has(at, literal))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_if_put_together() {
        let lines: [&[&str]; 5] = [&["a", "b"], &["", ""], &["ab", "", "c"], &["a,b", "c"], &["", "a"]];
        let literals = ["", ",", "a", "b", "a,b", ",,", "ab,,c", "ab,", ",c", "b,c", ",a", "a,b,c", "a,b,c,"];
        for lines in lines {
            let text = lines.join(",");
            let joined = Joined::new(|each: &mut dyn FnMut(&[u8])| {
                lines.iter().for_each(|line| each(line.as_bytes()));
            });
            for literal in literals {
                let passes = |kind| {
                    let test = Test { kind, start: b"", first: literal.as_bytes(), second: b"" };
                    joined.passes(&test)
                };
                assert_eq!(passes(TestKind::Exact), text == literal, "{text} {literal}");
                assert_eq!(passes(TestKind::Prefix), text.starts_with(literal), "{text} {literal}");
                assert_eq!(passes(TestKind::Suffix), text.ends_with(literal), "{text} {literal}");
                let (start, rest) = literal.as_bytes().split_at(literal.len() / 2);
                for (way, expected) in [
                    (TEXT_EXACT, text == literal),
                    (crate::format::TEXT_PREFIX, text.starts_with(literal)),
                    (TEXT_SUFFIX, text.ends_with(literal)),
                ] {
                    assert_eq!(joined.passes_text(way, [start, rest]), expected, "{text} {literal} {way}");
                }
            }
        }
    }
}
