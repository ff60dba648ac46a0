//! Every lint has a page of one shape, and the examples on the pages do what they say.

#![allow(clippy::unwrap_used, reason = "a fixture that cannot be read fails its test")]

mod support;

use meshproof_lints::{LINTS, Lint};

/// Lints of which no example can be shown in a few lines of YAML, or that only the whole program raises.
const TOLD_IN_WORDS: &[&str] = &[
    "alias-bomb",
    "ambiguous-separator",
    "document-too-large",
    "internal-error",
    "render-failed",
    "suppression-without-reason",
    "unreadable-file",
    "unused-suppression",
];

const SECTIONS: &[&str] =
    &["What it means", "Why it matters", "Example that fires", "Example that does not", "How to fix"];

#[test]
fn every_page_has_all_sections() {
    for lint in LINTS {
        let headings: Vec<&str> = lint.doc.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, SECTIONS, "docs/lints/{}.md", lint.id);
        assert!(
            lint.doc.starts_with(&format!("# {}\n", lint.id)),
            "docs/lints/{}.md begins with its id",
            lint.id
        );
        assert!(!lint.summary.is_empty() && !lint.summary.ends_with('.'), "{}", lint.id);
    }
}

#[test]
fn every_page_belongs_to_a_lint() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/lints");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let id = name.strip_suffix(".md").unwrap_or(&name);
        // The list of all pages.
        if id == "README" {
            continue;
        }
        assert!(meshproof_lints::lint(id).is_some(), "docs/lints/{name} describes no lint of the registry");
    }
}

#[test]
fn examples_do_what_they_say() {
    for lint in LINTS {
        let (fires, clean) = (examples(lint, "yaml fires"), examples(lint, "yaml clean"));
        if TOLD_IN_WORDS.contains(&lint.id) {
            assert!(fires.is_empty() && clean.is_empty(), "{} can be shown after all", lint.id);
            continue;
        }
        assert!(!fires.is_empty() && !clean.is_empty(), "{} needs both examples", lint.id);
        for example in fires {
            let ids = support::ids(&example);
            assert!(
                ids.contains(&lint.id.to_owned()),
                "{} does not fire on:\n{example}\nbut {ids:?}",
                lint.id
            );
        }
        for example in clean {
            let ids = support::ids(&example);
            assert!(ids.is_empty(), "the clean example of {} gives {ids:?}:\n{example}", lint.id);
        }
    }
}

/// Code blocks of a page with this info string.
fn examples(lint: &Lint, info: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current: Option<String> = None;
    for line in lint.doc.lines() {
        match (&mut current, line.strip_prefix("```")) {
            (Some(_), Some(_)) => found.extend(current.take()),
            (Some(text), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, Some(opening)) if opening == info => current = Some(String::new()),
            (None, _) => {}
        }
    }
    found
}
