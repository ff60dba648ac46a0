//! Texts that make YAML readers stumble, each with the behaviour we want.

mod common;

use std::time::{Duration, Instant};

use common::{only_problem, read, refused, shown};
use meshproof_yaml::{ProblemKind, Scalar, Shape};

fn value(text: &str) -> String {
    let parsed = read(text);
    let Some(tree) = parsed.tree else { return "unreadable".to_owned() };
    format!("{:?}", tree.root().get("a").and_then(|node| node.scalar()))
}

#[test]
fn booleans_are_those_of_yaml_1_1() {
    for word in ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"] {
        assert_eq!(value(&format!("a: {word}\n")), "Some(Bool(true))", "{word}");
    }
    for word in ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"] {
        assert_eq!(value(&format!("a: {word}\n")), "Some(Bool(false))", "{word}");
    }
    for word in ["yEs", "tRUE", "oN", "nope", "yess"] {
        assert_eq!(value(&format!("a: {word}\n")), format!("Some(Str({word:?}))"), "{word}");
    }
    assert_eq!(value("a: 'on'\n"), "Some(Str(\"on\"))");
    assert_eq!(value("a: !!str on\n"), "Some(Str(\"on\"))");
}

#[test]
fn nulls() {
    for word in ["", "~", "null", "Null", "NULL"] {
        assert_eq!(value(&format!("a: {word}\n")), "Some(Null)", "{word}");
    }
    assert_eq!(value("a: ''\n"), "Some(Str(\"\"))");
    assert_eq!(value("a: !!str\n"), "Some(Str(\"\"))");
    assert_eq!(value("a: nULL\n"), "Some(Str(\"nULL\"))");
}

#[test]
fn numbers_are_those_of_go() {
    for (word, expected) in [
        ("8080", "Int(8080)"),
        ("-1", "Int(-1)"),
        ("+1", "Int(1)"),
        ("0755", "Int(493)"),
        ("0o755", "Int(493)"),
        ("0O17", "Int(15)"),
        ("0x1F", "Int(31)"),
        ("0XfF", "Int(255)"),
        ("0b11", "Int(3)"),
        ("-0b11", "Int(-3)"),
        ("08", "Float(8.0)"),
        ("1_000", "Int(1000)"),
        ("1e3", "Float(1000.0)"),
        ("1.", "Float(1.0)"),
        (".5", "Float(0.5)"),
        ("1.10", "Float(1.1)"),
        ("-.5", "Float(-0.5)"),
        ("9223372036854775807", "Int(9223372036854775807)"),
        ("-9223372036854775808", "Int(-9223372036854775808)"),
        ("9223372036854775808", "Uint(9223372036854775808)"),
        ("18446744073709551615", "Uint(18446744073709551615)"),
        ("18446744073709551616", "Float(1.8446744073709552e19)"),
        (".inf", "Float(inf)"),
        ("-.Inf", "Float(-inf)"),
        (".NaN", "Float(NaN)"),
        // Strings: base 60, times, versions, addresses, bad digits, out of range.
        ("1:20", "Str(\"1:20\")"),
        ("2001-12-14", "Str(\"2001-12-14\")"),
        ("2001-12-14T21:59:43Z", "Str(\"2001-12-14T21:59:43Z\")"),
        ("1.2.3", "Str(\"1.2.3\")"),
        ("10.0.0.0/8", "Str(\"10.0.0.0/8\")"),
        ("0o8", "Str(\"0o8\")"),
        ("0xg", "Str(\"0xg\")"),
        ("1e400", "Str(\"1e400\")"),
        ("-", "Str(\"-\")"),
        ("+", "Str(\"+\")"),
        ("--1", "Str(\"--1\")"),
        (".", "Str(\".\")"),
        ("1e", "Str(\"1e\")"),
        ("0x", "Str(\"0x\")"),
        ("inf", "Str(\"inf\")"),
        ("1k", "Str(\"1k\")"),
    ] {
        if word == "-" {
            continue; // A lone dash is a list item.
        }
        assert_eq!(value(&format!("a: {word}\n")), format!("Some({expected})"), "{word}");
    }
    assert_eq!(value("a: '1'\n"), "Some(Str(\"1\"))");
    assert_eq!(value("a: !!str 1\n"), "Some(Str(\"1\"))");
    assert_eq!(value("a: !!int '1'\n"), "Some(Int(1))");
    assert_eq!(value("a: !!float 1\n"), "Some(Float(1.0))");
    assert_eq!(value("a: !custom 1\n"), "Some(Str(\"1\"))");
    refused("a: !!int x\n", ProblemKind::Syntax, "x", "cannot be read as !!int");
}

#[test]
fn the_star_that_people_forget_to_quote() {
    refused("a:\n- *\n", ProblemKind::Syntax, "*", "quote it: \"*\"");
    refused("a: [*]", ProblemKind::Syntax, "*", "quote it: \"*\"");
    refused("a:\n- */admin\n", ProblemKind::Syntax, "*/admin", "quote it: \"*/admin\"");
    refused("a: *.example.com\n", ProblemKind::Syntax, "*.example.com", "quote it: \"*.example.com\"");
    let both = read("a: [*x, *y]\n");
    assert!(both.tree.is_none());
    assert_eq!(both.problems.len(), 2, "{:?}", both.problems);
}

#[test]
fn other_characters_that_want_quotes() {
    refused("a: @b\n", ProblemKind::Syntax, "@b", "quote it: \"@b\"");
    refused("a: `b`\n", ProblemKind::Syntax, "`b`", "quote it");
    refused("a: b: c\n", ProblemKind::Syntax, ":", "quote the value");
    refused("a: - b\n", ProblemKind::Syntax, "-", "lines of its own");
    refused("a: \"x\"y\n", ProblemKind::Syntax, "y", "closing quote");
    refused("a: \"x\\.y\"\n", ProblemKind::Syntax, "\\.", "single quotes");
}

#[test]
fn tabs() {
    refused("a:\n\tb: c\n", ProblemKind::Syntax, "\t", "indent with spaces");
    refused("a:\n  b: c\n\td: e\n", ProblemKind::Syntax, "\t", "indent with spaces");
    assert_eq!(shown("a:\tb\n"), "{a=>b}");
    assert_eq!(shown("a: b\t# c\n"), "{a=>b}");
    assert_eq!(shown("{\n\t\"a\": \"b\"\n}"), "{\"a\"«\"a\"»=>\"b\"«\"b\"»}");
}

#[test]
fn what_is_not_closed() {
    refused("a: \"x\ny: z\n", ProblemKind::Syntax, "y: z", "close the quote");
    assert_eq!(only_problem("a: 'x\n").0.kind, ProblemKind::Syntax);
    assert_eq!(only_problem("a: [x, y\nb: c\n").0.kind, ProblemKind::Syntax);
    assert_eq!(only_problem("a: {x: y\n").0.kind, ProblemKind::Syntax);
    assert_eq!(only_problem("a: [x}\n").0.kind, ProblemKind::Syntax);
    assert_eq!(only_problem("{\"a\": [1, 2}").0.kind, ProblemKind::Syntax);
}

#[test]
fn indentation_that_fits_nothing() {
    for text in ["a:\n    b: c\n  d: e\n", "a: b\n  c: d\n", "a:\n- b\n c: d\n", "  a: b\nc: d\n"] {
        let (problem, _) = only_problem(text);
        assert_eq!(problem.kind, ProblemKind::Syntax, "{text:?}");
    }
}

#[test]
fn duplicates_are_kept_and_reported_and_the_last_one_counts() {
    let text = "spec:\n  a: 1\n  b: 2\n  a: 3\n";
    let parsed = read(text);
    let tree = parsed.tree.expect("readable");
    let spec = tree.root().get("spec").expect("there");
    assert_eq!(spec.entries().count(), 3);
    assert_eq!(spec.get("a").and_then(|node| node.scalar()), Some(Scalar::Int(3)));
    let problem = &parsed.problems[0];
    assert_eq!((parsed.problems.len(), problem.kind), (1, ProblemKind::DuplicateKey));
    assert_eq!((problem.span.start, problem.related.map(|span| span.start)), (22, Some(8)));
    assert!(problem.message.contains("`a`"));
}

#[test]
fn keys_that_become_one_in_json_are_duplicates() {
    for text in ["80: a\n\"80\": b\n", "yes: a\ntrue: b\n", "0x50: a\n80: b\n", "on: a\n'true': b\n"] {
        assert_eq!(only_problem(text).0.kind, ProblemKind::DuplicateKey, "{text:?}");
    }
    for text in ["'on': a\ntrue: b\n", "'0x50': a\n80: b\n", "a: 1\nA: 2\n"] {
        assert_eq!(read(text).problems, [], "{text:?}");
    }
    let many: String = (0..100).map(|at| format!("k{at}: v\n")).chain(["k7: w\n".to_owned()]).collect();
    assert_eq!(only_problem(&many).1, "k7");
    assert_eq!(only_problem("{\"a\": 1, \"\\u0061\": 2}").1, "\"\\u0061\"");
}

#[test]
fn aliases_are_expanded() {
    assert_eq!(shown("a: &x [1, {b: c}]\nd: *x\n"), "{a=>[Int(1)«1», {b=>c}], d=>[Int(1)«1», {b=>c}]}");
    assert_eq!(shown("&k key: v\nother: *k\n"), "{key=>v, other=>key}");
    assert_eq!(shown("a: &x 1\nb: &x 2\nc: *x\n"), "{a=>Int(1)«1», b=>Int(2)«2», c=>Int(2)«2»}");
}

#[test]
fn merge_keys_are_applied_in_the_order_of_go_yaml_2() {
    let base = "base: &base {a: 1, b: 2}\n";
    let spec = |text: &str, key: &str| {
        let text = format!("{base}{text}");
        let parsed = read(&text);
        assert_eq!(parsed.problems, [], "{text}");
        let tree = parsed.tree.expect("readable");
        tree.root()
            .get("spec")
            .and_then(|spec| spec.get(key))
            .and_then(|node| node.scalar())
            .map(|scalar| format!("{scalar:?}"))
    };
    assert_eq!(spec("spec:\n  <<: *base\n  b: 3\n", "b").as_deref(), Some("Int(3)"));
    assert_eq!(spec("spec:\n  <<: *base\n  b: 3\n", "a").as_deref(), Some("Int(1)"));
    assert_eq!(spec("spec:\n  b: 3\n  <<: *base\n", "b").as_deref(), Some("Int(2)"));
    assert_eq!(spec("spec:\n  <<: [*base, {b: 4, c: 5}]\n", "b").as_deref(), Some("Int(2)"));
    assert_eq!(spec("spec:\n  <<: [*base, {b: 4, c: 5}]\n", "c").as_deref(), Some("Int(5)"));
    assert_eq!(spec("spec:\n  <<: {x: 1}\n", "x").as_deref(), Some("Int(1)"));
    assert_eq!(spec("spec:\n  <<: *base\n", "<<"), None);
    assert_eq!(spec("spec:\n  '<<': *base\n", "a"), None, "a quoted one is a key like others");
    assert_eq!(only_problem("a:\n  <<: 1\n").0.kind, ProblemKind::Syntax);
    assert_eq!(only_problem("b: &b [1]\na:\n  <<: *b\n").0.kind, ProblemKind::Syntax);
}

#[test]
fn alias_bombs_end_early() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb += &format!("a{level}: &a{level} [{items}]\n");
    }
    let start = Instant::now();
    let (problem, _) = only_problem(&bomb);
    assert_eq!(problem.kind, ProblemKind::AliasBomb);
    assert!(start.elapsed() < Duration::from_secs(2));
    let mut merges = "m0: &m0 {a: 1, b: 2}\n".to_owned();
    for level in 1..40 {
        merges += &format!("m{level}: &m{level}\n  <<: [*m{0}, *m{0}]\n", level - 1);
    }
    assert_eq!(only_problem(&merges).0.kind, ProblemKind::AliasBomb);
}

#[test]
fn an_alias_inside_its_own_value() {
    refused("a: &a [*a]\n", ProblemKind::AliasBomb, "*a", "inside the value");
    refused("a: &a\n  b: *a\n", ProblemKind::AliasBomb, "*a", "inside the value");
    refused("&a\n<<: *a\n", ProblemKind::AliasBomb, "*a", "inside the value");
}

#[test]
fn aliases_cannot_nest_deeper_than_written_text() {
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..300 {
        text += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
    }
    assert_eq!(only_problem(&text).0.kind, ProblemKind::TooLarge);
}

#[test]
fn deep_nesting_is_refused_quickly() {
    let nested: String = (0..300).map(|level| " ".repeat(level) + "a:\n").collect();
    for text in
        ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(50_000), "? ".repeat(50_000), nested]
    {
        let start = Instant::now();
        let (problem, _) = only_problem(&text);
        assert_eq!(problem.kind, ProblemKind::TooLarge, "{} {problem:?}", &text[..20]);
        assert!(start.elapsed() < Duration::from_secs(2));
    }
    let fine = "[".repeat(250) + &"]".repeat(250);
    assert!(read(&fine).tree.is_some());
}

#[test]
fn keys_over_1024_characters_are_refused() {
    for (length, readable) in [(990, true), (1020, true), (1024, true), (1025, false), (5000, false)] {
        let text = format!("a: b\n{}: c\n", "k".repeat(length));
        assert_eq!(read(&text).tree.is_some(), readable, "{length}");
        let flow = format!("a: {{{}: c}}\n", "k".repeat(length));
        assert_eq!(read(&flow).tree.is_some(), readable, "{length}");
    }
    let long_value = format!("a: {}\n", "v".repeat(1 << 20));
    assert!(read(&long_value).tree.is_some());
}

#[test]
fn control_characters() {
    refused("a: b\0c\n", ProblemKind::Syntax, "\0", "U+0000");
    assert!(read("a: \0\n").tree.is_none());
    assert!(read("\0").tree.is_none());
    assert!(read("a: \"x\u{7}\"\n").tree.is_none());
}

#[test]
fn line_separators_are_reported_wherever_they_stand() {
    for character in ['\u{85}', '\u{2028}', '\u{2029}'] {
        for text in [
            format!("a: b{character}c: d\n"),
            format!("a: b # c{character}d: e\n"),
            format!("a: \"b{character}c\"\n"),
        ] {
            let problems = read(&text).problems;
            assert!(!problems.is_empty(), "{text:?}");
            assert_eq!(problems[0].kind, ProblemKind::InvisibleCharacter);
            let span = problems[0].span;
            assert_eq!(&text[span.start as usize..span.end as usize], character.to_string());
        }
    }
}

#[test]
fn invisible_characters_in_names_are_reported() {
    for text in [
        "a:\n\u{a0} b: c\n",
        "na\u{200b}me: x\n",
        "a: x\u{200b}y\n",
        "a: [\"x\u{feff}\"]\n",
        "a: b\u{202e}c\n",
    ] {
        assert_eq!(only_problem(text).0.kind, ProblemKind::InvisibleCharacter, "{text:?}");
    }
    let (problem, covered) = only_problem("na\u{200b}me: x\n");
    assert_eq!(covered, "\u{200b}");
    assert!(problem.message.contains("key") && problem.message.contains("U+200B"));
    for text in [
        "a: some\u{a0}prose text\n",
        "# b\u{200b}c\n",
        "a: |\n  x\u{200b}\n",
        "a: 👨\u{200d}👩\u{200d}👧\n",
        "a: é\n",
    ] {
        assert_eq!(read(text).problems, [], "{text:?}");
    }
}

#[test]
fn byte_order_marks() {
    assert_eq!(shown("\u{feff}a: b\n"), "{a=>b}");
    assert_eq!(shown("\u{feff}{\"a\": 1}"), "{\"a\"«\"a\"»=>Int(1)«1»}");
    let (problem, covered) = only_problem("a: b\n\u{feff}c: d\n");
    assert!(matches!(problem.kind, ProblemKind::Syntax | ProblemKind::InvisibleCharacter), "{problem:?}");
    assert_eq!(covered, "\u{feff}");
}

#[test]
fn line_breaks() {
    assert_eq!(shown("a: b\r\nc:\r\n- d\r\n- \"e\"\r\n"), "{a=>b, c=>[d, \"e\"«\"e\"»]}");
    assert_eq!(shown("a: |\r\n  b\r\n  c\r\n"), "{a=>\"b\\nc\\n\"«|\r\n  b\r\n  c»}");
    assert_eq!(shown("a: b\rc: d\r"), "{a=>b, c=>d}");
    assert_eq!(shown("a: b"), "{a=>b}");
    assert_eq!(shown("a: |\n  b"), "{a=>\"b\\n\"«|\n  b»}");
}

#[test]
fn missing_values_have_an_empty_span_behind_the_colon_or_dash() {
    let text = "a:\nb:   # c\nc: \n  # d\nd: ~\ne:\n- \n-\n-   # f\ng: &x\nh: {i: , j}\nk:\n";
    let parsed = read(text);
    let tree = parsed.tree.expect("readable");
    let place = |key: &str| tree.root().get(key).map(|node| (node.span().start, node.span().len()));
    let at = |part: &str| text.find(part).map(|at| at as u32).unwrap_or_default();
    assert_eq!(place("a"), Some((at("a:") + 2, 0)));
    assert_eq!(place("b"), Some((at("b:") + 2, 0)));
    assert_eq!(place("c"), Some((at("c: ") + 2, 0)));
    assert_eq!(place("d"), Some((at("d: ") + 3, 1)));
    assert_eq!(place("k"), Some((at("k:") + 2, 0)));
    let items: Vec<_> =
        tree.root().get("e").into_iter().flat_map(|node| node.items()).map(|item| item.span()).collect();
    assert_eq!(
        items.iter().map(|span| (span.start, span.len())).collect::<Vec<_>>(),
        [(at("- \n") + 1, 0), (at("-\n-  ") + 1, 0), (at("-   # f") + 1, 0),]
    );
    assert_eq!(tree.root().get("g").and_then(|node| node.scalar()), Some(Scalar::Null));
    let flow = tree.root().get("h").and_then(|node| node.get("i")).map(|node| node.span().start);
    assert_eq!(flow, Some(at("i: ,") + 2));
    for text in ["a:\nb: c\n", "a:\n- \n- x\n-\n", "- -\n- a:\n", "a:\n  b:\nc:\n"] {
        // The same places from both readers.
        let general = meshproof_yaml::parse_with(
            meshproof_source::SourceId(0),
            text,
            0..text.len(),
            meshproof_yaml::Reader::General,
        );
        let general = general.tree.map(|tree| common::node(text, tree.root()));
        assert_eq!(Some(shown(text)), general, "{text:?}");
    }
}

#[test]
fn block_scalars() {
    assert_eq!(
        shown("a: |\n  x\n   y\n\n  z\n\nb: c\n"),
        "{a=>\"x\\n y\\n\\nz\\n\"«|\n  x\n   y\n\n  z», b=>c}"
    );
    assert_eq!(shown("a: >-\n  x\n  y\n\n  z\n"), "{a=>\"x y\\nz\"«>-\n  x\n  y\n\n  z»}");
    assert_eq!(shown("a: |+\n  x\n\n"), "{a=>\"x\\n\\n\"«|+\n  x»}");
    assert_eq!(shown("a: |2\n   x\n"), "{a=>\" x\\n\"«|2\n   x»}");
    assert_eq!(shown("- |\n x\n- >\n y\n"), "[\"x\\n\"«|\n x», \"y\\n\"«>\n y»]");
    assert_eq!(shown("a: |\nb: c\n"), "{a=>\"\"«|», b=>c}");
    assert_eq!(shown("a: &x !!str |\n  b\n"), "{a=>\"b\\n\"«|\n  b»}");
}

#[test]
fn collections_span_from_their_first_to_their_last_byte() {
    let text = "s:\n- a\n- b: 1\n  c: 2\n\n# end\nt: {u: v} # w\n";
    let tree = read(text).tree.expect("readable");
    let covered = |key: &str| {
        let span = tree.root().get(key).expect("there").span();
        text[span.start as usize..span.end as usize].to_owned()
    };
    assert_eq!(covered("s"), "- a\n- b: 1\n  c: 2");
    assert_eq!(covered("t"), "{u: v}");
}

#[test]
fn separators_between_carriage_returns_lose_documents() {
    let (problem, shown) = only_problem("a: 1\r---\rb: 2\r");
    assert_eq!((problem.kind, shown.as_str()), (ProblemKind::AmbiguousSeparator, "---"));
    assert!(problem.message.contains("carriage return"), "{}", problem.message);
    assert_eq!(only_problem("a: 1\r...\rb: 2\r").0.kind, ProblemKind::AmbiguousSeparator);
    assert_eq!(read("---\ra: 1\rb: 2\r").problems, []);
    assert_eq!(read("a: 1\r\n---\r\n# end\r\n").problems.len(), 1);
}

#[test]
fn separators_that_only_yaml_takes_for_one() {
    let text = "a: 1\n--- # note\nb: 2\n";
    let parsed = read(text);
    assert_eq!(shown(text), "{a=>Int(1)«1»}");
    assert_eq!(parsed.problems.len(), 1);
    assert_eq!(only_problem(text).0.kind, ProblemKind::AmbiguousSeparator);
    assert_eq!(only_problem(text).1, "--- # note");
    assert_eq!(only_problem("a: 1\n--- {b: 2}\n").1, "--- {b: 2}");
    assert_eq!(only_problem("a: 1\n...\nb: 2\n").1, "...");
    // What follows is not read, so mistakes there are not told.
    assert_eq!(only_problem("a: 1\n--- # x\n- *\n").0.kind, ProblemKind::AmbiguousSeparator);
    for text in [
        "--- # first\na: 1\n",
        "%YAML 1.1\n--- # first\na: 1\n",
        "a: 1\n...\n",
        "a: 1\n...\n# c\n",
        "a: b --- c\n",
        "# c\n--- {a: 1}\n",
    ] {
        let parsed = read(text);
        assert!(parsed.tree.is_some(), "{text:?}");
        assert_eq!(parsed.problems, [], "{text:?}");
    }
}

#[test]
fn directives_and_end_markers_are_tolerated() {
    assert_eq!(shown("%YAML 1.1\n---\na: b\n...\n"), "{a=>b}");
    assert_eq!(shown("%TAG ! tag:example.com,2000:\n---\na: b\n"), "{a=>b}");
}

#[test]
fn documents_without_content_are_null() {
    for text in ["", "\n", "# c\n", "---\n", "--- # c\n", "   "] {
        let parsed = read(text);
        assert_eq!(parsed.problems, [], "{text:?}");
        assert!(parsed.tree.is_some_and(|tree| tree.root().is_null()), "{text:?}");
    }
}

#[test]
fn unquoted_templates_are_no_mappings() {
    refused("a: {{ .Values.x }}\n", ProblemKind::Syntax, "{ .Values.x }", "render it first");
    assert!(read("{{- if .x }}\na: b\n{{- end }}\n").tree.is_none());
    refused("? [a]\n: b\n", ProblemKind::Syntax, "[a]", "cannot be a key");
    refused(": b\n", ProblemKind::Syntax, "", "empty");
    refused("~: b\n", ProblemKind::Syntax, "~", "empty");
}

#[test]
fn json_documents() {
    let text = "{\n  \"kind\": \"Service\",\n  \"ports\": [80, 1e3, true, null, \"\\ud83d\\ude00\\/\"],\n  \"empty\": {}\n}\n";
    let parsed = read(text);
    assert_eq!(parsed.problems, []);
    let tree = parsed.tree.expect("readable");
    let ports: Vec<_> = tree
        .root()
        .get("ports")
        .into_iter()
        .flat_map(|node| node.items())
        .filter_map(|item| item.scalar())
        .collect();
    assert_eq!(
        ports,
        [Scalar::Int(80), Scalar::Float(1000.0), Scalar::Bool(true), Scalar::Null, Scalar::Str("😀/".into())]
    );
    let kind = tree.root().get("kind").expect("there");
    assert_eq!(&text[kind.span().start as usize..kind.span().end as usize], "\"Service\"");
    assert_eq!(kind.part(0..3).start, kind.span().start + 1);
    assert_eq!(tree.root().get("empty").map(|node| node.shape()), Some(Shape::Mapping));
    // Not quite JSON, but YAML.
    assert_eq!(shown("{a: 1, b: [x, z,],}"), "{a=>Int(1)«1», b=>[x, z]}");
    assert_eq!(shown("[{\"a\": 1}]\n# c\n"), "[{\"a\"«\"a\"»=>Int(1)«1»}]");
}

#[test]
fn addresses_in_flow_lists_keep_their_colons() {
    let text = "a: [1.2.3.4, 001:db8::]\nb: [fd00::, x]\nc: [::1, \"fd00::\"]\nd: {e:}\nf: [g: , {h: i}]\n";
    let expected = "{a=>[1.2.3.4, 001:db8::], b=>[fd00::, x], c=>[::1, \"fd00::\"«\"fd00::\"»], d=>{e:=>null«»}, \
                    f=>[{g=>null«»}, {h=>i}]}";
    assert_eq!(shown(text), expected);
    assert_eq!(shown("a: [&k fd00::, *k]\n"), "{a=>[fd00::, fd00::]}");
}

#[test]
fn emoji_do_not_shift_positions() {
    refused("# 😀😀\na: \"é\"\nb: @x\n", ProblemKind::Syntax, "@x", "quote it");
    assert_eq!(shown("😀: é # ü\nb: [ß, \"→\"]\n"), "{😀=>é, b=>[ß, \"→\"«\"→\"»]}");
}

#[test]
fn a_hundred_comment_lines_are_no_trouble() {
    let text = format!("spec:\n{}  a: b\n", "  # x\n".repeat(5_000));
    assert_eq!(shown(&text), "{spec=>{a=>b}}");
}

#[test]
fn only_the_given_range_is_read_and_spans_count_from_the_text() {
    let text = "x: [\n---\na: b\n---\ny: ]\n";
    let range = 9..14;
    for reader in [meshproof_yaml::Reader::Any, meshproof_yaml::Reader::General] {
        let parsed = meshproof_yaml::parse_with(meshproof_source::SourceId(7), text, range.clone(), reader);
        let tree = parsed.tree.expect("readable");
        let span = tree.root().get("a").expect("there").span();
        assert_eq!((span.source.0, span.start, span.end), (7, 12, 13));
    }
}

#[test]
fn large_documents_take_linear_time() {
    let start = Instant::now();
    let keys: String = (0..100_000).map(|at| format!("key{at}: [a, b]\n")).collect();
    assert!(read(&keys).tree.is_some());
    let anchors: String = (0..20_000).map(|at| format!("k{at}: &a{at} x\n")).collect();
    assert!(read(&anchors).tree.is_some());
    let empties = "- \n".repeat(100_000);
    assert!(read(&empties).tree.is_some());
    let empties = "a: &a\n".to_owned() + &"- # x\n".repeat(50_000);
    assert!(read(&empties).tree.is_some());
    let mut comments = "# x\n".repeat(200_000);
    comments += "a: \"\\x41\"\n";
    assert!(read(&comments).tree.is_some());
    let big_alias = format!("a: &a [{}]\n{}", "x, ".repeat(90_000), "b: *a\n".repeat(3_000));
    assert!(read(&big_alias).tree.is_none());
    let pairs = format!("p: [{}]\n", "f::, ".repeat(50_000));
    assert!(read(&pairs).tree.is_some());
    let twice: String = (0..50_000).map(|at| format!("k{at}: &a{at} x\nk{at}: [f::]\n")).collect();
    assert!(read(&twice).problems.len() <= 50_000);
    assert!(meshproof_yaml::template_marker(&format!("a: {}}}\n", "${".repeat(500_000))).is_none());
    assert!(meshproof_yaml::template_marker(&"a: [\"{{\", ".repeat(100_000)).is_some());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}
