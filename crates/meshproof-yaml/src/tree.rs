//! The flat spanned tree.

use std::borrow::Cow;
use std::ops::Range;

use meshproof_source::{SourceId, Span};

use crate::Scalar;
use crate::scalar::{self, Tag};

/// One parsed document. Aliases and merge keys are already applied; duplicate keys are all kept.
///
/// Nodes lie in one vector in the order of the text: a mapping is followed by key, value, key, value, a sequence by
/// its items, each with everything below it.
#[derive(Debug)]
pub struct Tree<'t> {
    pub(crate) source: SourceId,
    /// The whole text of the source, so that spans index it directly.
    pub(crate) text: &'t str,
    pub(crate) nodes: Vec<Node>,
    /// Contents of scalars that are not a plain slice of the text (escapes, folding, block scalars).
    pub(crate) decoded: Vec<Box<str>>,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Keys with values.
    Mapping,
    /// Items.
    Sequence,
    /// One value.
    Scalar,
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes; the only style whose content may be a boolean, a number or null.
    Plain,
    /// In `'single quotes'`.
    SingleQuoted,
    /// In `"double quotes"`.
    DoubleQuoted,
    /// A `|` block.
    Literal,
    /// A `>` block.
    Folded,
}

/// The stored form of a node; offsets are absolute in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub start: u32,
    pub end: u32,
    /// One past the last node below this one.
    pub next: u32,
    /// Index into [`Tree::decoded`], or [`Node::AS_WRITTEN`].
    pub decoded: u32,
    pub shape: Shape,
    pub style: Style,
    pub tag: Tag,
    pub flags: u8,
}

impl Node {
    /// The content is the text between `start` and `end`, without quotes.
    pub const AS_WRITTEN: u32 = u32::MAX;
    /// On a key: the pair was a merge key; its entries follow as copies, the pair itself is not shown.
    pub const HIDDEN: u8 = 1;
    /// On a key: the pair came in through a merge key.
    pub const MERGED: u8 = 2;
    /// The node is a copy made for an alias.
    pub const COPIED: u8 = 4;
}

impl<'t> Tree<'t> {
    /// The node of the whole document.
    pub fn root(&self) -> NodeRef<'_> {
        NodeRef { tree: self, index: 0 }
    }
}

/// A node of a tree; cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct NodeRef<'t> {
    tree: &'t Tree<'t>,
    index: u32,
}

impl<'t> NodeRef<'t> {
    pub(crate) fn new(tree: &'t Tree<'t>, index: u32) -> Self {
        NodeRef { tree, index }
    }

    pub(crate) fn node(self) -> &'t Node {
        &self.tree.nodes[self.index as usize]
    }

    /// What it is.
    pub fn shape(self) -> Shape {
        self.node().shape
    }

    /// Its bytes, quotes and brackets included. A missing value (`key:` and nothing) has an empty span right after
    /// the key's colon. What came through an alias has the span of where it was written.
    pub fn span(self) -> Span {
        let node = self.node();
        Span::new(self.tree.source, node.start, node.end)
    }

    /// Keys and values in order, duplicates included; empty for other shapes.
    pub fn entries(self) -> impl Iterator<Item = (NodeRef<'t>, NodeRef<'t>)> {
        let node = self.node();
        let end = if node.shape == Shape::Mapping { node.next } else { self.index + 1 };
        let mut at = self.index + 1;
        std::iter::from_fn(move || {
            while at < end {
                let key = NodeRef { tree: self.tree, index: at };
                let value = NodeRef { tree: self.tree, index: key.node().next };
                at = value.node().next;
                if key.node().flags & Node::HIDDEN == 0 {
                    return Some((key, value));
                }
            }
            None
        })
    }

    /// Items in order; empty for other shapes.
    pub fn items(self) -> impl Iterator<Item = NodeRef<'t>> {
        let node = self.node();
        let end = if node.shape == Shape::Sequence { node.next } else { self.index + 1 };
        let mut at = self.index + 1;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let item = NodeRef { tree: self.tree, index: at };
            at = item.node().next;
            Some(item)
        })
    }

    /// The value of a key, the last of equal ones.
    pub fn get(self, key: &str) -> Option<NodeRef<'t>> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Key node and value node of a key, the last of equal ones.
    pub fn entry(self, key: &str) -> Option<(NodeRef<'t>, NodeRef<'t>)> {
        self.entries().filter(|(written, _)| written.str() == Some(key)).last()
    }

    /// The resolved scalar; `None` for mappings and sequences.
    pub fn scalar(self) -> Option<Scalar<'t>> {
        let node = self.node();
        self.str().map(|text| scalar::resolve(text, node.style, node.tag))
    }

    /// The content of a scalar (unescaped, unresolved); `None` for mappings and sequences.
    pub fn text(self) -> Option<Cow<'t, str>> {
        self.str().map(Cow::Borrowed)
    }

    /// The same as [`text`](Self::text), borrowed from the tree.
    pub fn str(self) -> Option<&'t str> {
        let node = self.node();
        if node.shape != Shape::Scalar {
            return None;
        }
        if node.decoded != Node::AS_WRITTEN {
            return self.tree.decoded.get(node.decoded as usize).map(|text| &**text);
        }
        let quote = usize::from(matches!(node.style, Style::SingleQuoted | Style::DoubleQuoted));
        Some(self.tree.text.get(node.start as usize + quote..node.end as usize - quote).unwrap_or(""))
    }

    /// The text of a key as it stands in the JSON object that Kubernetes makes of it: `on` becomes `true`, `0x50`
    /// becomes `80` (sigs.k8s.io/yaml, `convertToJSONableObject`). `None` for mappings and sequences.
    pub fn key_text(self) -> Option<Cow<'t, str>> {
        Some(match self.scalar()? {
            Scalar::Str(text) => text,
            Scalar::Null => Cow::Borrowed("null"),
            Scalar::Bool(value) => Cow::Borrowed(if value { "true" } else { "false" }),
            Scalar::Int(value) => Cow::Owned(value.to_string()),
            Scalar::Uint(value) => Cow::Owned(value.to_string()),
            Scalar::Float(value) => Cow::Owned(value.to_string()),
        })
    }

    /// How a scalar is written; `Plain` for mappings and sequences.
    pub fn style(self) -> Style {
        self.node().style
    }

    /// Whether it is a null scalar.
    pub fn is_null(self) -> bool {
        matches!(self.scalar(), Some(Scalar::Null))
    }

    /// The span of a byte range of [`text`](Self::text), for problems inside a string. The whole node when the
    /// content is not written out literally (escapes, block scalars).
    pub fn part(self, range: Range<usize>) -> Span {
        let node = self.node();
        if node.shape != Shape::Scalar || node.decoded != Node::AS_WRITTEN {
            return self.span();
        }
        let quote = usize::from(matches!(node.style, Style::SingleQuoted | Style::DoubleQuoted));
        self.span().part(range.start + quote, range.end + quote)
    }
}
