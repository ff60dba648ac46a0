//! The general reader: parser events into a tree. Everything the fast reader does not take comes here, and every
//! syntax error is reported from here.

use std::borrow::Cow;
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError};
use meshproof_source::{SourceId, Span};

use crate::build::{MAX_DEPTH, MAX_PROBLEMS};
use crate::scalar::{self, Scalar, Tag};
use crate::tree::Node;
use crate::{NodeRef, Problem, Shape, Style, Tree, check, syntax};

/// Nodes that aliases and merge keys may add to one document.
const ALIAS_BUDGET: usize = 100_000;

/// Reads the first YAML document of `range`. No tree means at least one problem.
pub(crate) fn read(source: SourceId, text: &str, range: Range<usize>) -> (Option<Tree<'_>>, Vec<Problem>) {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.emit_unresolved_aliases = true;
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let document = &text[range.clone()];
    let mut reader = Reader {
        tree: Tree::with_room(source, text, document.len()),
        last: range.start,
        frames: Vec::new(),
        anchors: Vec::new(),
        budget: ALIAS_BUDGET,
        problems: Vec::new(),
    };
    let mut events = Parser::new_from_str_with_options(document, options);
    while let Some(event) = events.next() {
        let step = match event {
            Ok((Event::DocumentEnd, _)) => match events.next() {
                Some(Err(error)) => reader.left_over(&error, range.clone()),
                _ => break,
            },
            Ok((Event::StreamEnd, _)) => break,
            Ok((event, span)) => {
                let start = span.start.byte_offset().unwrap_or(0);
                let end = span.end.byte_offset().unwrap_or(start);
                reader.event(event, range.start + start..range.start + end.max(start))
            }
            Err(error) => Err(syntax::scan(&reader.tree, &error, range.clone())),
        };
        if let Err(problem) = step {
            reader.problems.push(problem);
            return (None, reader.problems);
        }
    }
    if reader.tree.nodes.is_empty() {
        reader.tree.written(Style::Plain, range.start, range.start);
    }
    if reader.problems.is_empty() { (Some(reader.tree), Vec::new()) } else { (None, reader.problems) }
}

/// An open collection.
struct Frame {
    index: usize,
    anchor: usize,
    is_mapping: bool,
    /// In a mapping: the key whose value comes next.
    key: Option<usize>,
}

struct Reader<'t> {
    tree: Tree<'t>,
    /// Where the last token of the text ended.
    last: usize,
    frames: Vec<Frame>,
    /// By anchor id: the finished node, or nothing while it is still open.
    anchors: Vec<Option<usize>>,
    budget: usize,
    problems: Vec<Problem>,
}

impl<'t> Reader<'t> {
    /// The document has ended, and what follows is no further document. Only behind a separator that is reported
    /// anyway does it not matter.
    fn left_over(&self, error: &ScanError, range: Range<usize>) -> Result<(), Problem> {
        let rest = &self.tree.text[self.last.min(range.end)..range.end];
        let separated = rest.lines().skip(1).any(check::is_marker);
        if separated { Ok(()) } else { Err(syntax::scan(&self.tree, error, range)) }
    }

    fn event(&mut self, event: Event<'t>, at: Range<usize>) -> Result<(), Problem> {
        match event {
            Event::Scalar(content, style, anchor, tag) => {
                let index = self.scalar(content, style, tag.as_deref(), at)?;
                self.define(anchor, Some(index));
                self.complete(index, false)
            }
            Event::SequenceStart(_, anchor, _) => self.open(Shape::Sequence, anchor, at),
            Event::MappingStart(_, anchor, _) => self.open(Shape::Mapping, anchor, at),
            Event::SequenceEnd | Event::MappingEnd => {
                if !at.is_empty() {
                    self.last = at.end;
                }
                let Some(frame) = self.frames.pop() else { return Ok(()) };
                self.tree.close(frame.index, self.last);
                if at.is_empty() {
                    self.pair_is_scalar(frame.index);
                }
                self.define(frame.anchor, Some(frame.index));
                self.complete(frame.index, false)
            }
            Event::Alias(id) => {
                self.last = at.end;
                let index = self.alias(id, &at)?;
                self.complete(index, true)
            }
            Event::UnresolvedAlias(_) => {
                self.last = at.end;
                if self.problems.len() < MAX_PROBLEMS {
                    self.problems.push(syntax::unknown_alias(&self.tree, at.clone()));
                }
                let index = self.tree.written(Style::Plain, at.start, at.end);
                self.complete(index, false)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, shape: Shape, anchor: usize, at: Range<usize>) -> Result<(), Problem> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(syntax::too_deep(self.tree.at(at.start, at.start)));
        }
        let mut start = at.start;
        let is_value = self.frames.last().is_some_and(|frame| frame.is_mapping && frame.key.is_some());
        if shape == Shape::Sequence && at.is_empty() && is_value {
            // A sequence in the column of its key is reported at its first item.
            let dash = self.next_token(self.last, false);
            if dash < start && self.tree.text.as_bytes()[dash] == b'-' {
                start = dash;
            }
        }
        self.last = if at.is_empty() { start } else { at.end };
        let index = self.tree.open(shape, start);
        self.define(anchor, None);
        self.frames.push(Frame { index, anchor, is_mapping: shape == Shape::Mapping, key: None });
        Ok(())
    }

    fn scalar(
        &mut self,
        content: Cow<'t, str>,
        style: ScalarStyle,
        tag: Option<&granit_parser::Tag>,
        at: Range<usize>,
    ) -> Result<usize, Problem> {
        let (style, quote) = match style {
            ScalarStyle::SingleQuoted => (Style::SingleQuoted, 1),
            ScalarStyle::DoubleQuoted => (Style::DoubleQuoted, 1),
            ScalarStyle::Literal => (Style::Literal, 0),
            ScalarStyle::Folded => (Style::Folded, 0),
            _ => (Style::Plain, 0),
        };
        let bytes = self.tree.text.as_bytes();
        let missing = style == Style::Plain && at.is_empty();
        let mut place = at;
        if missing && self.colon_belongs_to_key(place.start) {
            let key = self.frames.last().and_then(|frame| frame.key).unwrap_or(0);
            self.tree.nodes[key].end += 1;
            place = place.start + 1..place.start + 1;
        } else if missing {
            let after = self.missing_place(place.start);
            place = after..after;
        } else if matches!(style, Style::Literal | Style::Folded) {
            let header = self.next_token(self.last, true);
            let end = self.tree.text[..place.end].trim_end_matches([' ', '\t', '\r', '\n']).len();
            let found = bytes.get(header).is_some_and(|byte| matches!(byte, b'|' | b'>'));
            let start = if found { header } else { place.start };
            let header_end =
                start + bytes[start..].iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
            place = start..end.max(header_end);
        }
        self.last = place.end;
        let written = self.tree.text.get(place.start + quote..place.end.saturating_sub(quote)).unwrap_or("");
        let index = if missing || (written == content && !matches!(style, Style::Literal | Style::Folded)) {
            self.tree.written(style, place.start, place.end)
        } else {
            self.tree.decoded(style, place.start, place.end, content.into())
        };
        if let Some(tag) = tag {
            let written =
                self.tree.decoded.get(self.tree.nodes[index].decoded as usize).map_or(written, |text| text);
            match meaning(tag, written, style) {
                Some(tag) => self.tree.nodes[index].tag = tag,
                None => {
                    return Err(syntax::wrong_tag(
                        self.tree.at(place.start, place.end),
                        written,
                        tag.suffix(),
                    ));
                }
            }
        }
        Ok(index)
    }

    /// In `[fd00::]` and `{a:}` YAML 1.2 sees a key without a value. For go-yaml v2 a colon ends a plain scalar only
    /// before white space, so it belongs to the text: an address stays an address.
    fn colon_belongs_to_key(&self, at: usize) -> bool {
        let bytes = self.tree.text.as_bytes();
        let key = self.frames.last().filter(|frame| frame.is_mapping).and_then(|frame| frame.key);
        let plain = key.map(|key| self.tree.nodes[key]).is_some_and(|key| {
            let plain =
                key.shape == Shape::Scalar && key.style == Style::Plain && key.decoded == Node::AS_WRITTEN;
            plain && key.end as usize == at && key.start < key.end
        });
        plain && bytes.get(at) == Some(&b':') && matches!(bytes.get(at + 1), Some(b',' | b']' | b'}'))
    }

    /// Undoes the mapping around such a text in a list.
    fn pair_is_scalar(&mut self, index: usize) {
        let [mapping, key, value] = self.tree.nodes[index..] else { return };
        let in_list = self.frames.last().is_some_and(|frame| !frame.is_mapping);
        let ends_in_colon = key.end > key.start && self.tree.text.as_bytes()[key.end as usize - 1] == b':';
        let plain =
            key.shape == Shape::Scalar && key.style == Style::Plain && key.decoded == Node::AS_WRITTEN;
        if mapping.shape == Shape::Mapping
            && in_list
            && plain
            && ends_in_colon
            && value.start == key.end
            && value.end == key.end
        {
            self.tree.nodes.truncate(index);
            self.tree.nodes.push(Node { next: index as u32 + 1, ..key });
            // Anchors inside the pair are the latest ones.
            for anchor in self.anchors.iter_mut().rev() {
                match anchor {
                    Some(at) if *at > index => *at = index,
                    _ => break,
                }
            }
        }
    }

    /// Where a missing value is: after the colon of its key, after the dash of its item, or where the parser says.
    fn missing_place(&self, at: usize) -> usize {
        let bytes = self.tree.text.as_bytes();
        match self.frames.last() {
            Some(frame) if frame.is_mapping && frame.key.is_some() && bytes.get(at) == Some(&b':') => at + 1,
            Some(frame) if !frame.is_mapping => {
                let dash = self.next_token(self.last, false);
                if dash <= at && bytes.get(dash) == Some(&b'-') { dash + 1 } else { at }
            }
            _ => at,
        }
    }

    /// The next byte at or after `at` that is no white space, comment, key colon, anchor or tag; on demand no dash.
    fn next_token(&self, mut at: usize, past_dashes: bool) -> usize {
        let bytes = self.tree.text.as_bytes();
        while let Some(byte) = bytes.get(at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b':' => at += 1,
                b'#' => at += memchr::memchr(b'\n', &bytes[at..]).unwrap_or(bytes.len() - at),
                b'&' | b'!' => {
                    at += bytes[at..].iter().take_while(|byte| !byte.is_ascii_whitespace()).count()
                }
                b'-' | b'?' if past_dashes => at += 1,
                _ => break,
            }
        }
        at
    }

    fn define(&mut self, anchor: usize, index: Option<usize>) {
        if anchor == 0 {
            return;
        }
        if self.anchors.len() <= anchor {
            self.anchors.resize(anchor + 1, None);
        }
        self.anchors[anchor] = index;
    }

    /// A node is finished: it becomes a key, a value, an item or the document.
    fn complete(&mut self, index: usize, aliased: bool) -> Result<(), Problem> {
        let Some(frame) = self.frames.last_mut().filter(|frame| frame.is_mapping) else { return Ok(()) };
        match frame.key.take() {
            None => {
                frame.key = Some(index);
                Ok(())
            }
            Some(key) if self.is_merge_key(key) => self.merge(key, index, aliased),
            Some(_) => Ok(()),
        }
    }

    fn is_merge_key(&self, key: usize) -> bool {
        let node = &self.tree.nodes[key];
        node.shape == Shape::Scalar
            && node.style == Style::Plain
            && matches!(node.tag, Tag::None | Tag::NonSpecific)
            && NodeRef::new(&self.tree, key as u32).str() == Some("<<")
    }

    /// Puts a copy of the anchored node where an alias stands.
    fn alias(&mut self, id: usize, at: &Range<usize>) -> Result<usize, Problem> {
        let span = self.tree.at(at.start, at.end);
        let Some(index) = self.anchors.get(id).copied().flatten() else {
            return Err(syntax::alias_to_itself(&self.tree, span));
        };
        let copied = self.copy(index, span)?;
        if self.frames.len() + self.height(copied) > MAX_DEPTH {
            return Err(syntax::too_deep(span));
        }
        Ok(copied)
    }

    /// How many collections lie inside each other at and below a node.
    fn height(&self, index: usize) -> usize {
        let mut open: Vec<u32> = Vec::new();
        let mut deepest = 0;
        for at in index..self.tree.nodes[index].next as usize {
            while open.last().is_some_and(|end| *end as usize <= at) {
                open.pop();
            }
            if self.tree.nodes[at].shape != Shape::Scalar {
                open.push(self.tree.nodes[at].next);
                deepest = deepest.max(open.len());
            }
        }
        deepest
    }

    /// Appends a copy of a node and everything below it, within the budget.
    fn copy(&mut self, index: usize, cause: Span) -> Result<usize, Problem> {
        let end = self.tree.nodes[index].next as usize;
        let Some(left) = self.budget.checked_sub(end - index) else {
            return Err(syntax::alias_bomb(cause, ALIAS_BUDGET));
        };
        self.budget = left;
        let target = self.tree.nodes.len();
        for at in index..end {
            let mut node = self.tree.nodes[at];
            node.next = (node.next as usize - index + target) as u32;
            node.flags |= Node::COPIED;
            self.tree.nodes.push(node);
        }
        self.tree.nodes[target].flags = Node::COPIED;
        Ok(target)
    }

    /// Applies `<<: value`. As in go-yaml v2 the entries come in at this place, so they override what stands before
    /// and are overridden by what follows; in a list the earlier mapping wins.
    fn merge(&mut self, key: usize, value: usize, aliased: bool) -> Result<(), Problem> {
        let node = self.tree.nodes[value];
        let span = self.tree.at(node.start as usize, node.end as usize);
        let mappings: Vec<usize> = match node.shape {
            Shape::Mapping => vec![value],
            Shape::Sequence if !aliased => {
                let mut items = Vec::new();
                let mut at = value + 1;
                while at < node.next as usize {
                    items.push(at);
                    at = self.tree.nodes[at].next as usize;
                }
                items.reverse();
                items
            }
            _ => return Err(syntax::merge_needs_mapping(span)),
        };
        self.tree.nodes[key].flags |= Node::HIDDEN;
        for mapping in mappings {
            if self.tree.nodes[mapping].shape != Shape::Mapping {
                return Err(syntax::merge_needs_mapping(span));
            }
            let end = self.tree.nodes[mapping].next as usize;
            let mut at = mapping + 1;
            while at < end {
                let from_value = self.tree.nodes[at].next as usize;
                let hidden = self.tree.nodes[at].flags & Node::HIDDEN != 0;
                if !hidden {
                    let copied = self.copy(at, span)?;
                    self.tree.nodes[copied].flags |= Node::MERGED;
                    self.copy(from_value, span)?;
                }
                at = self.tree.nodes[from_value].next as usize;
            }
        }
        Ok(())
    }
}

/// What an explicit tag makes of a scalar; `None` when the content does not fit, which go-yaml refuses.
fn meaning(tag: &granit_parser::Tag, content: &str, style: Style) -> Option<Tag> {
    let Some(name) = tag.core_suffix() else {
        let bare = tag.original() == "!";
        return Some(if bare { Tag::NonSpecific } else { Tag::Str });
    };
    let value = scalar::resolve(content, style, Tag::Resolved);
    let (fits, tag) = match name {
        "int" => (matches!(value, Scalar::Int(_) | Scalar::Uint(_)), Tag::Resolved),
        "bool" => (matches!(value, Scalar::Bool(_)), Tag::Resolved),
        "null" => (matches!(value, Scalar::Null), Tag::Resolved),
        "float" => (matches!(value, Scalar::Int(_) | Scalar::Float(_)), Tag::Float),
        _ => (true, Tag::Str),
    };
    fits.then_some(tag)
}
