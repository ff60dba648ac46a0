//! The command as users and pipelines see it: exit codes, streams, formats, levels.

#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::process::Stdio;

use support::{BROKEN, Project, REFUSED, SERVICE};

#[test]
fn exit_codes_are_the_same_for_every_format() {
    let sound = Project::new(&[("a.yaml", SERVICE)]);
    let refused = Project::new(&[("a.yaml", REFUSED)]);
    let nothing = Project::new(&[("README.md", "nothing here\n")]);
    for format in ["text", "concise", "json"] {
        assert_eq!(sound.run(&["check", "-o", format]).code, 0, "{format}");
        assert_eq!(refused.run(&["check", "-o", format]).code, 1, "{format}");
        assert_eq!(sound.run(&["check", "-o", format, "no/such/path"]).code, 2, "{format}");
        assert_eq!(nothing.run(&["check", "-o", format]).code, 3, "{format}");
    }
}

#[test]
fn a_missing_path_is_told_by_name() {
    let run = Project::new(&[]).run(&["check", "no/such.yaml"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("no/such.yaml: no such file or folder"), "{}", run.stderr);
}

#[test]
fn nothing_to_analyse_is_neither_clean_nor_an_error() {
    let project = Project::new(&[("a.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n")]);
    let run = project.check(&[]);
    assert_eq!(run.code, 3);
    assert_eq!(run.json()["summary"]["documents"], 1);
    assert!(run.stderr.contains("nothing to analyse"), "{}", run.stderr);
}

#[test]
fn wrong_usage_is_2() {
    let project = Project::new(&[("a.yaml", SERVICE)]);
    for args in [
        &["check", "--no-such-flag"][..],
        &["check", "-o", "sarif"],
        &["check", "-o", "json", "-o", "text"],
        &["check", "--cluster", "east"],
        &["check", "--jobs", "0"],
        &["frobnicate"],
        &["check", "-D", "permisive-mtls"],
        &["lint", "no-such-lint"],
    ] {
        let run = project.run(args);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{args:?}");
        assert!(!run.stderr.is_empty(), "{args:?}");
    }
    let run = project.run(&["check", "-D", "permisive-mtls"]);
    assert!(run.stderr.contains("did you mean permissive-mtls?"), "{}", run.stderr);
}

#[test]
fn version_and_help_are_no_errors() {
    let project = Project::new(&[]);
    let version = project.run(&["--version"]);
    assert_eq!((version.code, version.stdout.starts_with("meshproof ")), (0, true));
    assert_eq!(project.run(&["check", "--help"]).code, 0);
}

#[test]
fn json_on_stdout_is_nothing_but_json() {
    let project = Project::new(&[("a.yaml", REFUSED), ("b.yaml", BROKEN)]);
    let run = project.check(&[]);
    assert_eq!(run.findings(), ["invalid-object a.yaml:10", "yaml-syntax b.yaml:3"]);
    assert_eq!(run.json()["format"], 1);
    assert_eq!(run.stderr, "");
}

#[test]
fn several_reports_in_one_run() {
    let project = Project::new(&[("a.yaml", REFUSED)]);
    let run = project.run(&["check", "-o", "concise", "-o", "json=report.json", "-o", "text=report.txt"]);
    assert!(run.stdout.starts_with("a.yaml:10:9: error[invalid-object] "), "{}", run.stdout);
    let report = std::fs::read_to_string(project.path().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["summary"]["error"], 1);
    let text = std::fs::read_to_string(project.path().join("report.txt")).unwrap();
    assert!(text.contains("error[invalid-object]") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn standard_input_is_read_for_a_dash() {
    let project = Project::new(&[]);
    let run = project.run_with_input(&["check", "-o", "json", "-"], REFUSED.as_bytes());
    assert_eq!((run.code, run.findings()), (1, vec!["invalid-object <stdin>:10".to_owned()]));
}

#[test]
fn a_reader_that_stops_is_no_failure() {
    let broken: String = (0..2000).map(|_| format!("{REFUSED}---\n")).collect();
    let project = Project::new(&[("a.yaml", &broken)]);
    let mut child = project
        .command(&["check", "-o", "text"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn fail_on_moves_the_threshold() {
    let project = Project::new(&[("a.yaml", &format!("{SERVICE}  nonsense: 1\n"))]);
    assert_eq!(project.check(&[]).findings(), ["unknown-field a.yaml:11"]);
    assert_eq!(project.check(&[]).code, 0);
    assert_eq!(project.check(&["--fail-on", "warning"]).code, 1);
    assert_eq!(project.check(&["--fail-on", "info"]).code, 1);
    let refused = Project::new(&[("a.yaml", REFUSED)]);
    assert_eq!(refused.check(&["--fail-on", "never"]).code, 0);
}

#[test]
fn levels_of_lints_can_be_set() {
    let project = Project::new(&[("a.yaml", &format!("{SERVICE}  nonsense: 1\n")), ("b.yaml", REFUSED)]);
    assert_eq!(project.check(&["-A", "invalid-object"]).code, 0);
    assert_eq!(project.check(&["-A", "invalid-object"]).findings(), ["unknown-field a.yaml:11"]);
    assert_eq!(project.check(&["-W", "invalid-object"]).code, 0);
    assert_eq!(project.check(&["-A", "invalid-object", "-D", "unknown-field"]).code, 1);
    assert_eq!(project.check(&["-A", "all"]).findings(), [""; 0]);
    assert_eq!(project.check(&["-A", "all", "-D", "unknown-field"]).findings(), ["unknown-field a.yaml:11"]);
    assert_eq!(project.check(&["-D", "all"]).json()["summary"]["error"], 2);
}

#[test]
fn configuration_is_found_and_the_command_line_beats_it() {
    let project = Project::new(&[
        ("meshproof.yaml", "lints:\n  invalid-object: allow\nexclude: [old/]\n"),
        ("app/a.yaml", REFUSED),
        ("old/b.yaml", BROKEN),
    ]);
    assert_eq!(project.check(&[]).findings(), [""; 0]);
    assert_eq!(project.check(&["app"]).findings(), [""; 0]);
    assert_eq!(project.check(&["-D", "invalid-object"]).findings(), ["invalid-object app/a.yaml:10"]);
    let wrong = Project::new(&[("meshproof.yaml", "lintz: {}\n"), ("a.yaml", SERVICE)]).check(&[]);
    assert_eq!((wrong.code, wrong.stdout.as_str()), (2, ""));
    assert!(
        wrong.stderr.contains("meshproof.yaml:1:1: unknown key `lintz`; did you mean `lints`?"),
        "{}",
        wrong.stderr
    );
    let unknown = Project::new(&[("c.yaml", "lints: {invalid-objet: allow}\n"), ("a.yaml", SERVICE)]);
    let unknown = unknown.check(&["--config", "c.yaml"]);
    assert!(
        unknown.code == 2 && unknown.stderr.contains("did you mean invalid-object?"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn excluded_files_are_not_read() {
    let project = Project::new(&[("a.yaml", SERVICE), ("vendor/b.yaml", BROKEN), ("c.test.yaml", BROKEN)]);
    assert_eq!(project.check(&["--exclude", "vendor/", "--exclude", "*.test.yaml"]).findings(), [""; 0]);
    assert_eq!(project.check(&["--exclude", "a{"]).code, 2);
}

#[test]
fn quiet_says_nothing_of_clean_manifests() {
    let project = Project::new(&[("a.yaml", SERVICE)]);
    let run = project.run(&["check", "--quiet"]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
    let run = project.run(&["check"]);
    assert!(run.stdout.starts_with("checked 1 file, 1 document, 0 workloads in "), "{}", run.stdout);
}

#[test]
fn colours_are_for_terminals_or_on_demand() {
    let project = Project::new(&[("a.yaml", REFUSED)]);
    assert!(!project.run(&["check"]).stdout.contains('\u{1b}'));
    assert!(project.run(&["check", "--color", "always"]).stdout.contains('\u{1b}'));
}

#[test]
fn lints_are_listed_and_explained() {
    let project = Project::new(&[]);
    let list = project.run(&["lint"]);
    assert_eq!(list.code, 0);
    for id in ["deny-all-gap", "permissive-mtls", "invalid-object", "yaml-syntax"] {
        assert!(list.stdout.lines().any(|line| line.split(' ').next() == Some(id)), "{id}\n{}", list.stdout);
    }
    let page = project.run(&["lint", "deny-all-gap"]);
    assert!(page.code == 0 && page.stdout.contains("deny-all-gap"), "{}", page.stdout);
}

#[test]
fn clusters_are_read_together() {
    let project =
        Project::new(&[("east/a.yaml", SERVICE), ("west/a.yaml", SERVICE), ("other/b.yaml", BROKEN)]);
    let run = project.check(&["--cluster", "east=east", "--cluster", "west=west"]);
    assert_eq!((run.code, run.findings()), (0, vec![]));
    assert_eq!(run.json()["summary"]["files"], 2);
}
