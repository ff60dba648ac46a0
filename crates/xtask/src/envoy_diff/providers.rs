//! External authorization: providers that say yes, say no, or do not answer.
//!
//! Those that answer are listeners of the same Envoy, which have one answer to everything. The others are sockets that do
//! not exist.

use std::path::Path;

use serde_json::{Value, json};

use super::config::TYPES;

/// One provider.
struct Provider {
    name: &'static str,
    is_http: bool,
    fail_open: bool,
    /// `allow`, `deny` or `error`.
    answer: &'static str,
}

const fn provider(name: &'static str, is_http: bool, fail_open: bool, answer: &'static str) -> Provider {
    Provider { name, is_http, fail_open, answer }
}

const PROVIDERS: [Provider; 6] = [
    provider("web-yes", true, false, "allow"),
    provider("web-no", true, false, "deny"),
    provider("web-dead", true, false, "error"),
    provider("web-open", true, true, "error"),
    provider("grpc-dead", false, false, "error"),
    provider("grpc-open", false, true, "error"),
];

/// Names that policies use; no provider has the last one.
pub(super) const NAMES: [&str; 7] =
    ["web-yes", "web-no", "web-dead", "web-open", "grpc-dead", "grpc-open", "missing"];

/// The providers in the form of the vectors.
pub(super) fn written() -> Value {
    let each = PROVIDERS.iter().map(|provider| {
        let kind = if provider.is_http { "http" } else { "grpc" };
        let written = json!({ "kind": kind, "failOpen": provider.fail_open, "answer": provider.answer });
        (provider.name.to_owned(), written)
    });
    Value::Object(each.collect())
}

/// MeshConfig with the providers, as istiod reads it.
pub(super) fn mesh_config() -> Value {
    let each = PROVIDERS.iter().map(|provider| {
        let kind = if provider.is_http { "envoyExtAuthzHttp" } else { "envoyExtAuthzGrpc" };
        let host = format!("{}.example", provider.name);
        let settings =
            json!({ "service": host, "port": 80, "failOpen": provider.fail_open, "timeout": "2s" });
        json!({ "name": provider.name, kind: settings })
    });
    let settings = json!({ "extensionProviders": each.collect::<Vec<Value>>() });
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "istio", "namespace": "istio-system" },
        "data": { "mesh": settings.to_string() },
    })
}

/// The clusters that the emitted filters name.
pub(super) fn clusters(folder: &Path) -> Vec<Value> {
    let cluster = |provider: &Provider| {
        let name = format!("outbound|80||{}.example", provider.name);
        let socket = json!({ "address": { "pipe": { "path": socket(folder, provider.answer) } } });
        let mut cluster = json!({
            "name": name,
            "loadAssignment": {
                "clusterName": name,
                "endpoints": [{ "lbEndpoints": [{ "endpoint": socket }] }],
            },
        });
        if !provider.is_http {
            cluster["typedExtensionProtocolOptions"] = json!({
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": format!("{TYPES}.upstreams.http.v3.HttpProtocolOptions"),
                    "explicitHttpConfig": { "http2ProtocolOptions": {} },
                },
            });
        }
        cluster
    };
    PROVIDERS.iter().map(cluster).collect()
}

/// The listeners that answer.
pub(super) fn listeners(folder: &Path) -> Vec<Value> {
    let listener = |(answer, status): (&str, u16)| {
        let manager = json!({
            "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "statPrefix": answer,
            // It is asked with the method of the request.
            "httpProtocolOptions": { "allowCustomMethods": true },
            "httpFilters": [{ "name": "router", "typedConfig": {
                "@type": format!("{TYPES}.filters.http.router.v3.Router") } }],
            "routeConfig": { "virtualHosts": [{ "name": "all", "domains": ["*"], "routes": [{
                "match": { "prefix": "" }, "directResponse": { "status": status } }] }] },
        });
        json!({
            "name": format!("provider-{answer}"),
            "address": { "pipe": { "path": socket(folder, answer) } },
            "filterChains": [{ "filters": [{ "name": "http", "typedConfig": manager }] }],
        })
    };
    [("allow", 200), ("deny", 403)].into_iter().map(listener).collect()
}

fn socket(folder: &Path, answer: &str) -> String {
    folder.join(answer).display().to_string()
}
