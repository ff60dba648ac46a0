//! What Envoy is told: two listeners for every set of policies, one for HTTP and one for bytes.
//!
//! The filters are those that [`meshproof_compiler::chain_filters`] emits, untouched. In front of each stands a copy that only watches
//! (the same rules as shadow rules), because Envoy names the rule that lets a request in nowhere else once several
//! filters write under one key. Around them stands what istiod sets (Istio 1.32, `listener_builder.go`): path
//! normalization, where the client address comes from, token verification. The PROXY protocol plays the redirection of
//! a sidecar: it gives a connection any destination.

use std::path::Path;

use meshproof_authz::{Engine, Policy, context_of};
use meshproof_compiler::chain_filters;
use meshproof_grammar::uri_template::UriTemplate;
use meshproof_ir::{BuildOptions, ClusterId, Mesh};
use meshproof_resources::{Decoded, Spec};
use meshproof_source::SourceId;
use serde_json::{Value, json};

use super::{Set, failed, metadata, providers};

/// Where the types of filters live.
pub(super) const TYPES: &str = "type.googleapis.com/envoy.extensions";

/// The whole configuration. `folder` holds the certificates and takes the log.
pub(super) fn bootstrap(sets: &[Set], folder: &Path, key_set: &str) -> std::io::Result<Value> {
    let mut listeners = providers::listeners(folder);
    for (at, set) in sets.iter().enumerate() {
        for is_tcp in [false, true] {
            listeners.push(listener(&name(at, is_tcp), set, is_tcp, folder, key_set)?);
        }
    }
    Ok(json!({
        "node": { "id": "envoy-diff", "cluster": "envoy-diff" },
        "admin": { "address": loopback() },
        "staticResources": { "listeners": listeners, "clusters": providers::clusters(folder) },
    }))
}

/// The name of a listener.
pub(super) fn name(set: usize, is_tcp: bool) -> String {
    format!("{}-{set}", if is_tcp { "tcp" } else { "http" })
}

/// Any free port.
fn loopback() -> Value {
    json!({ "socketAddress": { "address": "127.0.0.1", "portValue": 0 } })
}

fn listener(name: &str, set: &Set, is_tcp: bool, folder: &Path, key_set: &str) -> std::io::Result<Value> {
    let emitted = emitted(set, is_tcp)?;
    let filters = if is_tcp {
        let mut filters = [emitted.custom, emitted.rbac].concat();
        filters.push(json!({
            "name": "echo",
            "typedConfig": { "@type": format!("{TYPES}.filters.network.echo.v3.Echo") },
        }));
        filters
    } else {
        vec![http(name, set, emitted, folder, key_set)]
    };
    let mut listener = json!({
        "name": name,
        "address": loopback(),
        "listenerFilters": [
            { "name": "proxy", "typedConfig": {
                "@type": format!("{TYPES}.filters.listener.proxy_protocol.v3.ProxyProtocol"),
                "rules": metadata::field_rules() } },
            { "name": "tls", "typedConfig": {
                "@type": format!("{TYPES}.filters.listener.tls_inspector.v3.TlsInspector") } },
        ],
        "filterChains": [
            { "filterChainMatch": { "transportProtocol": "tls" }, "filters": filters, "transportSocket": tls(folder) },
            { "filterChainMatch": { "transportProtocol": "raw_buffer" }, "filters": filters },
        ],
    });
    if is_tcp {
        listener["accessLog"] = json!([log(name, folder)]);
    }
    Ok(listener)
}

/// The emitted filters of a set, with those that watch.
struct Emitted {
    /// Those that stand before the verification of tokens.
    custom: Vec<Value>,
    /// The others, each behind its watching copy.
    rbac: Vec<Value>,
}

fn emitted(set: &Set, is_tcp: bool) -> std::io::Result<Emitted> {
    let decoded = decode(set.policies.iter().chain([&providers::mesh_config()]))?;
    let policies: Vec<Policy<'_>> = decoded
        .resources
        .iter()
        .filter_map(|resource| match &resource.spec {
            Spec::AuthorizationPolicy(spec) => Some(Policy::new(&resource.meta, spec, "foo")),
            _ => None,
        })
        .collect();
    if policies.len() != set.policies.len() {
        return Err(failed(format!("a policy cannot be read: {:?}", decoded.issues)));
    }
    let inputs = decoded.resources.iter().cloned().map(Into::into).collect();
    let mesh = Mesh::build(inputs, &BuildOptions::default());
    let engine = if is_tcp { Engine::EnvoyTcp } else { Engine::EnvoyHttp };
    let mut context = context_of(&mesh, ClusterId(0), engine);
    context.trust_domains.clone_from(&set.trust_domains);
    let chain = chain_filters(&policies, &context, &mesh.settings);
    let mut filters = chain.filters.into_iter();
    let custom = filters.by_ref().take(chain.before_tokens).collect();
    let mut rbac = Vec::new();
    for filter in filters {
        if let Some(rules) = filter["typedConfig"].get("rules") {
            let action = rules["action"].as_str().unwrap_or("ALLOW");
            let mut watching = json!({
                "@type": filter["typedConfig"]["@type"],
                "shadowRules": rules,
                "shadowRulesStatPrefix": format!("watch_{action}_"),
            });
            if is_tcp {
                watching["statPrefix"] = json!("watch.");
            }
            rbac.push(json!({ "name": filter["name"], "typedConfig": watching }));
        }
        rbac.push(filter);
    }
    Ok(Emitted { custom, rbac })
}

/// Whether we say that Envoy does not take the filters of a set: one of its path templates is none.
pub(super) fn is_refused(set: &Set) -> bool {
    emitted(set, false).is_ok_and(|emitted| emitted.custom.iter().chain(&emitted.rbac).any(has_bad_template))
}

fn has_bad_template(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_bad_template),
        Value::Object(fields) => fields.iter().any(|(key, value)| match value.as_str() {
            Some(text) => key == "pathTemplate" && UriTemplate::parse(text).is_err(),
            None => has_bad_template(value),
        }),
        _ => false,
    }
}

fn decode<'v>(objects: impl Iterator<Item = &'v Value>) -> std::io::Result<Decoded> {
    let mut decoded = Decoded::default();
    for object in objects {
        let text = object.to_string();
        let parsed = meshproof_yaml::parse(SourceId(0), &text, 0..text.len());
        let tree = parsed.tree.ok_or_else(|| failed(format!("no document: {:?}", parsed.problems)))?;
        meshproof_resources::decode(tree.root(), &mut decoded);
    }
    Ok(decoded)
}

fn http(name: &str, set: &Set, emitted: Emitted, folder: &Path, key_set: &str) -> Value {
    let mut filters = vec![metadata::filter()];
    filters.extend(emitted.custom);
    filters.push(json!({ "name": "tokens", "typedConfig": {
        "@type": format!("{TYPES}.filters.http.jwt_authn.v3.JwtAuthentication"),
        "bypassCorsPreflight": true,
        "providers": { "any": {
            "localJwks": { "inlineString": key_set },
            "payloadInMetadata": "payload",
            "normalizePayloadInMetadata": { "spaceDelimitedClaims": ["permission", "scope"] },
        } },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "requiresAny": { "requirements": [
            { "providerName": "any" }, { "allowMissing": {} },
        ] } } }],
    } }));
    filters.extend(emitted.rbac);
    filters.push(json!({ "name": "router", "typedConfig": {
        "@type": format!("{TYPES}.filters.http.router.v3.Router") } }));
    let mut manager = json!({
        "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "statPrefix": "http",
        "useRemoteAddress": set.listener == "gateway",
        // So that methods of any spelling get as far as they do over HTTP/2.
        "httpProtocolOptions": { "allowCustomMethods": true },
        "accessLog": [log(name, folder)],
        "httpFilters": filters,
        "routeConfig": { "virtualHosts": [{ "name": "all", "domains": ["*"], "routes": [{
            "match": { "safeRegex": { "regex": "(?s).*" } }, "directResponse": { "status": 200 } }] }] },
    });
    manager["normalizePath"] = json!(set.listener != "none");
    if matches!(set.listener, "merge" | "decode") {
        manager["mergeSlashes"] = json!(true);
    }
    if set.listener == "decode" {
        manager["pathWithEscapedSlashesAction"] = json!("UNESCAPE_AND_FORWARD");
    }
    json!({ "name": "http", "typedConfig": manager })
}

fn tls(folder: &Path) -> Value {
    let file = |name: &str| json!({ "filename": folder.join(name) });
    json!({ "name": "tls", "typedConfig": {
        "@type": format!("{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext"),
        "requireClientCertificate": false,
        "commonTlsContext": {
            "tlsCertificates": [{ "certificateChain": file("server.pem"), "privateKey": file("server.key") }],
            "validationContext": { "trustedCa": file("ca.pem") },
        },
    } })
}

/// One JSON line for each request, or for each connection without HTTP.
fn log(listener: &str, folder: &Path) -> Value {
    json!({ "name": "log", "typedConfig": {
        "@type": format!("{TYPES}.access_loggers.file.v3.FileAccessLog"),
        "path": folder.join("access.log"),
        "logFormat": { "jsonFormat": {
            "listener": listener,
            "client": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
            "status": "%RESPONSE_CODE%",
            "details": "%RESPONSE_CODE_DETAILS%",
            "closed": "%CONNECTION_TERMINATION_DETAILS%",
            "flags": "%RESPONSE_FLAGS%",
            "http": "%DYNAMIC_METADATA(envoy.filters.http.rbac)%",
            "tcp": "%DYNAMIC_METADATA(envoy.filters.network.rbac)%",
        } },
    } })
}
