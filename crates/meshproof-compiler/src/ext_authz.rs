//! The filter that asks a provider.
//!
//! Rules: Istio 1.32, `security/authz/builder/extauthz.go`.

use meshproof_authz::{ProviderKind, status_name};
use meshproof_grammar::duration::Duration;
use meshproof_resources::{ExtensionProvider, Field, Text};
use serde_json::{Map, Value, json};

/// Without `timeout` istiod waits this long.
const PATIENCE: Duration = Duration { nanos: 600_000_000_000 };

const HTTP: (&str, &str, &str) = (
    "envoy.filters.http.ext_authz",
    "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
    "envoy.filters.http.rbac",
);
const TCP: (&str, &str, &str) = (
    "envoy.filters.network.ext_authz",
    "type.googleapis.com/envoy.extensions.filters.network.ext_authz.v3.ExtAuthz",
    "envoy.filters.network.rbac",
);

/// The ext_authz filter of a usable provider. On TCP chains only a gRPC provider has one.
pub(crate) fn filter(provider: &ExtensionProvider, kind: ProviderKind, is_tcp: bool) -> Value {
    let (name, type_url, rbac) = if is_tcp { TCP } else { HTTP };
    let mut config = Map::new();
    let mut set = |key: &str, value: Value| drop(config.insert(key.to_owned(), value));
    set("@type", json!(type_url));
    set("transportApiVersion", json!("V3"));
    set("filterEnabledMetadata", noted(rbac, &written(&provider.name)));
    if provider.fail_open.as_ref().is_some_and(|flag| flag.value) {
        set("failureModeAllow", json!(true));
    }
    if kind == ProviderKind::Grpc {
        set("grpcService", grpc_service(provider));
    }
    if is_tcp {
        set("statPrefix", json!("tcp."));
        return json!({ "name": name, "typedConfig": config });
    }
    if let Some(status) = status_name(&written(&provider.status_on_error)) {
        set("statusOnError", json!({ "code": status }));
    }
    if provider.clear_route_cache.as_ref().is_some_and(|flag| flag.value) {
        set("clearRouteCache", json!(true));
    }
    if let Some(body) = provider.request_body_in_check {
        let mut buffer = json!({ "maxRequestBytes": body.max_bytes });
        if body.allow_partial {
            buffer["allowPartialMessage"] = json!(true);
        }
        if body.pack_as_bytes {
            buffer["packAsBytes"] = json!(true);
        }
        set("withRequestBody", buffer);
    }
    if kind == ProviderKind::Http {
        if let Some(headers) = headers(&provider.request_headers_in_check) {
            set("allowedHeaders", headers);
        }
        set("httpService", http_service(provider));
    }
    json!({ "name": name, "typedConfig": config })
}

/// Asks only when the RBAC filter in front noted a rule of the provider.
fn noted(rbac: &str, provider: &str) -> Value {
    json!({
        "filter": rbac,
        "path": [{ "key": "istio_ext_authz_shadow_effective_policy_id" }],
        "value": { "stringMatch": { "prefix": format!("istio-ext-authz-{provider}") } },
    })
}

fn grpc_service(provider: &ExtensionProvider) -> Value {
    let envoy = json!({ "clusterName": cluster(provider), "authority": host(provider) });
    json!({ "envoyGrpc": envoy, "timeout": timeout(provider) })
}

fn http_service(provider: &ExtensionProvider) -> Value {
    let uri = format!("http://{}", host(provider));
    let mut service =
        json!({ "serverUri": { "uri": uri, "cluster": cluster(provider), "timeout": timeout(provider) } });
    let prefix = written(&provider.path_prefix);
    if !prefix.is_empty() {
        service["pathPrefix"] = json!(prefix);
    }
    let mut added: Vec<(&str, &str)> = provider
        .additional_headers_in_check
        .entries
        .iter()
        .map(|(name, value)| (&*name.value, &*value.value))
        .collect();
    added.sort_unstable();
    if !added.is_empty() {
        let header = |(name, value): &(&str, &str)| json!({ "key": name, "value": value });
        let added: Vec<Value> = added.iter().map(header).collect();
        service["authorizationRequest"] = json!({ "headersToAdd": added });
    }
    let answers = [
        ("allowedUpstreamHeaders", &provider.headers_to_upstream),
        ("allowedClientHeaders", &provider.headers_to_downstream_on_deny),
        ("allowedClientHeadersOnSuccess", &provider.headers_to_downstream_on_allow),
    ];
    for (key, list) in answers {
        if let Some(headers) = headers(list) {
            service["authorizationResponse"][key] = headers;
        }
    }
    service
}

/// Names of headers, with a star at one end.
fn headers(list: &Field<Text>) -> Option<Value> {
    let pattern = |name: &Text| match (name.value.strip_prefix('*'), name.value.strip_suffix('*')) {
        (Some(end), _) => json!({ "suffix": end, "ignoreCase": true }),
        (None, Some(start)) => json!({ "prefix": start, "ignoreCase": true }),
        (None, None) => json!({ "exact": name.value, "ignoreCase": true }),
    };
    let patterns: Vec<Value> = list.iter().map(pattern).collect();
    (!patterns.is_empty()).then(|| json!({ "patterns": patterns }))
}

/// The host of `service`, which a namespace may precede.
pub(crate) fn host(provider: &ExtensionProvider) -> String {
    let service = written(&provider.service);
    service.split_once('/').map_or(service.clone(), |(_, host)| host.to_owned())
}

fn cluster(provider: &ExtensionProvider) -> String {
    let port = provider.port.as_ref().map_or(0, |port| port.value);
    format!("outbound|{port}||{}", host(provider))
}

/// Seconds with the digits that they need, as protobuf JSON has them.
fn timeout(provider: &ExtensionProvider) -> String {
    let length = provider.timeout.as_ref().and_then(|text| Duration::parse(&text.value).ok());
    let nanos = length.unwrap_or(PATIENCE).nanos;
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    match (rest, rest % 1_000_000, rest % 1_000) {
        (0, ..) => format!("{seconds}s"),
        (_, 0, _) => format!("{seconds}.{:03}s", rest / 1_000_000),
        (_, _, 0) => format!("{seconds}.{:06}s", rest / 1_000),
        _ => format!("{seconds}.{rest:09}s"),
    }
}

fn written(text: &Option<Text>) -> String {
    text.as_ref().map(|text| text.value.clone()).unwrap_or_default()
}
