//! `selector-matches-nothing`: selectors that find no pod.

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::{NamespaceId, ResourceId};
use meshproof_resources::{Spec, TextMap};

use crate::Context;
use crate::selectors::asks_for_later_labels;

const ID: &str = "selector-matches-nothing";

/// Labels of pods that Istio's installation and its gateway controller make; such pods are rarely in the input.
const GATEWAY_LABELS: &[&str] = &["istio", "gateway.networking.k8s.io/gateway-name", "istio.io/gateway-name"];

/// Runs the lint: one finding per object.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let objects = ctx.mesh.resources.iter().enumerate();
    objects.filter_map(|(at, _)| object(ctx, ResourceId(at as u32))).collect()
}

/// The selector of an object that picks pods, and what it is for.
fn selector(spec: &Spec) -> Option<(&TextMap, &'static str)> {
    let found = match spec {
        Spec::AuthorizationPolicy(policy) => (&policy.selector.as_ref()?.match_labels, "decides nothing"),
        Spec::PeerAuthentication(policy) => (&policy.selector.as_ref()?.match_labels, "sets no mode"),
        Spec::RequestAuthentication(policy) => {
            (&policy.selector.as_ref()?.match_labels, "validates no token")
        }
        Spec::Service(service) => (&service.selector, "leads nowhere"),
        _ => return None,
    };
    (!found.0.is_empty()).then_some(found)
}

fn object(ctx: &Context<'_>, id: ResourceId) -> Option<Finding> {
    let resource = ctx.resource(id);
    let (labels, effect) = selector(&resource.spec)?;
    let namespace = ctx.namespace_of(id)?;
    let is_service = matches!(resource.spec, Spec::Service(_));
    let everywhere = ctx.is_root(namespace)
        && matches!(resource.spec, Spec::AuthorizationPolicy(_) | Spec::RequestAuthentication(_));
    // Root PeerAuthentications with a selector are dead for another reason.
    let other_lint = ctx.is_root(namespace) && matches!(resource.spec, Spec::PeerAuthentication(_));
    let silent = other_lint
        || asks_for_later_labels(labels)
        || labels.entries.iter().any(|(key, _)| GATEWAY_LABELS.contains(&key.value.as_str()))
        || ctx.mesh.namespaces[namespace.index()].workloads.is_empty()
        || is_found(ctx, namespace, everywhere, labels);
    if silent {
        return None;
    }
    let near = ctx.labels.nearly(ctx.mesh, namespace, labels);
    let misplaced = labelled_object(ctx, namespace, labels);
    // Pods of Services often come from operators; without a sign of a slip nothing is said.
    if is_service && near.is_none() && misplaced.is_none() {
        return None;
    }
    let incomplete = ctx.is_incomplete(namespace) || ctx.has_operators(namespace) || everywhere;
    let level = if incomplete { Level::Info } else { Level::Warning };
    let meta = &resource.meta;
    let name = meta.resource_name();
    let (_, first) = labels.entries.first()?;
    let (span, label) = match &near {
        Some(near) => (
            near.value.span,
            format!("no pod has this label; did you mean {}: {}?", near.key.value, near.meant),
        ),
        None => (first.span, "no pod has this label".to_owned()),
    };
    let message = format!("{name} {effect}: its selector finds no pod");
    let mut finding = Finding::new(ID, level, Category::Dead, message, Label::new(span, label))
        .with_resource(name)
        .with_confidence(Confidence::Medium);
    if let Some(workload) = misplaced {
        let object = &ctx.resource(workload).meta;
        let kind = &object.kind.value;
        return Some(
            finding
                .with_related(
                    object.labels.key.unwrap_or(object.name_span()),
                    format!("these labels are the {kind}'s own; its pods do not have them"),
                )
                .with_help(format!(
                    "add the label to the pod template of {kind} {}, where selectors look",
                    object.name()
                )),
        );
    }
    if let Some(near) = near {
        let workload = near.workloads.first().map(|id| &ctx.mesh.workloads[id.index()]);
        if let Some(label) = workload.and_then(|workload| workload.labels.get(&near.key.value)) {
            finding = finding.with_related(label.span, "pods with this label exist");
        }
        return Some(
            finding
                .with_help(format!("select {}: {}", near.key.value, near.meant))
                .with_edit(ctx.inner(near.value.span), near.meant),
        );
    }
    Some(finding.with_help("selectors are compared with the labels of the pod template, letter by letter"))
}

fn is_found(ctx: &Context<'_>, namespace: NamespaceId, everywhere: bool, labels: &TextMap) -> bool {
    if !everywhere {
        return ctx.labels.finds(ctx.mesh, namespace, labels);
    }
    ctx.labels.finds_anywhere(ctx.mesh, labels)
}

/// A workload object whose own labels would satisfy the selector, while its pods do not.
fn labelled_object(ctx: &Context<'_>, namespace: NamespaceId, labels: &TextMap) -> Option<ResourceId> {
    let ids = ctx.mesh.namespaces[namespace.index()].workloads.iter().take(LOOKED_AT);
    let resources = ids.map(|id| ctx.mesh.workloads[id.index()].resource);
    resources.into_iter().find(|id| labels.is_subset_of(&ctx.resource(*id).meta.labels))
}

/// Workloads looked at per selector that finds nothing.
const LOOKED_AT: usize = 2_000;
