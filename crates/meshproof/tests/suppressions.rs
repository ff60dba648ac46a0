//! Suppressions from the outside.

#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use support::{Project, REFUSED};

fn check(files: &[(&str, &str)]) -> support::Run {
    Project::new(files).check(&[])
}

#[test]
fn a_comment_above_the_document_allows_a_lint() {
    let text = format!("# meshproof: allow invalid-object — kept for the tests\n{REFUSED}");
    let run = check(&[("a.yaml", &text)]);
    assert_eq!((run.code, run.findings()), (0, vec![]));
    assert_eq!(run.json()["summary"]["suppressed"], 1);
}

#[test]
fn so_does_one_before_the_separator() {
    let text = format!("# meshproof: allow invalid-object — kept for the tests\n---\n{REFUSED}");
    assert_eq!(check(&[("a.yaml", &text)]).findings(), [""; 0]);
}

#[test]
fn a_comment_holds_for_its_field_only() {
    let inside = REFUSED.replace("  rules:", "  # meshproof: allow invalid-object — kept\n  rules:");
    assert_eq!(check(&[("a.yaml", &inside)]).findings(), [""; 0]);
    let beside = REFUSED.replace("name: web", "name: web # meshproof: allow invalid-object — kept");
    assert_eq!(
        check(&[("a.yaml", &beside)]).findings(),
        ["unused-suppression a.yaml:4", "invalid-object a.yaml:10"]
    );
}

#[test]
fn the_annotation_allows_a_lint_for_its_object() {
    let text = REFUSED.replace(
        "  namespace: shop\n",
        "  namespace: shop\n  annotations:\n    meshproof.dev/allow: \"invalid-object: kept for the tests\"\n",
    );
    let two = format!("{text}---\n{}", REFUSED.replace("name: web", "name: other"));
    assert_eq!(check(&[("a.yaml", &two)]).findings(), ["invalid-object a.yaml:24"]);
}

#[test]
fn the_annotation_takes_several_lints_for_one_reason() {
    let text = REFUSED.replace(
        "  namespace: shop\n",
        "  namespace: shop\n  annotations:\n    meshproof.dev/allow: \"invalid-object, default-open: kept\"\n",
    );
    let run = check(&[("a.yaml", &text)]);
    assert_eq!(run.findings(), ["unused-suppression a.yaml:7"]);
    assert!(run.stdout.contains("found by default-open"), "{}", run.stdout);
}

#[test]
fn a_suppression_needs_a_reason_and_a_use() {
    let text =
        format!("# meshproof: allow invalid-object\n# meshproof: allow deny-all-gap — gone\n{REFUSED}");
    assert_eq!(
        check(&[("a.yaml", &text)]).findings(),
        ["suppression-without-reason a.yaml:1", "unused-suppression a.yaml:2"]
    );
}

#[test]
fn a_lint_that_does_not_exist_is_told() {
    let text = format!("# meshproof: allow invalid-objects — kept\n# meshproof: ignore all\n{REFUSED}");
    let run = check(&[("a.yaml", &text)]);
    assert_eq!(
        run.findings(),
        ["unused-suppression a.yaml:1", "unused-suppression a.yaml:2", "invalid-object a.yaml:12"]
    );
    assert!(run.stdout.contains("did you mean invalid-object?"), "{}", run.stdout);
}

#[test]
fn allowing_a_lint_on_the_command_line_does_not_make_its_suppressions_unused() {
    let text = format!("# meshproof: allow invalid-object — kept\n{REFUSED}");
    assert_eq!(Project::new(&[("a.yaml", &text)]).check(&["-A", "invalid-object"]).findings(), [""; 0]);
}

/// A workload that an ALLOW policy without rules closes.
const CLOSED: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: closed
  namespace: shop
spec:
  rules:
  - to: [{operation: {methods: [GET]}}]
  - to: [{operation: {methods: [GET], paths: [/a]}}]
";

#[test]
fn a_comment_about_a_lint_that_is_allowed_still_shows_whether_it_is_of_use() {
    let named = CLOSED.replace(
        "  - to: [{operation: {methods: [GET], p",
        "  # meshproof: allow shadowed-rule — kept\n  - to: [{operation: {methods: [GET], p",
    );
    let all = ["-A", "all", "-W", "unused-suppression", "-W", "shadowed-rule"];
    assert_eq!(Project::new(&[("a.yaml", CLOSED)]).check(&all).findings(), ["shadowed-rule a.yaml:14"]);
    let allowed = ["-A", "all", "-W", "unused-suppression"];
    assert_eq!(Project::new(&[("a.yaml", CLOSED)]).check(&allowed).findings(), [""; 0]);
    assert_eq!(Project::new(&[("a.yaml", &named)]).check(&allowed).findings(), [""; 0]);
    let wrong = named.replace("  - to: [{operation: {methods: [GET]}}]\n", "");
    assert_eq!(
        Project::new(&[("a.yaml", &wrong)]).check(&allowed).findings(),
        ["unused-suppression a.yaml:13"]
    );
}
