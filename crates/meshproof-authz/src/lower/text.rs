//! Single values as Envoy matchers.

use meshproof_grammar::cidr::Cidr;
use meshproof_grammar::path_template::is_template;
use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::port::Port;
use meshproof_grammar::request_principal::RequestPrincipal;
use meshproof_grammar::service_account::ServiceAccountRef;
use meshproof_grammar::spiffe::SCHEME;
use meshproof_grammar::uri_template::translate;
use serde_json::{Value, json};

const URI_TEMPLATE: &str =
    "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig";
const JWT_FILTER: &str = "envoy.filters.http.jwt_authn";

/// A regular expression over the whole text.
pub(super) fn regex(expression: &str) -> Value {
    json!({ "safeRegex": { "regex": expression } })
}

/// Any text but the empty one.
pub(super) fn anything() -> Value {
    regex(".+")
}

/// As Go's `regexp.QuoteMeta`.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

/// A string matcher of a read pattern.
fn string(pattern: &Pattern) -> Value {
    match pattern {
        Pattern::Present => anything(),
        Pattern::Suffix(text) => json!({ "suffix": text }),
        Pattern::Prefix(text) => json!({ "prefix": text }),
        Pattern::Exact(text) => json!({ "exact": text }),
    }
}

/// A string matcher; `lead` stands before everything but a lone star.
pub(super) fn pattern(value: &str, lead: &str) -> Value {
    match Pattern::parse(value) {
        Pattern::Suffix(text) if !lead.is_empty() => regex(&format!("{lead}.*{}", quote(&text))),
        Pattern::Prefix(text) => json!({ "prefix": format!("{lead}{text}") }),
        Pattern::Exact(text) => json!({ "exact": format!("{lead}{text}") }),
        other => string(&other),
    }
}

pub(super) fn header(name: &str, value: &str, ignore_case: bool) -> Value {
    let pattern = Pattern::parse(value);
    if pattern == Pattern::Present {
        return json!({ "name": name, "presentMatch": true });
    }
    let mut matcher = string(&pattern);
    if ignore_case && let Some(fields) = matcher.as_object_mut() {
        fields.insert("ignoreCase".to_owned(), json!(true));
    }
    json!({ "name": name, "stringMatch": matcher })
}

/// The address with its host bits.
pub(super) fn cidr(value: &str) -> Value {
    match Cidr::parse(value) {
        Ok(block) => {
            let bits = if block.address.is_ipv4() { 32 } else { 128 };
            json!({ "addressPrefix": block.address.to_string(), "prefixLen": block.prefix.unwrap_or(bits) })
        }
        Err(_) => Value::Null,
    }
}

pub(super) fn port(value: &str) -> Value {
    Port::parse(value).map_or(Value::Null, |port| json!(port.0))
}

pub(super) fn path(value: &str) -> Value {
    if !is_template(value) {
        return json!({ "urlPath": { "path": pattern(value, "") } });
    }
    let config = json!({ "@type": URI_TEMPLATE, "pathTemplate": translate(value) });
    json!({ "uriTemplate": { "name": "uri-template", "typedConfig": config } })
}

pub(super) fn namespace(value: &str) -> String {
    let pieces: Vec<String> = value.split('*').map(quote).collect();
    format!(".*/ns/{}/.*", pieces.join(".*"))
}

pub(super) fn service_account(account: &ServiceAccountRef, policy_namespace: &str) -> String {
    let namespace = quote(account.namespace_in(policy_namespace));
    format!("{SCHEME}.+/ns/{namespace}/(.+/|)sa/{}(/.+)?", quote(&account.name))
}

pub(super) fn trust_domain(value: &str) -> Value {
    if value == "*" {
        return json!({ "prefix": SCHEME });
    }
    match value.split_once('*') {
        None => json!({ "prefix": format!("{SCHEME}{value}/") }),
        Some((start, end)) => regex(&format!("{SCHEME}{}[^/]*{}/.*", quote(start), quote(end))),
    }
}

pub(super) fn metadata(filter: &str, path: &[&str], value: Value) -> Value {
    let path: Vec<Value> = path.iter().map(|key| json!({ "key": key })).collect();
    json!({ "metadata": { "filter": filter, "path": path, "value": value } })
}

/// Issuer and subject.
pub(super) fn request_principal(value: &str) -> Value {
    let read = RequestPrincipal::parse(value);
    let claim = |name: &str, pattern: &Pattern| {
        metadata(JWT_FILTER, &["payload", name], json!({ "stringMatch": string(pattern) }))
    };
    json!({ "andIds": { "ids": [claim("iss", &read.issuer), claim("sub", &read.subject)] } })
}

/// A claim that is a list with such a text, or such a text.
pub(super) fn claim_values(path: &[String], values: &[&str]) -> Value {
    let one = any_of(values.iter().map(|value| json!({ "stringMatch": pattern(value, "") })).collect());
    let keys: Vec<&str> = std::iter::once("payload").chain(path.iter().map(String::as_str)).collect();
    let either = json!({ "orMatch": { "valueMatchers": [{ "listMatch": { "oneOf": one } }, one] } });
    metadata(JWT_FILTER, &keys, either)
}

/// `[v]`: a list with such a text; `v`: such a text.
pub(super) fn metadata_values(values: &[&str]) -> Value {
    let one = |value: &&str| {
        let is_list = value.starts_with('[') && value.ends_with(']');
        let text = json!({ "stringMatch": pattern(if is_list { value.trim_matches(['[', ']']) } else { value }, "") });
        if is_list { json!({ "listMatch": { "oneOf": text } }) } else { text }
    };
    any_of(values.iter().map(one).collect())
}

fn any_of(mut matchers: Vec<Value>) -> Value {
    if matchers.len() == 1 { matchers.remove(0) } else { json!({ "orMatch": { "valueMatchers": matchers } }) }
}
