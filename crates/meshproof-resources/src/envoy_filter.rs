//! EnvoyFilter (networking.istio.io v1alpha3): not understood, but known to touch workloads.

use meshproof_source::{Span, Spanned};
use meshproof_yaml::NodeRef;

use crate::read::{entries, key_name, number, objects, spec_span, target_refs, text_at};
use crate::{Field, TargetRef, Text, WorkloadSelector};

/// The spec of an EnvoyFilter. What its patches do is not analysed: what is said of a workload it applies to is
/// unverified.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvoyFilter {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// `workloadSelector`; absent means the whole namespace (every namespace when it stands in the root namespace).
    pub workload_selector: Option<WorkloadSelector>,
    /// `targetRefs`.
    pub target_refs: Field<TargetRef>,
    /// `priority`.
    pub priority: Option<Spanned<i32>>,
    /// `configPatches`.
    pub patches: Field<EnvoyPatch>,
}

/// One item of `configPatches`.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvoyPatch {
    /// The item.
    pub span: Span,
    /// `applyTo`.
    pub apply_to: Option<Text>,
    /// `match.context`: `ANY` (also when absent), `SIDECAR_INBOUND`, `SIDECAR_OUTBOUND`, `GATEWAY`, `WAYPOINT`.
    pub context: Option<Text>,
    /// `patch.operation`.
    pub operation: Option<Text>,
}

impl EnvoyFilter {
    /// Whether a patch can change what is received: every context but `SIDECAR_OUTBOUND`. A filter without patches
    /// changes nothing.
    pub fn touches_inbound(&self) -> bool {
        let outbound = |context: &Text| context.value == "SIDECAR_OUTBOUND";
        self.patches.iter().any(|patch| !patch.context.as_ref().is_some_and(outbound))
    }

    /// Reads `spec` of `object`.
    pub(crate) fn decode(spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut filter = EnvoyFilter {
            span: spec_span(spec, object),
            workload_selector: None,
            target_refs: Field::default(),
            priority: None,
            patches: Field::default(),
        };
        for (key, value) in entries(spec) {
            match key_name(key) {
                "workloadSelector" => filter.workload_selector = WorkloadSelector::decode(value),
                "targetRefs" => filter.target_refs = target_refs(Some((key, value)), None),
                "priority" => filter.priority = number(value),
                "configPatches" => filter.patches = objects(key, value, patch),
                _ => {}
            }
        }
        filter
    }
}

fn patch(item: NodeRef<'_>) -> EnvoyPatch {
    let mut patch = EnvoyPatch { span: item.span(), apply_to: None, context: None, operation: None };
    for (key, value) in item.entries() {
        match key_name(key) {
            "applyTo" => patch.apply_to = crate::read::text(value),
            "match" => patch.context = text_at(value, "context"),
            "patch" => patch.operation = text_at(value, "operation"),
            _ => {}
        }
    }
    patch
}
