//! The values of a list against one property of a request, as Envoy tests them.
//!
//! A property that the request does not have matches nothing, so every `not` list holds for it.

pub(crate) mod http;
pub(crate) mod identity;
mod jwt;
mod metadata;
pub(crate) mod network;

use meshproof_grammar::cidr::Cidr;
use meshproof_grammar::namespace_pattern::NamespacePattern;
use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::principal::PrincipalPattern;
use meshproof_grammar::request_principal::RequestPrincipal;
use meshproof_grammar::service_account::ServiceAccountRef;

use crate::attribute::Attribute;
use crate::trace::Reason;
use crate::view::View;
use http::PathPattern;
use metadata::Datum;

/// What a test needs beside the request.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    /// The namespace of the policy, which short service account names mean.
    pub policy_namespace: &'a str,
    /// The mesh's trust domains; nothing when the engine replaces none.
    pub trust_domains: Option<&'a [String]>,
}

/// The values of one list, read; the property has to have one of them.
#[derive(Debug)]
pub(crate) enum Wanted<'a> {
    Principal(Vec<PrincipalPattern>),
    Namespace(Vec<NamespacePattern>),
    ServiceAccount(Vec<ServiceAccountRef>, &'a str),
    TrustDomain(Vec<String>),
    RequestPrincipal(Vec<RequestPrincipal>),
    Claim(Vec<String>, Vec<Pattern>),
    SourceIp(Vec<Cidr>),
    RemoteIp(Vec<Cidr>),
    DestinationIp(Vec<Cidr>),
    DestinationPort(Vec<u16>),
    Sni(Vec<Pattern>),
    Host(Vec<Pattern>),
    Method(Vec<Pattern>),
    Path(Vec<PathPattern>),
    /// The name in lower case.
    Header(String, Vec<Pattern>),
    Metadata((String, String), Vec<Datum>),
    /// Tests of the one identity that ztunnel knows.
    Workload(Vec<crate::ztunnel::Test<'a>>),
    /// No request has it.
    Nothing,
}

impl<'a> Wanted<'a> {
    /// Reads values that the engine can test.
    pub fn new(
        attribute: &Attribute,
        values: impl Iterator<Item = &'a str>,
        near: Surroundings<'a>,
    ) -> Wanted<'a> {
        let patterns = |values: &mut dyn Iterator<Item = &'a str>| values.map(Pattern::parse).collect();
        let mut values = values;
        let values = &mut values;
        match attribute {
            Attribute::Principal => Wanted::Principal(identity::principals(values, near)),
            Attribute::Namespace => Wanted::Namespace(values.map(NamespacePattern::parse).collect()),
            Attribute::ServiceAccount => {
                let accounts = values.map(identity::service_account_ref).collect();
                Wanted::ServiceAccount(accounts, near.policy_namespace)
            }
            Attribute::TrustDomain => Wanted::TrustDomain(identity::trust_domains(values, near)),
            Attribute::RequestPrincipal => {
                Wanted::RequestPrincipal(values.map(RequestPrincipal::parse).collect())
            }
            Attribute::Claim(path) => Wanted::Claim(path.clone(), patterns(values)),
            Attribute::SourceIp => Wanted::SourceIp(network::blocks(values)),
            Attribute::RemoteIp => Wanted::RemoteIp(network::blocks(values)),
            Attribute::DestinationIp => Wanted::DestinationIp(network::blocks(values)),
            Attribute::DestinationPort => Wanted::DestinationPort(network::ports(values)),
            Attribute::Sni => Wanted::Sni(patterns(values)),
            Attribute::Host => Wanted::Host(patterns(values)),
            Attribute::Method => Wanted::Method(patterns(values)),
            Attribute::Path => Wanted::Path(values.map(PathPattern::parse).collect()),
            Attribute::Header(name) => Wanted::Header(name.to_ascii_lowercase(), patterns(values)),
            Attribute::Metadata { filter, key } => {
                Wanted::Metadata((filter.clone(), key.clone()), values.map(Datum::parse).collect())
            }
            Attribute::Untranslatable(_) => Wanted::Nothing,
        }
    }

    /// Whether the request has one of the values.
    pub fn is_met(&self, view: &View<'_>) -> bool {
        match self {
            Wanted::Principal(patterns) => identity::principal(patterns, view),
            Wanted::Namespace(patterns) => identity::namespace(patterns, view),
            Wanted::ServiceAccount(accounts, namespace) => {
                identity::service_account(accounts, namespace, view)
            }
            Wanted::TrustDomain(values) => identity::trust_domain(values, view),
            Wanted::RequestPrincipal(wanted) => jwt::request_principal(wanted, view),
            Wanted::Claim(path, patterns) => jwt::claim(path, patterns, view),
            Wanted::SourceIp(blocks) => network::address(blocks, view.source),
            Wanted::RemoteIp(blocks) => network::address(blocks, view.remote),
            Wanted::DestinationIp(blocks) => network::address(blocks, view.destination),
            Wanted::DestinationPort(ports) => ports.contains(&view.port),
            Wanted::Sni(patterns) => network::sni(patterns, view),
            Wanted::Host(patterns) => http::host(patterns, view),
            Wanted::Method(patterns) => http::method(patterns, view),
            Wanted::Path(patterns) => http::path(patterns, view),
            Wanted::Header(name, patterns) => http::header(name, patterns, view),
            Wanted::Metadata(key, wanted) => metadata::metadata(key, wanted, view),
            Wanted::Workload(tests) => {
                view.workload().is_some_and(|peer| tests.iter().any(|test| test.is_met(peer)))
            }
            Wanted::Nothing => false,
        }
    }
}

pub(crate) use http::template_is_refused;

/// Whether there are values of the attribute that cannot be translated.
pub(crate) fn may_be_unusable(attribute: &Attribute) -> bool {
    matches!(
        attribute,
        Attribute::SourceIp
            | Attribute::RemoteIp
            | Attribute::DestinationIp
            | Attribute::DestinationPort
            | Attribute::Untranslatable(_)
    )
}

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
        Attribute::Header(name) => {
            let values = http.map(|http| http.header(&name.to_ascii_lowercase())).unwrap_or_default();
            values.into_iter().map(|value| value.into_owned()).collect()
        }
        Attribute::Metadata { filter, key } => metadata::texts(filter, key, view),
        Attribute::Untranslatable(_) => Vec::new(),
    }
}

/// Istio's string match. Presence is the regular expression `.+` over the whole text, and there a dot is no line break.
fn text(pattern: &Pattern, value: &str) -> bool {
    pattern.matches(value) && !(matches!(pattern, Pattern::Present) && value.contains('\n'))
}
