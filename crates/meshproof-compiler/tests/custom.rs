//! External authorization: the filter that asks, where it stands, and what stands there when nobody can be asked.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{custom, filters, only, providers, shop};
use serde_json::{Value, json};

const WEB: &str = "- name: web
  envoyExtAuthzHttp:
    service: auth/authz.auth.svc.cluster.local
    port: 8000
    failOpen: true
    statusOnError: '503'
    pathPrefix: /check
    timeout: 1.5s
    clearRouteCache: true
    includeRequestHeadersInCheck: [cookie, x-b3-*, '*-token']
    includeAdditionalHeadersInCheck: {x-two: b, x-one: a}
    includeRequestBodyInCheck: {maxRequestBytes: 4096, allowPartialMessage: true, packAsBytes: true}
    headersToUpstreamOnAllow: [x-user]
    headersToDownstreamOnAllow: [set-cookie]
    headersToDownstreamOnDeny: [x-why]
";
const GRPC: &str = "- name: grpc\n  envoyExtAuthzGrpc: {service: authz.auth.svc.cluster.local, port: 9000}\n";

fn noted(rbac: &str, provider: &str) -> Value {
    json!({
        "filter": rbac,
        "path": [{ "key": "istio_ext_authz_shadow_effective_policy_id" }],
        "value": { "stringMatch": { "prefix": format!("istio-ext-authz-{provider}") } },
    })
}

#[test]
fn an_http_provider_has_a_filter_with_all_its_settings() {
    let (proxy, written) = only(&shop(&[&custom("c", "web"), &providers(WEB)]));
    assert!(proxy.doubts.is_empty(), "{:?}", proxy.doubts);
    let [rbac, asks] = filters(&written, "http") else { panic!("{written}") };
    let rules = rbac["typedConfig"]["shadowRules"]["policies"].as_object().unwrap();
    assert!(rules.contains_key("istio-ext-authz-web-ns[shop]-policy[c]-rule[0]"), "{rules:?}");
    let ignoring_case = |how: &str, text: &str| json!({ how: text, "ignoreCase": true });
    let exact = |text: &str| json!({ "patterns": [ignoring_case("exact", text)] });
    let wanted = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "transportApiVersion": "V3",
        "failureModeAllow": true,
        "clearRouteCache": true,
        "statusOnError": { "code": "ServiceUnavailable" },
        "filterEnabledMetadata": noted("envoy.filters.http.rbac", "web"),
        "allowedHeaders": { "patterns": [
            ignoring_case("exact", "cookie"), ignoring_case("prefix", "x-b3-"), ignoring_case("suffix", "-token"),
        ] },
        "withRequestBody": { "maxRequestBytes": 4096, "allowPartialMessage": true, "packAsBytes": true },
        "httpService": {
            "serverUri": {
                "uri": "http://authz.auth.svc.cluster.local",
                "cluster": "outbound|8000||authz.auth.svc.cluster.local",
                "timeout": "1.500s",
            },
            "pathPrefix": "/check",
            "authorizationRequest": { "headersToAdd": [
                { "key": "x-one", "value": "a" }, { "key": "x-two", "value": "b" },
            ] },
            "authorizationResponse": {
                "allowedUpstreamHeaders": exact("x-user"),
                "allowedClientHeadersOnSuccess": exact("set-cookie"),
                "allowedClientHeaders": exact("x-why"),
            },
        },
    });
    assert_eq!(asks["name"], "envoy.filters.http.ext_authz");
    assert_eq!(asks["typedConfig"], wanted);
    // It cannot be asked about bytes, and istiod then forgets the policy.
    assert_eq!(filters(&written, "tcp"), [] as [Value; 0]);
}

#[test]
fn a_grpc_provider_is_asked_on_both_layers() {
    let (_, written) = only(&shop(&[&custom("c", "grpc"), &providers(GRPC)]));
    let service = json!({
        "envoyGrpc": {
            "clusterName": "outbound|9000||authz.auth.svc.cluster.local",
            "authority": "authz.auth.svc.cluster.local",
        },
        "timeout": "600s",
    });
    let [_, http] = filters(&written, "http") else { panic!("{written}") };
    assert_eq!(http["typedConfig"]["grpcService"], service);
    assert_eq!(http["typedConfig"]["statusOnError"], Value::Null);
    let [_, tcp] = filters(&written, "tcp") else { panic!("{written}") };
    let wanted = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.ext_authz.v3.ExtAuthz",
        "statPrefix": "tcp.",
        "transportApiVersion": "V3",
        "filterEnabledMetadata": noted("envoy.filters.network.rbac", "grpc"),
        "grpcService": service,
    });
    assert_eq!((&tcp["name"], &tcp["typedConfig"]), (&json!("envoy.filters.network.ext_authz"), &wanted));
}

/// The names of the rules that refuse in front.
fn refused(written: &Value) -> Vec<String> {
    let rules = filters(written, "http")
        .iter()
        .filter_map(|filter| filter["typedConfig"]["rules"]["policies"].as_object());
    rules.flat_map(|rules| rules.keys().cloned()).collect()
}

const BAD: &str = "-deny-due-to-bad-CUSTOM-action";

#[test]
fn what_cannot_be_asked_is_refused() {
    let rule = |provider: &str, policy: &str| {
        format!("istio-ext-authz-{provider}-ns[shop]-policy[{policy}]-rule[0]{BAD}")
    };
    let (proxy, written) = only(&shop(&[&custom("c", "nobody"), &providers(GRPC)]));
    assert_eq!(refused(&written), [rule("nobody", "c")]);
    assert!(proxy.doubts.is_empty(), "{:?}", proxy.doubts);
    // Two providers, and no flag for it.
    let both = format!("{GRPC}{WEB}");
    let (_, written) = only(&shop(&[&custom("c", "web"), &custom("d", "grpc"), &providers(&both)]));
    assert_eq!(refused(&written), [rule("grpc", "d"), rule("web", "c")]);
    for settings in [
        WEB.replace("port: 8000", "port: 70000"),
        WEB.replace("'503'", "'299'"),
        WEB.replace("/check", "check"),
        WEB.replace("[x-user]", "['*']"),
        WEB.replace("1.5s", "soon"),
        WEB.replace("auth/authz", "au_th/authz"),
    ] {
        let (_, written) = only(&shop(&[&custom("c", "web"), &providers(&settings)]));
        assert_eq!(refused(&written), [rule("web", "c")], "{settings}");
    }
}

#[test]
fn without_mesh_config_the_refusal_is_a_doubt() {
    let (proxy, written) = only(&shop(&[&custom("c", "grpc")]));
    assert_eq!(refused(&written).len(), 1);
    assert!(
        proxy.doubts.iter().any(|doubt| doubt.contains("no MeshConfig is in the input")),
        "{:?}",
        proxy.doubts
    );
    assert_eq!(written["doubts"].as_array().map(Vec::len), Some(1));
}

#[test]
fn tokens_are_verified_behind_custom_policies() {
    let verified = "{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: r, namespace: shop}, spec: {jwtRules: [{issuer: i, jwksUri: 'https://i/k'}]}}\n";
    let deny = "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: d, namespace: shop}, spec: {action: DENY, rules: [{}]}}\n";
    let (_, written) = only(&shop(&[&custom("c", "grpc"), &providers(GRPC), verified, deny]));
    let chain =
        |layer| written["chains"].as_array().unwrap().iter().find(|chain| chain["layer"] == layer).unwrap();
    assert_eq!((&chain("http")["jwtAuthnAt"], filters(&written, "http").len()), (&json!(2), 3));
    assert_eq!(chain("tcp")["jwtAuthnAt"], Value::Null);
}
