//! The flat spanned tree.

use std::borrow::Cow;

use meshproof_source::Span;

use crate::Scalar;

/// One parsed document. Aliases and merge keys are already applied; duplicate keys are all kept.
#[derive(Debug, Default)]
pub struct Tree {}

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

/// A node of a tree; cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct NodeRef<'t> {
    tree: &'t Tree,
    index: u32,
}

impl<'t> NodeRef<'t> {
    /// What it is.
    pub fn shape(self) -> Shape {
        todo!()
    }
    /// Its bytes. A missing value (`key:` and nothing) has an empty span right after the key's colon.
    pub fn span(self) -> Span {
        todo!()
    }
    /// Keys and values in order, duplicates included; empty for other shapes.
    pub fn entries(self) -> impl Iterator<Item = (NodeRef<'t>, NodeRef<'t>)> {
        std::iter::empty()
    }
    /// Items in order; empty for other shapes.
    pub fn items(self) -> impl Iterator<Item = NodeRef<'t>> {
        std::iter::empty()
    }
    /// The value of a key, the last of equal ones.
    pub fn get(self, key: &str) -> Option<NodeRef<'t>> {
        self.entry(key).map(|(_, value)| value)
    }
    /// Key node and value node of a key, the last of equal ones.
    pub fn entry(self, _key: &str) -> Option<(NodeRef<'t>, NodeRef<'t>)> {
        None
    }
    /// The resolved scalar; `None` for mappings and sequences.
    pub fn scalar(self) -> Option<Scalar<'t>> {
        None
    }
    /// The content of a scalar as written (unescaped, unresolved); `None` for mappings and sequences.
    pub fn text(self) -> Option<Cow<'t, str>> {
        None
    }
    /// Whether it is a null scalar.
    pub fn is_null(self) -> bool {
        matches!(self.scalar(), Some(Scalar::Null))
    }
}
