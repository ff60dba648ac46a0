//! Excerpts of texts that are hard to draw.

// Helpers outside of test functions are tests too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
mod common;

use std::time::{Duration, Instant};

use common::{body_of, concise_of, find, finding, json_of, nth, one, text_of};
use meshproof_diagnostics::Finding;
use meshproof_report::{Style, Summary};
use meshproof_source::{Origin, SourceMap, Span};

/// Plain text of one finding over `token`.
fn over(content: &str, token: &str, text: &str) -> String {
    let (sources, findings) = one(content, token, text);
    body_of(&findings, &sources, Style::default())
}

#[test]
fn several_lines() {
    insta::assert_snapshot!(over(
        "rules:\n- from:\n  - source: {}\n  to: []\nx: y\n",
        "from:\n  - source: {}\n  to: []\n",
        "this rule"
    ));
}

#[test]
fn many_lines_are_shown_by_the_first() {
    let block = "from:\n  - a\n  - b\n  - c\n  - d\n  - e\n";
    insta::assert_snapshot!(over(&format!("rules:\n- {block}x: y\n"), block, "this rule"));
}

#[test]
fn the_end_of_the_file() {
    let mut sources = SourceMap::new();
    let with_break = sources.add("with.yaml", "a: 1\n", Origin::File);
    let without = sources.add("without.yaml", "a: 1", Origin::File);
    let empty = sources.add("empty.yaml", "", Origin::Stdin);
    let findings = [
        finding(Span::new(with_break, 5, 5), "the spec is missing"),
        finding(Span::new(without, 4, 4), "the spec is missing"),
        finding(Span::new(empty, 0, 0), "nothing here"),
        finding(Span::new(without, 90, 99), "past the end"),
    ];
    insta::assert_snapshot!(body_of(&findings, &sources, Style::default()));
}

#[test]
fn tabs_and_carriage_returns() {
    insta::assert_snapshot!(over("a: 1\r\n\tb:\tvalue\t# c\r\nc: 2\r\n", "value", "after a tab"));
}

#[test]
fn wide_characters() {
    insta::assert_snapshot!(over("名前: 漢字と😀 value # é\n", "value", "after wide characters"));
    insta::assert_snapshot!(over("名前: 漢字\n", "漢字", "wide itself"));
}

#[test]
fn control_characters_are_shown_not_obeyed() {
    let content = "a: \"x\x1b]0;title\x07\u{9b}2J\u{202e}y\u{200b}z\"\n";
    let mut sources = SourceMap::new();
    let id = sources.add("evil\x1b[2J\n.yaml", content, Origin::Rendered { by: "cat \x1b[31m".into() });
    let span = find(&sources, id, "y\u{200b}z");
    let mut evil = finding(span, "is \x1b[31mred\nover two lines")
        .with_help("remove \x1b\nand more")
        .with_related(find(&sources, id, "a"), "\u{202e}backwards");
    evil.message = "the name x\x1b[2J\r\n is odd".into();
    let findings = [evil];
    let text = body_of(&findings, &sources, Style::default());
    assert!(text.chars().all(|character| character == '\n' || !character.is_control()));
    insta::assert_snapshot!(text);
    let concise = concise_of(&findings, &sources, &Summary::default());
    assert_eq!(concise.lines().count(), 2);
    assert!(concise.chars().all(|character| character == '\n' || !character.is_control()));
    let json = json_of(&findings, &sources, &Summary::default());
    assert!(json.chars().all(|character| character == '\n' || !character.is_control()));
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["findings"][0]["related"][0]["message"], "\u{202e}backwards");
}

#[test]
fn a_minified_file_is_shown_in_parts() {
    let item = r#"{"kind":"Service","metadata":{"name":"NAME"}},"#;
    let content: String = (0..30_000).map(|at| item.replace("NAME", &format!("s{at}"))).collect();
    assert!(content.len() > 1_000_000);
    let mut sources = SourceMap::new();
    let id = sources.add("all.json", content, Origin::File);
    let whole = Span::new(id, 0, u32::MAX);
    let findings = [
        finding(find(&sources, id, "\"s20000\""), "no such service")
            .with_related(find(&sources, id, "\"s7\""), "like this"),
        finding(whole, "everything"),
    ];
    insta::assert_snapshot!(body_of(&findings, &sources, Style::default()));
}

#[test]
fn long_labels_are_wrapped() {
    let text = "the selector app=ledger matches no pod template of this namespace; pods of the Deployment ledger carry \
                app.kubernetes.io/name=ledger instead";
    insta::assert_snapshot!(over("selector:\n  matchLabels: {app: ledger}\n", "ledger", text));
}

#[test]
fn two_places_in_one_line_and_one_nearby() {
    let mut sources = SourceMap::new();
    let id =
        sources.add("a.yaml", "from: web\nport: 80 # to: 90\nx: 1\ny: 2\nz: 3\n\n\n\nfar: 4\n", Origin::File);
    let findings = [finding(find(&sources, id, "80"), "the port")
        .with_related(find(&sources, id, "90"), "the target")
        .with_related(find(&sources, id, "web"), "the caller")
        .with_related(find(&sources, id, "far"), "far away")
        .with_related(find(&sources, id, "80"), "the same place")];
    insta::assert_snapshot!(body_of(&findings, &sources, Style::default()));
}

#[test]
fn many_places_are_named_and_counted() {
    let mut sources = SourceMap::new();
    let id = sources.add("a.yaml", "port: 80\n\n\n\n\n\n".repeat(40), Origin::File);
    let mut many = finding(find(&sources, id, "80"), "here");
    for at in 1..40 {
        many = many.with_related(nth(&sources, id, "port", at), "and here");
    }
    let text = body_of(std::slice::from_ref(&many), &sources, Style::default());
    insta::assert_snapshot!(text);
    let verbose = body_of(&[many], &sources, Style { verbose: true, ..Style::default() });
    assert_eq!(verbose.matches("and here").count(), 39);
}

/// Every pair of offsets, also those inside of characters and past the end, in every style.
#[test]
fn no_span_breaks_the_drawing() {
    let texts = [
        "",
        "\n",
        "a: é\r\n\tb: 漢\n\n",
        "\u{feff}x\u{301}\u{301}: \x1b😀\r\r\n---\n",
        "k: v\n\n\nlong: aaaaaaaaaaaaaaaaaaaaaaaaaa",
    ];
    for text in texts {
        let mut sources = SourceMap::new();
        let id = sources.add("a.yaml", text, Origin::File);
        let last = text.len() as u32 + 2;
        let mut findings = Vec::new();
        for start in 0..=last {
            for end in start..=last {
                let other = Span::new(id, end / 2, end.max(start / 2));
                findings.push(finding(Span::new(id, start, end), "one\ntwo").with_related(other, ""));
            }
        }
        for (unicode, verbose, width) in [(true, false, 100), (false, true, 20), (true, true, 0)] {
            let style = Style { unicode, verbose, width, color: verbose };
            let shown = text_of(&findings, &sources, &Summary::default(), style);
            assert!(shown.len() > findings.len() * 20);
        }
        concise_of(&findings, &sources, &Summary::default());
        json_of(&findings, &sources, &Summary::default());
    }
}

/// A thousand findings in a file of a megabyte take 0.2 s at most; the bound leaves room for a build without
/// optimisation on a busy machine, and is far below what reading the file once per label would take.
#[test]
fn a_thousand_findings_are_quick() {
    for content in ["port: 80\n".repeat(120_000), "{\"port\": 80},".repeat(80_000)] {
        let mut sources = SourceMap::new();
        let id = sources.add("a.yaml", content, Origin::File);
        let findings: Vec<Finding> = (0..1000)
            .map(|at| {
                let start = at * 1000;
                finding(Span::new(id, start, start + 4), "here")
                    .with_related(Span::new(id, start + 500, start + 504), "there")
            })
            .collect();
        let start = Instant::now();
        let shown = text_of(&findings, &sources, &Summary::default(), Style::default());
        let took = start.elapsed();
        assert!(shown.len() > 100_000);
        assert!(took < Duration::from_secs(3), "took {took:?}");
        println!("text of 1,000 findings: {took:?}");
    }
}
