//! One value against one property of a request, as Envoy tests it.
//!
//! A property that the request does not have matches nothing, so every `not` list holds for it.

pub(crate) mod http;
pub(crate) mod identity;
mod jwt;
mod metadata;
pub(crate) mod network;

use meshproof_grammar::pattern::Pattern;

use crate::attribute::Attribute;
use crate::trace::Reason;
use crate::view::View;

/// What a test needs beside the request.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    /// The namespace of the policy, which short service account names mean.
    pub policy_namespace: &'a str,
    /// The mesh's trust domains; nothing when the engine replaces none.
    pub trust_domains: Option<&'a [String]>,
}

/// Whether the property has the value.
pub(crate) fn matches(attribute: &Attribute, value: &str, view: &View<'_>, near: Surroundings<'_>) -> bool {
    match attribute {
        Attribute::Principal => identity::principal(value, view, near),
        Attribute::Namespace => identity::namespace(value, view),
        Attribute::ServiceAccount => identity::service_account(value, view, near),
        Attribute::TrustDomain => identity::trust_domain(value, view, near),
        Attribute::RequestPrincipal => jwt::request_principal(value, view),
        Attribute::Claim(path) => jwt::claim(path, value, view),
        Attribute::SourceIp => network::address(value, view.source),
        Attribute::RemoteIp => network::address(value, view.remote),
        Attribute::DestinationIp => network::address(value, view.destination),
        Attribute::DestinationPort => network::port(value, view.port),
        Attribute::Sni => network::sni(value, view),
        Attribute::Host => http::host(value, view),
        Attribute::Method => http::method(value, view),
        Attribute::Path => http::path(value, view),
        Attribute::Header(name) => http::header(name, value, view),
        Attribute::Metadata { filter, key } => metadata::metadata(filter, key, value, view),
        Attribute::Untranslatable(_) => false,
    }
}

pub(crate) use http::template_is_refused;

/// Why a value cannot be translated, if so.
pub(crate) fn unusable(attribute: &Attribute, value: &str) -> Option<Reason> {
    match attribute {
        Attribute::SourceIp | Attribute::RemoteIp | Attribute::DestinationIp => network::bad_address(value),
        Attribute::DestinationPort => network::bad_port(value),
        Attribute::Untranslatable(_) => Some(Reason::UntranslatableKey),
        _ => None,
    }
}

/// What the request has, for the trace.
pub(crate) fn has(attribute: &Attribute, view: &View<'_>) -> Vec<String> {
    let http = view.http.as_ref();
    let one = |value: Option<&str>| value.map(str::to_owned).into_iter().collect();
    match attribute {
        Attribute::Principal | Attribute::Namespace | Attribute::ServiceAccount | Attribute::TrustDomain => {
            view.names.clone()
        }
        Attribute::RequestPrincipal => jwt::shown_principal(view),
        Attribute::Claim(path) => http.and_then(|http| http.claim(path)).unwrap_or_default(),
        Attribute::SourceIp => vec![view.source.to_string()],
        Attribute::RemoteIp => vec![view.remote.to_string()],
        Attribute::DestinationIp => vec![view.destination.to_string()],
        Attribute::DestinationPort => vec![view.port.to_string()],
        Attribute::Sni => one(view.sni.as_deref()),
        Attribute::Host => one(http.and_then(|http| http.authority.as_deref())),
        Attribute::Method => one(http.map(|http| http.method.as_str())),
        Attribute::Path => one(http.and_then(|http| http.path())),
        Attribute::Header(name) => http.map(|http| http.header(name)).unwrap_or_default(),
        Attribute::Metadata { filter, key } => metadata::texts(filter, key, view),
        Attribute::Untranslatable(_) => Vec::new(),
    }
}

/// Istio's string match. Presence is the regular expression `.+` over the whole text, and there a dot is no line break.
fn text(pattern: &Pattern, value: &str) -> bool {
    pattern.matches(value) && !(matches!(pattern, Pattern::Present) && value.contains('\n'))
}
