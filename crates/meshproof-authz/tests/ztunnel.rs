//! ztunnel's truth table, field by field.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{A, B, Policies, context, dry_run, policy, tcp, told};
use meshproof_authz::{Context, Decision, Engine, RuleVerdict, Standing};

fn zt() -> Context {
    context(Engine::Ztunnel)
}

/// What ALLOW and DENY policies say: does the rule match?
type Pair = (bool, bool);

/// Whether a rule of an ALLOW policy and the same rule of a DENY policy match the connection.
fn matches(rule: &str, principal: &str) -> (bool, bool) {
    let request = tcp(principal);
    let allow = Policies::spec(&format!("{{action: ALLOW, rules: [{rule}]}}")).evaluate(&request, &zt());
    let deny = Policies::spec(&format!("{{action: DENY, rules: [{rule}]}}")).evaluate(&request, &zt());
    (allow.decision == Decision::Allow, deny.decision == Decision::Deny)
}

const BOTH: (bool, bool) = (true, true);
const NEITHER: (bool, bool) = (false, false);
const ONLY_DENY: (bool, bool) = (false, true);

/// One `source`: its text, then what a foo/a, a bar/b and a plaintext client meet.
const SOURCES: &[(&str, Pair, Pair, Pair)] = &[
    // Identity: as written, without scheme.
    ("principals: [cluster.local/ns/foo/sa/a]", BOTH, NEITHER, NEITHER),
    ("notPrincipals: [cluster.local/ns/foo/sa/a]", NEITHER, BOTH, BOTH),
    ("principals: ['*']", BOTH, BOTH, NEITHER),
    ("notPrincipals: ['*']", NEITHER, NEITHER, BOTH),
    ("principals: ['*/sa/a']", BOTH, NEITHER, NEITHER),
    ("principals: [cluster.local/ns/b*]", NEITHER, BOTH, NEITHER),
    ("principals: [spiffe://cluster.local/ns/foo/sa/a]", NEITHER, NEITHER, NEITHER),
    ("principals: ['cluster.local/ns/*/sa/a']", NEITHER, NEITHER, NEITHER),
    // Namespace: the one segment; one star at an end.
    ("namespaces: [foo]", BOTH, NEITHER, NEITHER),
    ("namespaces: ['f*']", BOTH, NEITHER, NEITHER),
    ("namespaces: ['*ar']", NEITHER, BOTH, NEITHER),
    ("namespaces: ['f*o']", NEITHER, NEITHER, NEITHER),
    ("namespaces: ['*a']", NEITHER, NEITHER, NEITHER),
    ("namespaces: ['*']", BOTH, BOTH, NEITHER),
    ("notNamespaces: [foo]", NEITHER, BOTH, BOTH),
    // Service account: both parts equal; a short name means the policy's namespace.
    ("serviceAccounts: [a]", BOTH, NEITHER, NEITHER),
    ("serviceAccounts: [bar/b]", NEITHER, BOTH, NEITHER),
    ("serviceAccounts: [b]", NEITHER, NEITHER, NEITHER),
    ("notServiceAccounts: [a]", NEITHER, BOTH, BOTH),
    // Addresses; what is none is skipped.
    ("ipBlocks: [10.1.0.0/16]", BOTH, BOTH, BOTH),
    ("ipBlocks: [10.2.0.0/16]", NEITHER, NEITHER, NEITHER),
    ("notIpBlocks: [10.2.0.0/16]", BOTH, BOTH, BOTH),
    ("ipBlocks: [nonsense, 10.1.0.1]", BOTH, BOTH, BOTH),
    ("ipBlocks: [nonsense]", NEITHER, NEITHER, NEITHER),
    // Forgotten in the conversion: alone nothing is left, beside others the restriction is gone.
    ("trustDomains: [cluster.local]", NEITHER, NEITHER, NEITHER),
    ("notTrustDomains: [other]", NEITHER, NEITHER, NEITHER),
    ("namespaces: [foo], notTrustDomains: [cluster.local]", BOTH, NEITHER, NEITHER),
    // Layer 7: ALLOW loses the rule, DENY the restriction.
    ("remoteIpBlocks: [10.1.0.0/16]", NEITHER, NEITHER, NEITHER),
    ("requestPrincipals: ['*']", NEITHER, NEITHER, NEITHER),
    ("namespaces: [foo], requestPrincipals: ['*']", ONLY_DENY, NEITHER, NEITHER),
    ("namespaces: [foo], notRemoteIpBlocks: [10.1.0.0/16]", ONLY_DENY, NEITHER, NEITHER),
];

#[test]
fn sources() {
    for (source, a, b, plaintext) in SOURCES {
        let rule = format!("{{from: [{{source: {{{source}}}}}]}}");
        for (principal, wanted) in [(A, a), (B, b), ("", plaintext)] {
            assert_eq!(matches(&rule, principal), *wanted, "{source} for `{principal}`");
        }
    }
}

#[test]
fn operations() {
    let table = [
        ("{ports: ['8080']}", BOTH),
        ("{ports: ['08080']}", BOTH),
        ("{ports: ['9090']}", NEITHER),
        ("{notPorts: ['9090']}", BOTH),
        ("{ports: [http, '8080']}", BOTH),
        ("{ports: [http]}", NEITHER),
        ("{methods: [GET]}", NEITHER),
        ("{notPaths: [/x]}", NEITHER),
        ("{hosts: ['*']}", NEITHER),
        ("{ports: ['8080'], methods: [POST]}", ONLY_DENY),
        ("{ports: ['9090'], methods: [POST]}", NEITHER),
        ("{}", NEITHER),
    ];
    for (operation, wanted) in table {
        let rule = format!("{{to: [{{operation: {operation}}}]}}");
        assert_eq!(matches(&rule, A), wanted, "{operation}");
    }
}

#[test]
fn conditions() {
    let table = [
        ("{key: source.ip, values: [10.1.0.1]}", BOTH),
        ("{key: source.namespace, values: [foo]}", BOTH),
        ("{key: source.namespace, notValues: [foo]}", NEITHER),
        ("{key: source.principal, values: [cluster.local/ns/foo/sa/a]}", BOTH),
        ("{key: destination.ip, values: [10.2.0.0/16]}", BOTH),
        ("{key: destination.port, values: ['8080']}", BOTH),
        ("{key: destination.port, values: ['8080'], notValues: ['8080']}", NEITHER),
        ("{key: source.ip}", NEITHER),
        ("{key: source.serviceAccount, values: [a]}", NEITHER),
        ("{key: source.trustDomain, values: [cluster.local]}", NEITHER),
        ("{key: connection.sni, notValues: [x]}", NEITHER),
        ("{key: remote.ip, values: [10.1.0.1]}", NEITHER),
        ("{key: 'request.headers[x]', notValues: [x]}", NEITHER),
        ("{key: 'experimental.envoy.filters.a[b]', notValues: [x]}", NEITHER),
        ("{key: made.up, notValues: [x]}", NEITHER),
    ];
    for (condition, wanted) in table {
        assert_eq!(matches(&format!("{{when: [{condition}]}}"), A), wanted, "{condition}");
    }
}

#[test]
fn shapes() {
    let table = [
        ("{}", BOTH),
        ("{from: [], to: [], when: []}", BOTH),
        ("{from: [{source: {}}]}", NEITHER),
        // An item that says nothing to ztunnel does not spoil the one beside it.
        ("{to: [{operation: {methods: [GET]}}, {operation: {ports: ['8080']}}]}", ONLY_DENY),
        ("{from: [{source: {namespaces: [foo]}}], to: [{operation: {paths: [/a]}}]}", NEITHER),
        ("{from: [{source: {namespaces: [bar]}}, {source: {namespaces: [foo]}}]}", BOTH),
        (
            "{from: [{source: {namespaces: [foo]}}], when: [{key: 'request.headers[x]', values: [y]}]}",
            NEITHER,
        ),
    ];
    for (rule, wanted) in table {
        assert_eq!(matches(rule, A), wanted, "{rule}");
    }
}

#[test]
fn policies() {
    let told = |text: &str| told(&Policies::read(text).evaluate(&tcp(A), &zt()));
    let deny_all = "{action: DENY, rules: [{}]}";
    assert_eq!(told(&policy("foo", "p", "{}")), "deny ALLOW-none-matched");
    assert_eq!(told(&policy("foo", "p", "{action: DENY}")), "allow no-allow-policy");
    // The only rule is dropped, and the policy still counts.
    assert_eq!(
        told(&policy("foo", "p", "{rules: [{to: [{operation: {methods: [GET]}}]}]}")),
        "deny ALLOW-none-matched"
    );
    assert_eq!(told(&policy("foo", "p", "{action: AUDIT, rules: [{}]}")), "allow no-allow-policy");
    assert_eq!(
        told(&policy("foo", "p", "{action: CUSTOM, provider: {name: x}, rules: [{}]}")),
        "allow no-allow-policy"
    );
    assert_eq!(
        told(&policy("foo", "p", "{targetRefs: [{kind: Service, name: x}], action: DENY, rules: [{}]}")),
        "allow no-allow-policy"
    );
    assert_eq!(told(&dry_run("foo", "p", deny_all)), "allow no-allow-policy");
    assert_eq!(told(&dry_run("foo", "p", "{}")), "allow no-allow-policy");
    let both = policy("foo", "p", "{rules: [{}]}") + "---\n" + &policy("foo", "q", deny_all);
    assert_eq!(told(&both), "deny DENY");
}

#[test]
fn a_trial_is_reported_where_the_switch_is_on() {
    let policies = Policies::read(&dry_run("foo", "p", "{action: DENY, rules: [{}]}"));
    let off = policies.evaluate(&tcp(A), &zt());
    assert_eq!(off.dry_run.deny, None);
    assert_eq!(off.trace.phases[0].policies[0].standing, Standing::NotSent);
    let mut on = zt();
    on.semantics.ztunnel_dry_run = true;
    let on = policies.evaluate(&tcp(A), &on);
    assert_eq!((on.decision, on.dry_run.deny.unwrap().id.as_str()), (Decision::Allow, "foo/p"));
}

#[test]
fn names_and_reasons() {
    let text = policy("foo", "z", "{action: DENY, rules: [{}]}")
        + "---\n"
        + &policy("bar", "y", "{action: DENY, rules: [{}]}");
    let evaluation = Policies::read(&text).evaluate(&tcp(A), &zt());
    let ids: Vec<&str> = evaluation.matched.iter().map(|matched| matched.id.as_str()).collect();
    assert_eq!(ids, ["bar/y", "foo/z"]);
    assert_eq!(evaluation.rule.unwrap().policy, 1);

    let policies =
        Policies::spec("{rules: [{from: [{source: {namespaces: [x, y]}}, {source: {trustDomains: [z]}}]}]}");
    let evaluation = policies.evaluate(&tcp(A), &zt());
    let RuleVerdict::Failed(failures) = &evaluation.trace.phases[0].policies[0].rules[0].verdict else {
        panic!()
    };
    assert_eq!((failures[0].field.as_str(), failures[0].wanted.len()), ("namespaces", 2));
    assert_eq!(failures[0].has, [format!("spiffe://{A}")]);
    // Nothing in the second item can be tested.
    assert!(failures[1].wanted.is_empty());
}

#[test]
fn no_alias_and_no_pointer_to_the_local_trust_domain() {
    let mut context = zt();
    context.trust_domains = vec!["td1".to_owned(), "old".to_owned()];
    let policies = Policies::spec(
        "{rules: [{from: [{source: {principals: [cluster.local/ns/foo/sa/a, old/ns/foo/sa/a]}}]}]}",
    );
    assert_eq!(told(&policies.evaluate(&tcp("td1/ns/foo/sa/a"), &context)), "deny ALLOW-none-matched");
    context.engine = Engine::EnvoyTcp;
    assert_eq!(told(&policies.evaluate(&tcp("td1/ns/foo/sa/a"), &context)), "allow ALLOW");
}
