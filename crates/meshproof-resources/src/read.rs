//! Reading values out of a tree. All of it is lenient: what has the wrong type is not read (the schema check reports
//! it), `null` counts as absent, and a number or boolean where a string belongs keeps the text as written.

use std::collections::HashSet;

use meshproof_source::{Span, Spanned};
use meshproof_yaml::{NodeRef, Scalar, Shape};

use crate::{Field, PortRef, Selector, TargetRef, Text, TextMap, Transport};

/// The name of a key for a `match`; empty for keys that are no scalars, which no field is called.
pub(crate) fn key_name(key: NodeRef<'_>) -> &str {
    key.str().unwrap_or_default()
}

/// A scalar as written.
pub(crate) fn text(node: NodeRef<'_>) -> Option<Text> {
    if node.shape() != Shape::Scalar || node.is_null() {
        return None;
    }
    node.str().map(|text| Spanned::new(text.to_owned(), node.span()))
}

/// A scalar as written at a key of `node`.
pub(crate) fn text_at(node: NodeRef<'_>, key: &str) -> Option<Text> {
    node.get(key).and_then(text)
}

/// An integer that fits; decimal text in quotes is read too.
pub(crate) fn number<T: TryFrom<i128>>(node: NodeRef<'_>) -> Option<Spanned<T>> {
    let value = match node.scalar()? {
        Scalar::Int(value) => i128::from(value),
        Scalar::Uint(value) => i128::from(value),
        // Go writes 8080.0 as the JSON number 8080.
        Scalar::Float(value) if value.fract() == 0.0 && value.abs() < 1e15 => value as i128,
        Scalar::Str(text) => decimal(&text)?,
        _ => return None,
    };
    T::try_from(value).ok().map(|value| Spanned::new(value, node.span()))
}

fn decimal(text: &str) -> Option<i128> {
    let short = !text.is_empty() && text.len() <= 19;
    if short && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// A boolean; quoted words are none.
pub(crate) fn boolean(node: NodeRef<'_>) -> Option<Spanned<bool>> {
    match node.scalar()? {
        Scalar::Bool(value) => Some(Spanned::new(value, node.span())),
        _ => None,
    }
}

/// Whether the node is a boolean and true.
pub(crate) fn is_true(node: NodeRef<'_>) -> bool {
    boolean(node).is_some_and(|value| value.value)
}

/// A word of a closed set.
pub(crate) fn word<T: Copy>(node: NodeRef<'_>, words: &[(&str, T)]) -> Option<Spanned<T>> {
    let written = node.str()?;
    words.iter().find(|(name, _)| *name == written).map(|(_, value)| Spanned::new(*value, node.span()))
}

/// The items of a list that `read` can read. They are counted first: most lists have one item, and a vector that
/// grows by itself takes room for four.
pub(crate) fn items<'t, T>(node: NodeRef<'t>, read: impl FnMut(NodeRef<'t>) -> Option<T>) -> Vec<T> {
    let mut items = Vec::with_capacity(node.items().count());
    items.extend(node.items().filter_map(read));
    items
}

/// A list field with the items that `read` can read.
pub(crate) fn list<'t, T>(
    key: NodeRef<'t>,
    value: NodeRef<'t>,
    read: impl FnMut(NodeRef<'t>) -> Option<T>,
) -> Field<T> {
    Field { key: Some(key.span()), items: items(value, read) }
}

/// The objects of a list. A dangling `-` counts as `{}`, as it does for Istio's JSON decoder.
pub(crate) fn objects<'t, T>(
    key: NodeRef<'t>,
    value: NodeRef<'t>,
    mut read: impl FnMut(NodeRef<'t>) -> T,
) -> Field<T> {
    list(key, value, |item| (item.shape() == Shape::Mapping || item.is_null()).then(|| read(item)))
}

/// A list of strings.
pub(crate) fn texts(key: NodeRef<'_>, value: NodeRef<'_>) -> Field<Text> {
    list(key, value, text)
}

/// The node, when it is a mapping.
pub(crate) fn mapping(node: NodeRef<'_>) -> Option<NodeRef<'_>> {
    (node.shape() == Shape::Mapping).then_some(node)
}

/// The mapping at a key of `node`.
pub(crate) fn mapping_at<'t>(node: NodeRef<'t>, key: &str) -> Option<NodeRef<'t>> {
    node.get(key).and_then(mapping)
}

/// A map of strings. Keys are spelled as Kubernetes spells them after its conversion to JSON (`on` is `true`).
pub(crate) fn text_map(key: NodeRef<'_>, value: NodeRef<'_>) -> TextMap {
    let count = value.entries().count();
    let pairs = value.entries().filter_map(|(name, value)| Some((map_key(name)?, text(value))));
    let entries = if count <= 16 { few_pairs(pairs, count) } else { many_pairs(pairs.collect()) };
    TextMap { key: Some(key.span()), entries }
}

/// The map of strings at a key of `node`.
pub(crate) fn text_map_at(node: NodeRef<'_>, key: &str) -> TextMap {
    node.entry(key).map(|(key, value)| text_map(key, value)).unwrap_or_default()
}

fn map_key(key: NodeRef<'_>) -> Option<Text> {
    Some(Spanned::new(key.key_text()?.into_owned(), key.span()))
}

/// Keeps the last of equal keys and drops keys without a readable value: a later `a: null` hides an earlier `a: x`.
fn few_pairs(pairs: impl Iterator<Item = (Text, Option<Text>)>, count: usize) -> Vec<(Text, Text)> {
    let mut kept: Vec<(Text, Text)> = Vec::with_capacity(count);
    for (name, value) in pairs {
        kept.retain(|(earlier, _)| earlier.value != name.value);
        kept.extend(value.map(|value| (name, value)));
    }
    kept
}

/// The same for maps in which looking at every pair of keys would take long.
fn many_pairs(mut pairs: Vec<(Text, Option<Text>)>) -> Vec<(Text, Text)> {
    let mut seen = HashSet::with_capacity(pairs.len());
    let mut keep: Vec<bool> = pairs.iter().rev().map(|(name, _)| seen.insert(name.value.as_str())).collect();
    keep.reverse();
    let mut keep = keep.into_iter();
    pairs.retain(|_| keep.next().unwrap_or(true));
    pairs.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect()
}

/// A workload port as the key of a map: an integer or digits in quotes. Out of range gives nothing.
pub(crate) fn port_key(key: NodeRef<'_>) -> Option<Spanned<u16>> {
    number(key)
}

/// A port by number or name (Kubernetes `IntOrString`); digits in quotes are a name there.
pub(crate) fn port_ref(node: NodeRef<'_>) -> Option<PortRef> {
    match node.scalar()? {
        Scalar::Str(_) => text(node).map(PortRef::Name),
        _ => number(node).map(PortRef::Number),
    }
}

/// `protocol` of a port; anything unreadable is TCP.
pub(crate) fn transport(node: Option<NodeRef<'_>>) -> Transport {
    let words = [("TCP", Transport::Tcp), ("UDP", Transport::Udp), ("SCTP", Transport::Sctp)];
    node.and_then(|node| word(node, &words)).map_or(Transport::Tcp, |protocol| protocol.value)
}

/// `selector: {matchLabels: …}`; absent when the value is no mapping.
pub(crate) fn selector(node: NodeRef<'_>) -> Option<Selector> {
    let node = mapping(node)?;
    let pairs = node.entry("matchLabels");
    Some(Selector {
        span: node.span(),
        has_match_labels: pairs.is_some_and(|(_, value)| !value.is_null()),
        match_labels: pairs.map(|(key, value)| text_map(key, value)).unwrap_or_default(),
    })
}

/// A target reference; absent parts are empty and point at the entry.
pub(crate) fn target_ref(node: NodeRef<'_>) -> TargetRef {
    let or_empty = |text: Option<Text>| text.unwrap_or_else(|| Spanned::new(String::new(), node.span()));
    TargetRef {
        span: node.span(),
        group: text_at(node, "group").map(|group| group.value).unwrap_or_default(),
        kind: or_empty(text_at(node, "kind")),
        name: or_empty(text_at(node, "name")),
        namespace: text_at(node, "namespace"),
    }
}

/// `targetRefs` of a spec, or the legacy `targetRef` when that list is empty (Istio 1.32, policyattachment.go).
pub(crate) fn target_refs(
    list: Option<(NodeRef<'_>, NodeRef<'_>)>,
    single: Option<(NodeRef<'_>, NodeRef<'_>)>,
) -> Field<TargetRef> {
    let many = list.map(|(key, value)| objects(key, value, target_ref)).unwrap_or_default();
    match single {
        Some((key, value)) if many.is_empty() && value.shape() == Shape::Mapping => {
            Field { key: Some(key.span()), items: vec![target_ref(value)] }
        }
        _ => many,
    }
}

/// The place of a spec: its value, or the whole object when there is none.
pub(crate) fn spec_span(spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Span {
    spec.filter(|spec| !spec.is_null()).unwrap_or(object).span()
}

/// The entries of a mapping that may be absent.
pub(crate) fn entries<'t>(node: Option<NodeRef<'t>>) -> impl Iterator<Item = (NodeRef<'t>, NodeRef<'t>)> {
    node.into_iter().flat_map(NodeRef::entries)
}
