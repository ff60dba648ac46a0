//! Values of `requestPrincipals` and `request.auth.principal`: issuer and subject of a token, with a slash between.
//!
//! Rules: Istio 1.32, `pilot/pkg/security/authz/model/generator.go` (`requestPrincipalGenerator`): the value is split at
//! its *last* slash, and a star at either end of the value concerns that end only.

use std::fmt;

use crate::error::ParseError;
use crate::pattern::Pattern;
use crate::text::shown;

/// One value, with the tests it becomes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestPrincipal {
    /// The value as written.
    pub text: String,
    /// The test of the claim `iss`.
    pub issuer: Pattern,
    /// The test of the claim `sub`.
    pub subject: Pattern,
}

impl RequestPrincipal {
    /// Reads a value. Every string is one, though many can never match.
    pub fn parse(text: &str) -> RequestPrincipal {
        let exact = |value: &str| Pattern::Exact(value.to_owned());
        let (issuer, subject) = if text == "*" {
            (Pattern::Present, Pattern::Present)
        } else if let Some(rest) = text.strip_prefix('*') {
            match rest.rsplit_once('/') {
                Some((issuer, subject)) => (ending(issuer), exact(subject)),
                None => (Pattern::Present, ending(rest)),
            }
        } else if let Some(rest) = text.strip_suffix('*') {
            match rest.rsplit_once('/') {
                Some((issuer, subject)) => (exact(issuer), start(subject)),
                None => (start(rest), Pattern::Present),
            }
        } else {
            let (issuer, subject) = text.rsplit_once('/').unwrap_or((text, ""));
            (exact(issuer), exact(subject))
        };
        RequestPrincipal { text: text.to_owned(), issuer, subject }
    }

    /// Whether a token with these two string claims matches. A claim that is absent or no string matches nothing.
    pub fn matches(&self, issuer: Option<&str>, subject: Option<&str>) -> bool {
        issuer.is_some_and(|value| self.issuer.matches(value))
            && subject.is_some_and(|value| self.subject.matches(value))
    }

    /// Why no real token can match, with the place: an empty subject or issuer, a star taken literally, or an issuer cut
    /// inside `https://`.
    pub fn never_matches(&self) -> Option<ParseError> {
        let text = self.text.as_str();
        let all = 0..text.len();
        let slash = text.rfind('/');
        let help = "write `<issuer>/<subject>`, with one `*` at the start or the end";
        if matches!(&self.issuer, Pattern::Exact(issuer) if issuer == "https:/" || issuer == "http:/") {
            let error = ParseError::new(
                all,
                format!(
                    "{} is split at its last slash, inside the scheme, so no issuer can match",
                    shown(text)
                ),
            );
            return Some(
                error.with_help(format!("add the subject after a slash: `{}/*`", text.trim_end_matches('*'))),
            );
        }
        if let Some(oddity) = Pattern::parse(text).oddity() {
            return Some(ParseError::new(oddity.at, oddity.kind.explanation()).with_help(help));
        }
        if self.subject == Pattern::Exact(String::new()) {
            return Some(
                match slash {
                    None => ParseError::new(
                        all.end..all.end,
                        "the subject is missing, so the token must have an empty one",
                    ),
                    Some(_) => ParseError::new(all.end..all.end, "the subject after the last slash is empty"),
                }
                .with_help(format!("add the subject, or `*` for any: `{}/*`", text.trim_end_matches('/'))),
            );
        }
        if self.issuer == Pattern::Exact(String::new()) {
            return Some(ParseError::new(0..0, "the issuer before the slash is empty").with_help(help));
        }
        None
    }
}

/// `*x` of one claim; a bare star asks for presence.
fn ending(text: &str) -> Pattern {
    if text.is_empty() { Pattern::Present } else { Pattern::Suffix(text.to_owned()) }
}

fn start(text: &str) -> Pattern {
    if text.is_empty() { Pattern::Present } else { Pattern::Prefix(text.to_owned()) }
}

impl fmt::Display for RequestPrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tests(text: &str) -> (String, String) {
        let value = RequestPrincipal::parse(text);
        (value.issuer.to_string(), value.subject.to_string())
    }

    #[test]
    fn the_table_of_forms() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(tests("*"), pair("*", "*"));
        assert_eq!(tests("*/bob"), pair("*", "bob"));
        assert_eq!(tests("*.example/bob"), pair("*.example", "bob"));
        assert_eq!(tests("*bob"), pair("*", "*bob"));
        assert_eq!(tests("https://i.example/*"), pair("https://i.example", "*"));
        assert_eq!(tests("https://i.example/b*"), pair("https://i.example", "b*"));
        assert_eq!(tests("issuer*"), pair("issuer*", "*"));
        assert_eq!(tests("https://i.example*"), pair("https:/", "i.example*"));
        assert_eq!(tests("issuer"), pair("issuer", ""));
        assert_eq!(RequestPrincipal::parse("*/*").subject, Pattern::Exact("*".into()));
    }

    #[test]
    fn dead_values() {
        let at = |text: &str| RequestPrincipal::parse(text).never_matches().map(|error| error.at);
        assert_eq!(at("*/*"), Some(2..3));
        assert_eq!(at("https://i.example*"), Some(0..18));
        assert_eq!(at("https://i.example"), Some(0..17));
        assert_eq!(at("issuer"), Some(6..6));
        assert_eq!(at("issuer/"), Some(7..7));
        assert_eq!(at("/bob"), Some(0..0));
        for fine in ["*", "issuer*", "*bob", "https://i.example/*", "https://i.example/bob", "*/bob"] {
            assert_eq!(at(fine), None, "{fine}");
        }
    }

    #[test]
    fn absent_claims_never_match() {
        let any = RequestPrincipal::parse("*");
        assert!(any.matches(Some("i"), Some("s")));
        assert!(!any.matches(Some("i"), Some("")));
        assert!(!any.matches(Some("i"), None));
    }
}
