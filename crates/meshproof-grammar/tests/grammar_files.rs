//! Runs `grammar/*.ok` and `grammar/*.bad`, and keeps folder and parsers together: a language without grammar or
//! examples fails, and so does a file without a parser.
//!
//! One example per line; empty lines and lines that start with `#` are skipped. Where blanks at the ends or a leading
//! `#` matter, the example stands in backquotes.
//! `.ok`: `example`, or `example => printed form`.
//! `.bad`: `example`, or `example # part of the message @ start` or `… @ start..end`, byte positions of the error.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::LANGUAGES;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../grammar")
}

/// The examples of a file with their line numbers, split at the given separator.
fn examples(path: &Path, separator: &str) -> Vec<(usize, String, Option<String>)> {
    // A file that cannot be read has no examples, which fails in the first test.
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines =
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|(index, line)| {
            let (example, rest) = match line.strip_prefix('`').and_then(|line| line.rsplit_once('`')) {
                Some((example, rest)) => (example, rest.trim_start().strip_prefix(separator.trim())),
                None => match line.rsplit_once(separator) {
                    Some((example, rest)) => (example.trim(), Some(rest)),
                    None => (line.trim(), None),
                },
            };
            (index + 1, example.to_owned(), rest.map(|rest| rest.trim().to_owned()))
        })
        .collect()
}

#[test]
fn every_language_has_its_files_and_every_file_its_language() {
    let known: BTreeSet<&str> = LANGUAGES.iter().map(|language| language.name).collect();
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let (Some(stem), Some(extension)) = (path.file_stem(), path.extension()) else {
            panic!("{}: not a grammar and not a list of examples", path.display());
        };
        let (stem, extension) = (stem.to_str().unwrap(), extension.to_str().unwrap());
        if extension == "md" {
            continue;
        }
        assert!(["ebnf", "ok", "bad"].contains(&extension), "{}: unknown kind of file", path.display());
        assert!(known.contains(stem), "{}: no parser runs it", path.display());
        found.insert((stem.to_owned(), extension.to_owned()));
    }
    for name in known {
        for extension in ["ebnf", "ok", "bad"] {
            assert!(
                found.contains(&(name.to_owned(), extension.to_owned())),
                "grammar/{name}.{extension} is missing"
            );
        }
        let count = |extension: &str| examples(&folder().join(format!("{name}.{extension}")), " => ").len();
        assert!(count("ok") >= 2, "grammar/{name}.ok needs examples");
        assert!(count("bad") >= 2, "grammar/{name}.bad needs examples");
    }
}

#[test]
fn accepted_examples() {
    let mut failures = Vec::new();
    for language in LANGUAGES {
        for (line, example, printed) in examples(&folder().join(format!("{}.ok", language.name)), " => ") {
            let place = format!("{}.ok:{line}: `{example}`", language.name);
            match ((language.run)(&example), printed) {
                (Err(error), _) => failures.push(format!("{place}: {error} @ {:?}", error.at)),
                (Ok(found), Some(wanted)) if found != wanted => {
                    failures.push(format!("{place}: printed as `{found}`, not `{wanted}`"));
                }
                (Ok(_), _) => {}
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn rejected_examples() {
    let mut failures = Vec::new();
    for language in LANGUAGES {
        for (line, example, expected) in examples(&folder().join(format!("{}.bad", language.name)), " # ") {
            let place = format!("{}.bad:{line}: `{example}`", language.name);
            let error = match (language.run)(&example) {
                Ok(printed) => {
                    failures.push(format!("{place}: accepted as `{printed}`"));
                    continue;
                }
                Err(error) => error,
            };
            let Some(expected) = expected else { continue };
            let (fragment, at) = expected.rsplit_once('@').unwrap_or((expected.as_str(), ""));
            let found = match at.contains("..") {
                true => format!("{:?}", error.at),
                false => error.at.start.to_string(),
            };
            if !error.message.contains(fragment.trim()) || !(at.is_empty() || found == at.trim()) {
                failures.push(format!("{place}: {} @ {:?}", error.message, error.at));
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}
