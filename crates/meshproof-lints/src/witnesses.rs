//! Concrete requests for findings: who would call, with which method and path.

use meshproof_diagnostics::{Decision, Witness};
use meshproof_grammar::path_template::is_template;
use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{EnforcementPoint, Workload, WorkloadPort};
use meshproof_resources::{Rule, Text};

use crate::Context;
use crate::accounts::principal;
use crate::never_matches::{Cause, Never};

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
    let operation = rule.and_then(|rule| rule.to.first());
    let method = operation.and_then(|operation| operation.methods.values.first());
    let path = operation.and_then(|operation| operation.paths.values.first());
    let transport = if from == "plaintext" { "plaintext" } else { "mtls" };
    Witness {
        from,
        to: ctx.workload_name(workload),
        port: port.map(|port| port.number),
        transport: Some(transport),
        method: http.then(|| sample_method(method)),
        path: http.then(|| sample_path(path)),
        decision,
        because,
    }
}

fn sample_method(value: Option<&Text>) -> String {
    let Some(value) = value else { return "GET".to_owned() };
    let word = value.value.trim_matches('*').to_ascii_uppercase();
    if word.is_empty() { "GET".to_owned() } else { word }
}

/// A path that a value takes, as far as that is plain.
pub(crate) fn sample_path(value: Option<&Text>) -> String {
    let Some(value) = value else { return "/".to_owned() };
    let text = value.value.as_str();
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
                let account = ctx.accounts.example_in(&name.value).unwrap_or("default");
                Some(format!("{}/{account}", name.value))
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
            .and_then(|parts| ctx.accounts.example_in(parts.namespace).map(|name| (parts.namespace, name)));
        match named.or_else(|| ctx.accounts.examples().first().copied()) {
            Some((namespace, account)) => format!("{namespace}/{account}"),
            None => "plaintext".to_owned(),
        }
    })
}

/// `namespace/account` of a written principal without stars.
fn short(text: &str) -> Option<String> {
    let text = text.strip_prefix("spiffe://").unwrap_or(text);
    let parts = principal(text).filter(|_| !text.contains('*'))?;
    Some(format!("{}/{}", parts.namespace, parts.account))
}
