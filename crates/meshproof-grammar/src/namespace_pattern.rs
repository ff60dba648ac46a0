//! Values of `namespaces` and `source.namespace`.
//!
//! Envoy and ztunnel disagree. Envoy: the whole peer name has to match `.*/ns/VALUE/.*`, where every star of the value
//! becomes `.*` and may run across slashes (Istio 1.32, `pilot/pkg/security/authz/model/generator.go`). ztunnel: the
//! namespace alone is tested with an ordinary match pattern (`serviceregistry/ambient/authorization.go`).

use std::fmt;

use crate::pattern::Pattern;

/// One value, as written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamespacePattern {
    /// The value.
    pub text: String,
}

impl NamespacePattern {
    /// Reads a value. Every string is one.
    pub fn parse(text: &str) -> NamespacePattern {
        NamespacePattern { text: text.to_owned() }
    }

    /// Envoy: whether a name of the peer certificate (with its scheme) matches.
    pub fn matches_name(&self, name: &str) -> bool {
        if self.has_wildcard() {
            return glob(&format!("*/ns/{}/*", self.text), name);
        }
        let rests = name.match_indices('/').map(|(slash, _)| &name[slash..]);
        let mut behind = rests.filter_map(|rest| rest.strip_prefix("/ns/")?.strip_prefix(self.text.as_str()));
        behind.any(|rest| rest.starts_with('/'))
    }

    /// ztunnel: whether the namespace of the peer matches.
    pub fn matches_namespace(&self, namespace: &str) -> bool {
        Pattern::parse(&self.text).matches(namespace)
    }

    /// Whether the value means more than one namespace.
    pub fn has_wildcard(&self) -> bool {
        self.text.contains('*')
    }

    /// Whether Envoy and ztunnel read the value differently for some identity: more than one star, or one inside; or a
    /// leading star before text that the `/sa` of every identity ends with, such as `*a`. (A namespace that is itself named
    /// `ns` is a further exception, for Envoy finds `/ns/` twice in its identities.)
    pub fn differs_between_engines(&self) -> bool {
        let text = self.text.as_str();
        let stars = text.matches('*').count();
        let is_simple = stars == 0 || (stars == 1 && (text.starts_with('*') || text.ends_with('*')));
        let ending = text.strip_prefix('*').unwrap_or_default();
        !is_simple || (!ending.is_empty() && "/sa".ends_with(ending))
    }
}

/// Whether the text matches, every star standing for any text. Each literal piece is taken at its first place, which is
/// enough because a star follows it; the last piece has to end the text.
fn glob(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

impl fmt::Display for NamespacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envoy(value: &str, name: &str) -> bool {
        NamespacePattern::parse(value).matches_name(name)
    }

    #[test]
    fn envoy_tests_the_whole_name() {
        assert!(envoy("foo", "spiffe://td/ns/foo/sa/x"));
        assert!(!envoy("foo", "spiffe://td/ns/foobar/sa/x"));
        assert!(envoy("foo", "spiffe://td/ns/ns/foo/x"), "two places may overlap");
        assert!(envoy("*", "spiffe://td/ns/foo/sa/x"));
        assert!(envoy("f*o*", "spiffe://td/ns/foo/sa/x"));
        assert!(envoy("*a", "spiffe://td/ns/foo/sa/x"), "the star runs up to `/sa`");
        assert!(!envoy("*b", "spiffe://td/ns/foo/sa/x"));
        assert!(!envoy("*", "client.example"));
    }

    #[test]
    fn engines_differ() {
        let differs = |text: &str| NamespacePattern::parse(text).differs_between_engines();
        assert!(differs("a*b") && differs("*a*") && differs("*a") && differs("**"));
        assert!(!differs("prod*") && !differs("*-prod") && !differs("*") && !differs("prod"));
        assert!(!NamespacePattern::parse("*a").matches_namespace("foo"));
    }

    #[test]
    fn globs() {
        assert!(glob("a*b", "ab") && glob("a*b", "axb") && !glob("a*b", "a"));
        assert!(glob("", "") && !glob("", "a") && glob("**", ""));
        assert!(!glob("ab*ba", "aba"));
    }
}
