//! `experimental.envoy.filters.…[key]`: dynamic metadata.

use meshproof_grammar::pattern::Pattern;
use serde_json::Value;

use super::text;
use crate::view::View;

/// A value: `[v]` asks for a list that holds a matching text, `v` for a text (Istio 1.32, `generator.go`).
#[derive(Debug)]
pub(crate) enum Datum {
    List(Pattern),
    Text(Pattern),
}

impl Datum {
    pub fn parse(value: &str) -> Datum {
        if value.starts_with('[') && value.ends_with(']') {
            return Datum::List(Pattern::parse(value.trim_matches(['[', ']'])));
        }
        Datum::Text(Pattern::parse(value))
    }
}

pub(super) fn metadata(key: &(String, String), wanted: &[Datum], view: &View<'_>) -> bool {
    let found = view.metadata.get(key);
    wanted.iter().any(|datum| match datum {
        Datum::List(pattern) => found
            .and_then(Value::as_array)
            .is_some_and(|items| items.iter().filter_map(Value::as_str).any(|item| text(pattern, item))),
        Datum::Text(pattern) => found.and_then(Value::as_str).is_some_and(|found| text(pattern, found)),
    })
}

/// What there is, for the trace.
pub(super) fn texts(filter: &str, key: &str, view: &View<'_>) -> Vec<String> {
    match view.metadata.get(&(filter.to_owned(), key.to_owned())) {
        None => Vec::new(),
        Some(Value::String(text)) => vec![text.clone()],
        Some(other) => vec![other.to_string()],
    }
}
