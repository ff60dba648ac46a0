//! `label-less-pod`: pods without any label, to which istiod attaches every policy that has a selector (ambient
//! reference, C2).

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_ir::{Capture, ResourceId, Workload};

use crate::Context;
use crate::policies::Policy;
use crate::proof::{certain, cluster_of, engine_of, fate_at, fate_of, is_settled};
use crate::waypoint_calls::calls_to_pods;

const ID: &str = "label-less-pod";
/// Policies tried per pod.
const TRIED: usize = 8;

/// Runs the lint: one finding per pod. Pods that a controller makes always have labels.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let bare = ctx.mesh.workloads.iter().filter(|workload| {
        workload.labels.is_empty()
            && workload.capture.is(&Capture::Ambient)
            && ctx.resource(workload.resource).meta.kind.value == "Pod"
    });
    bare.filter_map(|workload| at_pod(ctx, workload)).collect()
}

fn at_pod(ctx: &Context<'_>, workload: &Workload) -> Option<Finding> {
    let attached = certain(workload.policies.iter())?;
    let is_meant = |id: &ResourceId| ctx.policies.get(*id).is_none_or(|policy| !policy.has_selector());
    let (meant, strays): (Vec<ResourceId>, Vec<ResourceId>) = attached.iter().partition(|id| is_meant(id));
    let stray = ctx.policies.get(*strays.first()?)?;
    let refused = strays
        .iter()
        .take(TRIED)
        .filter_map(|id| ctx.policies.get(*id))
        .find_map(|policy| Some((policy, refused_only_by_strays(ctx, workload, policy, &meant)?)));
    let policy = refused.as_ref().map_or(stray, |(policy, _)| policy);
    let name = policy.meta.resource_name();
    let pod = ctx.workload_name(workload);
    let rest = match strays.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!(
        "pod {pod} has no label, so {name}{rest} holds for it too, whatever the selector says: ztunnel is given every policy of the namespace"
    );
    let sure = refused.is_some() && is_settled(ctx, workload);
    let mut finding = Finding::new(
        ID,
        if sure { Level::Error } else { Level::Warning },
        Category::Outage,
        message,
        Label::new(ctx.workload_span(workload), "has no labels"),
    )
    .with_resource(ctx.resource(workload.resource).meta.resource_name())
    .with_confidence(if sure { Confidence::High } else { Confidence::Medium })
    .with_related(policy.meta.name_span(), "meant for other pods")
    .with_help("give the pod a label of its own");
    if let Some((policy, witness)) = refused {
        let because = vec![
            format!("istiod attaches {} to pods without labels", policy.name()),
            "without the policies of other pods it would get in".to_owned(),
        ];
        finding = finding.with_witness(Witness { because, decision: Decision::Deny, ..witness });
    }
    Some(finding)
}

/// A call that is refused, and that the policies meant for the pod would let in.
fn refused_only_by_strays(
    ctx: &Context<'_>,
    workload: &Workload,
    policy: &Policy<'_>,
    meant: &[ResourceId],
) -> Option<Witness> {
    let cluster = cluster_of(ctx, workload);
    let found = calls_to_pods(ctx, policy, workload).find(|(witness, port)| {
        fate_at(ctx, workload, Some(port), witness) == Some(Decision::Deny)
            && fate_of(ctx, meant, engine_of(workload, Some(port)), cluster, witness) == Some(Decision::Allow)
    });
    found.map(|(witness, _)| witness)
}
