//! Findings about ALLOW policies whose selector misses the workload that it was written for.

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_ir::WorkloadId;
use meshproof_resources::{Action, Text};

use super::closed::{because, is_certain};
use super::survey::{Survey, judged_ports, port_at};
use super::{ID, listed};
use crate::Context;
use crate::policies::Policy;
use crate::witnesses::{meant_caller, request};

pub(super) fn findings(ctx: &Context<'_>, survey: &Survey) -> Vec<Finding> {
    if survey.shut.is_empty() {
        return Vec::new();
    }
    ctx.policies.iter().filter_map(|policy| near_miss(ctx, survey, policy)).collect()
}

fn near_miss(ctx: &Context<'_>, survey: &Survey, policy: &Policy<'_>) -> Option<Finding> {
    let wanted = policy.enforces(Action::Allow) && policy.rules.iter().any(|rule| rule.dead.is_empty());
    let namespace = policy.namespace?;
    if !wanted || !policy.has_selector() || ctx.is_root(namespace) || ctx.is_incomplete(namespace) {
        return None;
    }
    let selector = &policy.spec.selector.as_ref()?.match_labels;
    if ctx.labels.finds(ctx.mesh, namespace, selector) {
        return None;
    }
    let (value, meant, workloads): (&Text, String, Vec<WorkloadId>) =
        match ctx.labels.nearly(ctx.mesh, namespace, selector) {
            Some(near) => (near.value, format!("{}: {}", near.key.value, near.meant), near.workloads),
            None => by_name(ctx, policy)?,
        };
    let shut = workloads.iter().all(|id| survey.shut.contains(id));
    let first = *workloads.first()?;
    if !shut {
        return None;
    }
    let workload = &ctx.mesh.workloads[first.index()];
    let port = port_at(workload, judged_ports(workload).first().copied().flatten());
    let rule = policy.rules.iter().find(|rule| rule.may_allow(workload, port))?;
    let names: Vec<String> =
        workloads.iter().map(|id| ctx.workload_name(&ctx.mesh.workloads[id.index()])).collect();
    let level = if is_certain(ctx, policy, workload) { Level::Error } else { Level::Warning };
    let message =
        format!("nobody can reach {}: the selector of {} finds no pod", listed(&names), policy.name());
    let mut lines = because(ctx, workload, port);
    lines.push(format!("{} would let the caller in, but does not select the workload", policy.name()));
    let from = meant_caller(ctx, rule.rule, &[]);
    let label = format!("no pod has this label; did you mean {meant}?");
    let labels = workload.labels.entries.first().map(|(_, label)| label.span);
    let mut finding = Finding::new(ID, level, Category::Outage, message, Label::new(value.span, label))
        .with_resource(policy.meta.resource_name())
        .with_confidence(Confidence::Medium)
        .with_witness(request(ctx, from, workload, port, Some(rule.rule), Decision::Deny, lines))
        .with_help(format!("select {meant}"));
    if let Some(span) = labels {
        finding = finding.with_related(span, "labels of the pods that are meant");
    }
    if let Some((key, fix)) = meant.split_once(": ")
        && selector.get(key).is_some_and(|written| written.span == value.span)
    {
        finding = finding.with_edit(ctx.inner(value.span), fix);
    }
    Some(finding)
}

/// The workload that has the policy's own name, or the one that the selector's value names, under another label.
fn by_name<'c>(ctx: &'c Context<'_>, policy: &'c Policy<'_>) -> Option<(&'c Text, String, Vec<WorkloadId>)> {
    let namespace = policy.namespace?;
    let selector = &policy.spec.selector.as_ref()?.match_labels;
    let (key, value) = match selector.entries.as_slice() {
        [(key, value)] => (key, value),
        _ => return None,
    };
    let named = ctx
        .labels
        .named(namespace, &value.value)
        .or_else(|| ctx.labels.named(namespace, policy.meta.name()))?;
    let workload = &ctx.mesh.workloads[named.index()];
    // A label of that workload with the same value, else the same key with its value.
    let labels = &workload.labels;
    let same_value = labels.entries.iter().find(|(_, other)| other.value == value.value);
    let same_key = labels.get(&key.value).map(|other| format!("{}: {}", key.value, other.value));
    let meant = same_value.map(|(key, value)| format!("{}: {}", key.value, value.value)).or(same_key)?;
    Some((value, meant, vec![named]))
}
