//! `hosts`, `methods`, `paths` and `request.headers[…]`.
//!
//! Rules: Istio 1.32, `matcher/header.go` and `generator.go`; Envoy, `HeaderMatcher`, `PathMatcher`, URI templates.

use meshproof_grammar::path_template::is_template;
use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::uri_template::{UriTemplate, translate};

use super::text;
use crate::view::View;

/// The host with its port, in any case; `*` takes an empty one.
pub(super) fn host(value: &str, view: &View<'_>) -> bool {
    let authority = view.http.as_ref().and_then(|http| http.authority.as_deref());
    authority.is_some_and(|authority| Pattern::parse(value).matches_host(authority))
}

pub(super) fn method(value: &str, view: &View<'_>) -> bool {
    view.http.as_ref().is_some_and(|http| Pattern::parse(value).matches_header(&http.method))
}

/// The normalized path without its query. A template that Envoy refuses never matches, see [`template_is_refused`].
pub(super) fn path(value: &str, view: &View<'_>) -> bool {
    let Some(path) = view.http.as_ref().and_then(|http| http.path()) else { return false };
    if is_template(value) {
        return UriTemplate::parse(&translate(value)).is_ok_and(|template| template.matches(path));
    }
    // Braces are refused at admission; behind it they are plain characters.
    text(&Pattern::parse(value), path)
}

/// Whether Envoy refuses the whole configuration because of this value of `paths`.
pub(crate) fn template_is_refused(value: &str) -> bool {
    is_template(value) && UriTemplate::parse(&translate(value)).is_err()
}

/// `*` asks for presence, and an empty value is present.
pub(super) fn header(name: &str, value: &str, view: &View<'_>) -> bool {
    let pattern = Pattern::parse(value);
    view.http.as_ref().is_some_and(|http| http.header(name).iter().any(|line| pattern.matches_header(line)))
}
