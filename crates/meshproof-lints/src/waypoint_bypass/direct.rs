//! Calls to the address of a pod, which no waypoint for services sees.

use std::collections::BTreeMap;

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_ir::{Called, Fact, GatewayId, NamespaceId, Workload, WorkloadId};

use super::{Guarded, ID, guards_pods, refuses};
use crate::Context;
use crate::network::may_be_shielded;
use crate::policies::Policy;
use crate::proof::{certain, fate_at, is_settled};
use crate::waypoint_calls::{at_waypoint, calls, refused_only_by};

struct Found<'a> {
    policy: &'a Policy<'a>,
    workload: &'a Workload,
    /// The waypoint that such a call passes all the same.
    through: Option<GatewayId>,
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
        if let Some((policy, workload, through, witness)) = open {
            found.insert(service.namespace, Found { policy, workload, through, witness, services: 1 });
        }
    }
    found.into_values().map(|found| finding(ctx, found)).collect()
}

/// A call to a pod that only the waypoint of its Service would refuse.
fn open<'c>(
    ctx: &'c Context<'_>,
    guarded: &Guarded,
    id: WorkloadId,
) -> Option<(&'c Policy<'c>, &'c Workload, Option<GatewayId>, Witness)> {
    let workload = ctx.mesh.workload(id);
    let Fact::Known(own, _) = ctx.mesh.waypoint_of(Called::Workload(id)) else { return None };
    if may_be_shielded(ctx, workload) || !is_settled(ctx, workload) {
        return None;
    }
    let policies = guarded.policies.iter().filter(|id| refuses(ctx, **id)).take(8);
    let mut policies = policies.filter_map(|id| ctx.policies.get(*id));
    if own.waypoint.is_ok() {
        // A waypoint for workloads stands before the address of the pod too, without the policies of any Service.
        let (waypoint, _) = ctx.mesh.enforcing_waypoints(&own).next()?;
        return policies.find_map(|policy| {
            let witness = through_waypoint(ctx, guarded, workload, policy, waypoint)?;
            Some((policy, workload, Some(waypoint), witness))
        });
    }
    let proxy = account(ctx, guarded.waypoint);
    policies.find_map(|policy| {
        // The waypoint itself is the one caller that is meant to come this way.
        let others =
            calls(ctx, policy, workload).filter(|(witness, _)| Some(&witness.from) != proxy.as_ref());
        let witness = refused_only_by(ctx, &guarded.policies, workload, others)?;
        Some((policy, workload, None, witness))
    })
}

/// Under which `namespace/account` a waypoint runs.
fn account(ctx: &Context<'_>, waypoint: GatewayId) -> Option<String> {
    let identity = ctx.mesh.gateway_identity(waypoint)?;
    Some(format!("{}/{}", identity.namespace.as_ref()?, identity.account))
}

/// A call to the address of a pod that its waypoint passes on, and would refuse for the Service.
fn through_waypoint(
    ctx: &Context<'_>,
    guarded: &Guarded,
    workload: &Workload,
    policy: &Policy<'_>,
    waypoint: GatewayId,
) -> Option<Witness> {
    let direct = certain(ctx.mesh.direct_policies(waypoint).authorization.iter())?;
    let proxy = account(ctx, waypoint)?;
    // Whoever has no tunnel does not pass the waypoint at all.
    let mut tried = calls(ctx, policy, workload)
        .filter(|(witness, _)| witness.from != "plaintext" && witness.from != proxy);
    tried
        .find(|(witness, port)| {
            let behind = Witness { from: proxy.clone(), ..witness.clone() };
            at_waypoint(ctx, &guarded.policies, workload, port, witness) == Some(Decision::Deny)
                && at_waypoint(ctx, &direct, workload, port, witness) == Some(Decision::Allow)
                && fate_at(ctx, workload, Some(port), &behind) == Some(Decision::Allow)
        })
        .map(|(witness, _)| witness)
}

fn finding(ctx: &Context<'_>, found: Found<'_>) -> Finding {
    let Found { policy, workload, through, witness, services } = found;
    let name = policy.meta.resource_name();
    let rest = match services - 1 {
        0 => String::new(),
        1 => " and one more Service of the namespace".to_owned(),
        more => format!(" and {more} more Services of the namespace"),
    };
    let pods = ctx.workload_name(workload);
    let message = match through {
        None => format!(
            "calls to the pod address of {pods}{rest} go around the waypoint, where {name} stands, and nothing at the pods refuses them"
        ),
        Some(waypoint) => format!(
            "calls to the pod address of {pods}{rest} pass waypoint {}, and {name}, which is for the Service, is not asked there",
            ctx.mesh.gateway_display(waypoint)
        ),
    };
    let way = match through {
        None => {
            "calls to the address of a pod, and those of clients without ztunnel, do not pass the waypoint"
        }
        Some(_) => {
            "for the address of a pod the waypoint asks the policies of the Gateway and of its class only"
        }
    };
    let because = vec![
        format!("{} would refuse it, and stands at the waypoint of the Service", policy.name()),
        way.to_owned(),
        "what is enforced on the way lets it in".to_owned(),
    ];
    let (label, help) = match through {
        None => (
            "enforced at the waypoint only",
            "add an ALLOW policy with a selector for the pods that admits only the service account of the waypoint",
        ),
        Some(_) => (
            "asked about calls to the Service only",
            "name the Gateway in `targetRefs` instead of the Service, or set istio.io/waypoint-for to service",
        ),
    };
    Finding::new(ID, Level::Warning, Category::Hole, message, Label::new(policy.meta.name_span(), label))
        .with_resource(name)
        .with_confidence(Confidence::Medium)
        .with_related(ctx.workload_span(workload), "these pods can be called directly")
        .with_witness(Witness { because, ..witness })
        .with_help(help)
}
