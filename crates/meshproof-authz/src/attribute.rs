//! What a test looks at: the fields of rules and the keys of conditions, as one list.

use meshproof_grammar::when_key::WhenKey;
use meshproof_resources::Attribute as Field;

/// A property of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Attribute {
    Principal,
    Namespace,
    ServiceAccount,
    TrustDomain,
    RequestPrincipal,
    /// A claim by its path; `aud` and `azp` for audiences and presenter.
    Claim(Vec<String>),
    SourceIp,
    RemoteIp,
    DestinationIp,
    DestinationPort,
    Sni,
    Host,
    Method,
    Path,
    Header(String),
    Metadata {
        filter: String,
        key: String,
    },
    /// A key that istiod knows by its start only and cannot translate.
    Untranslatable(String),
}

/// A condition whose key istiod does not know at all. It drops the whole rule, whatever the action (Istio 1.32,
/// `model.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownKey;

impl Attribute {
    /// The property behind a field.
    pub fn of_field(field: Field) -> Attribute {
        match field {
            Field::Principals => Attribute::Principal,
            Field::RequestPrincipals => Attribute::RequestPrincipal,
            Field::Namespaces => Attribute::Namespace,
            Field::ServiceAccounts => Attribute::ServiceAccount,
            Field::TrustDomains => Attribute::TrustDomain,
            Field::IpBlocks => Attribute::SourceIp,
            Field::RemoteIpBlocks => Attribute::RemoteIp,
            Field::Hosts => Attribute::Host,
            Field::Ports => Attribute::DestinationPort,
            Field::Methods => Attribute::Method,
            Field::Paths => Attribute::Path,
        }
    }

    /// The property behind the key of a condition. Admission refuses more keys than istiod; here counts what istiod
    /// does with a key that got in.
    ///
    /// # Errors
    /// A key that istiod does not know.
    pub fn of_key(key: &str) -> Result<Attribute, UnknownKey> {
        let Ok(read) = WhenKey::parse(key) else { return malformed(key) };
        let claim = |name: &str| Attribute::Claim(vec![name.to_owned()]);
        Ok(match read {
            WhenKey::SourceIp => Attribute::SourceIp,
            WhenKey::RemoteIp => Attribute::RemoteIp,
            WhenKey::SourceNamespace => Attribute::Namespace,
            WhenKey::SourceServiceAccount => Attribute::ServiceAccount,
            WhenKey::SourcePrincipal => Attribute::Principal,
            WhenKey::SourceTrustDomain => Attribute::TrustDomain,
            WhenKey::RequestPrincipal => Attribute::RequestPrincipal,
            WhenKey::RequestAudiences => claim("aud"),
            WhenKey::RequestPresenter => claim("azp"),
            WhenKey::RequestClaim(path) => Attribute::Claim(path),
            WhenKey::RequestHeader(name) => Attribute::Header(name),
            WhenKey::DestinationIp => Attribute::DestinationIp,
            WhenKey::DestinationPort => Attribute::DestinationPort,
            WhenKey::ConnectionSni => Attribute::Sni,
            WhenKey::EnvoyFilter { filter, key } => Attribute::Metadata { filter, key },
            WhenKey::Unusable(key) => Attribute::Untranslatable(key),
        })
    }

    /// Whether the property exists in HTTP only, so that TCP chains cannot test it.
    pub fn is_http_only(&self) -> bool {
        match self {
            Attribute::RequestPrincipal
            | Attribute::Claim(_)
            | Attribute::Host
            | Attribute::Method
            | Attribute::Path
            | Attribute::Header(_) => true,
            Attribute::Untranslatable(key) => key.starts_with("request."),
            _ => false,
        }
    }
}

/// A key whose brackets admission would refuse: istiod goes by the start of the key and fails to translate the rest.
fn malformed(key: &str) -> Result<Attribute, UnknownKey> {
    if let Some(rest) = key.strip_prefix("experimental.").filter(|rest| rest.starts_with("envoy.filters.")) {
        // The closing bracket is taken off where it stands; only the opening one is needed.
        let read = rest.strip_suffix(']').unwrap_or(rest).split_once('[');
        return Ok(match read {
            Some((filter, key)) => Attribute::Metadata { filter: filter.to_owned(), key: key.to_owned() },
            None => Attribute::Untranslatable(key.to_owned()),
        });
    }
    // Empty brackets are a name like any other.
    match key {
        "request.headers[]" => return Ok(Attribute::Header(String::new())),
        "request.auth.claims[]" => return Ok(Attribute::Claim(vec![String::new()])),
        _ => {}
    }
    let known = ["request.headers", "request.auth.claims"];
    if known.iter().any(|start| key.starts_with(start)) {
        return Ok(Attribute::Untranslatable(key.to_owned()));
    }
    Err(UnknownKey)
}

/// The name of a field, or of its `not` twin.
pub(crate) fn field_name(field: Field, negated: bool) -> &'static str {
    match (field, negated) {
        (Field::Principals, false) => "principals",
        (Field::Principals, true) => "notPrincipals",
        (Field::RequestPrincipals, false) => "requestPrincipals",
        (Field::RequestPrincipals, true) => "notRequestPrincipals",
        (Field::Namespaces, false) => "namespaces",
        (Field::Namespaces, true) => "notNamespaces",
        (Field::ServiceAccounts, false) => "serviceAccounts",
        (Field::ServiceAccounts, true) => "notServiceAccounts",
        (Field::TrustDomains, false) => "trustDomains",
        (Field::TrustDomains, true) => "notTrustDomains",
        (Field::IpBlocks, false) => "ipBlocks",
        (Field::IpBlocks, true) => "notIpBlocks",
        (Field::RemoteIpBlocks, false) => "remoteIpBlocks",
        (Field::RemoteIpBlocks, true) => "notRemoteIpBlocks",
        (Field::Hosts, false) => "hosts",
        (Field::Hosts, true) => "notHosts",
        (Field::Ports, false) => "ports",
        (Field::Ports, true) => "notPorts",
        (Field::Methods, false) => "methods",
        (Field::Methods, true) => "notMethods",
        (Field::Paths, false) => "paths",
        (Field::Paths, true) => "notPaths",
    }
}
