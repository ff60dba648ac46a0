//! Text of the input made safe and visible for a terminal.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

/// Columns between tab stops in excerpts.
const TAB: usize = 4;

/// Whether a character must not reach a terminal as it is: it commands the terminal (control characters, also those
/// above 0x7f), reorders the line (bidirectional marks), breaks it, or cannot be seen.
pub(crate) fn is_hidden(character: char) -> bool {
    match character {
        ' '..='~' => false,
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => character.is_control() || character.is_whitespace(),
    }
}

/// One line of text with everything hidden shown as an escape such as `\n` or `\u{1b}`.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        push_shown(&mut shown, character);
    }
    Cow::Owned(shown)
}

fn push_shown(out: &mut String, character: char) {
    if is_hidden(character) {
        out.extend(character.escape_default());
    } else {
        out.push(character);
    }
}

/// Columns that a clean text takes.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// Columns a character takes in an excerpt whose last column is `column`.
fn excerpt_width(character: char, column: usize) -> usize {
    match character {
        '\t' => TAB - column % TAB,
        _ if is_hidden(character) => character.escape_default().len(),
        _ => character.width().unwrap_or(0),
    }
}

/// A part of a source line as an excerpt shows it: tabs as blanks, hidden characters as escapes.
pub(crate) fn excerpt(part: &str) -> String {
    let mut shown = String::with_capacity(part.len());
    let mut column = 0;
    for character in part.chars() {
        let wide = excerpt_width(character, column);
        column += wide;
        if character == '\t' {
            shown.extend(std::iter::repeat_n(' ', wide));
        } else {
            push_shown(&mut shown, character);
        }
    }
    shown
}

/// How many bytes from the start of `line` fit into `columns`. Characters without width are counted too, so that a
/// line of nothing but combining marks ends as well.
pub(crate) fn fitting_prefix(line: &str, columns: usize) -> usize {
    let mut column = 0;
    for (count, (at, character)) in line.char_indices().enumerate() {
        column += excerpt_width(character, column);
        if column > columns || count >= columns * 2 {
            return at;
        }
    }
    line.len()
}

/// How many bytes at the end of `line` fit into `columns`.
pub(crate) fn fitting_suffix(line: &str, columns: usize) -> usize {
    let mut column = 0;
    for (count, (at, character)) in line.char_indices().rev().enumerate() {
        column += excerpt_width(character, 0);
        if column > columns || count >= columns * 2 {
            return line.len() - at - character.len_utf8();
        }
    }
    line.len()
}

/// Breaks a clean text at blanks into lines of at most `columns`; words are never broken, since names and commands
/// are copied from the output. Line breaks of the text are kept.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        let mut used = 0;
        for word in paragraph.split(' ') {
            let word = clean(word);
            let wide = width(&word);
            if used > 0 && used + 1 + wide > columns {
                lines.push(std::mem::take(&mut line));
                used = 0;
            } else if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(&word);
            used += wide;
        }
        lines.push(line);
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_on_is_escaped() {
        assert_eq!(
            clean("a\x1b[31mb\u{9b}2J\u{202e}c\n\u{a0}"),
            "a\\u{1b}[31mb\\u{9b}2J\\u{202e}c\\n\\u{a0}"
        );
        assert!(matches!(clean("plain → é漢"), Cow::Borrowed(_)));
        assert_eq!(excerpt("a\tb\t\tc\x07"), "a   b       c\\u{7}");
    }

    #[test]
    fn prefixes_and_suffixes_fit() {
        assert_eq!(fitting_prefix("漢漢漢", 5), 6);
        assert_eq!(fitting_suffix("漢漢漢", 5), 6);
        assert_eq!(fitting_prefix("abc", 5), 3);
        assert_eq!(fitting_suffix("abc", 2), 2);
        assert!(fitting_prefix(&"\u{301}".repeat(1000), 10) <= 40);
        assert!(fitting_suffix(&"\u{301}".repeat(1000), 10) <= 40);
    }

    #[test]
    fn wrapping_keeps_words_and_line_breaks() {
        assert_eq!(wrap("change it to web-frontend now", 12), ["change it to", "web-frontend", "now"]);
        assert_eq!(wrap("a\nb\x1b", 12), ["a", "b\\u{1b}"]);
        assert_eq!(wrap("", 12), [""]);
    }
}
