//! Trust domains: the names themselves, and the values of `trustDomains` and `source.trustDomain`.
//!
//! Rules: Istio 1.32, `pkg/config/validation` (`trustDomains` checks), `pkg/config/validation/agent`
//! (`ValidateTrustDomain`), `pilot/pkg/security/authz/model/generator.go` (the test),
//! `pilot/pkg/security/trustdomain/bundle.go` (aliases).

use std::fmt;

use crate::dns;
use crate::error::ParseError;
use crate::pattern::Pattern;
use crate::spiffe::SCHEME;
use crate::text::pieces;

/// A trust domain as MeshConfig accepts it: DNS labels with dots between, possibly a dot at the end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomain(String);

impl TrustDomain {
    /// Reads a name.
    ///
    /// # Errors
    /// An empty name, or a label with other characters than letters, digits and inner hyphens.
    pub fn parse(text: &str) -> Result<TrustDomain, ParseError> {
        if text.is_empty() {
            return Err(ParseError::new(0..0, "a trust domain must not be empty"));
        }
        for (at, label) in pieces(text, '.') {
            let ends_with_dot = at == text.len() && at > 0;
            if !ends_with_dot {
                dns::check_any_case_label(label).map_err(|error| error.shifted(at))?;
            }
        }
        Ok(TrustDomain(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One value of `trustDomains`: exact, or with one star at an end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomainPattern {
    /// The pattern over the trust domain alone.
    pub pattern: Pattern,
}

impl TrustDomainPattern {
    /// Reads a value of the field `trustDomains`.
    ///
    /// # Errors
    /// An empty value, more than one star, a star inside, or a slash.
    pub fn parse(text: &str) -> Result<TrustDomainPattern, ParseError> {
        if let Some(at) = text.find('/') {
            return Err(ParseError::new(at..at + 1, "a trust domain must not hold `/`")
                .with_help("write the trust domain alone, such as `cluster.local`"));
        }
        TrustDomainPattern::parse_condition(text)
    }

    /// Reads a value of the condition `source.trustDomain`, where istiod does not check for slashes.
    ///
    /// # Errors
    /// An empty value, more than one star, or a star inside.
    pub fn parse_condition(text: &str) -> Result<TrustDomainPattern, ParseError> {
        if text.is_empty() {
            return Err(ParseError::new(0..0, "a trust domain must not be empty"));
        }
        let mut stars = text.match_indices('*').map(|(at, _)| at);
        if let Some(first) = stars.next() {
            if let Some(second) = stars.next() {
                return Err(ParseError::new(second..second + 1, "only one `*` is allowed in a trust domain"));
            }
            if first != 0 && first + 1 != text.len() {
                return Err(ParseError::new(
                    first..first + 1,
                    "a `*` must stand first or last in a trust domain",
                ));
            }
        }
        Ok(TrustDomainPattern { pattern: Pattern::parse(text) })
    }

    /// Envoy: whether a name of the peer certificate (with its scheme) lies in a matching trust domain.
    pub fn matches_name(&self, name: &str) -> bool {
        let Some(identity) = name.strip_prefix(SCHEME) else { return false };
        match (&self.pattern, identity.split_once('/')) {
            (Pattern::Present, _) => true,
            (pattern, Some((trust_domain, _))) => pattern.matches(trust_domain),
            (_, None) => false,
        }
    }
}

impl fmt::Display for TrustDomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pattern.fmt(f)
    }
}

/// What Envoy receives for a list of `trustDomains`: a value that equals one of the mesh's trust domains stands for all
/// of them; wildcards and a foreign `cluster.local` stay as written.
pub fn expand(values: &[String], trust_domains: &[String]) -> Vec<String> {
    let mut expanded: Vec<String> = Vec::new();
    for value in values {
        let one = std::slice::from_ref(value);
        for name in if trust_domains.contains(value) { trust_domains } else { one } {
            if !expanded.contains(name) {
                expanded.push(name.clone());
            }
        }
    }
    expanded
}

/// Istio's test whether a written trust domain belongs to a known one: equal, or either is a wildcard pattern of the
/// other (`bundle.go`, `stringMatch`).
pub(crate) fn overlaps(written: &str, known: &str) -> bool {
    let fits = |text: &str, pattern: &str| {
        pattern.strip_suffix('*').is_some_and(|start| text.starts_with(start))
            || pattern.strip_prefix('*').is_some_and(|ending| text.ends_with(ending))
    };
    written == known || known == "*" || fits(written, known) || fits(known, written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert!(TrustDomain::parse("cluster.local").is_ok());
        assert!(TrustDomain::parse("cluster.local.").is_ok());
        assert!(TrustDomain::parse(".").is_err());
        assert_eq!(TrustDomain::parse("a..b").unwrap_err().at, 2..2);
        assert_eq!(TrustDomain::parse("a.b_c").unwrap_err().at, 3..4);
    }

    #[test]
    fn patterns() {
        let at = |text: &str| TrustDomainPattern::parse(text).unwrap_err().at;
        assert_eq!(at(""), 0..0);
        assert_eq!(at("**"), 1..2);
        assert_eq!(at("a*b"), 1..2);
        assert_eq!(at("td/ns"), 2..3);
        assert!(TrustDomainPattern::parse_condition("td/ns").is_ok());
        let pattern = TrustDomainPattern::parse("*.example").unwrap();
        assert!(pattern.matches_name("spiffe://a.example/ns/x/sa/y"));
        assert!(!pattern.matches_name("spiffe://a/ns/x/sa/y.example"));
        assert!(!pattern.matches_name("a.example/ns/x/sa/y"));
    }

    #[test]
    fn aliases_stand_for_all() {
        let mesh = ["td1".to_owned(), "td2".to_owned()];
        let expanded = expand(&["td2".to_owned(), "cluster.local".to_owned(), "td*".to_owned()], &mesh);
        assert_eq!(expanded, ["td1", "td2", "cluster.local", "td*"]);
    }
}
