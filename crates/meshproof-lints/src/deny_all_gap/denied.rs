//! Findings about DENY policies that leave nothing of what ALLOW policies or Services mean to open.

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Workload, WorkloadPort};
use meshproof_resources::Action;

use super::closed::is_certain;
use super::survey::{Place, Survey, port_at};
use super::{ID, listed};
use crate::Context;
use crate::conflicting_rules::revision;
use crate::policies::Policy;
use crate::proof::{confirmed, fate_at};
use crate::shown::rule_span;
use crate::witnesses::{meant_caller, request, some_caller};

/// Workloads named per group of equal ones.
const LISTED: usize = 1_000;

pub(super) fn findings(ctx: &Context<'_>, survey: &Survey) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, places) in &survey.denied {
        let Some(policy) = ctx.policies.get(*id) else { continue };
        let everything = policy.rules.iter().any(|rule| rule.denies_everything(None));
        findings.extend(if everything {
            emptied(ctx, policy, places)
        } else {
            widened(ctx, survey, policy, places).or_else(|| nameless(ctx, survey, policy, places))
        });
    }
    findings
}

/// ALLOW rules that let somebody in, if there was no DENY for everything.
fn emptied(ctx: &Context<'_>, policy: &Policy<'_>, places: &[Place]) -> Option<Finding> {
    let (place, allow) = places.iter().find_map(|place| {
        let workload = &ctx.mesh.workloads[place.workload.index()];
        opener(ctx, policy, workload).map(|allow| (place, allow))
    })?;
    let workload = &ctx.mesh.workloads[place.workload.index()];
    let port = port_at(workload, place.closed.first().copied().flatten());
    let rule = policy.rules.iter().find(|rule| rule.denies_everything(None))?;
    // Both in one file, the DENY for the whole namespace and the ALLOW for this workload: a default deny that was
    // meant to give way. Anything else may be a lock-down for a while.
    let together = policy.meta.span.source == allow.meta.span.source;
    let proven =
        together && !policy.has_selector() && allow.has_selector() && is_certain(ctx, policy, workload);
    let level = if proven { Level::Error } else { Level::Warning };
    let message = format!(
        "nobody can reach {}: {} denies every request, whatever {} allows",
        ctx.workload_name(workload),
        policy.name(),
        allow.name()
    );
    let because = vec![
        format!("{} matches every request, and DENY comes before ALLOW", policy.name()),
        format!("{} is never asked", allow.name()),
    ];
    let allow_rule = allow.rules.first().map(|rule| rule.rule);
    let from = allow_rule.map_or("plaintext".to_owned(), |rule| meant_caller(ctx, rule, &[]));
    let witness = request(ctx, from, workload, port, allow_rule, Decision::Deny, because);
    let finding =
        Finding::new(ID, level, Category::Outage, message, Label::new(rule.rule.span, "matches every request"))
            .with_resource(policy.meta.resource_name())
            .with_related(allow.meta.name_span(), "this policy lets nobody in because of it")
            .with_confidence(Confidence::Medium)
            .with_help("to close a namespace and open single workloads, use an ALLOW policy without rules (`spec: {}`) instead of this DENY");
    Some(confirmed(finding, fate_at(ctx, workload, port, &witness), witness))
}

/// Whether one control plane reads both for a workload. Where they have different revisions, that of the workload
/// must be known.
fn meet(deny: &Policy<'_>, allow: &Policy<'_>, workload: &Workload) -> bool {
    let attached = |policy: &Policy<'_>| {
        workload.policies.get(policy.id).is_some_and(|attachment| attachment.certain.is_ok())
    };
    revision(deny.meta) == revision(allow.meta) || (attached(deny) && attached(allow))
}

/// An ALLOW policy with rules that would let somebody in at a workload without the DENY.
fn opener<'c>(ctx: &'c Context<'_>, deny: &Policy<'_>, workload: &Workload) -> Option<&'c Policy<'c>> {
    let policies = workload.policies.iter().filter_map(|attachment| ctx.policies.get(attachment.policy));
    policies
        .filter(|policy| policy.enforces(Action::Allow) && meet(deny, policy, workload))
        .find(|policy| policy.rules.iter().any(|rule| rule.dead.is_empty()))
}

/// The ports among the closed ones that are meant to be reached for certain, since a Service sends to them: the first of
/// each workload by name, and one to be shown.
fn served<'c>(
    ctx: &'c Context<'_>,
    survey: &Survey,
    places: &[Place],
    takes: impl Fn(&WorkloadPort) -> bool,
) -> Option<(Vec<String>, &'c Workload, &'c WorkloadPort)> {
    let mut names = Vec::new();
    let mut shown = None;
    for place in places {
        let workload = &ctx.mesh.workloads[place.workload.index()];
        let port = place
            .closed
            .iter()
            .filter_map(|port| port_at(workload, *port))
            .find(|port| takes(port) && !port.bindings.is_empty());
        if let Some(port) = port {
            let members = survey.groups[place.group].iter().take(LISTED);
            names.extend(
                members.map(|id| {
                    format!("{}:{}", ctx.workload_name(&ctx.mesh.workloads[id.index()]), port.number)
                }),
            );
            shown = shown.or(Some((workload, port)));
        }
    }
    names.dedup();
    let (workload, port) = shown?;
    Some((names, workload, port))
}

/// Where STRICT holds every caller has an identity, so a DENY of everybody with one refuses everybody.
fn nameless(ctx: &Context<'_>, survey: &Survey, policy: &Policy<'_>, places: &[Place]) -> Option<Finding> {
    let closes = |port: &WorkloadPort| policy.rules.iter().any(|rule| rule.denies_every_identity(port));
    let (names, workload, port) = served(ctx, survey, places, closes)?;
    let rule = policy.rules.iter().find(|rule| rule.denies_every_identity(port))?;
    let allow = opener(ctx, policy, workload);
    // Alone it may be a lock-down for a while, and so may what another file says.
    let together = allow.is_some_and(|allow| policy.meta.span.source == allow.meta.span.source);
    let level = if together && is_certain(ctx, policy, workload) { Level::Error } else { Level::Warning };
    let message = format!(
        "nobody can reach {}: {} denies every caller with an identity, and STRICT refuses all others",
        listed(&names),
        policy.name()
    );
    let because = vec![
        format!("{} matches every caller that has an identity", policy.name()),
        format!("port {} is STRICT, so a caller without one gets no connection", port.number),
    ];
    let own = || {
        let namespace = ctx.mesh.namespaces[workload.namespace.index()].name.as_deref();
        format!("{}/default", namespace.unwrap_or("default"))
    };
    let from = some_caller(ctx, Some(workload), None).unwrap_or_else(own);
    let allow_rule = allow.and_then(|allow| allow.rules.first()).map(|rule| rule.rule);
    let witness = request(ctx, from, workload, Some(port), allow_rule, Decision::Deny, because);
    let label = Label::new(rule_span(rule.rule), "matches every caller that STRICT lets in");
    let mut finding = Finding::new(ID, level, Category::Outage, message, label)
        .with_resource(policy.meta.resource_name())
        .with_confidence(Confidence::Medium)
        .with_help("name the callers to be denied; callers without an identity need no DENY under STRICT");
    if let Some(allow) = allow {
        finding = finding.with_related(allow.meta.name_span(), "this policy lets nobody in because of it");
    }
    Some(confirmed(finding, fate_at(ctx, workload, Some(port), &witness), witness))
}

/// HTTP fields count as true on TCP ports, so a DENY about paths refuses every connection there.
fn widened(ctx: &Context<'_>, survey: &Survey, policy: &Policy<'_>, places: &[Place]) -> Option<Finding> {
    let is_tcp = |port: &WorkloadPort| port.protocol.is(&ProtocolClass::Tcp);
    let (names, workload, port) = served(ctx, survey, places, is_tcp)?;
    let rule = policy.rules.iter().find(|rule| rule.denies_every_connection(Some(port)))?;
    let (span, field) = rule.http_field()?;
    let level = if is_certain(ctx, policy, workload) { Level::Error } else { Level::Warning };
    let message = format!(
        "nobody can reach {}: on a TCP port {} denies every connection",
        listed(&names),
        policy.name()
    );
    let because = vec![
        format!("port {} carries TCP, where `{field}` counts as matching", port.number),
        format!("nothing else in the rule of {} keeps it from matching every connection", policy.name()),
    ];
    let from = ctx
        .accounts
        .examples()
        .first()
        .map_or("plaintext".to_owned(), |(namespace, name)| format!("{namespace}/{name}"));
    let finding = Finding::new(
        ID,
        level,
        Category::Outage,
        message,
        Label::new(span, format!("`{field}` exists only in HTTP")),
    )
    .with_resource(policy.meta.resource_name())
    .with_confidence(Confidence::Medium)
    .with_help("add the HTTP ports to `ports` of this rule, so that it leaves the TCP ports alone");
    let witness = request(ctx, from, workload, Some(port), Some(rule.rule), Decision::Deny, because);
    let finding = confirmed(finding, fate_at(ctx, workload, Some(port), &witness), witness);
    Some(match port.protocol.span() {
        Some(span) => finding.with_related(span, "this makes the port TCP"),
        None => finding.with_related(ctx.workload_span(workload), "this workload"),
    })
}
