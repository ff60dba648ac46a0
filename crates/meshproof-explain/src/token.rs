//! What a proxy makes of the token of a request (mutual-TLS reference §9; Istio 1.32, security/authn/policy_applier.go).

use meshproof_authz::{HttpRequest, Token};
use meshproof_ir::{Mesh, ResourceId};
use meshproof_resources::JwtRule;
use serde_json::{Map, Value};

use crate::answer::Evidence;
use crate::question::HttpParts;

/// The token as the proxy judges it, claims that are split at spaces, and what is worth knowing.
pub(crate) struct Judged {
    /// For the evaluator.
    pub token: Token,
    /// Whether the next hop gets it too.
    pub kept: bool,
    /// Headers that claims are copied to (`outputClaimToHeaders`).
    pub headers: Vec<(String, String)>,
    /// `spaceDelimitedClaims` of the rule that takes it.
    pub space_delimited: Vec<String>,
    /// What is worth knowing.
    pub notes: Vec<Evidence>,
}

impl Default for Judged {
    /// Nobody looked.
    fn default() -> Self {
        Judged {
            token: Token::None,
            kept: true,
            headers: Vec::new(),
            space_delimited: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// Judges the token of a request with the RequestAuthentications of a hop: their rules are one list, and a request
/// without a token passes all of them.
pub(crate) fn judge(mesh: &Mesh, attached: &[ResourceId], parts: &HttpParts) -> Judged {
    let rules: Vec<&JwtRule> = attached
        .iter()
        .filter_map(|id| mesh.request_authentication(*id))
        .flat_map(|policy| policy.jwt_rules.iter())
        .collect();
    let has_token = parts.bad_token || !parts.claims.is_empty();
    let mut judged = Judged::default();
    if !has_token {
        return judged;
    }
    let Some(first) = rules.first() else {
        let text = "no RequestAuthentication applies here, so nobody looks at the token";
        judged.notes.push(Evidence::new(text));
        return judged;
    };
    if parts.bad_token {
        judged.token = Token::Refused("the token does not verify (401)".to_owned());
        return judged;
    }
    let issuer = parts.claims.get("iss").and_then(Value::as_str);
    let taken = match issuer {
        None => {
            let shown = first.issuer.as_ref().map_or("", |issuer| issuer.value.as_str());
            let text = format!("the token is taken to be issued by {shown} (no claim `iss` is given)");
            judged.notes.push(Evidence::at(text, first.span));
            *first
        }
        Some(issuer) => {
            let of = |rule: &&&JwtRule| rule.issuer.as_ref().is_some_and(|own| own.value == issuer);
            let Some(rule) = rules.iter().find(of) else {
                judged.token =
                    Token::Refused(format!("no RequestAuthentication here knows the issuer {issuer} (401)"));
                judged.notes.push(Evidence::at("the rules that there are begin here", first.span));
                return judged;
            };
            *rule
        }
    };
    if let Some(refusal) = audience_refused(taken, &parts.claims) {
        judged.token = Token::Refused(refusal);
        judged.notes.push(Evidence::at("the audiences that are taken", taken.span));
        return judged;
    }
    let mut claims = parts.claims.clone();
    if let Some(issuer) = &taken.issuer {
        claims.entry("iss").or_insert_with(|| Value::from(issuer.value.clone()));
    }
    judged.space_delimited = taken.space_delimited_claims.iter().map(|claim| claim.value.clone()).collect();
    judged.kept = taken.forward_original_token;
    judged.headers = copied(taken, &claims);
    judged.token = Token::Verified { claims, forwarded: taken.forward_original_token };
    judged
}

/// Why the audiences of the token are not taken; a rule without audiences takes all.
fn audience_refused(rule: &JwtRule, claims: &Map<String, Value>) -> Option<String> {
    let wanted: Vec<&str> = rule.audiences.iter().map(|audience| audience.value.as_str()).collect();
    if wanted.is_empty() {
        return None;
    }
    let given: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let taken = given.iter().any(|audience| wanted.contains(audience));
    (!taken).then(|| match given.as_slice() {
        [] => format!("the token names no audience, and {} is asked for (403)", wanted.join(" or ")),
        given => {
            format!("the token is for {}, and {} is asked for (403)", given.join(", "), wanted.join(" or "))
        }
    })
}

/// Claims as headers; lists and objects are encoded, which no rule would look for.
fn copied(rule: &JwtRule, claims: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    let copied = rule.output_claim_to_headers.iter();
    copied
        .filter_map(|(header, claim)| Some((header.value.clone(), text(claims.get(&claim.value)?)?)))
        .collect()
}

/// The HTTP request that reaches a hop, with the headers that proxies set, which replace those of the client.
pub(crate) fn http_request(
    parts: &HttpParts,
    host: &str,
    token: Token,
    set: &[(String, String)],
) -> HttpRequest {
    let is_set = |name: &str| set.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
    let mut headers: Vec<(String, String)> =
        parts.headers.iter().filter(|(name, _)| !is_set(name)).cloned().collect();
    headers.extend(set.iter().cloned());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        headers.insert(0, ("Host".to_owned(), parts.host.as_deref().unwrap_or(host).to_owned()));
    }
    HttpRequest { method: parts.method.clone(), target: parts.path.clone(), headers, token }
}
