//! The house rules that a compiler does not check: crates depend only on crates before them in `docs/architecture.md`,
//! and no source file grows past 1,000 lines.

#![allow(clippy::expect_used, reason = "a test that cannot read the repository should stop")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Crates in the order of the table in `docs/architecture.md`.
fn order() -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md");
    page.lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|name| root().join("crates").join(name).is_dir())
        .map(str::to_owned)
        .collect()
}

/// The project's own crates among the normal dependencies of a crate.
fn own_dependencies(name: &str) -> Vec<String> {
    let manifest =
        fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).expect("Cargo.toml");
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        } else if inside && line.starts_with("meshproof") {
            found.push(line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned());
        }
    }
    found
}

#[test]
fn every_crate_has_its_place_in_the_architecture() {
    let order = order();
    for entry in fs::read_dir(root().join("crates")).expect("crates") {
        let name = entry.expect("entry").file_name().into_string().expect("UTF-8");
        assert!(order.contains(&name), "docs/architecture.md does not name crates/{name}");
    }
}

#[test]
fn crates_depend_only_on_crates_before_them() {
    let order = order();
    let rank: BTreeMap<&str, usize> =
        order.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let mut checked = 0;
    for name in &order {
        for dependency in own_dependencies(name) {
            assert!(
                rank[dependency.as_str()] < rank[name.as_str()],
                "{name} depends on {dependency}, which comes after it"
            );
            checked += 1;
        }
    }
    assert!(checked > 10, "the manifests were not understood");
}

#[test]
fn no_source_file_passes_a_thousand_lines() {
    for entry in walkdir::WalkDir::new(root().join("crates")).into_iter().filter_map(Result::ok) {
        if entry.path().extension().is_some_and(|extension| extension == "rs") {
            let lines = fs::read_to_string(entry.path()).expect("source").lines().count();
            assert!(lines <= 1000, "{} has {lines} lines: split it by concept", entry.path().display());
        }
    }
}
