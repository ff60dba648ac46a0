//! Every language by the name of its files in `grammar/`, with one way to run it.

use std::fmt::{Debug, Display};

use meshproof_grammar::{
    ParseError, calico, cidr, dns, dry_run, duration, host, label_selector, namespace_pattern, path,
    path_template, pattern, port, principal, protocol, provider_name, request_principal, service_account,
    spiffe, trust_domain, uri_template, when_key,
};

/// Reads a text, checks that its printed form reads back as the same value, and gives the printed form.
pub type Run = fn(&str) -> Result<String, ParseError>;

/// A language.
pub struct Language {
    /// The name of its files.
    pub name: &'static str,
    /// What reads it.
    pub run: Run,
}

fn back_and_forth<T: Display + PartialEq + Debug>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, ParseError>,
) -> Result<String, ParseError> {
    let value = parse(text)?;
    let printed = value.to_string();
    assert_eq!(parse(&printed).as_ref(), Ok(&value), "`{text}` is printed as `{printed}`");
    Ok(printed)
}

/// For languages that accept every string: the value itself, or the reason why it does not do what it says.
fn unless<T>(value: T, problem: impl Fn(&T) -> Option<ParseError>) -> Result<T, ParseError> {
    problem(&value).map_or(Ok(value), Err)
}

fn pattern(text: &str) -> Result<pattern::Pattern, ParseError> {
    assert_eq!(pattern::Pattern::parse(text).to_string(), text);
    let oddity = |value: &pattern::Pattern| {
        value.oddity().map(|oddity| ParseError::new(oddity.at, oddity.kind.explanation()))
    };
    unless(pattern::Pattern::parse(text), oddity)
}

fn principal(text: &str) -> Result<principal::PrincipalPattern, ParseError> {
    assert_eq!(principal::PrincipalPattern::parse(text).to_string(), text);
    unless(principal::PrincipalPattern::parse(text), principal::PrincipalPattern::problem)
}

fn request_principal(text: &str) -> Result<request_principal::RequestPrincipal, ParseError> {
    unless(
        request_principal::RequestPrincipal::parse(text),
        request_principal::RequestPrincipal::never_matches,
    )
}

fn namespace(text: &str) -> Result<namespace_pattern::NamespacePattern, ParseError> {
    let differs = |value: &namespace_pattern::NamespacePattern| {
        let error = || ParseError::new(0..text.len(), "Envoy and ztunnel read this value differently");
        value.differs_between_engines().then(error)
    };
    unless(namespace_pattern::NamespacePattern::parse(text), differs)
}

fn when_key(text: &str) -> Result<when_key::WhenKey, ParseError> {
    let key = when_key::WhenKey::parse(text)?;
    assert_eq!(key.to_string(), text);
    unless(key, when_key::WhenKey::oddity)
}

macro_rules! languages {
    ($($name:literal => $parse:expr),+ $(,)?) => {
        /// All of them.
        pub const LANGUAGES: &[Language] =
            &[$(Language { name: $name, run: |text| back_and_forth(text, $parse) }),+];
    };
}

languages! {
    "calico" => calico::Expr::parse,
    "cidr" => cidr::Cidr::parse,
    "dns_label" => dns::DnsLabel::parse,
    "dns_subdomain" => dns::DnsSubdomain::parse,
    "dry_run" => dry_run::DryRun::parse,
    "duration" => duration::Duration::parse,
    "gateway_host" => host::ScopedHost::parse_gateway,
    "host" => host::Host::parse,
    "label_key" => dns::LabelKey::parse,
    "label_selector" => label_selector::LabelSelector::parse,
    "label_value" => dns::LabelValue::parse,
    "namespace" => namespace,
    "path" => path::PathPattern::parse,
    "path_template" => path_template::PathTemplate::parse,
    "pattern" => pattern,
    "port" => port::Port::parse,
    "port_list" => port::PortList::parse,
    "principal" => principal,
    "protocol" => protocol::Protocol::parse,
    "provider_name" => provider_name::ProviderName::parse,
    "request_principal" => request_principal,
    "service_account" => service_account::ServiceAccountRef::parse,
    "sidecar_host" => host::ScopedHost::parse_sidecar,
    "spiffe" => spiffe::SpiffeId::parse,
    "trust_domain" => trust_domain::TrustDomainPattern::parse,
    "uri_template" => uri_template::UriTemplate::parse,
    "when_key" => when_key,
}
