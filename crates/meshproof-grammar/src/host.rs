//! Host names of DestinationRule, ServiceEntry, VirtualService, Gateway and Sidecar.
//!
//! Rules: Istio 1.32, `pkg/config/validation` (`ValidateWildcardDomain`, Gateway and Sidecar hosts),
//! `pkg/config/host/name.go` (matching), `pilot/pkg/model/config.go` (`ResolveShortnameToFQDN`).

use std::fmt;
use std::net::IpAddr;

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::combinator::{eof, peek, value};
use nom::sequence::terminated;

use crate::dns::{check_any_case_label, check_label};
use crate::error::ParseError;
use crate::text::{pieces, shown};

/// The longest host name.
const MAX: usize = 255;
/// The longest first label, its wildcard included.
const LABEL_MAX: usize = 63;

/// A host name, possibly with a leading wildcard.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// `*`.
    Any,
    /// `*x`: every name that ends with `x`, such as `.example.com` or `-canary.example.com`.
    Wildcard(String),
    /// One name.
    Name(String),
    /// One address; only [`ScopedHost::parse_gateway`] gives it.
    Address(IpAddr),
}

/// The part before the slash in a `Gateway` or `Sidecar` host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostScope {
    /// `*`: every namespace.
    Any,
    /// `.`: the namespace of the object.
    Own,
    /// `~`: no namespace (Sidecar only).
    None,
    /// A namespace by name.
    Namespace(String),
}

/// `namespace/host`, or a bare host at a Gateway.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopedHost {
    /// The namespaces whose services are meant; a Gateway host without one means every namespace.
    pub scope: Option<HostScope>,
    /// The host.
    pub host: Host,
}

fn wildcard(input: &str) -> nom::IResult<&str, ()> {
    let ending = peek(alt((eof, tag("-"), tag("."))));
    value((), terminated(tag("*"), ending)).parse(input)
}

impl Host {
    /// Reads a DNS name whose first label may be `*` or start with `*-`.
    ///
    /// # Errors
    /// Empty, longer than 255, a label with other characters than letters, digits and inner hyphens, a wildcard anywhere
    /// else, or a top-level label of digits only (which is why addresses are refused).
    pub fn parse(text: &str) -> Result<Host, ParseError> {
        if text.is_empty() {
            return Err(ParseError::new(0..0, "a host must not be empty"));
        }
        if text.len() > MAX {
            return Err(ParseError::new(0..text.len(), format!("a host may have at most {MAX} characters")));
        }
        let labels: Vec<(usize, &str)> = pieces(text, '.').collect();
        let mut is_wildcard = false;
        for (index, (at, label)) in labels.iter().enumerate() {
            if index == 0 {
                is_wildcard = check_first(label)?;
            } else if index + 1 < labels.len() || !label.is_empty() {
                check_host_label(label, false).map_err(|error| error.shifted(*at))?;
            }
        }
        if let Some((at, last)) = labels.last()
            && labels.len() > 1
            && !last.is_empty()
            && last.bytes().all(|byte| byte.is_ascii_digit())
            // Istio asks whether the label reads as an integer, and a longer one does not.
            && last.parse::<i64>().is_ok()
        {
            let error =
                ParseError::new(*at..text.len(), format!("the last label {} is a number", shown(last)));
            return Err(if text.parse::<IpAddr>().is_ok() {
                error.with_help("an IP address cannot stand here; write a host name")
            } else {
                error
            });
        }
        Ok(match text.strip_prefix('*') {
            Some("") => Host::Any,
            Some(ending) if is_wildcard => Host::Wildcard(ending.to_owned()),
            _ => Host::Name(text.to_owned()),
        })
    }

    /// Whether some name belongs to both hosts. Case counts, as in the mesh.
    pub fn overlaps(&self, other: &Host) -> bool {
        match (self.ending(), other.ending()) {
            (Some(own), Some(their)) => own.ends_with(their) || their.ends_with(own),
            _ => self.is_within(other) || other.is_within(self),
        }
    }

    /// Whether every name of this host belongs to the other.
    pub fn is_within(&self, other: &Host) -> bool {
        match (self.ending(), other.ending()) {
            (Some(own), Some(their)) => own.ends_with(their),
            (Some(_), None) => false,
            (None, Some(their)) => self.to_string().ends_with(their),
            (None, None) => self == other,
        }
    }

    /// Whether the name (a full one, without wildcard) belongs to this host.
    pub fn covers(&self, name: &str) -> bool {
        match (self, self.ending()) {
            (_, Some(ending)) => name.ends_with(ending),
            (Host::Name(own), None) => own == name,
            (own, None) => own.to_string() == name,
        }
    }

    /// The text after the star of a wildcard host.
    fn ending(&self) -> Option<&str> {
        match self {
            Host::Any => Some(""),
            Host::Wildcard(ending) => Some(ending),
            Host::Name(_) | Host::Address(_) => None,
        }
    }

    /// Whether the host has a wildcard.
    pub fn is_wildcard(&self) -> bool {
        self.ending().is_some()
    }
}

/// Checks the first label; tells whether it is a wildcard.
fn check_first(label: &str) -> Result<bool, ParseError> {
    if label.len() > LABEL_MAX {
        let message = format!("the first label has {} characters, {LABEL_MAX} are allowed", label.len());
        return Err(ParseError::new(0..label.len(), message));
    }
    match wildcard(label) {
        Ok(("", ())) => Ok(true),
        Ok((rest, ())) => {
            let name = rest.strip_prefix('-').unwrap_or(rest);
            if name.is_empty() {
                return Err(ParseError::new(2..2, "the label after `*-` is missing"));
            }
            check_host_label(name, true).map_err(|error| error.shifted(label.len() - name.len()))?;
            Ok(true)
        }
        // `*foo` is admitted too: the star and the label need no hyphen between them.
        Err(_) => match label.strip_prefix('*') {
            Some(name) => check_host_label(name, true).map(|()| true).map_err(|error| error.shifted(1)),
            None => check_host_label(label, true).map(|()| false),
        },
    }
}

fn check_host_label(label: &str, first: bool) -> Result<(), ParseError> {
    check_any_case_label(label).map_err(|error| {
        let bad = label[error.at.start..].chars().next();
        match bad {
            Some('*') if first => error.with_help("a wildcard may only be the first character of a host"),
            Some('*') => error.with_help("a wildcard may only stand in the first label of a host"),
            Some(':') => error.with_help("write the host without a port"),
            Some('/') => error.with_help("write the host without a namespace"),
            None if label.is_empty() => {
                ParseError { message: "a label between the dots is empty".to_owned(), ..error }
            }
            _ => error,
        }
    })
}

/// The full name of a host written in a rule of the given namespace: a name without dots belongs to that namespace, any
/// other text (names with dots, wildcards, addresses) is taken as it stands.
pub fn resolve(host: &str, namespace: &str, cluster_domain: &str) -> String {
    if host.contains('.') || host.starts_with('*') || host.parse::<IpAddr>().is_ok() {
        return host.to_owned();
    }
    format!("{host}.{namespace}.svc.{cluster_domain}")
}

/// The full name of a Kubernetes Service.
pub fn service_fqdn(name: &str, namespace: &str, cluster_domain: &str) -> String {
    format!("{name}.{namespace}.svc.{cluster_domain}")
}

/// A host such as `reviews.prod` that looks like a short name but is taken as a full one, and so reaches no Service.
/// Gives the full name that was probably meant.
pub fn half_qualified(host: &str, cluster_domain: &str) -> Option<String> {
    let labels: Vec<&str> = host.split('.').collect();
    match labels.as_slice() {
        [name, namespace] | [name, namespace, "svc"] if !name.starts_with('*') => {
            Some(service_fqdn(name, namespace, cluster_domain))
        }
        _ => None,
    }
}

impl ScopedHost {
    /// Reads a host of a `Gateway` server: `host`, `namespace/host`, `./host` or `*/host`.
    ///
    /// # Errors
    /// A bad namespace, a name without dots, or a host that is neither a (wildcard) name nor an address.
    pub fn parse_gateway(text: &str) -> Result<ScopedHost, ParseError> {
        match text.split_once('/') {
            None => Ok(ScopedHost { scope: None, host: gateway_name(text)? }),
            Some((before, host)) => {
                let scope = scope(before, false)?;
                let host = gateway_name(host).map_err(|error| error.shifted(before.len() + 1))?;
                Ok(ScopedHost { scope: Some(scope), host })
            }
        }
    }

    /// Reads a host of `Sidecar` egress: `namespace/host` with `.`, `*` or `~` as namespace.
    ///
    /// # Errors
    /// A missing or bad namespace, a name without dots, a host that is no (wildcard) name, or `~` with a host.
    pub fn parse_sidecar(text: &str) -> Result<ScopedHost, ParseError> {
        let Some((before, name)) = text.split_once('/') else {
            return Err(ParseError::new(0..0, format!("the namespace is missing before {}", shown(text)))
                .with_help(format!("write `*/{text}` for every namespace or `./{text}` for this one")));
        };
        let scope = scope(before, true)?;
        let start = before.len() + 1;
        let host = full_name(name).and_then(|()| Host::parse(name)).map_err(|error| error.shifted(start))?;
        if scope == HostScope::None && host != Host::Any {
            return Err(ParseError::new(
                start..text.len(),
                "`~` means no namespace, so the host must be `*`",
            ));
        }
        Ok(ScopedHost { scope: Some(scope), host })
    }
}

fn scope(text: &str, sidecar: bool) -> Result<HostScope, ParseError> {
    match text {
        "" => Err(ParseError::new(0..0, "the namespace before `/` is empty")),
        "*" => Ok(HostScope::Any),
        "." => Ok(HostScope::Own),
        "~" if sidecar => Ok(HostScope::None),
        name => {
            check_label(name).map_err(|error| error.with_help("write a namespace, `.` or `*` before `/`"))?;
            Ok(HostScope::Namespace(name.to_owned()))
        }
    }
}

fn gateway_name(text: &str) -> Result<Host, ParseError> {
    full_name(text)?;
    match (Host::parse(text), text.parse::<IpAddr>()) {
        (Ok(host), _) => Ok(host),
        (Err(_), Ok(address)) => Ok(Host::Address(address)),
        (Err(error), Err(_)) => Err(error),
    }
}

fn full_name(text: &str) -> Result<(), ParseError> {
    if text == "*" || text.contains('.') {
        return Ok(());
    }
    let message = if text.is_empty() {
        "the host is empty".to_owned()
    } else {
        format!("{} is a short name, which is not allowed here", shown(text))
    };
    Err(ParseError::new(0..text.len(), message).with_help("write the full name, with dots, or `*`"))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Any => f.write_str("*"),
            Host::Wildcard(ending) => write!(f, "*{ending}"),
            Host::Name(name) => f.write_str(name),
            Host::Address(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for HostScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HostScope::Any => "*",
            HostScope::Own => ".",
            HostScope::None => "~",
            HostScope::Namespace(name) => name,
        })
    }
}

impl fmt::Display for ScopedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Some(scope) => write!(f, "{scope}/{}", self.host),
            None => self.host.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        Host::parse(text).unwrap()
    }

    #[test]
    fn resolution_is_relative_to_the_rule() {
        assert_eq!(resolve("reviews", "prod", "cluster.local"), "reviews.prod.svc.cluster.local");
        assert_eq!(resolve("reviews.prod", "x", "cluster.local"), "reviews.prod");
        assert_eq!(resolve("*", "x", "cluster.local"), "*");
        assert_eq!(resolve("::1", "x", "cluster.local"), "::1");
        let meant = half_qualified("reviews.prod", "cluster.local");
        assert_eq!(meant.as_deref(), Some("reviews.prod.svc.cluster.local"));
        assert_eq!(half_qualified("a.b.svc.cluster.local", "cluster.local"), None);
    }

    #[test]
    fn wildcards() {
        assert!(host("*.foo.com").covers("a.foo.com"));
        assert!(!host("*.foo.com").covers("foo.com"));
        assert!(host("*foo.com").covers("barfoo.com"));
        assert!(host("*").overlaps(&host("*.com")));
        assert!(host("*.foo.com").is_within(&host("*.com")));
        assert!(!host("*.com").is_within(&host("*.foo.com")));
        assert!(!host("*.com").overlaps(&host("*.org")));
        assert!(host("foo.com").overlaps(&host("*.com")));
    }

    #[test]
    fn errors() {
        let at = |text: &str| Host::parse(text).unwrap_err().at;
        assert_eq!(at("a.*.com"), 2..3);
        assert_eq!(at("*x*"), 2..3);
        assert_eq!(at("10.0.0.1"), 7..8);
        assert_eq!(at("x:80"), 1..2);
        assert_eq!(at("a..b"), 2..2);
        assert_eq!(at("**"), 1..2);
        assert_eq!(at("*-"), 2..2);
        assert!(Host::parse("example.com.").is_ok());
        assert!(Host::parse("*-canary.example.com").is_ok());
    }

    #[test]
    fn scoped_hosts() {
        let gateway = |text: &str| ScopedHost::parse_gateway(text);
        assert_eq!(gateway("prod/*.example.com").unwrap().scope, Some(HostScope::Namespace("prod".into())));
        assert_eq!(gateway("*").unwrap().scope, None);
        assert_eq!(gateway("10.0.0.1").unwrap().host, Host::Address("10.0.0.1".parse().unwrap()));
        assert_eq!(gateway("a/short").unwrap_err().at, 2..7);
        assert_eq!(gateway("~/*").unwrap_err().at, 0..1);
        assert_eq!(ScopedHost::parse_sidecar("~/*").unwrap().scope, Some(HostScope::None));
        assert!(ScopedHost::parse_sidecar("~/a.b").is_err());
        assert!(ScopedHost::parse_sidecar("*.example.com").is_err());
    }
}
