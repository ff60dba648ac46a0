//! A value of `paths` or `notPaths`: a template when it holds an operator, else a match pattern.
//!
//! Rules: Istio 1.32, `pilot/pkg/security/authz/model/generator.go` and `pkg/config/security/security.go`.

use std::fmt;

use crate::error::ParseError;
use crate::path_template::{PathTemplate, is_template, stray_brace};
use crate::pattern::Pattern;

/// How a path is tested.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// With `{*}` or `{**}`.
    Template(PathTemplate),
    /// Without.
    Pattern(Pattern),
}

impl PathPattern {
    /// Reads a value as istiod's webhook does.
    ///
    /// # Errors
    /// A malformed template, or a brace in a value without one (both are rejected at admission).
    pub fn parse(text: &str) -> Result<PathPattern, ParseError> {
        if is_template(text) {
            return PathTemplate::parse(text).map(PathPattern::Template);
        }
        match stray_brace(text) {
            Some(error) => Err(error),
            None => Ok(PathPattern::Pattern(Pattern::parse(text))),
        }
    }

    /// Whether a normalized path (query and fragment already removed) matches, case-sensitively.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            PathPattern::Template(template) => template.matches(path),
            PathPattern::Pattern(pattern) => pattern.matches(path),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathPattern::Template(template) => template.fmt(f),
            PathPattern::Pattern(pattern) => pattern.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_decide() {
        assert!(matches!(PathPattern::parse("/a/{*}"), Ok(PathPattern::Template(_))));
        assert!(matches!(PathPattern::parse("/a/*"), Ok(PathPattern::Pattern(Pattern::Prefix(_)))));
        assert_eq!(PathPattern::parse("/a/{id}").unwrap_err().at, 3..7);
        assert_eq!(PathPattern::parse("/a/x}").unwrap_err().at, 3..5);
    }
}
