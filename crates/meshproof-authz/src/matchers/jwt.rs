//! `requestPrincipals`, `request.auth.…`: what a verified token says.
//!
//! Rules: Istio 1.32, `generator.go`, `util.go`, `matcher/metadata.go`.

use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::request_principal::RequestPrincipal;

use super::text;
use crate::view::View;

/// Issuer and subject are tested apart; both have to be texts.
pub(super) fn request_principal(wanted: &[RequestPrincipal], view: &View<'_>) -> bool {
    let Some(http) = &view.http else { return false };
    let (Some(issuer), Some(subject)) = (http.text_claim("iss"), http.text_claim("sub")) else {
        return false;
    };
    wanted.iter().any(|tests| text(&tests.issuer, issuer) && text(&tests.subject, subject))
}

/// A text, or a list with a text, that matches.
pub(super) fn claim(path: &[String], patterns: &[Pattern], view: &View<'_>) -> bool {
    let texts = view.http.as_ref().and_then(|http| http.claim(path));
    texts.is_some_and(|texts| texts.iter().any(|value| patterns.iter().any(|pattern| text(pattern, value))))
}

/// `issuer/subject`, for the trace.
pub(super) fn shown_principal(view: &View<'_>) -> Vec<String> {
    let Some(http) = view.http.as_ref().filter(|http| http.claims.is_some()) else { return Vec::new() };
    let claim = |name: &str| http.text_claim(name).unwrap_or("(none)").to_owned();
    vec![format!("{}/{}", claim("iss"), claim("sub"))]
}
