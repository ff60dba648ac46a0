//! Filling a tree: what the readers of YAML and JSON share.

use meshproof_source::{SourceId, Span};

use crate::scalar::Tag;
use crate::tree::Node;
use crate::{Shape, Style, Tree};

/// Deeper documents are not read. Enough for any real manifest, and small enough for recursive readers.
pub(crate) const MAX_DEPTH: usize = 255;

/// More problems of one kind are not told for one document; nobody reads them, and they take memory.
pub(crate) const MAX_PROBLEMS: usize = 100;

impl<'t> Tree<'t> {
    /// An empty tree over `text` with room for the nodes of `length` bytes of manifest.
    pub(crate) fn with_room(source: SourceId, text: &'t str, length: usize) -> Self {
        // Ordinary manifests have one node per 10 to 20 bytes.
        Tree { source, text, nodes: Vec::with_capacity((length / 10).min(1 << 20) + 8), decoded: Vec::new() }
    }

    pub(crate) fn at(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start as u32, end as u32)
    }

    /// Adds a mapping or sequence that is still open; [`close`](Self::close) ends it.
    pub(crate) fn open(&mut self, shape: Shape, start: usize) -> usize {
        let index = self.nodes.len();
        self.nodes.push(Node {
            start: start as u32,
            end: start as u32,
            next: 0,
            decoded: Node::AS_WRITTEN,
            shape,
            style: Style::Plain,
            tag: Tag::None,
            flags: 0,
        });
        index
    }

    pub(crate) fn close(&mut self, index: usize, end: usize) {
        let next = self.nodes.len() as u32;
        let node = &mut self.nodes[index];
        node.end = end as u32;
        node.next = next;
    }

    /// Adds a scalar whose content is the text between its ends, quotes aside.
    pub(crate) fn written(&mut self, style: Style, start: usize, end: usize) -> usize {
        let index = self.nodes.len();
        self.nodes.push(Node {
            start: start as u32,
            end: end as u32,
            next: index as u32 + 1,
            decoded: Node::AS_WRITTEN,
            shape: Shape::Scalar,
            style,
            tag: Tag::None,
            flags: 0,
        });
        index
    }

    /// Adds a scalar whose content differs from the text.
    pub(crate) fn decoded(&mut self, style: Style, start: usize, end: usize, content: Box<str>) -> usize {
        let index = self.written(style, start, end);
        self.nodes[index].decoded = self.decoded.len() as u32;
        self.decoded.push(content);
        index
    }
}
