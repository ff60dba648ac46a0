//! CUSTOM policies: which filters stand in front of external authorization, and when none can.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Policies, context, dry_run, policy};
use meshproof_authz::{
    Context, CustomFilter, Engine, Provider, ProviderAnswer, ProviderKind, lower, lower_custom,
};

fn custom(name: &str, provider: &str) -> String {
    let spec = format!("{{action: CUSTOM, provider: {{name: {provider}}}, rules: [{RULE}]}}");
    policy("foo", name, &spec)
}

const RULE: &str = "{to: [{operation: {paths: [/admin], ports: ['80']}}]}";

fn with_providers(engine: Engine) -> Context {
    let mut context = context(engine);
    for (name, kind) in [("grpc", ProviderKind::Grpc), ("web", ProviderKind::Http)] {
        let provider = Provider { kind, fail_open: false, answer: ProviderAnswer::Unknown };
        context.providers.insert(name.to_owned(), provider);
    }
    context
}

fn lowered(text: &str, context: &Context) -> Vec<CustomFilter> {
    lower_custom(&Policies::read(text).list(), context)
}

/// The names of the rules in `key` of a filter.
fn names(custom: &CustomFilter, key: &str) -> Vec<String> {
    let rules = &custom.filter["typedConfig"][key];
    assert!(rules.is_null() || rules["action"] == "DENY", "{rules}");
    rules["policies"].as_object().map(|rules| rules.keys().cloned().collect()).unwrap_or_default()
}

#[test]
fn the_policies_of_one_provider_share_a_filter_that_never_refuses() {
    let text = [custom("a", "grpc"), custom("b", "grpc"), policy("foo", "d", "{action: DENY, rules: [{}]}")];
    let found = lowered(&text.join("---\n"), &with_providers(Engine::EnvoyHttp));
    let wanted = ["a", "b"].map(|name| format!("istio-ext-authz-grpc-ns[foo]-policy[{name}]-rule[0]"));
    let [only] = found.as_slice() else { panic!("{found:?}") };
    assert!(only.provider == "grpc" && only.asks);
    assert_eq!((names(only, "shadowRules"), names(only, "rules")), (wanted.to_vec(), vec![]));
    assert_eq!(only.filter["typedConfig"]["shadowRulesStatPrefix"], "istio_ext_authz_");
}

#[test]
fn http_properties_widen_the_question_on_tcp_and_http_providers_are_not_asked_there() {
    let tcp = with_providers(Engine::EnvoyTcp);
    let found = lowered(&custom("a", "grpc"), &tcp);
    let rules = &found[0].filter["typedConfig"]["shadowRules"]["policies"];
    let permissions = &rules["istio-ext-authz-grpc-ns[foo]-policy[a]-rule[0]"]["permissions"];
    let text = permissions.to_string();
    assert!(text.contains("destinationPort") && !text.contains("/admin"), "{text}");
    let http = lowered(&custom("a", "grpc"), &with_providers(Engine::EnvoyHttp));
    assert!(http[0].filter.to_string().contains("/admin"));
    assert_eq!(lowered(&custom("a", "web"), &tcp), vec![]);
}

#[test]
fn what_no_provider_can_answer_is_refused() {
    let http = with_providers(Engine::EnvoyHttp);
    let refused = |text: &str, context: &Context| {
        let found = lowered(text, context);
        assert!(found.iter().all(|custom| !custom.asks && names(custom, "shadowRules").is_empty()));
        found.iter().flat_map(|custom| names(custom, "rules")).collect::<Vec<_>>()
    };
    let bad = "-deny-due-to-bad-CUSTOM-action";
    let missing = format!("istio-ext-authz-nobody-ns[foo]-policy[a]-rule[0]{bad}");
    assert_eq!(refused(&custom("a", "nobody"), &http), [missing]);
    let unnamed = format!("istio-ext-authz-ns[foo]-policy[p]-rule[0]{bad}");
    assert_eq!(refused(&policy("foo", "p", "{action: CUSTOM, rules: [{}]}"), &http), [unnamed]);
    // Several providers, also where one of them would be forgotten.
    let two = [custom("a", "web"), custom("b", "grpc")].join("---\n");
    let both = [("grpc", "b"), ("web", "a")]
        .map(|(provider, name)| format!("istio-ext-authz-{provider}-ns[foo]-policy[{name}]-rule[0]{bad}"));
    assert_eq!(refused(&two, &http), both);
    assert_eq!(refused(&two, &with_providers(Engine::EnvoyTcp)), both);
    let mut several = http.clone();
    several.semantics.multiple_custom_providers = true;
    let found = lowered(&two, &several);
    let providers: Vec<(&str, bool)> =
        found.iter().map(|custom| (custom.provider.as_str(), custom.asks)).collect();
    assert_eq!(providers, [("grpc", true), ("web", true)]);
    // The other filters do not hold them.
    assert_eq!(lower(&Policies::read(&two).list(), &several).filters, Vec::<serde_json::Value>::new());
}

#[test]
fn on_trial_a_policy_refuses_unless_its_provider_is_missing() {
    let http = with_providers(Engine::EnvoyHttp);
    let on_trial = |provider: &str| {
        dry_run("foo", "p", &format!("{{action: CUSTOM, provider: {{name: {provider}}}, rules: [{{}}]}}"))
    };
    let found = lowered(&on_trial("grpc"), &http);
    assert_eq!(names(&found[0], "rules"), ["istio-ext-authz-grpc-ns[foo]-policy[p]-rule[0]"]);
    assert!(found[0].asks && names(&found[0], "shadowRules").is_empty());
    let found = lowered(&on_trial("nobody"), &http);
    assert!(!found[0].asks && names(&found[0], "rules").is_empty());
}
