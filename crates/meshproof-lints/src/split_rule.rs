//! `split-rule`: `- from` and `- to` as two list items. Rules are alternatives, so the second one lets anybody in.

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_ir::{Workload, WorkloadPort};
use meshproof_resources::{Action, MtlsMode, Operation, Rule, Text};
use meshproof_source::Span;

use crate::Context;
use crate::accounts::principal;
use crate::context::{captured_ports, knows_ports, served_ports};
use crate::never_matches::RuleFacts;
use crate::patterns::covers_text;
use crate::policies::Policy;
use crate::proof::{confirmed, fate_at};
use crate::witnesses::{request, takes_port};

const ID: &str = "split-rule";

/// Parts of paths that are commonly open to everybody on purpose.
const PUBLIC: &[&str] = &[
    "health",
    "ready",
    "readiness",
    "live",
    "liveness",
    "ping",
    "status",
    "metrics",
    "prometheus",
    "version",
    ".well-known",
    "static",
    "assets",
    "docs",
    "swagger",
    "openapi",
    "login",
    "logout",
    "signin",
    "signup",
    "auth",
    "oauth",
    "oidc",
    "callback",
    "favicon",
    "robots.txt",
    "public",
    "webhook",
    "hook",
    "jwks",
    "dex",
    "grpc.health",
];

/// Runs the lint.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let allows = ctx.policies.iter().filter(|policy| policy.enforces(Action::Allow));
    let mut findings = Vec::new();
    for policy in allows {
        let rules = &policy.spec.rules.items;
        for (at, pair) in rules.windows(2).enumerate() {
            if is_split(&pair[0], &pair[1]) {
                findings.extend(finding(ctx, policy, at, &pair[0], &pair[1]));
            }
        }
    }
    findings
}

/// A rule with only `from`, then one with only `to`.
fn is_split(first: &Rule, second: &Rule) -> bool {
    let only_from = !first.from.is_empty() && first.to.is_empty();
    let only_to = second.from.is_empty() && second.when.is_empty() && !second.to.is_empty();
    only_from && only_to
}

fn finding(ctx: &Context<'_>, policy: &Policy<'_>, at: usize, from: &Rule, to: &Rule) -> Option<Finding> {
    // Workloads that the policy is attached to, the first with a port that the second rule opens.
    let places = workloads(ctx, policy);
    let facts = policy.rules.get(at + 1)?;
    let opened = places.iter().find_map(|workload| Some((*workload, opened_port(ctx, workload, facts)?)));
    let level = level(policy, at, to, &places, opened.is_some());
    let message = format!(
        "rule {} of {} lets anybody in: its `from` stands in rule {}, and rules are alternatives",
        at + 2,
        policy.name(),
        at + 1
    );
    let place = to.to.key.unwrap_or(to.span);
    let mut finding =
        Finding::new(ID, level, Category::Hole, message, Label::new(place, "a rule of its own, without a `from`"))
            .with_resource(policy.meta.resource_name())
            .with_confidence(Confidence::Medium)
            .with_related(from.from.key.unwrap_or(from.span), "this rule lets these callers do everything")
            .with_help("remove the `-` before `to`, so that both stand in one rule; if everybody is meant, give the second rule a policy of its own");
    if let Some((workload, port)) = opened {
        let caller = stranger(ctx, workload, port, from);
        let because = vec![
            format!("{} rule {} asks for no caller, only for the operation", policy.name(), at + 2),
            format!("rule {} would ask for the caller, but one matching rule is enough", at + 1),
        ];
        let witness = request(ctx, caller, workload, port, Some(to), Decision::Allow, because);
        // A witness does not tell the host that it asks for.
        let asks_host = to.to.iter().any(|operation| !operation.hosts.is_empty());
        let told = if asks_host { None } else { fate_at(ctx, workload, port, &witness) };
        finding = confirmed(finding, told, witness);
    }
    if let Some(dash) = dash(ctx, to, from) {
        finding = finding.with_edit(dash, " ");
    }
    Some(finding)
}

/// An error only where the whole policy is one rule torn in two, and what it opens is neither public by its looks nor
/// a part of the ports only, nor what is commonly left to everybody.
fn level(policy: &Policy<'_>, at: usize, to: &Rule, places: &[&Workload], opens: bool) -> Level {
    let paths = || to.to.iter().flat_map(|operation| operation.paths.values.iter());
    if paths().next().is_some() && to.to.iter().all(looks_public) {
        return Level::Info;
    }
    let whole_policy = at == 0 && policy.rules.len() == 2 && policy.spec.rules[0].when.is_empty();
    let any_public = paths().any(is_public);
    let http = to.to.iter().all(|operation| !operation.methods.is_empty() || !operation.paths.is_empty());
    let covers = !places.is_empty()
        && places.iter().all(|workload| {
            captured_ports(workload)
                .all(|port| to.to.iter().any(|operation| takes_port(&operation.ports, port.number)))
        });
    let for_everybody = to.to.iter().all(may_be_for_everybody);
    let torn = whole_policy && opens && !any_public && !for_everybody && (http || covers);
    if torn { Level::Error } else { Level::Warning }
}

/// "Everybody may read, these may write" is a design of its own, and so are preflight requests and hosts for
/// strangers. An operation that names the port too describes how the workload is called, as the rule that was torn
/// would; nobody adds that to an exception for readers.
fn may_be_for_everybody(operation: &Operation) -> bool {
    let only = |allowed: &[&str]| {
        let methods = &operation.methods.values;
        !methods.is_empty() && methods.iter().all(|method| allowed.contains(&method.value.as_str()))
    };
    let names_port = !operation.ports.values.is_empty();
    !operation.hosts.is_empty() || only(&["OPTIONS"]) || (!names_port && only(&["GET", "HEAD", "OPTIONS"]))
}

/// All its paths are public by their looks.
fn looks_public(operation: &Operation) -> bool {
    !operation.paths.values.is_empty() && operation.paths.values.iter().all(is_public)
}

fn is_public(path: &Text) -> bool {
    let path = path.value.to_ascii_lowercase();
    PUBLIC.iter().any(|word| path.contains(word))
}

fn workloads<'c>(ctx: &'c Context<'_>, policy: &Policy<'_>) -> Vec<&'c Workload> {
    let Some(namespace) = policy.namespace else { return Vec::new() };
    let found = match &policy.spec.selector {
        Some(selector) => ctx.labels.find(ctx.mesh, namespace, &selector.match_labels),
        None => ctx.mesh.namespaces[namespace.index()].workloads.clone(),
    };
    let workloads = found.iter().map(|id| &ctx.mesh.workloads[id.index()]);
    workloads
        .filter(|workload| {
            workload.enforcement_point().is_some_and(knows_ports)
                && workload.policies.get(policy.id).is_some_and(|attachment| attachment.certain.is_ok())
        })
        .collect()
}

/// A port where the second rule lets anybody in for certain: it can match, and no other policy refuses.
/// `Some(None)` when no port of the workload is known.
fn opened_port<'w>(
    ctx: &Context<'_>,
    workload: &'w Workload,
    rule: &RuleFacts<'_>,
) -> Option<Option<&'w WorkloadPort>> {
    let refuses = |policy: &Policy<'_>| policy.enforces(Action::Deny) || policy.enforces(Action::Custom);
    let mut others = workload.policies.iter().filter_map(|attachment| ctx.policies.get(attachment.policy));
    if others.any(refuses) || !workload.envoy_filters.is_empty() {
        return None;
    }
    if served_ports(workload).next().is_none() {
        return rule.may_allow(workload, None).then_some(None);
    }
    captured_ports(workload).find(|port| rule.may_allow(workload, Some(port))).map(Some)
}

/// A caller that the `from` does not name.
fn stranger(ctx: &Context<'_>, workload: &Workload, port: Option<&WorkloadPort>, from: &Rule) -> String {
    let mode = port.map_or(&workload.mode, |port| &port.mode);
    let mut others = ctx.accounts.examples().iter().take(64);
    let found = others.find(|(namespace, account)| !is_named(from, namespace, account));
    match found {
        Some((namespace, account)) => format!("{namespace}/{account}"),
        None if mode.mode.is(&MtlsMode::Permissive) || mode.mode.is(&MtlsMode::Disable) => {
            "plaintext".to_owned()
        }
        None => "elsewhere/anybody".to_owned(),
    }
}

/// Whether a source may name this account; other kinds of sources name nobody by account.
fn is_named(rule: &Rule, namespace: &str, account: &str) -> bool {
    rule.from.iter().any(|source| {
        let in_principals = source.principals.values.iter().any(|value| match principal(&value.value) {
            Some(parts) if !value.value.contains('*') => {
                parts.namespace == namespace && parts.account == account
            }
            _ => covers_text(&value.value, &format!("cluster.local/ns/{namespace}/sa/{account}")),
        });
        let in_namespaces = source.namespaces.values.iter().any(|value| covers_text(&value.value, namespace));
        let in_accounts = source
            .service_accounts
            .values
            .iter()
            .any(|value| value.value == account || value.value == format!("{namespace}/{account}"));
        let by_name = !source.principals.values.is_empty()
            || !source.namespaces.values.is_empty()
            || !source.service_accounts.values.is_empty();
        in_principals || in_namespaces || in_accounts || !by_name
    })
}

/// The dash before the second rule, when both rules are written in block style at the same depth.
fn dash(ctx: &Context<'_>, to: &Rule, from: &Rule) -> Option<Span> {
    let source = ctx.sources.get(to.span.source);
    let before = source.text.get(..to.span.start as usize)?;
    let trimmed = before.trim_end_matches(' ');
    let position = |span: Span| source.line_column(span.start).column;
    let dash = trimmed.strip_suffix('-')?;
    let own_line = dash.rsplit('\n').next()?.chars().all(|letter| letter == ' ');
    let at = u32::try_from(dash.len()).ok()?;
    (own_line && position(to.span) == position(from.span)).then_some(Span::new(to.span.source, at, at + 1))
}
