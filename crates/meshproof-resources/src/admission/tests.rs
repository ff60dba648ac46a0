use meshproof_source::SourceId;

use super::*;

/// Stage, lint and marked text of every issue.
fn issues(text: &str) -> Vec<(Stage, &'static str, String)> {
    let parsed = meshproof_yaml::parse(SourceId(0), text, 0..text.len());
    let tree = parsed.tree.unwrap();
    let marked = |issue: &Issue| text[issue.span.start as usize..issue.span.end as usize].to_owned();
    admit(tree.root()).iter().map(|issue| (issue.stage, issue.lint, marked(issue))).collect()
}

#[track_caller]
fn one(text: &str, stage: Stage, lint: &'static str, marked: &str) {
    assert_eq!(issues(text), [(stage, lint, marked.to_owned())], "{text}");
}

const POLICY: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\n";

#[test]
fn what_two_judges_refuse_is_said_once() {
    let text = format!("{POLICY}spec: {{selector: {{matchLabels: {{app: 'x*'}}}}}}\n");
    one(&text, Stage::Crd, "invalid-object", "'x*'");
    one(&format!("{POLICY}spec: {{action: Deny}}\n"), Stage::Crd, "invalid-object", "Deny");
}

#[test]
fn every_judge_marks_its_token() {
    one(
        &format!("{POLICY}spec: {{rules: [{{to: [{{operation: {{ports: ['80-90']}}}}]}}]}}\n"),
        Stage::Webhook,
        "invalid-object",
        "'80-90'",
    );
    one(&format!("{POLICY}spec: {{selector: {{}}}}\n"), Stage::Warning, "admission-warning", "selector");
    one(&POLICY.replace("{name: p}", "{name: P_1}"), Stage::Metadata, "invalid-object", "P_1");
    one(
        &format!("{POLICY}spec: {{rules: [{{to: [{{operation: {{methods: [get]}}}}]}}]}}\n"),
        Stage::Mistake,
        "method-case",
        "get",
    );
    one(&POLICY.replace("/v1", "/v1alpha1"), Stage::Crd, "invalid-object", "security.istio.io/v1alpha1");
}

#[test]
fn placeholders_are_no_names() {
    for name in ["$(NAME)", "\"${NAME}\"", "\"{{ .Values.name }}\""] {
        assert_eq!(issues(&POLICY.replace("{name: p}", &format!("{{name: {name}}}"))), [], "{name}");
    }
}

#[test]
fn unknown_kinds_are_left_alone() {
    assert_eq!(issues("apiVersion: example.com/v1\nkind: Thing\nspec: 1\n"), []);
    assert_eq!(issues("apiVersion: v1\nkind: Nothing\n"), []);
    assert_eq!(issues("- 1\n"), []);
    assert_eq!(issues("kind: [x]\napiVersion: {}\n"), []);
}
