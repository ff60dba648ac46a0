//! CUSTOM policies: which filters stand in front of external authorization, and when none can.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Policies, context, dry_run, policy};
use meshproof_authz::{
    Context, Engine, LoweredCustom, Provider, ProviderAnswer, ProviderKind, lower, lower_custom,
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

fn lowered(text: &str, context: &Context) -> LoweredCustom {
    lower_custom(&Policies::read(text).list(), context)
}

fn rule_names(lowered: &LoweredCustom) -> Vec<Vec<String>> {
    let names = |filter: &serde_json::Value| {
        let config = &filter["typedConfig"];
        assert!(config.get("rules").is_none() && config["shadowRules"]["action"] == "DENY", "{config}");
        config["shadowRules"]["policies"].as_object().unwrap().keys().cloned().collect()
    };
    lowered.filters.iter().map(|custom| names(&custom.filter)).collect()
}

#[test]
fn the_policies_of_one_provider_share_a_filter_that_never_refuses() {
    let text = [custom("a", "grpc"), custom("b", "grpc"), policy("foo", "d", "{action: DENY, rules: [{}]}")];
    let found = lowered(&text.join("---\n"), &with_providers(Engine::EnvoyHttp));
    let names = ["a", "b"].map(|name| format!("istio-ext-authz-grpc-ns[foo]-policy[{name}]-rule[0]"));
    assert_eq!(rule_names(&found), [names]);
    assert_eq!((found.filters[0].provider.as_str(), found.left_out), ("grpc", vec![]));
}

#[test]
fn http_properties_widen_the_question_on_tcp_and_http_providers_are_not_asked_there() {
    let tcp = with_providers(Engine::EnvoyTcp);
    let found = lowered(&custom("a", "grpc"), &tcp);
    let rules = &found.filters[0].filter["typedConfig"]["shadowRules"]["policies"];
    let permissions = &rules["istio-ext-authz-grpc-ns[foo]-policy[a]-rule[0]"]["permissions"];
    let text = permissions.to_string();
    assert!(text.contains("destinationPort") && !text.contains("/admin"), "{text}");
    assert!(
        lowered(&custom("a", "grpc"), &with_providers(Engine::EnvoyHttp)).filters[0]
            .filter
            .to_string()
            .contains("/admin")
    );
    assert_eq!(lowered(&custom("a", "web"), &tcp), LoweredCustom { filters: vec![], left_out: vec![] });
}

#[test]
fn policies_that_no_provider_can_answer_are_told() {
    let http = with_providers(Engine::EnvoyHttp);
    let left_out = |text: &str, context: &Context| {
        let found = lowered(text, context);
        (found.filters.len(), found.left_out)
    };
    assert_eq!(left_out(&custom("a", "nobody"), &http), (0, vec![0]));
    assert_eq!(left_out(&policy("foo", "p", "{action: CUSTOM, rules: [{}]}"), &http), (0, vec![0]));
    let two = [custom("a", "web"), custom("b", "grpc")].join("---\n");
    assert_eq!(left_out(&two, &http), (0, vec![0, 1]));
    let on_trial = dry_run("foo", "p", "{action: CUSTOM, provider: {name: grpc}, rules: [{}]}");
    assert_eq!(left_out(&on_trial, &http), (0, vec![0]));

    let mut several = http.clone();
    several.semantics.multiple_custom_providers = true;
    let found = lowered(&two, &several);
    let providers: Vec<&str> = found.filters.iter().map(|custom| custom.provider.as_str()).collect();
    assert_eq!((providers, found.left_out), (vec!["grpc", "web"], vec![]));
    // The other filters do not hold them.
    assert_eq!(lower(&Policies::read(&two).list(), &several).filters, Vec::<serde_json::Value>::new());
}
