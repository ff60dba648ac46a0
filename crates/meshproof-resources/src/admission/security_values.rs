//! Values in the lists of AuthorizationPolicy (Istio 1.32, `pkg/config/security/security.go`).

use meshproof_yaml::NodeRef;

use super::issue::Collector;
use super::view;
use crate::schema::values::{parse_address, parse_prefix, parse_unsigned};
use crate::schema::{Path, closest, shown};

/// What the values of a list must be. None may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// Any string.
    Any,
    /// IP addresses or CIDR blocks.
    Addresses,
    /// Port numbers.
    Ports,
    /// Paths, with or without `{*}` and `{**}`.
    Paths,
    /// `account` or `namespace/account`.
    ServiceAccounts,
    /// Trust domains, with a star at one end at most.
    TrustDomains,
    /// Strings with a star at one end at most.
    Wildcards,
}

/// Checks every value of a list.
pub(super) fn check(collector: &mut Collector, kind: Values, list: NodeRef<'_>, path: &Path<'_>) {
    for (index, node) in list.items().enumerate() {
        let value = view::text(node);
        let problem = match kind {
            _ if value.is_empty() => Some("an empty value matches nothing and is not allowed".to_owned()),
            Values::Any => None,
            Values::Addresses => address(value),
            Values::Ports => port(value),
            Values::Paths => path_template(value),
            Values::ServiceAccounts => service_account(value),
            Values::TrustDomains => trust_domain(value),
            Values::Wildcards => wildcard(value),
        };
        if let Some(message) = problem {
            collector.refuse(&path.item(index), node, message);
        }
        if kind == Values::ServiceAccounts && index == 16 {
            collector.refuse(path, list, "a list of service accounts can have 16 values at most");
        }
    }
}

/// `ValidateIPs`.
fn address(value: &str) -> Option<String> {
    if value.contains('/') {
        parse_prefix(value)
            .is_none()
            .then(|| format!("{} is no address block such as 10.0.0.0/8", shown(value)))
    } else {
        parse_address(value).is_none().then(|| format!("{} is no IP address", shown(value)))
    }
}

/// `ValidatePorts`.
fn port(value: &str) -> Option<String> {
    parse_unsigned(value, 65535).is_none().then(|| {
        format!("{} is no port: write one number from 0 to 65535, without `*` or ranges", shown(value))
    })
}

/// `CheckServiceAccount`.
fn service_account(value: &str) -> Option<String> {
    if value.contains('*') {
        return Some(format!("{}: service accounts are matched whole, without `*`", shown(value)));
    }
    if value.len() > 320 {
        return Some("a service account can have 320 characters at most".to_owned());
    }
    let good = match value.split_once('/') {
        Some((namespace, account)) => !namespace.is_empty() && !account.is_empty() && !account.contains('/'),
        None => true,
    };
    (!good).then(|| format!("{}: write `account` or `namespace/account`", shown(value)))
}

/// `CheckTrustDomainValues`.
fn trust_domain(value: &str) -> Option<String> {
    wildcard(value).or_else(|| {
        value.contains('/').then(|| format!("{}: a trust domain has no slash, only its name", shown(value)))
    })
}

/// `CheckWildcardValues`.
fn wildcard(value: &str) -> Option<String> {
    match value.matches('*').count() {
        0 => None,
        1 if value.starts_with('*') || value.ends_with('*') => None,
        1 => Some(format!("{}: `*` can only stand at the start or at the end", shown(value))),
        _ => Some(format!("{} has more than one `*`", shown(value))),
    }
}

/// `CheckValidPathTemplate`.
pub(super) fn path_template(value: &str) -> Option<String> {
    let has_template = value.contains("{*}") || value.contains("{**}");
    let mut after_rest = false;
    for segment in value.trim_matches('/').split('/') {
        match segment {
            "{*}" | "{**}" if after_rest => {
                return Some(format!("{}: nothing can follow `{{**}}` but plain segments", shown(value)));
            }
            "{*}" => {}
            "{**}" => after_rest = true,
            _ if segment.contains(['{', '}']) => {
                return Some(format!(
                    "{}: braces stand for whole segments, `{{*}}` for one and `{{**}}` for the rest",
                    shown(value)
                ));
            }
            _ if has_template && !is_literal(segment) => {
                return Some(format!(
                    "{}: beside a template the segment {} must be a plain name, without `*`",
                    shown(value),
                    shown(segment)
                ));
            }
            _ => {}
        }
    }
    None
}

fn is_literal(segment: &str) -> bool {
    !segment.is_empty()
        && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=".contains(&byte))
}

/// Why the key of a condition is refused.
pub(super) struct BadKey {
    pub message: String,
    pub help: String,
}

const KEYS: [&str; 15] = [
    "request.headers[x-name]",
    "source.ip",
    "remote.ip",
    "source.namespace",
    "source.serviceAccount",
    "source.principal",
    "source.trustDomain",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "request.auth.claims[name]",
    "destination.ip",
    "destination.port",
    "connection.sni",
    "experimental.envoy.filters.network[name]",
];

/// What the values of a condition must be, by its key (`ValidateAttribute`).
pub(super) fn of_attribute(key: &str) -> Result<Values, BadKey> {
    Ok(match key {
        "source.ip" | "remote.ip" | "destination.ip" => Values::Addresses,
        "destination.port" => Values::Ports,
        "source.serviceAccount" => Values::ServiceAccounts,
        "source.trustDomain" => Values::Wildcards,
        "source.namespace"
        | "source.principal"
        | "request.auth.principal"
        | "request.auth.audiences"
        | "request.auth.presenter"
        | "connection.sni" => Values::Any,
        _ if ["request.headers", "request.auth.claims", "experimental.envoy.filters."]
            .iter()
            .any(|prefix| key.starts_with(prefix)) =>
        {
            bracketed(key)?;
            Values::Any
        }
        _ => return Err(unknown(key)),
    })
}

/// `validateMapKey`: something in brackets at the end.
fn bracketed(key: &str) -> Result<(), BadKey> {
    if key.ends_with(']') && key.find('[').is_some_and(|open| open > 0 && open + 2 < key.len()) {
        return Ok(());
    }
    Err(BadKey {
        message: format!("the key `{key}` lacks the name in brackets"),
        help: "write it as `request.headers[x-name]` or `request.auth.claims[name]`, without quotes"
            .to_owned(),
    })
}

fn unknown(key: &str) -> BadKey {
    let message = format!("there is no attribute `{key}`");
    let help = match key {
        "destination.namespace" => "a policy applies to the namespace of its own metadata".to_owned(),
        "destination.name" | "destination.user" => {
            "choose the workload with the policy's selector".to_owned()
        }
        _ if key.starts_with("destination.labels") => {
            "choose the workload with the policy's selector".to_owned()
        }
        _ => match closest(key, KEYS.into_iter()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("attributes are {}", KEYS.join(", ")),
        },
    };
    BadKey { message, help }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        for good in ["/a", "/a/*", "*", "/{*}/a", "/a/{**}", "/{**}/a", "{*}", "/a//b", "/a b"] {
            assert_eq!(path_template(good), None, "{good}");
        }
        for bad in ["/{foo}", "/a{*}", "/{**}/{*}", "/{**}/{**}", "/{*}/*", "/{*}//b", "/{*}/a b", "{", "}/a"]
        {
            assert!(path_template(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn keys_of_conditions() {
        for good in ["request.headers[x]", "request.auth.claims[a][b]", "request.headersX[a]", "source.ip"] {
            assert!(of_attribute(good).is_ok(), "{good}");
        }
        for bad in [
            "request.headers",
            "request.headers[]",
            "source.serviceaccount",
            "x",
            "experimental.envoy.filters.a",
        ] {
            assert!(of_attribute(bad).is_err(), "{bad}");
        }
    }
}
