//! The reader of JSON documents. Strict (RFC 8259), so that whatever it refuses is still tried as YAML, of which JSON
//! is nearly a part; it has no recursion, and its trees are those of YAML.

use std::ops::Range;

use meshproof_source::SourceId;

use crate::build::MAX_DEPTH;
use crate::{Shape, Style, Tree};

/// Reads a JSON document; `None` when it is none, or nests too deep.
pub(crate) fn read(source: SourceId, text: &str, range: Range<usize>) -> Option<Tree<'_>> {
    let tree = Tree::with_room(source, text, range.len());
    let mut reader = Reader { tree, bytes: &text.as_bytes()[..range.end], at: range.start };
    reader.document()?;
    Some(reader.tree)
}

struct Reader<'t> {
    tree: Tree<'t>,
    /// The text up to the end of the document.
    bytes: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn document(&mut self) -> Option<()> {
        // Indices of the open objects and arrays.
        let mut open: Vec<usize> = Vec::new();
        loop {
            self.skip_space();
            // A value begins here.
            match self.peek()? {
                opening @ (b'{' | b'[') => {
                    if open.len() >= MAX_DEPTH {
                        return None;
                    }
                    let shape = if opening == b'{' { Shape::Mapping } else { Shape::Sequence };
                    let index = self.tree.open(shape, self.at);
                    self.at += 1;
                    self.skip_space();
                    if self.peek()? == closing(shape) {
                        self.at += 1;
                        self.tree.close(index, self.at);
                    } else {
                        open.push(index);
                        if shape == Shape::Mapping {
                            self.key()?;
                        }
                        continue;
                    }
                }
                b'"' => self.string()?,
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                _ => self.number()?,
            }
            // A value has ended: close what ends with it, or go on behind a comma.
            loop {
                self.skip_space();
                let Some(index) = open.last().copied() else {
                    return (self.at == self.bytes.len()).then_some(());
                };
                let shape = self.tree.nodes[index].shape;
                let byte = self.peek()?;
                self.at += 1;
                if byte == closing(shape) {
                    self.tree.close(index, self.at);
                    open.pop();
                    continue;
                }
                if byte != b',' {
                    return None;
                }
                if shape == Shape::Mapping {
                    self.skip_space();
                    self.key()?;
                }
                break;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn key(&mut self) -> Option<()> {
        if self.peek()? != b'"' {
            return None;
        }
        self.string()?;
        self.skip_space();
        if self.peek()? != b':' {
            return None;
        }
        self.at += 1;
        Some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let end = self.at + word.len();
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return None;
        }
        self.tree.written(Style::Plain, self.at, end);
        self.at = end;
        Some(())
    }

    /// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?`
    fn number(&mut self) -> Option<()> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let first = self.peek();
        let whole = self.digits();
        if whole == 0 || (whole > 1 && first == Some(b'0')) {
            return None;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return None;
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return None;
            }
        }
        self.tree.written(Style::Plain, start, self.at);
        Some(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn string(&mut self) -> Option<()> {
        let start = self.at;
        self.at += 1;
        let mut content: Option<Vec<u8>> = None;
        let mut copied = self.at;
        loop {
            let offset = memchr::memchr2(b'"', b'\\', &self.bytes[self.at..])?;
            if self.bytes[self.at..self.at + offset].iter().any(|byte| *byte < 0x20) {
                return None;
            }
            self.at += offset;
            if self.bytes[self.at] == b'"' {
                break;
            }
            let content = content.get_or_insert_default();
            content.extend_from_slice(&self.bytes[copied..self.at]);
            self.at += 1;
            let character = self.escape()?;
            content.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            copied = self.at;
        }
        let end = self.at + 1;
        if let Some(mut content) = content {
            content.extend_from_slice(&self.bytes[copied..self.at]);
            let content = String::from_utf8(content).ok()?.into_boxed_str();
            self.tree.decoded(Style::DoubleQuoted, start, end, content);
        } else {
            self.tree.written(Style::DoubleQuoted, start, end);
        }
        self.at = end;
        Some(())
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Option<char> {
        let byte = self.peek()?;
        self.at += 1;
        Some(match byte {
            b'"' | b'\\' | b'/' => byte as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hexadecimal()?;
                if !(0xD800..0xE000).contains(&first) {
                    return char::from_u32(first);
                }
                // Go replaces half a surrogate pair by U+FFFD.
                let low = self.bytes[self.at..].starts_with(b"\\u");
                if first >= 0xDC00 || !low {
                    return Some(char::REPLACEMENT_CHARACTER);
                }
                let before = self.at;
                self.at += 2;
                let second = self.hexadecimal()?;
                if !(0xDC00..0xE000).contains(&second) {
                    self.at = before;
                    return Some(char::REPLACEMENT_CHARACTER);
                }
                char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))?
            }
            _ => return None,
        })
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        let digits = self.bytes.get(self.at..self.at + 4)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }
}

fn closing(shape: Shape) -> u8 {
    if shape == Shape::Mapping { b'}' } else { b']' }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(text: &str) -> Option<Vec<String>> {
        let tree = read(SourceId(0), text, 0..text.len())?;
        let items = tree.root().items().filter_map(|item| item.str().map(str::to_owned)).collect();
        Some(items)
    }

    #[test]
    fn strings_are_unescaped() {
        let read = strings(r#"["a\"b\\\/", "\u00e9\ud83d\ude00", "\ud83dx", "tab\t", "ü"]"#).unwrap();
        assert_eq!(read, ["a\"b\\/", "é😀", "\u{fffd}x", "tab\t", "ü"]);
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            "[",
            "]",
            "[1,]",
            "{\"a\":1,}",
            "{a: 1}",
            "[01]",
            "[1.]",
            "[.5]",
            "[1e]",
            "[+1]",
            "[tru]",
            "['a']",
            "[\"a\nb\"]",
            "[\"\\x41\"]",
            "[\"\\u12\"]",
            "[1] x",
            "[1][2]",
            "{\"a\" 1}",
            "{\"a\":}",
            "[1 2]",
            "nul",
            "[\"a",
            "[\"a\\",
            "{\"a\":1]",
        ] {
            assert_eq!(strings(text), None, "{text:?}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_without_recursion() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(read(SourceId(0), &deep, 0..deep.len()).is_none());
        let fine = "[".repeat(200) + &"]".repeat(200);
        assert!(read(SourceId(0), &fine, 0..fine.len()).is_some());
    }
}
