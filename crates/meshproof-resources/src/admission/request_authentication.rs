//! istiod's rules for RequestAuthentication (Istio 1.32, `ValidateRequestAuthentication`, `validateJwtRule`).

use meshproof_yaml::NodeRef;

use super::issue::Collector;
use super::{connection_pool, jwks, selector, view};
use crate::schema::values::{parse_int, parse_url};
use crate::schema::{Path, shown};

/// Checks an object that fits its types.
pub(super) fn validate(collector: &mut Collector, object: NodeRef<'_>) {
    let Some(spec) = view::field(object, "spec") else { return };
    let path = Path::Root.field("spec");
    selector::attachment(collector, spec, &path);
    for (index, rule) in view::items(spec, "jwtRules") {
        jwt_rule(collector, rule, &path.field("jwtRules").item(index));
    }
}

fn jwt_rule(collector: &mut Collector, rule: NodeRef<'_>, path: &Path<'_>) {
    no_empty_strings(collector, rule, "audiences", path, "an audience cannot be empty");
    // The old spelling is still a field; the new one wins.
    let spelling = if rule.entry("jwksUri").is_some() { "jwksUri" } else { "jwks_uri" };
    let jwks_uri = view::entry(rule, spelling);
    let uri = jwks_uri.map_or("", |(_, uri)| view::text(uri));
    if view::string(rule, "issuer").is_empty() && uri.is_empty() {
        collector.refuse_with_help(
            path,
            view::field(rule, "issuer").unwrap_or(rule),
            "a JWT rule needs an `issuer` or a `jwksUri`",
            "name the issuer as it stands in the token's `iss` claim",
        );
    }
    if let (Some((_, node)), Some(message)) = (jwks_uri, jwks_uri_problem(uri)) {
        collector.refuse(&path.field(spelling), node, message);
    }
    if let Some(node) = view::field(rule, "jwks").filter(|node| !view::text(*node).is_empty()) {
        inline_keys(collector, node, &path.field("jwks"));
    }
    for (index, header) in view::items(rule, "fromHeaders") {
        if view::string(header, "name").is_empty() {
            let list = path.field("fromHeaders");
            collector.refuse(&list.item(index), header, "a header to read the token from needs a name");
        }
    }
    no_empty_strings(collector, rule, "fromParams", path, "the name of a query parameter cannot be empty");
    no_empty_strings(collector, rule, "fromCookies", path, "the name of a cookie cannot be empty");
    for (index, output) in view::items(rule, "outputClaimToHeaders") {
        let list = path.field("outputClaimToHeaders");
        claim_to_header(collector, output, &list.item(index));
    }
    connection_pool::duration(collector, rule, "timeout", path);
}

fn no_empty_strings(
    collector: &mut Collector,
    rule: NodeRef<'_>,
    name: &str,
    path: &Path<'_>,
    message: &str,
) {
    for (index, value) in view::items(rule, name) {
        if view::text(value).is_empty() {
            collector.refuse(&path.field(name).item(index), value, message);
        }
    }
}

/// `security.ParseJwksURI`.
fn jwks_uri_problem(uri: &str) -> Option<String> {
    if uri.is_empty() {
        return None;
    }
    let Some(url) = parse_url(uri) else { return Some(format!("{} is no URL", shown(uri))) };
    if !matches!(&*url.scheme, "http" | "https") {
        return Some(format!("{} must start with http:// or https://", shown(uri)));
    }
    let unreadable = !url.port.is_empty() && parse_int(&url.port).is_none();
    unreadable.then(|| format!("the port of {} is no number", shown(uri)))
}

fn inline_keys(collector: &mut Collector, node: NodeRef<'_>, path: &Path<'_>) {
    match jwks::parse(view::text(node)) {
        Err(problem) => collector.refuse_with_help(
            path,
            node,
            format!("this is no JSON Web Key Set: {problem}"),
            "paste the JSON that the issuer serves at its jwks_uri",
        ),
        Ok(keys) => {
            if keys.private {
                collector.warn(
                    path,
                    node,
                    "the key set holds a private key",
                    "only public keys are needed to verify tokens: replace the key and take the private one as leaked",
                );
            }
        }
    }
}

fn claim_to_header(collector: &mut Collector, output: NodeRef<'_>, path: &Path<'_>) {
    let header = view::string(output, "header");
    if view::string(output, "claim").is_empty() || header.is_empty() {
        collector.refuse(path, output, "a claim that goes into a header needs both `claim` and `header`");
    } else if !header.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        let node = view::field(output, "header").unwrap_or(output);
        let message = format!("{} is no header name: use letters, digits, `-` and `_`", shown(header));
        collector.refuse(&path.field("header"), node, message);
    }
}
