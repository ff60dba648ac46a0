//! Calls to the address of a pod, which no waypoint for services sees.

use std::collections::BTreeMap;

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level, Witness};
use meshproof_ir::{Called, Fact, NamespaceId, Workload, WorkloadId};

use super::{Guarded, ID, guards_pods, refuses};
use crate::Context;
use crate::network::may_be_shielded;
use crate::policies::Policy;
use crate::proof::is_settled;
use crate::waypoint_calls::{calls, refused_only_by};

struct Found<'a> {
    policy: &'a Policy<'a>,
    workload: &'a Workload,
    witness: Witness,
    services: usize,
}

/// One finding per namespace: what closes the gap closes it for all of its pods.
pub(super) fn findings(ctx: &Context<'_>, guarded: &[Guarded]) -> Vec<Finding> {
    let mut found: BTreeMap<NamespaceId, Found<'_>> = BTreeMap::new();
    for guarded in guarded {
        let service = &ctx.mesh.services[guarded.service.index()];
        if let Some(known) = found.get_mut(&service.namespace) {
            known.services += 1;
            continue;
        }
        if guards_pods(ctx, guarded.service) {
            continue;
        }
        let open = service.workloads.iter().take(4).find_map(|id| open(ctx, guarded, *id));
        if let Some((policy, workload, witness)) = open {
            found.insert(service.namespace, Found { policy, workload, witness, services: 1 });
        }
    }
    found.into_values().map(|found| finding(ctx, found)).collect()
}

/// A call to a pod that only the waypoint of its Service would refuse.
fn open<'c>(
    ctx: &'c Context<'_>,
    guarded: &Guarded,
    id: WorkloadId,
) -> Option<(&'c Policy<'c>, &'c Workload, Witness)> {
    let workload = ctx.mesh.workload(id);
    // A waypoint for workloads stands before the address of the pod too.
    let Fact::Known(own, _) = ctx.mesh.waypoint_of(Called::Workload(id)) else { return None };
    if own.waypoint.is_ok() || may_be_shielded(ctx, workload) || !is_settled(ctx, workload) {
        return None;
    }
    let policies = guarded.policies.iter().filter(|id| refuses(ctx, **id)).take(8);
    policies.filter_map(|id| ctx.policies.get(*id)).find_map(|policy| {
        let witness = refused_only_by(ctx, &guarded.policies, workload, calls(ctx, policy, workload))?;
        Some((policy, workload, witness))
    })
}

fn finding(ctx: &Context<'_>, found: Found<'_>) -> Finding {
    let Found { policy, workload, witness, services } = found;
    let name = policy.meta.resource_name();
    let rest = match services - 1 {
        0 => String::new(),
        1 => " and one more Service of the namespace".to_owned(),
        more => format!(" and {more} more Services of the namespace"),
    };
    let pods = ctx.workload_name(workload);
    let message = format!(
        "calls to the pod address of {pods}{rest} go around the waypoint, where {name} stands, and nothing at the pods refuses them"
    );
    let because = vec![
        format!("{} would refuse it, and stands at the waypoint of the Service", policy.name()),
        "calls to the address of a pod, and those of clients without ztunnel, do not pass the waypoint"
            .to_owned(),
        "what is enforced at the pods lets it in".to_owned(),
    ];
    Finding::new(ID, Level::Warning, Category::Hole, message, Label::new(policy.meta.name_span(), "enforced at the waypoint only"))
        .with_resource(name)
        .with_confidence(Confidence::Medium)
        .with_related(ctx.workload_span(workload), "these pods can be called directly")
        .with_witness(Witness { because, ..witness })
        .with_help("add an ALLOW policy with a selector for the pods that admits only the service account of the waypoint")
}
