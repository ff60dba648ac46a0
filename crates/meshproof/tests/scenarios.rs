//! The set-ups under `testdata/scenarios`, each with everything `check` has to say of it.
//!
//! A changed expectation is a changed promise: read `testdata/scenarios/expected` before accepting one.

#![allow(clippy::expect_used)]

use std::path::Path;
use std::process::Command;

/// Runs `meshproof check` from the root of the project and holds what it prints against the expectation.
fn scenario(name: &str, arguments: &[&str], exit: i32) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(env!("CARGO_BIN_EXE_meshproof"))
        .current_dir(&root)
        .args(["check", "--render", "never", "--color", "never", "--output", "text"])
        .args(arguments)
        .output()
        .expect("meshproof runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root.join("testdata/scenarios/expected"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, without_elapsed(&text)));
    assert_eq!(output.status.code(), Some(exit), "exit code of {name}");
}

/// The closing line tells how long the run took.
fn without_elapsed(text: &str) -> String {
    text.lines()
        .map(|line| match (line.starts_with("checked "), line.split_once(" in "), line.rsplit_once(": ")) {
            (true, Some((before, _)), Some((_, after))) => format!("{before}: {after}\n"),
            _ => format!("{line}\n"),
        })
        .collect()
}

#[test]
fn bookinfo_closes_ratings_by_a_typing_mistake() {
    scenario("bookinfo", &["testdata/scenarios/bookinfo"], 1);
}

#[test]
fn two_clusters_read_together_know_each_others_accounts() {
    let clusters = [
        "--cluster",
        "gke=testdata/scenarios/two-clusters/gke",
        "--cluster",
        "aks=testdata/scenarios/two-clusters/aks",
    ];
    scenario("two-clusters", &clusters, 0);
}

#[test]
fn one_of_two_clusters_alone_proves_nothing() {
    scenario("two-clusters-gke-alone", &["testdata/scenarios/two-clusters/gke"], 0);
}

#[test]
fn workshop_starts_permissive() {
    scenario("workshop-1-permissive", &["testdata/scenarios/workshop/1-permissive"], 0);
}

#[test]
fn workshop_breaks_calls_with_a_forgotten_destination_rule() {
    scenario("workshop-2-strict", &["testdata/scenarios/workshop/2-strict"], 1);
}

#[test]
fn workshop_closes_articles_to_everyone() {
    scenario("workshop-3-closed", &["testdata/scenarios/workshop/3-closed"], 0);
}

#[test]
fn workshop_ends_with_one_caller() {
    scenario("workshop-4-allowed", &["testdata/scenarios/workshop/4-allowed"], 0);
}

#[test]
fn dgraph_denies_a_namespace_that_plaintext_evades() {
    scenario("dgraph", &["testdata/scenarios/dgraph"], 1);
}

#[test]
fn namespace_isolation_done_right_is_clean() {
    scenario("namespace-isolation-right", &["testdata/scenarios/namespace-isolation/right"], 0);
}

#[test]
fn namespace_isolation_with_two_mistakes() {
    scenario("namespace-isolation-wrong", &["testdata/scenarios/namespace-isolation/wrong"], 1);
}

#[test]
fn federation_claims_nothing_about_the_other_mesh() {
    scenario("federation", &["testdata/scenarios/federation"], 0);
}
