//! The same findings in every format.

// Helpers outside of test functions are tests too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
mod common;

use common::{concise_of, full, json_of, text_of};
use meshproof_report::{Style, Summary};
use meshproof_source::SourceMap;

#[test]
fn text() {
    let (sources, findings, summary) = full();
    insta::assert_snapshot!(text_of(&findings, &sources, &summary, Style::default()));
}

#[test]
fn text_verbose() {
    let (sources, findings, summary) = full();
    let style = Style { verbose: true, ..Style::default() };
    insta::assert_snapshot!(text_of(&findings, &sources, &summary, style));
}

#[test]
fn text_in_ascii_on_a_narrow_terminal() {
    let (sources, findings, summary) = full();
    let style = Style { unicode: false, width: 60, ..Style::default() };
    let text = text_of(&findings, &sources, &summary, style);
    assert!(text.is_ascii());
    insta::assert_snapshot!(text);
}

#[test]
fn text_in_colour_is_the_same_text() {
    let (sources, findings, summary) = full();
    let plain = text_of(&findings, &sources, &summary, Style::default());
    let style = Style { color: true, ..Style::default() };
    let coloured = text_of(&findings, &sources, &summary, style);
    assert!(!plain.contains('\x1b'));
    assert!(coloured.contains("\x1b[31;1merror[deny-all-gap]\x1b[0m"));
    assert!(coloured.contains("\x1b[33;1mwarning[deprecated-version]\x1b[0m"));
    assert_eq!(without_colours(&coloured), plain);
}

/// Takes the sequences out that set colours, and blanks at the ends of lines, which colours can hide.
fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    for (at, part) in text.split("\x1b[").enumerate() {
        let rest = if at == 0 { part } else { part.split_once('m').map_or("", |(_, rest)| rest) };
        plain.push_str(rest);
    }
    plain.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn concise() {
    let (sources, findings, summary) = full();
    insta::assert_snapshot!(concise_of(&findings, &sources, &summary));
}

#[test]
fn json() {
    let (sources, findings, summary) = full();
    insta::assert_snapshot!(json_of(&findings, &sources, &summary));
}

#[test]
fn json_carries_what_the_design_promises() {
    let (sources, findings, summary) = full();
    let report: serde_json::Value = serde_json::from_str(&json_of(&findings, &sources, &summary)).unwrap();
    let gap = &report["findings"][0];
    assert_eq!((gap["line"].as_u64(), gap["column"].as_u64()), (Some(14), Some(22)));
    assert_eq!((gap["endLine"].as_u64(), gap["endColumn"].as_u64()), (Some(14), Some(55)));
    assert_eq!(gap["related"][1]["file"], "web/frontend.yaml");
    assert_eq!(gap["fingerprint"], findings[0].fingerprint());
    assert_eq!(report["summary"]["skipped"], 3);
}

#[test]
fn a_clean_run_is_one_line() {
    let summary = Summary { files: 3, documents: 7, workloads: 2, ..Summary::default() };
    let line = "checked 3 files, 7 documents, 2 workloads: no findings\n";
    assert_eq!(text_of(&[], &SourceMap::new(), &summary, Style::default()), line);
    assert_eq!(concise_of(&[], &SourceMap::new(), &summary), line);
}

#[test]
fn output_does_not_vary() {
    let (sources, findings, summary) = full();
    let (again_sources, again_findings, again_summary) = full();
    let style = Style { verbose: true, ..Style::default() };
    assert_eq!(
        text_of(&findings, &sources, &summary, style),
        text_of(&again_findings, &again_sources, &again_summary, style)
    );
}
