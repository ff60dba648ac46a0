//! Literal and folded block scalars whose indentation is found from their first line.

use super::Reader;
use crate::Style;

impl Reader<'_> {
    /// Adds the block scalar whose header (`|`, `>-`, …) is at `pos`, below something at `indentation`.
    pub(super) fn block_scalar(&mut self, pos: usize, indentation: usize) -> Option<()> {
        let style = if self.byte(pos) == b'|' { Style::Literal } else { Style::Folded };
        let chomp = self.byte(pos + 1);
        let header_end = self.skip_spaces(pos + 1 + usize::from(matches!(chomp, b'+' | b'-')));
        if self.byte(header_end) != b'\n' {
            return None;
        }
        let mut at = header_end + 1;
        // The indentation of the content; 0 until the first line that is not empty.
        let mut inner = 0;
        let mut content = String::new();
        // Empty lines not yet written, and the end of the last line with content.
        let mut empty_lines = 0;
        let mut end = 0;
        while at < self.bytes.len() {
            let first = self.skip_spaces(at);
            let line_end = self.line_end(first);
            if line_end == self.bytes.len() {
                // Readers differ on the line break that is not there.
                let ends_before = inner > 0 && first - at < inner && first < line_end;
                if !ends_before {
                    return None;
                }
            }
            if first == line_end {
                if first - at > inner || (inner == 0 && first > at) {
                    return None;
                }
                empty_lines += 1;
                at = line_end + 1;
                continue;
            }
            let column = first - at;
            if inner == 0 {
                if column <= indentation {
                    return None;
                }
                inner = column;
            } else if column < inner {
                if column > indentation {
                    return None;
                }
                break;
            }
            let line = self.tree.text.get(at + inner..line_end)?;
            let started = end > 0;
            match style {
                Style::Literal => {
                    content.extend(std::iter::repeat_n('\n', empty_lines + usize::from(started)));
                }
                _ if column > inner => return None,
                _ if !started || empty_lines > 0 => content.extend(std::iter::repeat_n('\n', empty_lines)),
                _ => content.push(' '),
            }
            content.push_str(line);
            empty_lines = 0;
            end = self.trimmed(at, line_end);
            at = line_end + 1;
        }
        if end == 0 {
            return None;
        }
        match chomp {
            b'-' => {}
            b'+' => content.extend(std::iter::repeat_n('\n', empty_lines + 1)),
            _ => content.push('\n'),
        }
        self.tree.decoded(style, pos, end, content.into_boxed_str());
        self.last = end;
        self.at = at;
        Some(())
    }
}
