//! Findings about ALLOW policies whose selector misses the workload that it was written for.

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_ir::{NamespaceId, WorkloadId};
use meshproof_resources::{Action, Spec, Text};

use super::closed::{because, is_certain};
use super::survey::{Survey, judged_ports, port_at};
use super::{ID, listed};
use crate::Context;
use crate::hash::Set;
use crate::policies::Policy;
use crate::proof::{confirmed, fate_at};
use crate::selectors::asks_for_later_labels;
use crate::witnesses::{caller_other_than, request};

pub(super) fn findings(ctx: &Context<'_>, survey: &Survey) -> Vec<Finding> {
    if survey.shut.is_empty() {
        return Vec::new();
    }
    let named = Named::new(ctx);
    ctx.policies.iter().filter_map(|policy| near_miss(ctx, survey, &named, policy)).collect()
}

/// Names that objects other than workloads have or speak of: a workload that is called so may come from elsewhere.
struct Named<'a>(Set<(NamespaceId, &'a str)>);

impl<'a> Named<'a> {
    fn new(ctx: &Context<'a>) -> Self {
        let mut names = Set::default();
        for (at, resource) in ctx.mesh.resources.iter().enumerate() {
            let Some(namespace) = ctx.mesh.placement[at].1 else { continue };
            match &resource.spec {
                Spec::Service(service) => {
                    names.insert((namespace, resource.meta.name()));
                    names.extend(
                        service.selector.entries.iter().map(|(_, value)| (namespace, value.value.as_str())),
                    );
                }
                Spec::ServiceAccount => {
                    names.insert((namespace, resource.meta.name()));
                }
                _ => {}
            }
        }
        Named(names)
    }
}

fn near_miss(ctx: &Context<'_>, survey: &Survey, named: &Named<'_>, policy: &Policy<'_>) -> Option<Finding> {
    let wanted = policy.enforces(Action::Allow) && policy.rules.iter().any(|rule| rule.dead.is_empty());
    let namespace = policy.namespace?;
    if !wanted || !policy.has_selector() || ctx.is_root(namespace) || ctx.is_incomplete(namespace) {
        return None;
    }
    let selector = &policy.spec.selector.as_ref()?.match_labels;
    if asks_for_later_labels(selector) || ctx.labels.finds(ctx.mesh, namespace, selector) {
        return None;
    }
    let Meant { value, meant, workloads, is_plain } = match ctx.labels.nearly(ctx.mesh, namespace, selector) {
        Some(near) => Meant {
            value: near.value,
            meant: format!("{}: {}", near.key.value, near.meant),
            workloads: near.workloads,
            is_plain: !named.0.contains(&(namespace, near.value.value.as_str())),
        },
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
    let proven = is_plain && !ctx.has_operators(namespace) && is_certain(ctx, policy, workload);
    let level = if proven { Level::Error } else { Level::Warning };
    let message =
        format!("nobody can reach {}: the selector of {} finds no pod", listed(&names), policy.name());
    let mut lines = because(ctx, workload, port);
    lines.push(format!("{} would let the caller in, but does not select the workload", policy.name()));
    let from = caller_other_than(Some(workload), ctx, rule.rule, &[]);
    let label = format!("no pod has this label; did you mean {meant}?");
    let labels = workload.labels.entries.first().map(|(_, label)| label.span);
    let mut finding = Finding::new(ID, level, Category::Outage, message, Label::new(value.span, label))
        .with_resource(policy.meta.resource_name())
        .with_confidence(Confidence::Medium)
        .with_help(format!("select {meant}"));
    let witness = request(ctx, from, workload, port, Some(rule.rule), Decision::Deny, lines);
    finding = confirmed(finding, fate_at(ctx, workload, port, &witness), witness);
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

/// What a selector was probably meant to find.
struct Meant<'c> {
    /// The value at fault.
    value: &'c Text,
    /// The label to select, as `key: value`.
    meant: String,
    workloads: Vec<WorkloadId>,
    /// Nothing else explains why no pod is found.
    is_plain: bool,
}

/// Labels that say which application a pod is of; others (`component`, `tier`, `version`) take the same few values in
/// many places.
const NAMING: &[&str] = &["app", "app.kubernetes.io/name", "k8s-app", "name", "service"];

/// The workload that the selector's value names, under another label or value; or the one that has the policy's own
/// name, if it has the value under another label.
fn by_name<'c>(ctx: &'c Context<'_>, policy: &'c Policy<'_>) -> Option<Meant<'c>> {
    let namespace = policy.namespace?;
    let selector = &policy.spec.selector.as_ref()?.match_labels;
    let (key, value) = match selector.entries.as_slice() {
        [(key, value)] => (key, value),
        _ => return None,
    };
    let by_value = ctx.labels.named(namespace, &value.value);
    let id = by_value.or_else(|| ctx.labels.named(namespace, policy.meta.name()))?;
    let labels = &ctx.mesh.workloads[id.index()].labels;
    let text = |key: &Text, value: &Text| format!("{}: {}", key.value, value.value);
    // A label of that workload with the same value, else the same key with its value.
    let same_value = labels.entries.iter().find(|(_, other)| other.value == value.value);
    let names_it = NAMING.contains(&key.value.as_str());
    let same_key = || labels.get(&key.value).filter(|_| names_it).map(|other| text(key, other));
    let meant = same_value.map(|(key, value)| text(key, value)).or_else(same_key)?;
    let is_plain = names_it && (same_value.is_some() || by_value.is_some());
    Some(Meant { value, meant, workloads: vec![id], is_plain })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::World;
    use meshproof_ir::{BuildOptions, Mesh, ResourceInput};
    use meshproof_resources::{Decoded, decode};
    use meshproof_source::{Origin, SourceMap, split_documents};

    #[test]
    fn where_operators_make_pods_a_slip_is_no_proof() {
        let text = include_str!("../../../../testdata/lints/deny-all-gap/fires-selector-typo.yaml");
        let mut sources = SourceMap::new();
        let id = sources.add("typo.yaml", text, Origin::File);
        let mut decoded = Decoded::default();
        for document in split_documents(text) {
            let parsed = meshproof_yaml::parse(id, text, document.range);
            decode(parsed.tree.as_ref().unwrap().root(), &mut decoded);
        }
        let inputs = decoded.resources.into_iter().map(ResourceInput::from).collect();
        let mesh = Mesh::build(inputs, &BuildOptions::for_sources(&sources));
        for (operators, level) in [("elsewhere", Level::Error), ("shop", Level::Warning)] {
            let mut world = World::default();
            world.operator_namespaces.insert(operators.to_owned());
            let found = super::super::check(&Context::new(&mesh, &sources, &world));
            let levels: Vec<Level> = found.iter().map(|finding| finding.level).collect();
            assert_eq!(levels, [level], "operators in {operators}");
        }
    }
}
