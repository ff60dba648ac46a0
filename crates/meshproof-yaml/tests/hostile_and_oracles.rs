//! Any input ends quickly and without a panic, and independent readers see the same data.

mod common;

use std::time::{Duration, Instant};

use common::read;
use meshproof_source::SourceId;
use meshproof_yaml::{NodeRef, Relevance, Scalar, Shape, is_placeholder, may_matter, template_marker};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Walks everything and checks what must hold for every tree.
fn walk(text: &str, node: NodeRef<'_>, depth: usize) {
    assert!(depth <= 260);
    let span = node.span();
    assert!(span.start <= span.end && span.end as usize <= text.len());
    assert!(text.is_char_boundary(span.start as usize) && text.is_char_boundary(span.end as usize));
    assert_eq!(node.text().is_some(), node.shape() == Shape::Scalar);
    let _ = (node.scalar(), node.key_text(), node.is_null(), node.part(0..1));
    for (key, value) in node.entries() {
        walk(text, key, depth + 1);
        walk(text, value, depth + 1);
    }
    for item in node.items() {
        walk(text, item, depth + 1);
    }
}

fn survive(text: &str) {
    let start = Instant::now();
    let parsed = read(text);
    assert!(parsed.tree.is_some() || !parsed.problems.is_empty(), "unread without a reason: {text:?}");
    if let Some(tree) = &parsed.tree {
        walk(text, tree.root(), 0);
    }
    for problem in &parsed.problems {
        let covered = text.get(problem.span.start as usize..problem.span.end as usize);
        assert!(covered.is_some(), "{text:?}: {problem:?}");
        assert!(!problem.message.is_empty());
    }
    if let Some(marker) = template_marker(text) {
        assert!(text.get(marker.span).is_some_and(|sign| !sign.is_empty()), "{text:?}");
    }
    let _ = is_placeholder(text);
    assert!(start.elapsed() < Duration::from_secs(2), "{text:?}");
}

fn to_json(node: NodeRef<'_>) -> Option<Value> {
    Some(match node.shape() {
        Shape::Mapping => {
            let entries: Option<serde_json::Map<_, _>> = node
                .entries()
                .map(|(key, value)| Some((key.key_text()?.into_owned(), to_json(value)?)))
                .collect();
            Value::Object(entries?)
        }
        Shape::Sequence => Value::Array(node.items().map(to_json).collect::<Option<_>>()?),
        Shape::Scalar => match node.scalar()? {
            Scalar::Null => Value::Null,
            Scalar::Bool(value) => json!(value),
            Scalar::Int(value) => json!(value),
            Scalar::Uint(value) => json!(value),
            Scalar::Float(value) => json!(value),
            Scalar::Str(value) => json!(value),
        },
    })
}

/// Texts that `serde_yaml` (YAML 1.2) leaves unquoted and Kubernetes does not read as strings get a letter in front.
fn settled(text: String) -> String {
    let number = text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
    let word = ["y", "n", "yes", "no", "on", "off", "<<", "="].contains(&text.to_lowercase().as_str());
    if number || word { format!("s{text}") } else { text }
}

/// Values on whose meaning YAML 1.1 and 1.2 agree.
fn plain_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z][a-z0-9./-]{6,12}".prop_map(Value::from),
        "[ -~é\\n]{0,12}".prop_map(|text| Value::from(settled(text))),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z][a-zA-Z0-9_./-]{6,10}", inner, 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        survive(&text);
    }

    #[test]
    fn any_bytes_made_text_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survive(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn texts_of_indicators_are_survived(text in "[-?:,\\[\\]{}#&*!|>'\"%@` \t\r\n\\\\a1<.=~é\u{feff}\u{85}\u{2028}\0$]{0,60}") {
        survive(&text);
    }

    #[test]
    fn what_serde_yaml_writes_is_read_alike(value in plain_value()) {
        let text = serde_yaml::to_string(&value).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let parsed = read(&text);
        prop_assert_eq!(&parsed.problems, &[], "{}", text);
        let read_back = parsed.tree.as_ref().and_then(|tree| to_json(tree.root()));
        prop_assert_eq!(read_back, Some(value), "{}", text);
    }

    #[test]
    fn what_serde_json_writes_is_read_alike(value in plain_value(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let text = text.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let parsed = read(&text);
        prop_assert_eq!(&parsed.problems, &[], "{}", text);
        let read_back = parsed.tree.as_ref().and_then(|tree| to_json(tree.root()));
        prop_assert_eq!(read_back, Some(value), "{}", text);
    }

    /// Whenever a document is skipped, the parser agrees that its kind is the one that was seen.
    #[test]
    fn the_prefilter_never_hides_a_kind(pieces in prop::collection::vec(prop::sample::select(vec![
        "kind: Secret\n", "kind: AuthorizationPolicy\n", "kind", ":", " ", "\n", "\"kind\"", "'", "\"", "Secret", "Pod", "? ", "{", "}", ",",
        "&a ", "*a", "<<: ", "!!str ", "#", "---", "...", "- ", "  ", "a: b\n", "a:\n", "|\n", "\r\n", "\u{2028}", "{kind: Pod}", "\t",
    ]), 0..14)) {
        let text = pieces.concat();
        if let Relevance::Skip { kind } = may_matter(&text)
            && let Some(tree) = read(&text).tree
            && let Some(read_kind) = tree.root().get("kind").and_then(|node| node.text())
        {
            prop_assert!(read_kind.split_whitespace().next() == Some(kind) || !["Pod", "AuthorizationPolicy"].contains(&&*read_kind),
                "{:?}: {} is not {}", text, read_kind, kind);
        }
    }
}

#[test]
fn a_range_that_is_no_range_of_the_text_reads_nothing() {
    for (start, end) in [(5, 100), (3, 1), (1, 2)] {
        let parsed = meshproof_yaml::parse(SourceId(0), "é: b", start..end);
        assert!(parsed.problems.is_empty());
    }
}
