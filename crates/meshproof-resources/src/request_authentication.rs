//! RequestAuthentication (security.istio.io v1, v1beta1).

use meshproof_source::Span;

use crate::{Field, Selector, TargetRef, Text};

/// The spec of a RequestAuthentication.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestAuthentication {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// `selector`.
    pub selector: Option<Selector>,
    /// `targetRefs`, or the legacy `targetRef`.
    pub target_refs: Field<TargetRef>,
    /// `jwtRules`.
    pub jwt_rules: Field<JwtRule>,
}

/// One item of `jwtRules`.
#[derive(Clone, Debug, PartialEq)]
pub struct JwtRule {
    /// The item.
    pub span: Span,
    /// `issuer`.
    pub issuer: Option<Text>,
    /// `audiences`.
    pub audiences: Field<Text>,
    /// `jwksUri`.
    pub jwks_uri: Option<Text>,
    /// `jwks`, inline.
    pub jwks: Option<Text>,
    /// `fromHeaders[]`: name and prefix.
    pub from_headers: Vec<(Text, Option<Text>)>,
    /// `fromParams`.
    pub from_params: Field<Text>,
    /// `fromCookies`.
    pub from_cookies: Field<Text>,
    /// `spaceDelimitedClaims`.
    pub space_delimited_claims: Field<Text>,
    /// `forwardOriginalToken`.
    pub forward_original_token: bool,
}
