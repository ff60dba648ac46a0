use meshproof_source::SourceId;

use super::*;

/// Lint, marked text and path of every mistake in a policy with this rule.
fn mistakes(rule: &str) -> Vec<(&'static str, String, String)> {
    let text = format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: p}}\nspec:\n  rules:\n  - {rule}\n"
    );
    let parsed = meshproof_yaml::parse(SourceId(0), &text, 0..text.len());
    let tree = parsed.tree.unwrap();
    let of = |issue: Issue| {
        assert_eq!(issue.stage, Stage::Mistake);
        let marked = text[issue.span.start as usize..issue.span.end as usize].to_owned();
        (issue.lint, marked, issue.path.trim_start_matches("spec.rules[0].").to_owned())
    };
    find(tree.root()).into_iter().map(of).collect()
}

#[track_caller]
fn one(rule: &str, lint: &str, marked: &str) {
    let found = mistakes(rule);
    assert_eq!(found.len(), 1, "{rule}: {found:?}");
    assert_eq!((found[0].0, &*found[0].1), (lint, marked), "{rule}");
}

#[test]
fn identities() {
    one("from: [{source: {principals: [spiffe://cluster.local/ns/a/sa/b]}}]", SPIFFE_PREFIX, "spiffe://");
    one("from: [{source: {notPrincipals: ['sleep']}}]", NEVER_MATCHING_VALUE, "sleep");
    one("from: [{source: {principals: [a/b]}}]", NEVER_MATCHING_VALUE, "a/b");
    one("from: [{source: {principals: ['cluster.local/ns/*/sa/b']}}]", MISPLACED_WILDCARD, "*");
    one("when: [{key: source.principal, values: [spiffe://td/ns/a/sa/b]}]", SPIFFE_PREFIX, "spiffe://");
    one(
        "from: [{source: {requestPrincipals: ['https://issuer.example*']}}]",
        NEVER_MATCHING_VALUE,
        "https://issuer.example*",
    );
    one("from: [{source: {requestPrincipals: ['*/*']}}]", MISPLACED_WILDCARD, "*");
}

#[test]
fn requests() {
    one("to: [{operation: {methods: [get]}}]", METHOD_CASE, "get");
    one("to: [{operation: {methods: ['GET ']}}]", METHOD_CASE, "GET ");
    one("to: [{operation: {paths: ['/a?x=1']}}]", NEVER_MATCHING_VALUE, "?x=1");
    one("to: [{operation: {paths: ['a/b']}}]", NEVER_MATCHING_VALUE, "a/b");
    one("to: [{operation: {paths: ['^/a']}}]", NEVER_MATCHING_VALUE, "^/a");
    one("to: [{operation: {paths: ['/a/../b']}}]", NEVER_MATCHING_VALUE, "..");
    one("to: [{operation: {paths: ['/a/%41']}}]", NEVER_MATCHING_VALUE, "%41");
    one("to: [{operation: {notPaths: ['/a/*/b']}}]", MISPLACED_WILDCARD, "*");
    one("to: [{operation: {paths: ['/a/**']}}]", MISPLACED_WILDCARD, "**");
    one("to: [{operation: {paths: ['a/{*}']}}]", NEVER_MATCHING_VALUE, "a/{*}");
    one("to: [{operation: {hosts: ['https://a.example']}}]", NEVER_MATCHING_VALUE, "https://");
    one("to: [{operation: {hosts: ['a.*.example']}}]", MISPLACED_WILDCARD, "*");
}

#[test]
fn conditions() {
    one("when: [{key: 'request.headers[\"x\"]', values: [a]}]", NEVER_MATCHING_VALUE, "\"x\"");
    one("when: [{key: 'request.headers[x]', values: ['a*b']}]", MISPLACED_WILDCARD, "*");
    one("when: [{key: 'request.headersX[a]', values: [a]}]", NEVER_MATCHING_VALUE, "request.headersX");
    one("when: [{key: 'request.headers[:method]', values: [post]}]", METHOD_CASE, "post");
}

#[test]
fn what_is_right_is_left_alone() {
    for rule in [
        "from: [{source: {principals: [cluster.local/ns/a/sa/b, '*', '*/sa/b', 'td/ns/a/*'], namespaces: ['a*b']}}]",
        "from: [{source: {requestPrincipals: ['*', iss/*, '*/sub', 'https://i.example/sub']}}]",
        "to: [{operation: {methods: [GET, PROPFIND, 'P*', '*'], paths: [/a, /a*, '*.png', '*', '/a/{*}/b', '/.well-known/*', '/a%2Fb', '/a//b', '/.*']}}]",
        "to: [{operation: {hosts: [a.example, 'a.example:*', '*.example', '*'], ports: ['80']}}]",
        "when: [{key: 'request.auth.claims[a][b]', values: ['x*']}, {key: source.ip, values: [10.0.0.1]}]",
        "{}",
    ] {
        assert_eq!(mistakes(rule), [], "{rule}");
    }
}

#[test]
fn other_shapes_do_no_harm() {
    for rule in [
        "from: x",
        "from: [x, null, {source: []}]",
        "to: {}",
        "when: [{key: [a]}]",
        "to: [{operation: {paths: [80, null, {}]}}]",
    ] {
        assert_eq!(mistakes(rule), [], "{rule}");
    }
}
