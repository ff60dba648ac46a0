//! Concrete requests for findings: who would call, with which method and path.

use meshproof_diagnostics::{Decision, Witness};
use meshproof_grammar::path_template::is_template;
use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{EnforcementPoint, Workload, WorkloadPort};
use meshproof_resources::{Match, Operation, Rule, Text};

use crate::Context;
use crate::accounts::principal;
use crate::never_matches::{Cause, Never};
use crate::patterns::covers_text;

/// Whether requests at this port have methods and paths.
pub(crate) fn is_http(workload: &Workload, port: Option<&WorkloadPort>) -> bool {
    let point = workload.enforcement_point();
    point != Some(EnforcementPoint::Ztunnel)
        && !port.is_some_and(|port| port.protocol.is(&ProtocolClass::Tcp))
}

/// A request to a workload port, refused or let in; HTTP parts as a rule wants them.
pub(crate) fn request(
    ctx: &Context<'_>,
    from: String,
    workload: &Workload,
    port: Option<&WorkloadPort>,
    rule: Option<&Rule>,
    decision: Decision,
    because: Vec<String>,
) -> Witness {
    let http = is_http(workload, port);
    request_as(ctx, http, from, workload, port, rule, decision, because)
}

/// The same for a client that speaks HTTP, whatever looks at it.
#[allow(clippy::too_many_arguments, reason = "a request has these parts")]
pub(crate) fn request_as(
    ctx: &Context<'_>,
    http: bool,
    from: String,
    workload: &Workload,
    port: Option<&WorkloadPort>,
    rule: Option<&Rule>,
    decision: Decision,
    because: Vec<String>,
) -> Witness {
    let at_port = |operation: &&Operation| port.is_none_or(|port| takes_port(&operation.ports, port.number));
    let operation = rule.and_then(|rule| rule.to.iter().find(at_port).or(rule.to.first()));
    let none = Match::default();
    let methods = operation.map_or(&none, |operation| &operation.methods);
    let paths = operation.map_or(&none, |operation| &operation.paths);
    let transport = if from == "plaintext" { "plaintext" } else { "mtls" };
    Witness {
        from,
        to: ctx.workload_name(workload),
        port: port.map(|port| port.number),
        transport: Some(transport),
        method: http.then(|| sample_method(methods)),
        path: http.then(|| sample_path(paths)),
        decision,
        because,
    }
}

/// Whether a list of ports takes a port.
pub(crate) fn takes_port(test: &Match, port: u16) -> bool {
    let listed = |values: &[Text]| values.iter().any(|value| value.value.trim().parse() == Ok(port));
    (test.values.is_empty() || listed(&test.values)) && !listed(&test.not_values)
}

/// A method that a test takes, as far as that is plain.
fn sample_method(test: &Match) -> String {
    let written = test.values.iter().map(|value| value.value.trim_matches('*').to_ascii_uppercase());
    let common = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"].map(str::to_owned);
    let mut candidates = written.filter(|word| !word.is_empty()).chain(common);
    candidates.find(|word| !excepts(test, word)).unwrap_or_else(|| "GET".to_owned())
}

/// A path that a test takes, as far as that is plain.
pub(crate) fn sample_path(test: &Match) -> String {
    let written: Vec<String> = test.values.iter().map(|value| path_like(&value.value)).collect();
    let longer = |path: &String| format!("{}/a", path.trim_end_matches('/'));
    let candidates = written.iter().cloned().chain(written.iter().map(longer));
    let common = ["/", "/a", "/a/b"].map(str::to_owned);
    let mut candidates = candidates.chain(common);
    candidates.find(|path| !excepts(test, path)).unwrap_or_else(|| "/".to_owned())
}

fn excepts(test: &Match, value: &str) -> bool {
    test.not_values.iter().any(|not| covers_text(&not.value, value))
}

/// A path of the shape of a written value.
fn path_like(text: &str) -> String {
    let path = if is_template(text) {
        text.replace("{**}", "a").replace("{*}", "a")
    } else {
        match Pattern::parse(text) {
            Pattern::Present => "/".to_owned(),
            Pattern::Exact(text) | Pattern::Prefix(text) => text,
            Pattern::Suffix(text) if text.starts_with('/') => text,
            Pattern::Suffix(text) => format!("/{text}"),
        }
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

/// The caller that a rule was meant for, as `namespace/account`.
pub(crate) fn meant_caller(ctx: &Context<'_>, rule: &Rule, reasons: &[Never]) -> String {
    caller_other_than(None, ctx, rule, reasons)
}

/// A known account, of this namespace or of any, that is not the server's own: a server that calls itself shows
/// little. Every namespace has the account `default`.
pub(crate) fn some_caller(
    ctx: &Context<'_>,
    server: Option<&Workload>,
    namespace: Option<&str>,
) -> Option<String> {
    let own = server.and_then(|server| {
        let namespace = ctx.mesh.namespaces[server.namespace.index()].name.as_deref()?;
        Some((namespace, server.service_account.known()?.as_str()))
    });
    let known = match namespace {
        Some(namespace) => ctx.accounts.examples_in(namespace),
        None => ctx.accounts.examples(),
    };
    let (namespace, account) = known.first()?;
    let other = known.iter().find(|example| Some(**example) != own);
    Some(match other {
        Some((namespace, account)) => format!("{namespace}/{account}"),
        None if *account == "default" => format!("{namespace}/{account}"),
        None => format!("{namespace}/default"),
    })
}

/// The same, where a caller that has to be thought up is not to be the server itself.
pub(crate) fn caller_other_than(
    server: Option<&Workload>,
    ctx: &Context<'_>,
    rule: &Rule,
    reasons: &[Never],
) -> String {
    let fixed = reasons
        .iter()
        .filter(|reason| reason.cause == Cause::Identity)
        .find_map(|reason| reason.fix.as_deref())
        .and_then(|fix| short(fix).or_else(|| fix.contains('/').then(|| fix.to_owned())));
    let is_dead = |value: &Text| reasons.iter().any(|reason| reason.span == value.span);
    let written = || {
        rule.from.iter().find_map(|source| {
            let principals = source.principals.values.iter();
            let accounts = source.service_accounts.values.iter();
            let named = principals.filter(|value| !is_dead(value)).find_map(|value| short(&value.value));
            let account = || {
                accounts
                    .filter(|value| !is_dead(value) && value.value.contains('/'))
                    .map(|value| value.value.clone())
                    .next()
            };
            let namespace = || {
                let name = source.namespaces.values.iter().find(|value| !value.value.contains('*'))?;
                let known = some_caller(ctx, server, Some(&name.value));
                known.or_else(|| Some(format!("{}/default", name.value)))
            };
            named.or_else(account).or_else(namespace)
        })
    };
    fixed.or_else(written).unwrap_or_else(|| {
        // No caller is named that exists: somebody of the namespace that was named, else of the mesh.
        let named = rule
            .from
            .iter()
            .flat_map(|source| source.principals.values.iter())
            .find_map(|value| principal(value.value.strip_prefix("spiffe://").unwrap_or(&value.value)))
            .and_then(|parts| some_caller(ctx, server, Some(parts.namespace)));
        named.or_else(|| some_caller(ctx, server, None)).unwrap_or_else(|| "plaintext".to_owned())
    })
}

/// `namespace/account` of a written principal without stars.
fn short(text: &str) -> Option<String> {
    let text = text.strip_prefix("spiffe://").unwrap_or(text);
    let parts = principal(text).filter(|_| !text.contains('*'))?;
    Some(format!("{}/{}", parts.namespace, parts.account))
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshproof_resources::Field;
    use meshproof_source::{SourceId, Span, Spanned};

    fn test(values: &[&str], not_values: &[&str]) -> Match {
        let field = |values: &[&str]| Field {
            key: None,
            items: values
                .iter()
                .map(|v| Spanned::new((*v).to_owned(), Span::new(SourceId(0), 0, 0)))
                .collect(),
        };
        Match { values: field(values), not_values: field(not_values) }
    }

    #[test]
    fn samples_are_taken_by_the_test_they_come_from() {
        for (values, not_values, path) in [
            (&["/orders*"][..], &[][..], "/orders"),
            (&["*"], &["/"], "/a"),
            (&["*.png"], &[], "/.png"),
            (&["/a/{*}/b"], &[], "/a/a/b"),
            (&["/a*"], &["/a"], "/a/a"),
        ] {
            assert_eq!(sample_path(&test(values, not_values)), path, "{values:?} without {not_values:?}");
        }
        assert_eq!(sample_method(&test(&[], &["GET"])), "POST");
        assert_eq!(sample_method(&test(&["get"], &[])), "GET");
        assert_eq!(sample_method(&test(&["*"], &[])), "GET");
    }
}
