//! Well-known mistakes in AuthorizationPolicy that admission takes without a word.
//!
//! Every one of them is a value that no request can have, so a rule tests something else than it reads. Sources: the
//! gotchas G43, G65, G66, G72, G74 and G82 of Istio's matching rules (Istio 1.32, `pilot/pkg/security/authz`).

mod requests;

use meshproof_grammar::ParseError;
use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::principal::PrincipalPattern;
use meshproof_grammar::request_principal::RequestPrincipal;
use meshproof_grammar::spiffe::SCHEME;
use meshproof_grammar::when_key::WhenKey;
use meshproof_yaml::{NodeRef, Scalar};

use super::issue::{Collector, Issue, Stage};
use super::view;
use crate::schema::Path;

/// A principal that starts with `spiffe://`.
pub const SPIFFE_PREFIX: &str = "spiffe-prefix";
/// A method in lower case.
pub const METHOD_CASE: &str = "method-case";
/// A star that is a plain character: in the middle, at both ends, doubled.
pub const MISPLACED_WILDCARD: &str = "misplaced-wildcard";
/// Any other value that nothing can equal.
pub const NEVER_MATCHING_VALUE: &str = "never-matching-value";

/// The mistakes in one object, in the order of the text; nothing for other kinds than AuthorizationPolicy.
///
/// Values of the wrong type are left to the schema, empty ones and malformed templates to the webhook.
pub fn find(object: NodeRef<'_>) -> Vec<Issue> {
    let is_policy = object.get("kind").and_then(NodeRef::str) == Some("AuthorizationPolicy")
        && object
            .get("apiVersion")
            .and_then(NodeRef::str)
            .is_some_and(|v| v.starts_with("security.istio.io/"));
    let Some(spec) = view::field(object, "spec").filter(|_| is_policy) else { return Vec::new() };
    let mut collector = Collector::default();
    let spec_path = Path::Root.field("spec");
    let rules = spec_path.field("rules");
    for (index, rule) in view::items(spec, "rules") {
        let path = rules.item(index);
        let (from, to, when) = (path.field("from"), path.field("to"), path.field("when"));
        for (index, item) in view::items(rule, "from") {
            if let Some(source) = view::field(item, "source") {
                self::source(&mut collector, source, &from.item(index).field("source"));
            }
        }
        for (index, item) in view::items(rule, "to") {
            if let Some(operation) = view::field(item, "operation") {
                self::operation(&mut collector, operation, &to.item(index).field("operation"));
            }
        }
        for (index, condition) in view::items(rule, "when") {
            self::condition(&mut collector, condition, &when.item(index));
        }
    }
    collector.issues
}

/// Judges one value. `None`: nothing is wrong with it.
type Judge = fn(&str) -> Option<(&'static str, ParseError)>;

fn source(collector: &mut Collector, source: NodeRef<'_>, path: &Path<'_>) {
    list(collector, source, ["principals", "notPrincipals"], principal, path);
    list(collector, source, ["requestPrincipals", "notRequestPrincipals"], request_principal, path);
}

fn operation(collector: &mut Collector, operation: NodeRef<'_>, path: &Path<'_>) {
    list(collector, operation, ["hosts", "notHosts"], requests::host, path);
    list(collector, operation, ["methods", "notMethods"], requests::method, path);
    list(collector, operation, ["paths", "notPaths"], requests::path, path);
}

fn condition(collector: &mut Collector, condition: NodeRef<'_>, path: &Path<'_>) {
    let Some(node) = view::field(condition, "key") else { return };
    let key = view::text(node);
    if let Some(error) = requests::key(key) {
        push(collector, NEVER_MATCHING_VALUE, &path.field("key"), node, error);
        return;
    }
    let judge: Judge = match WhenKey::parse(key) {
        Ok(WhenKey::SourcePrincipal) => principal,
        Ok(WhenKey::RequestPrincipal) => request_principal,
        Ok(WhenKey::RequestHeader(name)) if name.eq_ignore_ascii_case(":method") => requests::method,
        Ok(
            WhenKey::RequestAudiences
            | WhenKey::RequestPresenter
            | WhenKey::RequestClaim(_)
            | WhenKey::RequestHeader(_)
            | WhenKey::ConnectionSni,
        ) => wildcard,
        _ => return,
    };
    list(collector, condition, ["values", "notValues"], judge, path);
}

fn list(collector: &mut Collector, holder: NodeRef<'_>, names: [&str; 2], judge: Judge, path: &Path<'_>) {
    for name in names {
        for (index, node) in view::items(holder, name) {
            let Some(Scalar::Str(_)) = node.scalar() else { continue };
            let value = view::text(node);
            if value.is_empty() {
                continue;
            }
            let Some((lint, mut error)) = judge(value) else { continue };
            if name.starts_with("not") {
                error.message.push_str("; as an exception it excepts nothing");
            }
            push(collector, lint, &path.field(name).item(index), node, error);
        }
    }
}

fn push(
    collector: &mut Collector,
    lint: &'static str,
    path: &Path<'_>,
    node: NodeRef<'_>,
    error: ParseError,
) {
    let ParseError { at, message, help } = error;
    let span = if at.is_empty() { node.span() } else { node.part(at) };
    collector.issues.push(Issue { lint, stage: Stage::Mistake, path: path.to_string(), span, message, help });
}

/// `principals` and `source.principal`: no identity of the mesh has this shape.
fn principal(value: &str) -> Option<(&'static str, ParseError)> {
    let error = PrincipalPattern::parse(value).problem()?;
    let lint = if value.contains(SCHEME) {
        SPIFFE_PREFIX
    } else if Pattern::parse(value).oddity().is_some() {
        MISPLACED_WILDCARD
    } else {
        NEVER_MATCHING_VALUE
    };
    Some((lint, error))
}

/// `requestPrincipals` and `request.auth.principal`: issuer and subject, split at the last slash.
fn request_principal(value: &str) -> Option<(&'static str, ParseError)> {
    let error = RequestPrincipal::parse(value).never_matches()?;
    let lint =
        if Pattern::parse(value).oddity().is_some() { MISPLACED_WILDCARD } else { NEVER_MATCHING_VALUE };
    Some((lint, error))
}

/// Any other pattern: one star, first or last.
fn wildcard(value: &str) -> Option<(&'static str, ParseError)> {
    let oddity = Pattern::parse(value).oddity()?;
    let error = ParseError::new(oddity.at, oddity.kind.explanation());
    Some((MISPLACED_WILDCARD, error.with_help("use one `*`, as the first or the last character")))
}

#[cfg(test)]
mod tests;
