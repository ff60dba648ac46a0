//! Manifests under `testdata/lints/<id>/`: every finding stands as a comment on its line, and nothing else is found.
//!
//! `# expect: deny-all-gap` at the end of a line means an error that points into this line; `lint?` is a warning and
//! `lint.` information. Files called `fires-…` have findings of their folder's lint, files called `clean-…` have none.

#![allow(clippy::unwrap_used, reason = "a fixture that cannot be read fails its test")]

mod support;

use meshproof_diagnostics::{Category, Level};
use meshproof_lints::World;

fn fixtures() -> Vec<(String, std::path::PathBuf)> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/lints");
    let mut found = Vec::new();
    for folder in std::fs::read_dir(root).unwrap() {
        let folder = folder.unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            found.push((folder.file_name().into_string().unwrap(), file.unwrap().path()));
        }
    }
    found.sort();
    assert!(found.len() > 40, "the fixtures are there");
    found
}

/// What the comments of a fixture say about the world around it.
fn world(text: &str) -> World {
    let mut world = World::default();
    for line in text.lines() {
        if let Some(account) = line.strip_prefix("# external account: ") {
            world.external_accounts.push(account.to_owned());
        }
        if let Some(reason) = line.strip_prefix("# incomplete: ") {
            world.incomplete = Some(reason.to_owned());
        }
    }
    world
}

/// What the comments of a fixture announce.
fn expected(text: &str) -> Vec<String> {
    let mut expected = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let Some((_, list)) = line.split_once("# expect: ") else { continue };
        expected.extend(list.split(", ").map(|id| format!("{}@{}", id.trim(), at + 1)));
    }
    expected.sort();
    expected
}

#[test]
fn every_fixture_gives_what_its_comments_say() {
    let mut wrong = Vec::new();
    for (lint, path) in fixtures() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let expected = expected(&text);
        let found = support::short(&support::analyse(&[(name.as_str(), text.as_str())], &world(&text)));
        if found != expected {
            wrong.push(format!("{lint}/{name}\n  expected {expected:?}\n  found    {found:?}"));
        }
        let own = |id: &String| {
            id.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['@', '?', '.']) == lint
        };
        assert_eq!(
            expected.iter().any(own),
            name.starts_with("fires-"),
            "{lint}/{name} is named after what it shows"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_lint_alone_finds_what_it_finds_beside_the_others() {
    for (lint, path) in fixtures() {
        let text = std::fs::read_to_string(&path).unwrap();
        let files = [(path.display().to_string(), &text)];
        let all = support::short(&support::analyse(&files, &world(&text)));
        let alone = support::short(&support::analyse_for(&files, &world(&text), |id| id == lint));
        let own = |id: &&String| id.split(['@', '?', '.']).next() == Some(&lint);
        assert_eq!(alone.iter().filter(own).count(), alone.len(), "{lint} speaks for another: {alone:?}");
        let missing: Vec<&String> = all.iter().filter(own).filter(|id| !alone.contains(id)).collect();
        assert!(missing.is_empty(), "{lint} needs another lint for {missing:?} in {}", path.display());
        assert!(support::analyse_for(&files, &world(&text), |_| false).findings.is_empty());
    }
}

#[test]
fn errors_about_access_carry_a_proof_and_advice() {
    for (lint, path) in fixtures() {
        let text = std::fs::read_to_string(&path).unwrap();
        let analysed = support::analyse(&[(path.display().to_string(), &text)], &world(&text));
        for finding in &analysed.findings {
            let place = format!("{lint}: {} in {}", finding.message, path.display());
            assert!(finding.help.is_some(), "no advice: {place}");
            assert!(finding.resource.is_some(), "no object: {place}");
            let proven = finding.level == Level::Error
                && matches!(finding.category, Category::Hole | Category::Outage);
            assert!(
                !proven || finding.witness.as_ref().is_some_and(|witness| !witness.because.is_empty()),
                "no proof: {place}"
            );
        }
    }
}

/// What is said of rules in relation to each other is shown by a request, whatever its level.
#[test]
fn findings_about_rules_show_a_request() {
    const SHOWN: &[&str] = &[
        "allow-hidden-by-deny",
        "empty-intersection-outage",
        "misleading-name",
        "redundant-policy",
        "restriction-without-effect",
        "rule-never-matches",
        "shadowed-rule",
        "unusable-provider",
    ];
    let mut seen = std::collections::BTreeSet::new();
    for (_, path) in fixtures() {
        let text = std::fs::read_to_string(&path).unwrap();
        let analysed = support::analyse(&[(path.display().to_string(), &text)], &world(&text));
        for finding in analysed.findings.iter().filter(|finding| SHOWN.contains(&finding.lint)) {
            seen.insert(finding.lint);
            assert!(finding.witness.is_some(), "no request: {} in {}", finding.message, path.display());
        }
    }
    assert!(SHOWN.iter().all(|lint| seen.contains(lint)), "{seen:?}");
}

/// Policies that are equal are told from those that lie in each other.
#[test]
fn equal_policies_are_said_to_be_equal() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/lints/redundant-policy/");
    let said = |file: &str| -> Vec<String> {
        let text = std::fs::read_to_string(format!("{folder}{file}")).unwrap();
        let analysed = support::analyse(&[(file, text.as_str())], &World::default());
        analysed.findings.into_iter().map(|finding| finding.message).collect()
    };
    assert_eq!(
        said("fires-equivalent-conditions.yaml"),
        ["shop/with-conditions allows exactly what shop/by-fields allows"]
    );
    assert_eq!(said("fires-equivalent.yaml"), ["shop/two allows exactly what shop/one allows"]);
    assert_eq!(
        said("fires-nearly-equivalent.yaml"),
        ["shop/by-template adds nothing: shop/by-prefix allows whatever it allows"]
    );
}

#[test]
fn edits_mend_what_they_are_for() {
    let mut tried = 0;
    for (_, path) in fixtures() {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.display().to_string();
        let analysed = support::analyse(&[(name.as_str(), text.as_str())], &world(&text));
        for finding in analysed.findings.iter().filter(|finding| !finding.edits.is_empty()) {
            let mut mended = text.clone();
            let mut edits = finding.edits.clone();
            edits.sort_by_key(|edit| std::cmp::Reverse(edit.span.start));
            for edit in edits {
                mended.replace_range(edit.span.start as usize..edit.span.end as usize, &edit.replacement);
            }
            let after = support::analyse(&[(name.as_str(), mended.as_str())], &world(&text));
            let same = |other: &meshproof_diagnostics::Finding| {
                other.lint == finding.lint && other.message == finding.message
            };
            assert!(
                !after.findings.iter().any(same),
                "still there after the edit: {} in {name}",
                finding.message
            );
            tried += 1;
        }
    }
    assert!(tried > 8, "{tried} edits were tried");
}

#[test]
fn the_order_of_documents_changes_nothing() {
    for (lint, path) in fixtures() {
        let text = std::fs::read_to_string(&path).unwrap();
        let documents: Vec<&str> = text.split("\n---\n").collect();
        let backwards: Vec<&str> = documents.iter().rev().copied().collect();
        let messages = |text: &str| {
            let analysed = support::analyse(&[("a.yaml", text)], &world(text));
            let mut found: Vec<String> = analysed
                .findings
                .iter()
                .map(|finding| format!("{} {:?}", finding.lint, finding.level))
                .collect();
            found.sort();
            found
        };
        assert_eq!(messages(&text), messages(&backwards.join("\n---\n")), "{lint}: {}", path.display());
    }
}
