//! `hosts`, `methods`, `paths` and `request.headers[…]`.
//!
//! Rules: Istio 1.32, `matcher/header.go` and `generator.go`; Envoy, `HeaderMatcher`, `PathMatcher`, URI templates.

use meshproof_grammar::path_template::is_template;
use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::uri_template::{UriTemplate, translate};

use super::text;
use crate::view::View;

/// A value of `paths`.
#[derive(Debug)]
pub(crate) enum PathPattern {
    /// Braces are refused at admission; behind it they are plain characters.
    Plain(Pattern),
    Template(UriTemplate),
    /// A template that Envoy refuses, which never matches, see [`template_is_refused`].
    Refused,
}

impl PathPattern {
    pub fn parse(value: &str) -> PathPattern {
        if !is_template(value) {
            return PathPattern::Plain(Pattern::parse(value));
        }
        UriTemplate::parse(&translate(value)).map_or(PathPattern::Refused, PathPattern::Template)
    }
}

/// The host with its port, in any case; `*` takes an empty one.
pub(super) fn host(patterns: &[Pattern], view: &View<'_>) -> bool {
    let authority = view.http.as_ref().and_then(|http| http.authority.as_deref());
    authority.is_some_and(|authority| patterns.iter().any(|pattern| pattern.matches_host(authority)))
}

pub(super) fn method(patterns: &[Pattern], view: &View<'_>) -> bool {
    let http = view.http.as_ref();
    http.is_some_and(|http| patterns.iter().any(|pattern| pattern.matches_header(&http.method)))
}

/// The normalized path without its query.
pub(super) fn path(patterns: &[PathPattern], view: &View<'_>) -> bool {
    let Some(path) = view.http.as_ref().and_then(|http| http.path()) else { return false };
    patterns.iter().any(|pattern| match pattern {
        PathPattern::Plain(pattern) => text(pattern, path),
        PathPattern::Template(template) => template.matches(path),
        PathPattern::Refused => false,
    })
}

/// Whether Envoy refuses the whole configuration because of this value of `paths`.
pub(crate) fn template_is_refused(value: &str) -> bool {
    is_template(value) && UriTemplate::parse(&translate(value)).is_err()
}

/// `*` asks for presence, and an empty value is present. `name` is in lower case.
pub(super) fn header(name: &str, patterns: &[Pattern], view: &View<'_>) -> bool {
    let Some(http) = &view.http else { return false };
    let lines = http.header(name);
    lines.iter().any(|line| patterns.iter().any(|pattern| pattern.matches_header(line)))
}
