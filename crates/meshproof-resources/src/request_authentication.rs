//! RequestAuthentication (security.istio.io v1, v1beta1).

use meshproof_source::Span;
use meshproof_yaml::NodeRef;

use crate::read::{
    entries, is_true, items, key_name, objects, selector, spec_span, target_refs, text, text_at, texts,
};
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
    /// `outputClaimToHeaders[]`: header and claim.
    pub output_claim_to_headers: Vec<(Text, Text)>,
    /// `outputPayloadToHeader`: the header.
    pub output_payload_to_header: Option<Text>,
}

impl RequestAuthentication {
    /// Reads `spec` of `object`.
    pub(crate) fn decode(spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut policy = RequestAuthentication {
            span: spec_span(spec, object),
            selector: None,
            target_refs: Field::default(),
            jwt_rules: Field::default(),
        };
        let (mut many, mut single) = (None, None);
        for (key, value) in entries(spec) {
            match key_name(key) {
                "selector" => policy.selector = selector(value),
                "targetRefs" => many = Some((key, value)),
                "targetRef" => single = Some((key, value)),
                "jwtRules" => policy.jwt_rules = objects(key, value, jwt_rule),
                _ => {}
            }
        }
        policy.target_refs = target_refs(many, single);
        policy
    }
}

fn jwt_rule(item: NodeRef<'_>) -> JwtRule {
    let mut rule = JwtRule {
        span: item.span(),
        issuer: None,
        audiences: Field::default(),
        jwks_uri: None,
        jwks: None,
        from_headers: Vec::new(),
        from_params: Field::default(),
        from_cookies: Field::default(),
        space_delimited_claims: Field::default(),
        forward_original_token: false,
        output_claim_to_headers: Vec::new(),
        output_payload_to_header: None,
    };
    for (key, value) in item.entries() {
        match key_name(key) {
            "issuer" => rule.issuer = text(value),
            "audiences" => rule.audiences = texts(key, value),
            "jwksUri" => rule.jwks_uri = text(value),
            "jwks" => rule.jwks = text(value),
            "fromHeaders" => {
                let header = |item| Some((text_at(item, "name")?, text_at(item, "prefix")));
                rule.from_headers = items(value, header);
            }
            "outputClaimToHeaders" => {
                let copied = |item| Some((text_at(item, "header")?, text_at(item, "claim")?));
                rule.output_claim_to_headers = items(value, copied);
            }
            "outputPayloadToHeader" => rule.output_payload_to_header = text(value),
            "fromParams" => rule.from_params = texts(key, value),
            "fromCookies" => rule.from_cookies = texts(key, value),
            "spaceDelimitedClaims" => rule.space_delimited_claims = texts(key, value),
            "forwardOriginalToken" => rule.forward_original_token = is_true(value),
            _ => {}
        }
    }
    rule
}
