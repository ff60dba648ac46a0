//! A second waypoint for a share of the calls, without the policies of the first (waypoint reference, G3).

use std::collections::BTreeMap;

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_ir::{Called, Canary, Fact, GatewayId, GatewayRole, ResourceId, ServiceId, WaypointBinding};

use super::{ID, refuses};
use crate::Context;
use crate::network::may_be_shielded;
use crate::proof::{certain, is_settled};
use crate::waypoint_calls::{at_waypoint, calls, refused_only_by};

/// One finding per policy of a first waypoint and second waypoint.
pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let mut found: BTreeMap<(ResourceId, GatewayId), Finding> = BTreeMap::new();
    for service in (0..ctx.mesh.services.len() as u32).map(ServiceId) {
        let Fact::Known(binding, _) = ctx.mesh.waypoint_of(Called::Service(service)) else { continue };
        let Some((primary, canary)) = both(&binding) else { continue };
        let known = |gateway: GatewayId| ctx.mesh.gateway(gateway).role;
        if known(primary) != GatewayRole::Waypoint || known(canary.waypoint) == GatewayRole::Unknown {
            continue;
        }
        if let Some((id, finding)) = finding(ctx, service, primary, canary) {
            found.entry((id, canary.waypoint)).or_insert(finding);
        }
    }
    found.into_values().collect()
}

fn both(binding: &WaypointBinding) -> Option<(GatewayId, Canary)> {
    let canary = *binding.canary.as_ref()?.as_ref().ok()?;
    let primary = *binding.waypoint.as_ref().ok()?;
    (canary.weight > 0).then_some((primary, canary))
}

fn finding(
    ctx: &Context<'_>,
    service: ServiceId,
    primary: GatewayId,
    canary: Canary,
) -> Option<(ResourceId, Finding)> {
    let called = Called::Service(service);
    let at = |gateway| certain(ctx.mesh.waypoint_policies(gateway, called).authorization.iter());
    let (first, second) = (at(primary)?, at(canary.waypoint)?);
    let lost = first.iter().filter(|id| !second.contains(id) && refuses(ctx, **id)).take(8);
    let workloads = &ctx.mesh.services[service.index()].workloads;
    let (policy, workload, witness) = lost.filter_map(|id| ctx.policies.get(*id)).find_map(|policy| {
        workloads.iter().take(4).find_map(|id| {
            let workload = ctx.mesh.workload(*id);
            let tried = calls(ctx, policy, workload).filter(|(witness, port)| {
                at_waypoint(ctx, &second, workload, port, witness) == Some(Decision::Allow)
            });
            Some((policy, workload, refused_only_by(ctx, &first, workload, tried)?))
        })
    })?;
    let sure = is_settled(ctx, workload) && !may_be_shielded(ctx, workload);
    let level = if sure { Level::Error } else { Level::Warning };
    let name = policy.meta.resource_name();
    let object = &ctx.resource(ctx.mesh.services[service.index()].resource).meta;
    let second = ctx.mesh.gateway_display(canary.waypoint);
    let message = format!(
        "{} % of the calls to {} skip {name}: they go through waypoint {second}, which the policy does not name",
        canary.weight,
        object.resource_name()
    );
    let because = vec![
        format!("{} would refuse it at waypoint {}", policy.name(), ctx.mesh.gateway_display(primary)),
        format!("waypoint {second} gets {} % of the calls, and its policies let it in", canary.weight),
    ];
    let finding = Finding::new(
        ID,
        level,
        Category::Hole,
        message,
        Label::new(policy.meta.name_span(), "attached to the first waypoint only"),
    )
    .with_resource(name)
    .with_confidence(Confidence::High)
    .with_related(
        ctx.resource(ctx.mesh.gateway(canary.waypoint).resource).meta.name_span(),
        "the second waypoint",
    )
    .with_witness(Witness { because, ..witness })
    .with_help("name the Service in `targetRefs`, or both Gateways");
    Some((policy.id, finding))
}
