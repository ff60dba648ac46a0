//! The RBAC filters, in istiod's form.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Policies, context, dry_run, policy};
use meshproof_authz::{Engine, IdentityFlavour, Lowered, lower};
use serde_json::{Value, json};

fn filters(text: &str, engine: Engine) -> Lowered {
    lower(&Policies::read(text).list(), &context(engine))
}

/// Permissions and principals of the only rule of a policy `foo/p`.
fn rule(rule: &str, engine: Engine) -> Value {
    let lowered = filters(&policy("foo", "p", &format!("{{action: DENY, rules: [{rule}]}}")), engine);
    lowered.filters[0]["typedConfig"]["rules"]["policies"]["ns[foo]-policy[p]-rule[0]"].clone()
}

fn permission(operation: &str) -> Value {
    let found = rule(&format!("{{to: [{{operation: {{{operation}}}}}]}}"), Engine::EnvoyHttp);
    found["permissions"][0]["andRules"]["rules"][0]["orRules"]["rules"].clone()
}

fn principal(source: &str) -> Value {
    let found = rule(&format!("{{from: [{{source: {{{source}}}}}]}}"), Engine::EnvoyHttp);
    found["principals"][0]["andIds"]["ids"][0].clone()
}

#[test]
fn a_whole_filter() {
    let lowered = filters(&policy("foo", "p", "{action: DENY, rules: [{}]}"), Engine::EnvoyTcp);
    let any = |list: &str, items: &str| json!([{ list: { items: [{ "any": true }] } }]);
    let wanted = json!([{
        "name": "envoy.filters.network.rbac",
        "typedConfig": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC",
            "statPrefix": "tcp.",
            "shadowRulesStatPrefix": "istio_dry_run_allow_",
            "rules": {
                "action": "DENY",
                "policies": { "ns[foo]-policy[p]-rule[0]": {
                    "permissions": any("andRules", "rules"),
                    "principals": any("andIds", "ids"),
                }},
            },
        },
    }]);
    assert_eq!(Value::Array(lowered.filters), wanted);
}

#[test]
fn order_trials_and_what_is_left_out() {
    let text = [
        policy("foo", "a", "{}"),
        policy("foo", "b", "{action: AUDIT, rules: [{}]}"),
        policy("foo", "c", "{action: CUSTOM, provider: {name: x}, rules: [{}]}"),
        dry_run("foo", "d", "{action: DENY, rules: [{}]}"),
    ];
    let lowered = filters(&text.join("---\n"), Engine::EnvoyHttp);
    assert_eq!(lowered.left_out, [2]);
    let [audit, deny, allow] = &lowered.filters[..] else { panic!("{:?}", lowered.filters) };
    assert_eq!(audit["typedConfig"]["rules"]["action"], "LOG");
    assert_eq!(deny["typedConfig"]["rules"], Value::Null);
    assert_eq!(deny["typedConfig"]["shadowRules"]["action"], "DENY");
    assert_eq!(deny["typedConfig"]["shadowRulesStatPrefix"], "istio_dry_run_deny_");
    // An ALLOW policy without rules becomes a rule that never matches.
    let never = &allow["typedConfig"]["rules"]["policies"]["ns[foo]-policy[a]-rule[0]"];
    assert_eq!(never["permissions"], json!([{ "notRule": { "any": true } }]));
}

#[test]
fn rules_that_a_chain_cannot_test() {
    let policies =
        |text: &str, engine| filters(text, engine).filters[0]["typedConfig"]["rules"]["policies"].clone();
    let allow = policy("foo", "p", "{rules: [{to: [{operation: {methods: [GET]}}]}]}");
    assert_eq!(policies(&allow, Engine::EnvoyTcp), json!({}));
    assert_ne!(policies(&allow, Engine::EnvoyHttp), json!({}));
    let unknown = policy("foo", "p", "{action: DENY, rules: [{when: [{key: made.up, values: [x]}]}]}");
    assert_eq!(policies(&unknown, Engine::EnvoyHttp), json!({}));
    let wider = rule("{to: [{operation: {methods: [GET], ports: ['80', http]}}]}", Engine::EnvoyTcp);
    assert_eq!(
        wider["permissions"],
        json!([{ "andRules": { "rules": [{ "orRules": { "rules": [{ "destinationPort": 80 }] } }] } }])
    );
}

#[test]
fn operations() {
    let table = [
        (
            "hosts: ['*.a.b']",
            json!([{"header": {"name": ":authority", "stringMatch": {"suffix": ".a.b", "ignoreCase": true}}}]),
        ),
        ("methods: ['*']", json!([{"header": {"name": ":method", "presentMatch": true}}])),
        (
            "paths: ['/a*', '/b']",
            json!([{"urlPath": {"path": {"prefix": "/a"}}}, {"urlPath": {"path": {"exact": "/b"}}}]),
        ),
        ("ports: ['080']", json!([{"destinationPort": 80}])),
    ];
    for (operation, wanted) in table {
        assert_eq!(permission(operation), wanted, "{operation}");
    }
    let template = permission("paths: ['/a/{*}/{**}']");
    assert_eq!(template[0]["uriTemplate"]["typedConfig"]["pathTemplate"], "/a/*/**");
}

#[test]
fn sources() {
    let named = |matcher: Value| json!({"orIds": {"ids": [{"authenticated": {"principalName": matcher}}]}});
    let expression = |text: &str| json!({"safeRegex": {"regex": text}});
    let table = [
        ("principals: ['*']", named(expression(".+"))),
        ("principals: ['*/sa/a.b']", named(expression("spiffe://.*/sa/a\\.b"))),
        ("principals: ['cluster.local/*']", named(json!({"prefix": "spiffe://cluster.local/"}))),
        ("namespaces: ['a*']", named(expression(".*/ns/a.*/.*"))),
        ("serviceAccounts: [x]", named(expression("spiffe://.+/ns/foo/(.+/|)sa/x(/.+)?"))),
        ("trustDomains: ['*.b']", named(expression("spiffe://[^/]*\\.b/.*"))),
        (
            "ipBlocks: [10.1.2.3/8]",
            json!({"orIds": {"ids": [{"directRemoteIp": {"addressPrefix": "10.1.2.3", "prefixLen": 8}}]}}),
        ),
        (
            "notRemoteIpBlocks: ['::1']",
            json!({"notId": {"orIds": {"ids": [{"remoteIp": {"addressPrefix": "::1", "prefixLen": 128}}]}}}),
        ),
    ];
    for (source, wanted) in table {
        assert_eq!(principal(source), wanted, "{source}");
    }
    let claims = principal("requestPrincipals: ['i/*']");
    assert_eq!(claims["andIds"]["ids"][0]["metadata"]["path"], json!([{"key": "payload"}, {"key": "iss"}]));
    assert_eq!(claims["andIds"]["ids"][1]["metadata"]["value"]["stringMatch"], expression(".+"));
}

#[test]
fn identities_from_filter_state() {
    let policies = Policies::spec("{rules: [{from: [{source: {principals: [a/ns/b/sa/c]}}]}]}");
    let mut context = context(Engine::EnvoyHttp);
    context.identity = IdentityFlavour::FilterState;
    let text = lower(&policies.list(), &context).filters[0].to_string();
    assert!(
        text.contains(r#""filterState":{"key":"io.istio.peer_principal""#) && !text.contains("authenticated")
    );
}

#[test]
fn conditions_stand_on_their_side() {
    let found = rule(
        "{when: [{key: destination.port, values: ['80']}, {key: 'request.headers[X]', values: [y]}]}",
        Engine::EnvoyHttp,
    );
    assert!(found["permissions"].to_string().contains("destinationPort"));
    assert!(found["principals"].to_string().contains(r#""name":"X""#));
}
