//! The fast reader: ordinary block-style documents, the way people and tools write manifests.
//!
//! It reads block mappings and lists, one-line plain and quoted scalars, one-line flow collections, literal and
//! folded blocks, and comments. At anything else (tabs, carriage returns, anchors, tags, explicit keys, scalars over
//! several lines, merge keys, and whatever might be an error) it gives up, and the general reader starts over. It
//! must never accept what the general reader refuses, nor read it otherwise; `tests/readers_agree.rs` compares them.

mod block;
mod flow;

use std::ops::Range;

use meshproof_source::SourceId;

use crate::{Shape, Style, Tree};

/// Deeper documents are left to the general reader, which knows the limits.
const DEPTH: usize = 200;
/// Keys near the limit of 1024 characters are left to the general reader.
const LONG_KEY: usize = 1000;

/// Reads a document, or gives up.
pub(crate) fn read(source: SourceId, text: &str, range: Range<usize>) -> Option<Tree<'_>> {
    if !is_ordinary(&text[range.clone()]) {
        return None;
    }
    let mut reader = Reader {
        tree: Tree::with_room(source, text, range.len()),
        bytes: &text.as_bytes()[..range.end],
        at: range.start,
        last: range.start,
        frames: Vec::with_capacity(12),
        pending: None,
        flow: Vec::with_capacity(8),
    };
    reader.document()?;
    Some(reader.tree)
}

/// Whether a document has only printable characters that every reader takes alike.
fn is_ordinary(document: &str) -> bool {
    // Without an early exit per byte this loop runs on whole vectors.
    let fits = |chunk: &[u8]| {
        chunk.iter().fold(true, |fits, byte| fits & ((*byte >= b' ' && *byte != 0x7f) | (*byte == b'\n')))
    };
    if !document.as_bytes().chunks(4096).all(fits) {
        return false;
    }
    document.is_ascii()
        || !document.chars().any(|character| {
            matches!(
                character,
                '\u{80}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
            )
        })
}

/// An open block collection.
struct Frame {
    index: usize,
    indentation: usize,
    is_mapping: bool,
}

struct Reader<'t> {
    tree: Tree<'t>,
    /// The text up to the end of the document.
    bytes: &'t [u8],
    /// The start of the next line.
    at: usize,
    /// Where the last token ended.
    last: usize,
    frames: Vec<Frame>,
    /// A key or dash at the end of a line waits for its value; this is the byte behind its colon or dash.
    pending: Option<usize>,
    /// Open flow collections.
    flow: Vec<usize>,
}

impl Reader<'_> {
    fn document(&mut self) -> Option<()> {
        while self.at < self.bytes.len() {
            let start = self.at;
            let content = self.skip_spaces(start);
            match self.byte(content) {
                0 => break,
                b'\n' => self.at = content + 1,
                b'#' => self.at = self.line_end(content) + 1,
                _ => {
                    let rest = &self.bytes[content..];
                    if content == start && (rest.starts_with(b"---") || rest.starts_with(b"...")) {
                        return None;
                    }
                    self.line(content, content - start)?;
                }
            }
        }
        if let Some(place) = self.pending.take() {
            self.missing(place);
        }
        while let Some(frame) = self.frames.pop() {
            self.tree.close(frame.index, self.last);
        }
        (!self.tree.nodes.is_empty()).then_some(())
    }

    /// A line with content, which begins at `pos` in column `column`.
    fn line(&mut self, pos: usize, column: usize) -> Option<()> {
        if let Some(place) = self.pending.take() {
            let top = self.frames.last()?;
            let same_column_list = top.is_mapping && column == top.indentation && self.is_dash(pos);
            if column > top.indentation || same_column_list {
                return self.node(pos, column);
            }
            self.missing(place);
        }
        loop {
            let Some(top) = self.frames.last() else {
                return if self.tree.nodes.is_empty() { self.node(pos, column) } else { None };
            };
            if top.indentation < column {
                // A scalar that goes on, or a mistake.
                return None;
            }
            if top.indentation == column {
                match (top.is_mapping, self.is_dash(pos)) {
                    (true, false) => {
                        let colon = self.key_end(pos)??;
                        return self.entry(pos, colon);
                    }
                    (true, true) => return None,
                    (false, true) => return self.item(pos, column),
                    // A list in the column of its key has ended.
                    (false, false) => {}
                }
            }
            let ended = self.frames.pop()?;
            self.tree.close(ended.index, self.last);
        }
    }

    /// A node at the start of a line or behind a dash.
    fn node(&mut self, pos: usize, column: usize) -> Option<()> {
        if self.is_dash(pos) {
            self.open(Shape::Sequence, pos, column)?;
            return self.item(pos, column);
        }
        if matches!(self.byte(pos), b'[' | b'{') {
            let end = self.flow(pos)?;
            return self.rest_of_line(end);
        }
        match self.key_end(pos)? {
            Some(colon) => {
                self.open(Shape::Mapping, pos, column)?;
                self.entry(pos, colon)
            }
            None => self.leaf(pos),
        }
    }

    fn open(&mut self, shape: Shape, pos: usize, indentation: usize) -> Option<()> {
        if self.frames.len() >= DEPTH {
            return None;
        }
        let index = self.tree.open(shape, pos);
        self.frames.push(Frame { index, indentation, is_mapping: shape == Shape::Mapping });
        Some(())
    }

    /// A list item; `pos` is its dash.
    fn item(&mut self, pos: usize, column: usize) -> Option<()> {
        let content = self.skip_spaces(pos + 1);
        match self.byte(content) {
            0 | b'\n' | b'#' => self.wait(pos + 1, content),
            b'|' | b'>' => self.block_scalar(content, column),
            _ => self.node(content, column + content - pos),
        }
    }

    /// A key, whose colon is known, and what stands behind it in its line.
    fn entry(&mut self, pos: usize, colon: usize) -> Option<()> {
        if colon - pos > LONG_KEY {
            return None;
        }
        if matches!(self.bytes[pos], b'"' | b'\'') {
            self.quoted(pos)?;
        } else {
            if &self.bytes[pos..colon] == b"<<" || self.bytes[colon - 1] == b' ' {
                return None;
            }
            self.tree.written(Style::Plain, pos, colon);
        }
        let content = self.skip_spaces(colon + 1);
        match self.byte(content) {
            0 | b'\n' | b'#' => self.wait(colon + 1, content),
            b'|' | b'>' => {
                let indentation = self.frames.last()?.indentation;
                self.block_scalar(content, indentation)
            }
            b'[' | b'{' => {
                let end = self.flow(content)?;
                self.rest_of_line(end)
            }
            _ => self.leaf(content),
        }
    }

    /// The value comes on a later line, or not at all.
    fn wait(&mut self, place: usize, content: usize) -> Option<()> {
        self.pending = Some(place);
        self.at = self.line_end(content) + 1;
        Some(())
    }

    fn missing(&mut self, place: usize) {
        self.tree.written(Style::Plain, place, place);
        self.last = place;
    }

    /// The colon of the key that begins at `pos`; `Some(None)` when the line holds no key.
    fn key_end(&self, pos: usize) -> Option<Option<usize>> {
        if matches!(self.byte(pos), b'"' | b'\'') {
            let end = self.quote_end(pos)?;
            return match (self.byte(end), self.byte(end + 1)) {
                (b':', b' ' | b'\n' | 0) => Some(Some(end)),
                _ => Some(None),
            };
        }
        if !self.starts_plain(pos) {
            return None;
        }
        let stop = self.plain_stop(pos);
        Some((self.byte(stop) == b':').then_some(stop))
    }

    /// A scalar that ends its line.
    fn leaf(&mut self, pos: usize) -> Option<()> {
        if matches!(self.byte(pos), b'"' | b'\'') {
            let end = self.quoted(pos)?;
            return self.rest_of_line(end);
        }
        if !self.starts_plain(pos) {
            return None;
        }
        let stop = self.plain_stop(pos);
        if self.byte(stop) == b':' {
            return None;
        }
        let end = self.trimmed(pos, stop);
        self.tree.written(Style::Plain, pos, end);
        self.last = end;
        self.at = self.line_end(stop) + 1;
        Some(())
    }

    /// Nothing but spaces and a comment may follow.
    fn rest_of_line(&mut self, end: usize) -> Option<()> {
        self.last = end;
        let next = self.skip_spaces(end);
        match self.byte(next) {
            0 | b'\n' => self.at = next + 1,
            b'#' if next > end => self.at = self.line_end(next) + 1,
            _ => return None,
        }
        Some(())
    }

    /// The byte at an offset, 0 behind the end (the document itself has no NUL).
    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    fn skip_spaces(&self, mut at: usize) -> usize {
        while self.byte(at) == b' ' {
            at += 1;
        }
        at
    }

    fn line_end(&self, at: usize) -> usize {
        self.bytes
            .get(at..)
            .and_then(|rest| memchr::memchr(b'\n', rest))
            .map_or(self.bytes.len(), |length| at + length)
    }

    fn is_dash(&self, pos: usize) -> bool {
        self.byte(pos) == b'-' && matches!(self.byte(pos + 1), b' ' | b'\n' | 0)
    }

    /// Whether a plain scalar surely begins here; the indicators of YAML do not, and a dash only before a word.
    fn starts_plain(&self, pos: usize) -> bool {
        match self.byte(pos) {
            b'-' => {
                let next = self.byte(pos + 1);
                next.is_ascii_alphanumeric() || matches!(next, b'-' | b'.' | b'/' | b'_')
            }
            byte => byte.is_ascii_alphanumeric() || byte >= 0x80 || b"_/.$()~+;^\\=<".contains(&byte),
        }
    }

    /// Where a plain scalar in block style stops: at a line break, the colon of a key, or the space before a comment.
    fn plain_stop(&self, pos: usize) -> usize {
        let mut at = pos;
        while let Some(byte) = self.bytes.get(at) {
            match byte {
                b'\n' => break,
                b':' if matches!(self.byte(at + 1), b' ' | b'\n' | 0) => break,
                b'#' if at > pos && self.bytes[at - 1] == b' ' => break,
                _ => at += 1,
            }
        }
        at
    }

    fn trimmed(&self, start: usize, mut end: usize) -> usize {
        while end > start && self.bytes[end - 1] == b' ' {
            end -= 1;
        }
        end
    }

    /// One past the closing quote, on the same line.
    fn quote_end(&self, pos: usize) -> Option<usize> {
        let quote = self.byte(pos);
        let mut at = pos + 1;
        loop {
            match self.byte(at) {
                b'\n' | 0 => return None,
                b'\\' if quote == b'"' => at += 2,
                byte if byte == quote => {
                    if quote == b'\'' && self.byte(at + 1) == b'\'' {
                        at += 2;
                    } else {
                        return Some(at + 1);
                    }
                }
                _ => at += 1,
            }
        }
    }

    /// Adds the quoted scalar that begins at `pos`; only the plainest escapes are known here.
    fn quoted(&mut self, pos: usize) -> Option<usize> {
        let end = self.quote_end(pos)?;
        let inside = self.tree.text.get(pos + 1..end - 1)?;
        let style = if self.bytes[pos] == b'"' { Style::DoubleQuoted } else { Style::SingleQuoted };
        if style == Style::SingleQuoted && inside.contains('\'') {
            self.tree.decoded(style, pos, end, inside.replace("''", "'").into_boxed_str());
        } else if style == Style::DoubleQuoted && inside.contains('\\') {
            let mut content = String::with_capacity(inside.len());
            let mut characters = inside.chars();
            while let Some(character) = characters.next() {
                content.push(match character {
                    '\\' => match characters.next()? {
                        same @ ('"' | '\\' | '/') => same,
                        'n' => '\n',
                        't' => '\t',
                        _ => return None,
                    },
                    other => other,
                });
            }
            self.tree.decoded(style, pos, end, content.into_boxed_str());
        } else {
            self.tree.written(style, pos, end);
        }
        Some(end)
    }
}
