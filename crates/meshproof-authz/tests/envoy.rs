//! What the recorded vectors do not hold: CUSTOM, trials, tokens, filter-state identities, old header matching, metadata.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{A, B, Policies, context, dry_run, http, policy, tcp, told, with_claims, with_header};
use meshproof_authz::{
    Certificate, ClientAddress, Context, Engine, Evaluation, HeaderMatching, IdentityFlavour, Part, Peer,
    Provider, ProviderAnswer, ProviderKind, Reason, Request, RuleVerdict, Standing, Token,
};
use serde_json::json;

fn providers(kind: ProviderKind, answer: ProviderAnswer, fail_open: bool) -> Context {
    let mut context = context(Engine::EnvoyHttp);
    for name in ["one", "two"] {
        context.providers.insert(name.to_owned(), Provider { kind, fail_open, answer });
    }
    context
}

fn custom(name: &str, provider: &str, path: &str) -> String {
    let rule = format!("{{to: [{{operation: {{paths: [{path}]}}}}]}}");
    policy("foo", name, &format!("{{action: CUSTOM, provider: {{name: {provider}}}, rules: [{rule}]}}"))
}

fn evaluate(text: &str, request: &Request, context: &Context) -> Evaluation {
    Policies::read(text).evaluate(request, context)
}

#[test]
fn providers_answer() {
    let request = http(A, "GET", "/a");
    let ask = |answer, fail_open| {
        evaluate(&custom("c", "one", "/a"), &request, &providers(ProviderKind::Http, answer, fail_open))
    };
    let unknown = ask(ProviderAnswer::Unknown, false);
    assert_eq!(told(&unknown), "allow no-allow-policy");
    assert_eq!(unknown.delegated[0].provider, "one");
    assert_eq!(unknown.delegated[0].rule.id, "ns[foo]-policy[c]-rule[0]");
    assert_eq!(told(&ask(ProviderAnswer::Allow, false)), "allow no-allow-policy");
    assert_eq!(told(&ask(ProviderAnswer::Deny, true)), "deny CUSTOM");
    assert_eq!(told(&ask(ProviderAnswer::Error, false)), "deny CUSTOM");
    assert_eq!(told(&ask(ProviderAnswer::Error, true)), "allow no-allow-policy");
    // Yes is not the last word.
    let text = custom("c", "one", "/a") + "---\n" + &policy("foo", "p", "{}");
    let context = providers(ProviderKind::Http, ProviderAnswer::Allow, false);
    assert_eq!(told(&evaluate(&text, &request, &context)), "deny ALLOW-none-matched");
}

#[test]
fn providers_that_cannot_be_asked() {
    let context = providers(ProviderKind::Http, ProviderAnswer::Allow, false);
    let missing = evaluate(&custom("c", "three", "/a"), &http(A, "GET", "/a"), &context);
    assert_eq!(told(&missing), "deny CUSTOM");
    assert_eq!(
        missing.rule.unwrap().id,
        "istio-ext-authz-three-ns[foo]-policy[c]-rule[0]-deny-due-to-bad-CUSTOM-action"
    );
    assert_eq!(
        told(&evaluate(&custom("c", "three", "/a"), &http(A, "GET", "/b"), &context)),
        "allow no-allow-policy"
    );
    // Two providers at one workload: without the switch the matching requests of both are refused.
    let both = custom("c", "one", "/a") + "---\n" + &custom("d", "two", "/b");
    assert_eq!(told(&evaluate(&both, &http(A, "GET", "/a"), &context)), "deny CUSTOM");
    assert_eq!(told(&evaluate(&both, &http(A, "GET", "/c"), &context)), "allow no-allow-policy");
    let mut switched = context.clone();
    switched.semantics.multiple_custom_providers = true;
    assert_eq!(told(&evaluate(&both, &http(A, "GET", "/a"), &switched)), "allow no-allow-policy");
    let same = custom("c", "one", "/a") + "---\n" + &custom("d", "one", "/b");
    assert_eq!(told(&evaluate(&same, &http(A, "GET", "/a"), &context)), "allow no-allow-policy");
}

#[test]
fn custom_on_tcp() {
    let on_tcp = |kind, text: &str| {
        let context = Context { engine: Engine::EnvoyTcp, ..providers(kind, ProviderAnswer::Deny, false) };
        evaluate(text, &tcp(A), &context)
    };
    // The path is left out, so the provider is asked about every connection.
    assert_eq!(told(&on_tcp(ProviderKind::Grpc, &custom("c", "one", "/a"))), "deny CUSTOM");
    let skipped = on_tcp(ProviderKind::Http, &custom("c", "one", "/a"));
    assert_eq!(told(&skipped), "allow no-allow-policy");
    assert_eq!(skipped.trace.phases[0].policies[0].standing, Standing::Skipped);
    assert_eq!(told(&on_tcp(ProviderKind::Http, &custom("c", "three", "/a"))), "deny CUSTOM");
    // Of several providers none is asked, so that none is forgotten.
    let both = custom("c", "one", "/a") + "---\n" + &custom("d", "two", "/b");
    assert_eq!(told(&on_tcp(ProviderKind::Http, &both)), "deny CUSTOM");
}

#[test]
fn custom_runs_before_tokens() {
    let text = policy(
        "foo",
        "c",
        "{action: CUSTOM, provider: {name: one}, rules: [{when: [{key: 'request.headers[authorization]', values: ['*']}]}]}",
    );
    let request = with_header(http(A, "GET", "/"), "Authorization", "Bearer x");
    let request = with_claims(request, json!({"iss": "i", "sub": "s"}));
    let context = providers(ProviderKind::Http, ProviderAnswer::Unknown, false);
    assert_eq!(evaluate(&text, &request, &context).delegated.len(), 1);
}

#[test]
fn trials_change_nothing_and_are_told() {
    let text = dry_run("foo", "p", "{rules: [{from: [{source: {namespaces: [bar]}}]}]}")
        + "---\n"
        + &dry_run("foo", "q", "{action: DENY, rules: [{}]}");
    let evaluation = evaluate(&text, &http(A, "GET", "/"), &context(Engine::EnvoyHttp));
    assert_eq!(told(&evaluation), "allow no-allow-policy");
    assert_eq!(evaluation.dry_run.deny.unwrap().id, "ns[foo]-policy[q]-rule[0]");
    assert!(evaluation.dry_run.has_allow && evaluation.dry_run.allow.is_none());
    // No boolean: enforced.
    let text = text.replace("\"true\"", "\"yes\"");
    assert_eq!(told(&evaluate(&text, &http(A, "GET", "/"), &context(Engine::EnvoyHttp))), "deny DENY");
}

#[test]
fn refused_tokens() {
    let mut request = http(A, "OPTIONS", "/");
    request.http.as_mut().unwrap().token = Token::Refused("Jwt_is_expired".to_owned());
    let context = context(Engine::EnvoyHttp);
    let policies = Policies::spec("{rules: [{}]}");
    assert_eq!(told(&policies.evaluate(&request, &context)), "reject(401) Jwt_is_expired");
    // A CORS preflight is let through unseen.
    let preflight =
        with_header(with_header(request, "origin", "https://a"), "access-control-request-method", "PUT");
    assert_eq!(told(&policies.evaluate(&preflight, &context)), "allow ALLOW");
}

#[test]
fn tokens_that_are_forwarded_keep_their_header() {
    let policies =
        Policies::spec("{rules: [{when: [{key: 'request.headers[authorization]', values: ['Bearer *']}]}]}");
    let mut request = with_header(http(A, "GET", "/"), "Authorization", "Bearer x");
    for (forwarded, wanted) in [(true, "allow ALLOW"), (false, "deny ALLOW-none-matched")] {
        request.http.as_mut().unwrap().token = Token::Verified { claims: Default::default(), forwarded };
        assert_eq!(told(&policies.evaluate(&request, &context(Engine::EnvoyHttp))), wanted);
    }
}

#[test]
fn repeated_headers_of_old_proxies() {
    let request = with_header(with_header(http(A, "GET", "/"), "X-Tag", "v1"), "x-tag", "v2");
    let holds = |value: &str, headers| {
        let mut context = context(Engine::EnvoyHttp);
        context.semantics.headers = headers;
        let spec = format!("{{rules: [{{when: [{{key: 'request.headers[x-tag]', values: ['{value}']}}]}}]}}");
        told(&Policies::spec(&spec).evaluate(&request, &context)) == "allow ALLOW"
    };
    assert!(holds("v1", HeaderMatching::Individual) && holds("v2", HeaderMatching::Individual));
    assert!(!holds("v1,v2", HeaderMatching::Individual));
    assert!(
        !holds("v1", HeaderMatching::Joined)
            && holds("v1,v2", HeaderMatching::Joined)
            && holds("v1*", HeaderMatching::Joined)
    );
}

#[test]
fn filter_state_identities() {
    let certificate = |uris: &[&str], dns: &[&str], subject: &str| {
        Peer::Certificate(Certificate {
            uris: uris.iter().map(|uri| (*uri).to_owned()).collect(),
            dns: dns.iter().map(|name| (*name).to_owned()).collect(),
            subject: subject.to_owned(),
        })
    };
    let holds = |source: &str, peer: &Peer, identity| {
        let context = Context { identity, ..context(Engine::EnvoyHttp) };
        let request = Request { peer: peer.clone(), ..http("", "GET", "/") };
        let spec = format!("{{rules: [{{from: [{{source: {{{source}}}}}]}}]}}");
        told(&Policies::spec(&spec).evaluate(&request, &context)) == "allow ALLOW"
    };
    let (tls, state) = (IdentityFlavour::Certificate, IdentityFlavour::FilterState);
    let named = certificate(&[], &["a.example.com"], "CN=alice");
    assert!(holds("principals: ['*']", &named, tls) && !holds("principals: ['*']", &named, state));
    let two = certificate(&["spiffe://td2/ns/zzz/sa/z", "spiffe://cluster.local/ns/foo/sa/a"], &[], "");
    assert!(holds("principals: [cluster.local/ns/foo/sa/a]", &two, tls));
    assert!(!holds("principals: [cluster.local/ns/foo/sa/a]", &two, state));
    assert!(!holds("notPrincipals: [cluster.local/ns/foo/sa/a]", &two, tls));
    assert!(holds("notPrincipals: [cluster.local/ns/foo/sa/a]", &two, state));
    assert!(holds("principals: [td2/*]", &two, state) && holds("principals: ['*/sa/a']", &two, state));
    assert!(holds("namespaces: [foo]", &two, state));
    let handed = Peer::Principal(format!("spiffe://{B}"));
    assert!(holds("namespaces: [bar]", &handed, state) && holds("serviceAccounts: [bar/b]", &handed, state));
}

#[test]
fn trusted_proxies() {
    let request =
        with_header(http(A, "GET", "/"), "x-forwarded-for", "203.0.113.1, 203.0.113.2, 203.0.113.3");
    let address = |rule| {
        let mut context = context(Engine::EnvoyHttp);
        context.semantics.client_address = rule;
        let evaluation = Policies::spec("{rules: [{from: [{source: {remoteIpBlocks: [::1]}}]}]}")
            .evaluate(&request, &context);
        match &evaluation.trace.phases[0].policies[0].rules[0].verdict {
            RuleVerdict::Failed(failures) => failures[0].has[0].clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(address(ClientAddress::Forwarded(0)), "203.0.113.3");
    assert_eq!(address(ClientAddress::Forwarded(2)), "203.0.113.1");
    assert_eq!(address(ClientAddress::Forwarded(3)), "10.1.0.1");
    assert_eq!(address(ClientAddress::TrustedProxies(0)), "10.1.0.1");
    assert_eq!(address(ClientAddress::TrustedProxies(1)), "203.0.113.3");
    assert_eq!(address(ClientAddress::TrustedProxies(2)), "203.0.113.2");
}

#[test]
fn metadata_of_filters() {
    let mut request = tcp(A);
    let key = |key: &str| ("envoy.filters.network.mysql_proxy".to_owned(), key.to_owned());
    request.metadata.insert(key("db.table"), json!(["select", "insert"]));
    request.metadata.insert(key("user"), json!("root"));
    let holds = |name: &str, list: &str| {
        let key = format!("experimental.envoy.filters.network.mysql_proxy[{name}]");
        let spec = format!("{{rules: [{{when: [{{key: '{key}', {list}}}]}}]}}");
        told(&Policies::spec(&spec).evaluate(&request, &context(Engine::EnvoyTcp))) == "allow ALLOW"
    };
    assert!(holds("db.table", "values: ['[select]']") && holds("db.table", "values: ['[ins*]']"));
    assert!(!holds("db.table", "values: [select]") && !holds("user", "values: ['[root]']"));
    assert!(holds("user", "values: [root]") && holds("missing", "notValues: ['*']"));
}

#[test]
fn claims_split_at_spaces() {
    let request = with_claims(
        http(A, "GET", "/"),
        json!({"scope": "read write", "roles": "x y", "a": {"scope": "p q"}}),
    );
    let holds = |key: &str, value: &str, extra: &[&str]| {
        let mut context = context(Engine::EnvoyHttp);
        context.semantics.space_delimited_claims.extend(extra.iter().map(|name| (*name).to_owned()));
        let spec =
            format!("{{rules: [{{when: [{{key: 'request.auth.claims{key}', values: ['{value}']}}]}}]}}");
        told(&Policies::spec(&spec).evaluate(&request, &context)) == "allow ALLOW"
    };
    assert!(holds("[scope]", "write", &[]) && !holds("[scope]", "read write", &[]));
    assert!(holds("[roles]", "x y", &[]) && holds("[roles]", "y", &["roles"]));
    assert!(holds("[a][scope]", "p q", &[]));
}

#[test]
fn the_first_failing_test_is_told() {
    let text = policy(
        "foo",
        "p",
        "{rules: [{from: [{source: {namespaces: [foo]}}], to: [{operation: {paths: ['/api/*']}}, {operation: {notMethods: [GET]}}]}]}",
    );
    let evaluation = evaluate(&text, &http(A, "GET", "/v1/api?q"), &context(Engine::EnvoyHttp));
    let RuleVerdict::Failed(failures) = &evaluation.trace.phases[0].policies[0].rules[0].verdict else {
        panic!()
    };
    assert_eq!(
        (failures[0].part, failures[0].field.as_str(), failures[0].negated),
        (Part::To(0), "paths", false)
    );
    assert_eq!((failures[0].wanted[0].value.as_str(), failures[0].has[0].as_str()), ("/api/*", "/v1/api"));
    let span = failures[0].wanted[0].span;
    assert!(text[span.start as usize..span.end as usize].contains("/api/*"));
    assert_eq!(
        (failures[1].part, failures[1].field.as_str(), failures[1].negated),
        (Part::To(1), "notMethods", true)
    );
    // On TCP the rule is not there at all.
    let evaluation = evaluate(&text, &tcp(A), &context(Engine::EnvoyTcp));
    let RuleVerdict::Dropped(dropped) = &evaluation.trace.phases[0].policies[0].rules[0].verdict else {
        panic!()
    };
    assert_eq!((dropped.reason, dropped.field.as_str()), (Reason::HttpOnly, "paths"));
    // A DENY rule is, without its path.
    let evaluation =
        evaluate(&text.replace("rules:", "action: DENY, rules:"), &tcp(A), &context(Engine::EnvoyTcp));
    let rule = &evaluation.trace.phases[0].policies[0].rules[0];
    assert_eq!((&rule.verdict, rule.ignored.len()), (&RuleVerdict::Matched, 2));
}

#[test]
fn templates_that_envoy_refuses_are_noted() {
    let evaluation = Policies::spec("{rules: [{to: [{operation: {paths: ['api/{*}']}}]}]}")
        .evaluate(&http(A, "GET", "/api/x"), &context(Engine::EnvoyHttp));
    assert!(evaluation.notes[0].message.contains("api/{*}"));
}
