//! Proxyless gRPC: what differs from Envoy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{A, Policies, context, dry_run, http, policy, told, with_claims};
use meshproof_authz::{Engine, Evaluation};
use serde_json::json;

fn call(text: &str, principal: &str, path: &str) -> Evaluation {
    Policies::read(text).evaluate(&http(principal, "POST", path), &context(Engine::Grpc))
}

#[test]
fn table() {
    let spec = |spec: &str| policy("foo", "p", spec);
    let allow_method = "{rules: [{to: [{operation: {paths: [/pkg.Service/Get]}}]}]}";
    let table = [
        // A filter without rules is not built: allow-nothing refuses nothing.
        (spec("{}"), "allow no-allow-policy"),
        (spec("{action: DENY}"), "allow no-allow-policy"),
        (spec("{rules: [{}]}"), "allow ALLOW"),
        (spec("{action: DENY, rules: [{}]}"), "deny DENY"),
        (spec(allow_method), "allow ALLOW"),
        (spec("{rules: [{to: [{operation: {paths: [/pkg.Service/Set]}}]}]}"), "deny ALLOW-none-matched"),
        // Never sent.
        (spec("{action: AUDIT, rules: [{}]}"), "allow no-allow-policy"),
        (spec("{action: CUSTOM, provider: {name: x}, rules: [{}]}"), "allow no-allow-policy"),
        // The annotation is not looked at.
        (dry_run("foo", "p", "{action: DENY, rules: [{}]}"), "deny DENY"),
        // A rule with an unknown key is passed over, and with it the filter; one with a bad value leaves an empty entry.
        (spec("{rules: [{when: [{key: made.up, values: [x]}]}]}"), "allow no-allow-policy"),
        (spec("{rules: [{to: [{operation: {ports: [http]}}]}]}"), "deny ALLOW-none-matched"),
    ];
    for (text, wanted) in table {
        assert_eq!(told(&call(&text, A, "/pkg.Service/Get")), wanted, "{text}");
    }
}

#[test]
fn identities_are_compared_as_written() {
    let text = policy("foo", "p", "{rules: [{from: [{source: {principals: [cluster.local/ns/foo/sa/a]}}]}]}");
    let mut context = context(Engine::Grpc);
    context.trust_domains = vec!["td1".to_owned(), "cluster.local".to_owned()];
    let request = http("td1/ns/foo/sa/a", "POST", "/s/m");
    let policies = Policies::read(&text);
    assert_eq!(told(&policies.evaluate(&request, &context)), "deny ALLOW-none-matched");
    context.engine = Engine::EnvoyHttp;
    assert_eq!(told(&policies.evaluate(&request, &context)), "allow ALLOW");
}

#[test]
fn tokens_are_not_seen_and_that_is_said() {
    let text = policy("foo", "p", "{rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}");
    let request = with_claims(http(A, "POST", "/s/m"), json!({"iss": "i", "sub": "s"}));
    let evaluation = Policies::read(&text).evaluate(&request, &context(Engine::Grpc));
    assert_eq!(told(&evaluation), "deny ALLOW-none-matched");
    assert!(evaluation.notes[0].message.contains("requestPrincipals"));
}

#[test]
fn rules_have_names_of_their_own() {
    let evaluation = call(
        &policy("foo", "p", "{action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}, {}]}"),
        A,
        "/s/m",
    );
    assert_eq!(evaluation.rule.unwrap().id, "foo-p-1");
}

#[test]
fn paths_are_not_normalized() {
    let text = policy("foo", "p", "{rules: [{to: [{operation: {paths: [/s/m]}}]}]}");
    assert_eq!(told(&call(&text, A, "/s/./m")), "deny ALLOW-none-matched");
}
