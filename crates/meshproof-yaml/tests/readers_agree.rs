//! The fast reader takes nothing that the general reader refuses, and reads nothing otherwise.

mod common;

use meshproof_source::SourceId;
use meshproof_yaml::{NodeRef, Reader, Shape, parse_with};
use proptest::prelude::*;

/// Everything a tree says: shapes, contents, styles, spans.
fn facts(node: NodeRef<'_>, out: &mut Vec<String>) {
    let span = node.span();
    out.push(format!(
        "{:?} {:?} {:?} {}..{} {:?}",
        node.shape(),
        node.style(),
        node.text(),
        span.start,
        span.end,
        node.scalar()
    ));
    match node.shape() {
        Shape::Mapping => {
            for (key, value) in node.entries() {
                facts(key, out);
                facts(value, out);
            }
        }
        Shape::Sequence => node.items().for_each(|item| facts(item, out)),
        Shape::Scalar => {}
    }
    out.push("end".to_owned());
}

/// Whether the fast reader took the text. Panics when the readers differ.
fn compare(text: &str) -> Result<bool, TestCaseError> {
    let fast = parse_with(SourceId(0), text, 0..text.len(), Reader::FastOnly);
    let general = parse_with(SourceId(0), text, 0..text.len(), Reader::General);
    let Some(tree) = &fast.tree else {
        return Ok(false);
    };
    let Some(expected) = &general.tree else {
        return Err(TestCaseError::fail(format!(
            "taken but refused by the general reader: {text:?} {:?}",
            general.problems
        )));
    };
    let (mut left, mut right) = (Vec::new(), Vec::new());
    facts(tree.root(), &mut left);
    facts(expected.root(), &mut right);
    prop_assert_eq!(left, right, "{:?}", text);
    prop_assert_eq!(&fast.problems, &general.problems, "{:?}", text);
    Ok(true)
}

/// Text from pieces that matter to YAML.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b",
        "key",
        "1",
        "8080",
        "true",
        "x y",
        "é",
        ":",
        ": ",
        ":\n",
        "- ",
        "-",
        "\n",
        "\n",
        "\n  ",
        "\n    ",
        "\n- ",
        "\n  - ",
        "  ",
        " ",
        "#",
        " # c",
        "\n# c\n",
        "'",
        "\"",
        "\\",
        "\"q\"",
        "'s'",
        "''",
        "[",
        "]",
        "{",
        "}",
        ", ",
        ",",
        "|",
        ">",
        "|\n  ",
        ">-\n    ",
        "|+\n  ",
        "&a",
        "*a",
        "!t",
        "? ",
        "%",
        "@",
        "`",
        "~",
        "<<",
        "---",
        "...",
        "\n---",
        "\n...\n",
        "=",
        ".",
        "/",
        "k: v\n",
        "k:\n",
        "  k: v\n",
        "- k: v\n",
        "  - x\n",
        "{a: b}",
        "[a, b]",
        "[\"a\", 'b']",
        "{a: {b: c}}",
        "\t",
        "\r\n",
        "\u{a0}",
        "*",
        "/*",
        "-1",
        "--x",
        "$",
        "(",
        "\\n",
        "a: |\n  t\n",
        "a: >\n  t\n  u\n\n  v\n",
        "a#b",
        "http://x:80/",
        "1:2",
        "::",
        "a:b",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Manifests as people write them, to be damaged.
const MANIFESTS: [&str; 4] = [
    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: b}\nspec:\n  selector: {matchLabels: {app: \"x\"}}\n  action: ALLOW\n  rules:\n  - from:\n    - source: {principals: [\"cluster.local/ns/a/sa/b\", '*']}\n    to:\n    - operation: {ports: [\"8080\"], methods: [GET, \"PUT\"], paths: [\"/a/*\"]}\n",
    "# head\napiVersion: v1\nkind: Service\nmetadata:\n  name: web   # trailing\n  labels:\n    app: web\n\n    tier:\n  annotations:\n    note: 'it''s'\n    esc: \"a\\\\.b\\n\"\nspec:\n    ports:\n    - name: http\n      port: 80\n    -\n      name: x\n    - - nested\n      - list\n",
    "data:\n  config: |\n    line one\n      deeper\n\n    # no comment\n    key: value\n\n  folded: >-\n    some words\n    more\n\n    last\n  kept: |+\n    x\n\nlist:\n- |\n  in list\n- a: b\n  c: d\nempty: {}\nnone: []\n",
    "? x\n: y\nanchor: &a {b: c}\nalias: *a\nmerge:\n  <<: *a\n  d: e\nmulti: one\n  two\nquoted: \"one\n  two\"\n",
];

fn damaged() -> impl Strategy<Value = String> {
    let insert = prop::sample::select(vec![
        " ", "  ", "\n", ":", ": ", "- ", "#", " #", "\"", "'", "[", "]", "{", "}", ",", "|", ">", "&", "*",
        "!", "?", "%", "\t", "é", "\\", "x", "\n\n", "\n ", "---\n", "\r\n",
    ]);
    let edit = (any::<prop::sample::Index>(), 0_usize..6, insert);
    (prop::sample::select(MANIFESTS.to_vec()), prop::collection::vec(edit, 0..4)).prop_map(
        |(manifest, edits)| {
            let mut text = manifest.to_owned();
            for (index, removed, inserted) in edits {
                let boundaries: Vec<usize> =
                    text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
                let from = index.index(boundaries.len());
                let to = (from + removed).min(boundaries.len() - 1);
                text.replace_range(boundaries[from]..boundaries[to], inserted);
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn on_soup(text in soup()) {
        compare(&text)?;
    }

    #[test]
    fn on_damaged_manifests(text in damaged()) {
        compare(&text)?;
    }
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(4_000)
}

#[test]
fn ordinary_manifests_take_the_fast_reader() {
    for manifest in &MANIFESTS[..3] {
        assert!(compare(manifest).unwrap(), "{manifest}");
    }
    assert!(!compare(MANIFESTS[3]).unwrap());
}

/// Texts on which the readers once differed.
#[test]
fn earlier_differences() {
    for text in ["a:\n- -1", "- |+\n  |\n  ", "- |+\n  x\n\n", "a: [fd00::]\n"] {
        assert!(compare(text).is_ok(), "{text:?}");
    }
}
