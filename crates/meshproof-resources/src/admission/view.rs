//! Reading an object that fits its types, as the decoded message of istiod would show it.
//!
//! A null field is an absent field; a null item of a list is an empty message or an empty string (golang/protobuf,
//! `jsonpb/decode.go`).

use meshproof_yaml::{NodeRef, Scalar};

use crate::schema::values::parse_duration;

/// The value of a field, unless it is null.
pub(super) fn field<'t>(node: NodeRef<'t>, name: &str) -> Option<NodeRef<'t>> {
    node.get(name).filter(|value| !value.is_null())
}

/// Key and value of a field, unless the value is null.
pub(super) fn entry<'t>(node: NodeRef<'t>, name: &str) -> Option<(NodeRef<'t>, NodeRef<'t>)> {
    node.entry(name).filter(|(_, value)| !value.is_null())
}

/// The items of a list; nothing when it is absent.
pub(super) fn items<'t>(node: NodeRef<'t>, name: &str) -> impl Iterator<Item = (usize, NodeRef<'t>)> {
    field(node, name).into_iter().flat_map(NodeRef::items).enumerate()
}

/// Whether a list has items. An empty list is no list to istiod.
pub(super) fn has_items(node: NodeRef<'_>, name: &str) -> bool {
    items(node, name).next().is_some()
}

/// The text of a value; a null is the empty string.
pub(super) fn text(node: NodeRef<'_>) -> &str {
    match node.scalar() {
        None | Some(Scalar::Null) => "",
        Some(_) => node.str().unwrap_or(""),
    }
}

/// The text of a field; empty when it is absent.
pub(super) fn string<'t>(node: NodeRef<'t>, name: &str) -> &'t str {
    field(node, name).map_or("", text)
}

/// A boolean field; absent is false.
pub(super) fn boolean(node: NodeRef<'_>, name: &str) -> bool {
    field(node, name).and_then(NodeRef::scalar) == Some(Scalar::Bool(true))
}

/// A number, which may stand in quotes.
pub(super) fn number(node: NodeRef<'_>) -> Option<f64> {
    match node.scalar()? {
        Scalar::Int(value) => Some(value as f64),
        Scalar::Uint(value) => Some(value as f64),
        Scalar::Float(value) => Some(value),
        Scalar::Str(text) => text.parse().ok(),
        Scalar::Null | Scalar::Bool(_) => None,
    }
}

/// A number field; absent is zero.
pub(super) fn number_field(node: NodeRef<'_>, name: &str) -> f64 {
    field(node, name).and_then(number).unwrap_or(0.0)
}

/// A duration field with its node, in nanoseconds.
pub(super) fn duration<'t>(node: NodeRef<'t>, name: &str) -> Option<(NodeRef<'t>, i64)> {
    let value = field(node, name)?;
    Some((value, parse_duration(text(value))?))
}

/// The position of an enum field's value among `names`, by name or by number; absent is the first.
pub(super) fn choice(node: NodeRef<'_>, name: &str, names: &[&str]) -> usize {
    let Some(value) = field(node, name) else { return 0 };
    match value.scalar() {
        Some(Scalar::Int(number)) => usize::try_from(number).unwrap_or(usize::MAX),
        _ => names.iter().position(|known| *known == text(value)).unwrap_or(usize::MAX),
    }
}
