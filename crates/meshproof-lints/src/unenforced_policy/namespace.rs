//! Namespaces that are not in the mesh, with policies in them.

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::{Capture, NamespaceId, ResourceId, Workload};
use meshproof_resources::{Action, MtlsMode, Spec};

use super::ID;
use crate::Context;
use crate::hash::Map;
use crate::peers::is_protected;

pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let mut first: Map<NamespaceId, (ResourceId, usize)> = Map::default();
    for (at, resource) in ctx.mesh.resources.iter().enumerate() {
        let id = ResourceId(at as u32);
        let Some(namespace) = ctx.namespace_of(id).filter(|namespace| !ctx.is_root(*namespace)) else {
            continue;
        };
        if wants_a_proxy(ctx, id, &resource.spec) {
            first.entry(namespace).or_insert((id, 0)).1 += 1;
        }
    }
    // Where no namespace is in the mesh, membership is probably not kept in these manifests.
    let kept_here = ctx.mesh.workloads.iter().any(is_protected);
    let mut outside: Vec<_> =
        first.into_iter().filter(|(namespace, _)| is_outside(ctx, *namespace)).collect();
    outside.sort_unstable_by_key(|(namespace, _)| *namespace);
    outside
        .into_iter()
        .filter_map(|(namespace, (id, count))| finding(ctx, namespace, id, count, kept_here))
        .collect()
}

/// It means to restrict who reaches pods, all of them or some.
fn wants_a_proxy(ctx: &Context<'_>, id: ResourceId, spec: &Spec) -> bool {
    match spec {
        Spec::AuthorizationPolicy(policy) => {
            policy.target_refs.is_empty()
                && ctx
                    .policies
                    .get(id)
                    .is_some_and(|policy| !policy.dry_run && policy.action != Action::Audit)
        }
        Spec::RequestAuthentication(policy) => policy.target_refs.is_empty(),
        Spec::PeerAuthentication(policy) => {
            policy.mode.as_ref().is_some_and(|mode| mode.value == MtlsMode::Strict)
        }
        _ => false,
    }
}

/// Every pod is without a proxy because of the namespace, not for a reason of its own.
fn is_outside(ctx: &Context<'_>, namespace: NamespaceId) -> bool {
    let of = ctx.mesh.namespace(namespace);
    let by_namespace = |workload: &Workload| {
        workload.capture.is(&Capture::None) && !super::selector::has_own_reason(workload)
    };
    of.labels.known().is_some()
        && !of.workloads.is_empty()
        && of.workloads.iter().all(|id| by_namespace(ctx.mesh.workload(*id)))
}

fn finding(
    ctx: &Context<'_>,
    namespace: NamespaceId,
    id: ResourceId,
    count: usize,
    kept_here: bool,
) -> Option<Finding> {
    let object = ctx.mesh.namespace(namespace).resource?;
    let meta = &ctx.resource(object).meta;
    let name = ctx.resource(id).meta.resource_name();
    let rest = match count - 1 {
        0 => String::new(),
        1 => " and one more policy".to_owned(),
        more => format!(" and {more} more policies"),
    };
    let level = if kept_here && !ctx.is_incomplete(namespace) { Level::Warning } else { Level::Info };
    let message = format!(
        "{name}{rest} protect nothing: namespace {} is not in the mesh, so its pods have no proxy",
        meta.name()
    );
    let label = Label::new(meta.name_span(), "no label puts its pods into the mesh");
    Some(
        Finding::new(ID, level, Category::Hole, message, label)
            .with_resource(meta.resource_name())
            .with_confidence(Confidence::Medium)
            .with_related(ctx.resource(id).meta.name_span(), "nothing enforces it")
            .with_help("label the namespace with `istio-injection: enabled` (sidecars) or `istio.io/dataplane-mode: ambient`"),
    )
}
