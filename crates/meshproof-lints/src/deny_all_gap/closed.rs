//! Findings about ALLOW policies that let nobody in.

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_ir::{Capture, ResourceId, Workload, WorkloadPort};
use meshproof_resources::Action;

use super::survey::{Place, Places, Survey, port_at};
use super::{ID, listed};
use crate::Context;
use crate::never_matches::{Cause, Never, RuleFacts};
use crate::policies::Policy;
use crate::proof::{confirmed, fate_at};
use crate::witnesses::{caller_other_than, request, some_caller};

/// Reasons shown per finding beside the first; [`crate::unknown_principal`] keeps to it.
pub(crate) const SHOWN: usize = 6;

pub(super) fn findings(ctx: &Context<'_>, survey: &Survey) -> Vec<Finding> {
    let misses = survey.misses.iter().filter_map(|(id, places)| miss(ctx, survey, *id, places));
    let partial = survey.partial.iter().filter_map(|(id, places)| partly(ctx, *id, places));
    let empty = survey.empty.iter().filter_map(|(id, places)| without_rules(ctx, *id, places));
    misses.chain(partial).chain(empty).collect()
}

/// A policy whose rules can never match where it applies.
fn miss(ctx: &Context<'_>, survey: &Survey, id: ResourceId, places: &Places) -> Option<Finding> {
    let policy = ctx.policies.get(id)?;
    let place = places.iter().find(|place| place.shut).or(places.first())?;
    let workload = &ctx.mesh.workloads[place.workload.index()];
    let port = port_at(workload, place.closed.first().copied().flatten());
    let reasons: Vec<(usize, Vec<Never>)> =
        policy.rules.iter().enumerate().map(|(at, rule)| (at, rule.reasons(workload, port))).collect();
    let all: Vec<&Never> = reasons.iter().flat_map(|(_, reasons)| reasons).collect();
    let first = *all.first()?;
    let certain_reasons = reasons.iter().all(|(_, reasons)| reasons.iter().all(|reason| reason.certain));
    let proven = place.shut
        && !survey.alive.contains(&id)
        && certain_reasons
        && all.iter().all(|reason| proves_a_mistake(ctx, reason, workload, port))
        && is_certain(ctx, policy, workload);
    let names = survey.named(ctx, places);
    let on = ports_text(workload, place);
    let level = if proven { Level::Error } else { Level::Warning };
    let message = format!("nobody can reach {}{on}: no rule of {} can match", names, policy.name());
    let mut finding =
        Finding::new(ID, level, Category::Outage, message, Label::new(first.span, first.reason.clone()))
            .with_resource(policy.meta.resource_name())
            .with_confidence(Confidence::Medium);
    for reason in all.iter().skip(1).take(SHOWN) {
        finding = finding.with_related(reason.span, reason.reason.clone());
    }
    if let Some(next) = all.get(SHOWN + 1) {
        let more = all.len() - SHOWN - 1;
        finding = finding.with_related(next.span, format!("and so on, {more} more"));
    }
    if let Some(span) = protocol_span(first, port) {
        finding = finding.with_related(span, "this makes the port TCP");
    }
    finding = finding.with_related(ctx.workload_span(workload), "nobody reaches this workload");
    let (rule_at, rule_reasons) = reasons.first()?;
    let rule = policy.rules.get(*rule_at)?;
    let from = if first.cause == Cause::Plaintext {
        "plaintext".to_owned()
    } else {
        caller_other_than(Some(workload), ctx, rule.rule, rule_reasons)
    };
    let because = because(ctx, workload, port);
    let witness = request(ctx, from, workload, port, Some(rule.rule), Decision::Deny, because);
    finding = confirmed(finding, fate_at(ctx, workload, port, &witness), witness);
    for reason in all.iter().filter(|reason| reason.certain) {
        if let Some(fix) = &reason.fix {
            finding = finding.with_edit(ctx.inner(reason.span), fix.clone());
        }
    }
    Some(finding.with_help(help(first, rule)))
}

/// An ALLOW rule about a port that is none of the workload's may be meant for one that no manifest declares; only the
/// Service's port in place of the container's is a plain mistake. Lists that take themselves back may be meant.
fn proves_a_mistake(
    ctx: &Context<'_>,
    reason: &Never,
    workload: &Workload,
    port: Option<&WorkloadPort>,
) -> bool {
    match reason.cause {
        Cause::Identity | Cause::Value | Cause::NeedsHttp | Cause::Plaintext => true,
        Cause::Contradiction | Cause::Token => false,
        Cause::Port => {
            port.is_some_and(|port| {
                let written = ctx.sources.snippet(ctx.inner(reason.span)).trim();
                service_ports(ctx, port).any(|number| number.to_string() == written)
            }) && workload.ports.len() == 1
        }
    }
}

fn service_ports<'c>(ctx: &'c Context<'_>, port: &'c WorkloadPort) -> impl Iterator<Item = u16> + 'c {
    port.bindings.iter().filter_map(|binding| {
        let service = &ctx.mesh.services[binding.service.index()];
        match &ctx.resource(service.resource).spec {
            meshproof_resources::Spec::Service(spec) => {
                spec.ports.get(binding.port).map(|port| port.port.value)
            }
            _ => None,
        }
    })
}

/// Whether the workload is enforced as it looks, with the policies that are seen.
pub(super) fn is_certain(ctx: &Context<'_>, policy: &Policy<'_>, workload: &Workload) -> bool {
    let captured = matches!(
        workload.capture.known(),
        Some(Capture::Sidecar | Capture::SidecarHbone | Capture::Ambient | Capture::Gateway)
    );
    let attached = workload.policies.get(policy.id).is_none_or(|attachment| attachment.certain.is_ok());
    captured
        && attached
        && workload.envoy_filters.is_empty()
        && !ctx.has_external_policies(workload.namespace)
        && !ctx.is_incomplete(workload.namespace)
}

/// ` on port 8080`, ` on ports 80 and 90`, or nothing when no port is known.
fn ports_text(workload: &Workload, place: &Place) -> String {
    let numbers: Vec<String> = place
        .closed
        .iter()
        .filter_map(|port| port_at(workload, *port))
        .map(|port| port.number.to_string())
        .collect();
    match numbers.len() {
        0 => String::new(),
        1 => format!(" on port {}", numbers[0]),
        _ => format!(" on ports {}", listed(&numbers)),
    }
}

fn protocol_span(reason: &Never, port: Option<&WorkloadPort>) -> Option<meshproof_source::Span> {
    port.filter(|_| reason.cause == Cause::NeedsHttp).and_then(|port| port.protocol.span())
}

/// Why a request is refused: one line for the phase, one per policy that was meant to let it in.
pub(super) fn because(ctx: &Context<'_>, workload: &Workload, port: Option<&WorkloadPort>) -> Vec<String> {
    let allows: Vec<&Policy<'_>> = workload
        .policies
        .iter()
        .filter_map(|attachment| ctx.policies.get(attachment.policy))
        .filter(|policy| policy.enforces(Action::Allow))
        .collect();
    let mut lines = vec![match allows.len() {
        1 => "1 ALLOW policy applies, and it does not match".to_owned(),
        count => format!("{count} ALLOW policies apply, none matches"),
    }];
    for policy in allows.iter().take(SHOWN) {
        if policy.rules.is_empty() {
            lines.push(format!("{} has no rules, so it matches nothing", policy.name()));
        }
        for (at, rule) in policy.rules.iter().enumerate().take(SHOWN) {
            if let Some(reason) = rule.reasons(workload, port).first() {
                lines.push(format!("{} rule {}: {}", policy.name(), at + 1, reason.reason));
            }
        }
    }
    lines
}

fn help(reason: &Never, rule: &RuleFacts<'_>) -> String {
    match (&reason.fix, reason.cause) {
        (Some(fix), _) => format!("write {fix}"),
        (None, Cause::Identity) => {
            "name the account that the callers' pods run under (spec.serviceAccountName)".to_owned()
        }
        (None, Cause::NeedsHttp) => match rule.http_field() {
            Some((_, field)) => {
                format!("remove `{field}`, or declare the Service port as HTTP (name: http-… or appProtocol: http)")
            }
            None => "use only principals, namespaces, ports and ipBlocks here, or attach the policy to a waypoint \
                     with targetRefs"
                .to_owned(),
        },
        (None, Cause::Port) => "write the container port; `ports` is compared with it, not with the Service port".to_owned(),
        (None, Cause::Plaintext) => "use PERMISSIVE or STRICT on this port, or allow by ipBlocks".to_owned(),
        (None, Cause::Token) => "add a RequestAuthentication that selects the workload".to_owned(),
        (None, Cause::Contradiction) => "remove the value from one of the two lists".to_owned(),
        (None, Cause::Value) => "write the value as it arrives on the wire".to_owned(),
    }
}

/// The first ALLOW closes every port that it does not mention. Mostly meant; told, not accused.
fn partly(ctx: &Context<'_>, id: ResourceId, places: &[Place]) -> Option<Finding> {
    let policy = ctx.policies.get(id)?;
    // One policy speaks for a workload: the one that selects it closest.
    if !policy.has_selector() {
        return None;
    }
    let (place, port) = places.iter().find_map(|place| {
        let workload = &ctx.mesh.workloads[place.workload.index()];
        let ports = place.closed.iter().filter_map(|port| port_at(workload, *port));
        ports
            .into_iter()
            .find(|port| !port.bindings.is_empty() || is_infrastructure(port))
            .map(|port| (place, port))
    })?;
    let workload = &ctx.mesh.workloads[place.workload.index()];
    let reason =
        policy.rules.iter().find_map(|rule| rule.reasons(workload, Some(port)).into_iter().next())?;
    // HTTP fields that close a TCP port are rarely meant; a port list is.
    let level = match reason.cause {
        Cause::NeedsHttp if !port.bindings.is_empty() => Level::Warning,
        _ => Level::Info,
    };
    let message = format!(
        "nobody can reach {} on port {}: {} opens other ports of the workload only",
        ctx.workload_name(workload),
        port.number,
        policy.name()
    );
    let finding = Finding::new(ID, level, Category::Outage, message, Label::new(reason.span, reason.reason))
        .with_resource(policy.meta.resource_name())
        .with_confidence(Confidence::Low)
        .with_help("one ALLOW policy closes every port it does not mention; add a rule for callers of this port (scrapers, probes, health checks) if there are any");
    Some(match port.declared {
        Some(span) => finding.with_related(span, "this port is closed"),
        None => finding.with_related(ctx.workload_span(workload), "this workload"),
    })
}

fn is_infrastructure(port: &WorkloadPort) -> bool {
    let words = ["metric", "health", "prom", "probe", "status", "monitor"];
    port.name.as_deref().is_some_and(|name| words.iter().any(|word| name.contains(word)))
}

/// A policy without rules that names one workload and stands alone: a closed door, probably meant for a while.
fn without_rules(ctx: &Context<'_>, id: ResourceId, places: &[Place]) -> Option<Finding> {
    let policy = ctx.policies.get(id)?;
    if !policy.has_selector() {
        return None;
    }
    let place = places.iter().find(|place| {
        let workload = &ctx.mesh.workloads[place.workload.index()];
        workload.ports.iter().any(|port| !port.bindings.is_empty())
    })?;
    let workload = &ctx.mesh.workloads[place.workload.index()];
    let message = format!("nobody can reach {}: {} has no rules", ctx.workload_name(workload), policy.name());
    let port = port_at(workload, place.closed.first().copied().flatten());
    let from = some_caller(ctx, Some(workload), None).unwrap_or_else(|| "plaintext".to_owned());
    let witness = request(ctx, from, workload, port, None, Decision::Deny, because(ctx, workload, port));
    let finding = Finding::new(
        ID,
        Level::Warning,
        Category::Outage,
        message,
        Label::new(policy.meta.name_span(), "an ALLOW policy without rules matches nothing"),
    )
    .with_resource(policy.meta.resource_name())
    .with_related(ctx.workload_span(workload), "a Service leads here, and every request is refused")
    .with_confidence(Confidence::Low)
    .with_help(
        "add a rule that names the callers; if closing the workload is meant, suppress this with a reason",
    );
    Some(confirmed(finding, fate_at(ctx, workload, port, &witness), witness))
}
