//! The match pattern of AuthorizationPolicy strings: principals, paths, methods, hosts, headers, claims, SNI.
//!
//! Rules: Istio 1.32, `pilot/pkg/security/authz/matcher/string.go` and `header.go`. A lone star asks for presence, a
//! leading star is tested before a trailing one, and every other star is an ordinary character.

use std::fmt;
use std::ops::Range;

/// One value of a list such as `paths` or `methods`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pattern {
    /// `*`: the attribute exists (and is not empty, except for headers, methods and hosts).
    Present,
    /// `*x`: the attribute ends with `x`.
    Suffix(String),
    /// `x*`: the attribute starts with `x`.
    Prefix(String),
    /// Anything else: the attribute equals the text, stars included.
    Exact(String),
}

/// A star that does not do what it seems to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Oddity {
    /// What the star looks like.
    pub kind: OddityKind,
    /// The literal star or stars, as byte positions inside the written value.
    pub at: Range<usize>,
}

/// The ways to write a star that is taken literally.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OddityKind {
    /// `a*b`: neither first nor last, so it is a plain character.
    MiddleStar,
    /// `*a*`: the leading star wins; the value has to end with a star character.
    BothEnds,
    /// `**`: only one of two neighbouring stars is a wildcard.
    DoubleStar,
}

impl OddityKind {
    /// One sentence for a message, without a final stop.
    pub fn explanation(self) -> &'static str {
        match self {
            OddityKind::MiddleStar => "a `*` in the middle is an ordinary character, not a wildcard",
            OddityKind::BothEnds => {
                "only the leading `*` is a wildcard, the trailing one is an ordinary character"
            }
            OddityKind::DoubleStar => {
                "only one `*` is a wildcard, the one beside it is an ordinary character"
            }
        }
    }
}

impl Pattern {
    /// Reads a value. Every string is a pattern.
    pub fn parse(text: &str) -> Pattern {
        if text == "*" {
            return Pattern::Present;
        }
        match (text.strip_prefix('*'), text.strip_suffix('*')) {
            (Some(ending), _) => Pattern::Suffix(ending.to_owned()),
            (None, Some(start)) => Pattern::Prefix(start.to_owned()),
            (None, None) => Pattern::Exact(text.to_owned()),
        }
    }

    /// Whether an existing attribute matches, case-sensitively; [`Pattern::Present`] wants a non-empty one.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Pattern::Present => !value.is_empty(),
            Pattern::Suffix(ending) => value.ends_with(ending.as_str()),
            Pattern::Prefix(start) => value.starts_with(start.as_str()),
            Pattern::Exact(text) => value == text,
        }
    }

    /// As [`Pattern::matches`], but `*` also accepts an empty value: headers and methods, whose lone star becomes
    /// Envoy's `present_match` (Istio 1.32, `matcher/header.go`).
    pub fn matches_header(&self, value: &str) -> bool {
        matches!(self, Pattern::Present) || self.matches(value)
    }

    /// Hosts: `*` accepts an empty value and ASCII case is ignored (Istio 1.32, `matcher/header.go`).
    pub fn matches_host(&self, value: &str) -> bool {
        let value = value.as_bytes();
        match self {
            Pattern::Present => true,
            Pattern::Suffix(ending) => value
                .len()
                .checked_sub(ending.len())
                .is_some_and(|start| value[start..].eq_ignore_ascii_case(ending.as_bytes())),
            Pattern::Prefix(start) => {
                value.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
            }
            Pattern::Exact(text) => value.eq_ignore_ascii_case(text.as_bytes()),
        }
    }

    /// The text without its wildcard star; nothing for [`Pattern::Present`].
    pub fn literal(&self) -> &str {
        match self {
            Pattern::Present => "",
            Pattern::Suffix(text) | Pattern::Prefix(text) | Pattern::Exact(text) => text,
        }
    }

    /// The first star that is taken literally, if there is one.
    pub fn oddity(&self) -> Option<Oddity> {
        let literal = self.literal();
        let before = usize::from(matches!(self, Pattern::Suffix(_)));
        let found = literal.find('*')?;
        if let Some(double) = self.to_string().find("**") {
            return Some(Oddity { kind: OddityKind::DoubleStar, at: double..double + 2 });
        }
        let at = before + found..before + found + 1;
        let ends = matches!(self, Pattern::Suffix(_)) && found + 1 == literal.len();
        Some(Oddity { kind: if ends { OddityKind::BothEnds } else { OddityKind::MiddleStar }, at })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Present => f.write_str("*"),
            Pattern::Suffix(text) => write!(f, "*{text}"),
            Pattern::Prefix(text) => write!(f, "{text}*"),
            Pattern::Exact(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leading_star_is_tested_first() {
        assert_eq!(Pattern::parse("*"), Pattern::Present);
        assert_eq!(Pattern::parse("*a*"), Pattern::Suffix("a*".into()));
        assert_eq!(Pattern::parse("**"), Pattern::Suffix("*".into()));
        assert_eq!(Pattern::parse("a*"), Pattern::Prefix("a".into()));
        assert_eq!(Pattern::parse(""), Pattern::Exact(String::new()));
    }

    #[test]
    fn both_forms_match_the_bare_text() {
        assert!(Pattern::parse("abc*").matches("abc"));
        assert!(Pattern::parse("*abc").matches("abc"));
        assert!(!Pattern::parse("*").matches(""));
        assert!(Pattern::parse("*").matches_header(""));
    }

    #[test]
    fn hosts_ignore_case() {
        assert!(Pattern::parse("*.Example.com").matches_host("A.EXAMPLE.COM"));
        assert!(Pattern::parse("example*").matches_host("EXAMPLE.com:80"));
        assert!(!Pattern::parse("example.com").matches_host("example.com:80"));
        assert!(!Pattern::parse("*é").matches_host("x"));
    }

    #[test]
    fn oddities_point_at_the_literal_star() {
        let odd = |text: &str| Pattern::parse(text).oddity().map(|o| (o.kind, o.at));
        assert_eq!(odd("/a/*/b"), Some((OddityKind::MiddleStar, 3..4)));
        assert_eq!(odd("*admin*"), Some((OddityKind::BothEnds, 6..7)));
        assert_eq!(odd("/a/**"), Some((OddityKind::DoubleStar, 3..5)));
        assert_eq!(odd("**"), Some((OddityKind::DoubleStar, 0..2)));
        assert_eq!(odd("*a*b"), Some((OddityKind::MiddleStar, 2..3)));
        assert_eq!(odd("*"), None);
        assert_eq!(odd("*.png"), None);
    }
}
