use meshproof_source::SourceId;

use crate::schema::{Violation, ViolationKind, check};

fn violations(text: &str) -> Vec<Violation> {
    let parsed = meshproof_yaml::parse(SourceId(0), text, 0..text.len());
    let tree = parsed.tree.unwrap();
    let word = |name| tree.root().get(name).and_then(|node| node.str()).unwrap();
    check(tree.root(), word("apiVersion"), word("kind"))
}

/// Path, kind and marked text of every violation.
fn found(text: &str) -> Vec<(String, ViolationKind, String)> {
    let marked = |v: &Violation| text[v.span.start as usize..v.span.end as usize].to_owned();
    violations(text).iter().map(|v| (v.path.clone(), v.kind, marked(v))).collect()
}

#[track_caller]
fn one(text: &str, path: &str, kind: ViolationKind, marked: &str) {
    assert_eq!(found(text), [(path.to_owned(), kind, marked.to_owned())]);
}

const POLICY: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\n";

#[test]
fn unknown_fields_name_the_field_that_was_meant() {
    one(
        &format!("{POLICY}spec:\n  rules:\n  - form: [{{source: {{}}}}]\n"),
        "spec.rules[0].form",
        ViolationKind::UnknownField { suggestion: Some("from") },
        "form",
    );
    let help = violations(&format!("{POLICY}spec: {{actions: DENY}}\n"))[0].help.clone();
    assert_eq!(help.as_deref(), Some("did you mean `action`?"));
}

#[test]
fn numbers_and_words_without_quotes() {
    one(
        &format!("{POLICY}spec: {{rules: [{{to: [{{operation: {{ports: [8080]}}}}]}}]}}\n"),
        "spec.rules[0].to[0].operation.ports[0]",
        ViolationKind::UnquotedScalar,
        "8080",
    );
    let text = format!("{POLICY}spec: {{selector: {{matchLabels: {{debug: yes}}}}}}\n");
    one(&text, "spec.selector.matchLabels.debug", ViolationKind::UnquotedScalar, "yes");
    assert_eq!(violations(&text)[0].help.as_deref(), Some("put it in quotes: \"yes\""));
}

#[test]
fn empty_values_mark_their_key() {
    one(&format!("{POLICY}spec:\n  selector:\n"), "spec.selector", ViolationKind::Null, "selector");
    one(&format!("{POLICY}spec:\n  rules:\n  - null\n"), "spec.rules[0]", ViolationKind::WrongType, "null");
}

#[test]
fn enums_patterns_and_missing_fields() {
    one(&format!("{POLICY}spec: {{action: Deny}}\n"), "spec.action", ViolationKind::NotAllowed, "Deny");
    one(
        &format!("{POLICY}spec: {{targetRefs: [{{kind: Gateway, name: x, group: 'A B'}}]}}\n"),
        "spec.targetRefs[0].group",
        ViolationKind::Pattern,
        "'A B'",
    );
    one(
        &format!("{POLICY}spec: {{rules: [{{when: [{{values: [a]}}]}}]}}\n"),
        "spec.rules[0].when[0].key",
        ViolationKind::Missing,
        "{values: [a]}",
    );
}

#[test]
fn rules_mark_the_part_that_breaks_them() {
    one(
        &format!("{POLICY}spec:\n  selector: {{}}\n  targetRefs: [{{kind: Service, name: x}}]\n"),
        "spec",
        ViolationKind::Rule,
        "targetRefs",
    );
}

#[test]
fn only_the_last_of_equal_keys_counts() {
    assert_eq!(found(&format!("{POLICY}spec:\n  action: x\n  action: DENY\n")), []);
    one(
        &format!("{POLICY}spec:\n  action: DENY\n  action: x\n"),
        "spec.action",
        ViolationKind::NotAllowed,
        "x",
    );
}

#[test]
fn built_in_kinds_are_read_like_go_types() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, creationTimestamp: null}\nspec:\n  \
                      replicas: null\n  template:\n    spec:\n      containers:\n      - name: c\n        resources: \
                      {limits: {cpu: 0.5, memory: 1Gi}}\n        ports: [{containerPort: 80}]\n        livenessProbe: \
                      {httpGet: {port: http}}\n";
    assert_eq!(found(deployment), []);
    one(
        &format!("{deployment}      serviceaccount: x\n"),
        "spec.template.spec.serviceaccount",
        ViolationKind::UnknownField { suggestion: Some("serviceAccount") },
        "serviceaccount",
    );
}

#[test]
fn many_repeated_and_unknown_keys_take_no_time() {
    let mut text = format!("{POLICY}spec:\n");
    for index in 0..20_000 {
        text.push_str(&format!("  action: x{index}\n  unknown-field-{index}: 1\n"));
    }
    let start = std::time::Instant::now();
    assert_eq!(violations(&text).len(), 20_001);
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}
