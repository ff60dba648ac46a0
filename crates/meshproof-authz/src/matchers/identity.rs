//! `principals`, `namespaces`, `serviceAccounts`, `trustDomains`: four views of the names of the peer.
//!
//! Rules: Istio 1.32, `security/authz/model/generator.go` and `principal.go`; Envoy, `AuthenticatedMatcher`: each name of
//! the certificate is tried, one that matches is enough.

use meshproof_grammar::namespace_pattern::NamespacePattern;
use meshproof_grammar::principal::{self, PrincipalPattern};
use meshproof_grammar::service_account::ServiceAccountRef;
use meshproof_grammar::spiffe::SCHEME;
use meshproof_grammar::trust_domain;

use super::Surroundings;
use crate::view::View;

/// Each value stands for one value per trust domain of the mesh.
pub(super) fn principals(
    values: &mut dyn Iterator<Item = &str>,
    near: Surroundings<'_>,
) -> Vec<PrincipalPattern> {
    match near.trust_domains {
        Some(known) => values
            .flat_map(|value| principal::expand(value, known))
            .map(|value| PrincipalPattern::parse(&value))
            .collect(),
        None => values.map(PrincipalPattern::parse).collect(),
    }
}

/// `*` takes names of any kind.
pub(super) fn principal(patterns: &[PrincipalPattern], view: &View<'_>) -> bool {
    view.names.iter().any(|name| patterns.iter().any(|pattern| pattern.matches_name(name)))
}

/// A star runs across slashes, and the trust domain is of no account.
pub(super) fn namespace(patterns: &[NamespacePattern], view: &View<'_>) -> bool {
    view.names.iter().any(|name| patterns.iter().any(|pattern| pattern.matches_name(name)))
}

pub(super) fn service_account(accounts: &[ServiceAccountRef], namespace: &str, view: &View<'_>) -> bool {
    view.names.iter().any(|name| accounts.iter().any(|account| account.matches_name(name, namespace)))
}

/// Read as the generator reads it: cut at the first slash, all else literal. Admission asks for more.
pub(crate) fn service_account_ref(value: &str) -> ServiceAccountRef {
    match value.split_once('/') {
        Some((namespace, name)) => {
            ServiceAccountRef { namespace: Some(namespace.to_owned()), name: name.to_owned() }
        }
        None => ServiceAccountRef { namespace: None, name: value.to_owned() },
    }
}

/// A value that equals a trust domain of the mesh stands for all of them.
pub(super) fn trust_domains(values: &mut dyn Iterator<Item = &str>, near: Surroundings<'_>) -> Vec<String> {
    let values: Vec<String> = values.map(str::to_owned).collect();
    match near.trust_domains {
        Some(known) => trust_domain::expand(&values, known),
        None => values,
    }
}

pub(super) fn trust_domain(values: &[String], view: &View<'_>) -> bool {
    view.names.iter().any(|name| values.iter().any(|value| lies_in(name, value)))
}

/// `*`: any SPIFFE name. Without star: the name starts with `spiffe://VALUE/`. Else the regular expression
/// `spiffe://A[^/]*B/.*` for `A*B`; later stars are literal.
fn lies_in(name: &str, value: &str) -> bool {
    let Some(identity) = name.strip_prefix(SCHEME) else { return false };
    if value == "*" {
        return true;
    }
    let Some((start, end)) = value.split_once('*') else {
        return identity.strip_prefix(value).is_some_and(|rest| rest.starts_with('/'));
    };
    let Some(rest) = identity.strip_prefix(start) else { return false };
    let free = rest.find('/').unwrap_or(rest.len());
    let end = format!("{end}/");
    rest.match_indices(end.as_str()).any(|(at, _)| at <= free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_domains() {
        let name = "spiffe://td1.example/ns/a/sa/b";
        assert!(
            lies_in(name, "td1.example")
                && lies_in(name, "*")
                && lies_in(name, "td1*")
                && lies_in(name, "*.example")
        );
        assert!(
            lies_in(name, "td*ple")
                && !lies_in(name, "td1")
                && lies_in(name, "*/ns")
                && !lies_in(name, "td1.*a")
        );
        assert!(!lies_in("https://td1.example/", "*"));
    }

    #[test]
    fn overlapping_ends() {
        // `aa*aa` needs four characters.
        assert!(!lies_in("spiffe://aaa/x", "aa*aa"));
        assert!(lies_in("spiffe://aaaa/x", "aa*aa"));
    }
}
