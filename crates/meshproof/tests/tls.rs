//! `meshproof tls` over the scenarios: what the articles observe with curl, as a table.

#![allow(missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_meshproof")).current_dir(root()).args(arguments).output().unwrap()
}

/// Holds the table against the expectation.
fn table(name: &str, arguments: &[&str]) {
    let output = run(&[&["tls", "--render", "never", "--color", "never"], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("testdata/scenarios/expected"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, String::from_utf8(output.stdout).unwrap()));
}

/// The outcome for the group of `who` at a port, through its Service.
fn outcome(folder: &str, to: &str, who: &str) -> String {
    let output = run(&["tls", "-o", "json", "--render", "never", folder]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = answer["rows"].as_array().unwrap().iter().find(|row| row["to"] == to).unwrap();
    let groups = row["clients"].as_array().unwrap();
    let has = |group: &&Value| group["who"].as_str().is_some_and(|text| text.contains(who));
    groups.iter().find(has).unwrap()["outcome"].as_str().unwrap().to_owned()
}

#[test]
fn from_permissive_to_strict() {
    let step = |step: &str, who: &str| {
        outcome(&format!("testdata/scenarios/workshop/{step}"), "default/web-api", who)
    };
    let anybody = "whoever has no proxy";
    let (mesh, outside) = ("default/articles", anybody);
    assert_eq!(
        (step("1-permissive", mesh), step("1-permissive", outside)),
        ("mtls".into(), "plaintext".into())
    );
    assert_eq!((step("2-strict", mesh), step("2-strict", outside)), ("refused".into(), "refused".into()));
    assert_eq!((step("3-closed", mesh), step("3-closed", outside)), ("mtls".into(), "refused".into()));
}

#[test]
fn tables_of_the_scenarios() {
    table("tls-workshop-1-permissive", &["testdata/scenarios/workshop/1-permissive"]);
    table("tls-workshop-2-strict", &["testdata/scenarios/workshop/2-strict"]);
    table("tls-dgraph", &["testdata/scenarios/dgraph"]);
    let clusters = [
        "--cluster",
        "gke=testdata/scenarios/two-clusters/gke",
        "--cluster",
        "aks=testdata/scenarios/two-clusters/aks",
    ];
    table("tls-two-clusters", &clusters);
}

/// `explain` and `tls` say the same of one call.
#[test]
fn explain_agrees() {
    let explained = |folder: &str, from: &str, to: &str| {
        let output = run(&["explain", "-o", "json", "--render", "never", "--from", from, "--to", to, folder]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["transport"].as_str().unwrap().to_owned()
    };
    for step in ["1-permissive", "2-strict", "3-closed", "4-allowed"] {
        let folder = format!("testdata/scenarios/workshop/{step}");
        for (from, who) in
            [("workload:default/articles", "default/articles"), ("plaintext", "whoever has no proxy")]
        {
            assert_eq!(
                explained(&folder, from, "default/web-api:9080"),
                outcome(&folder, "default/web-api", who),
                "{step} {from}"
            );
        }
    }
}

#[test]
fn names_that_do_not_exist_get_a_suggestion() {
    let output = run(&["tls", "--to", "default/articls", "testdata/scenarios/workshop/2-strict"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("did you mean default/articles?"), "{said}");
}
