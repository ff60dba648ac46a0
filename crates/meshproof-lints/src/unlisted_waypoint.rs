//! `unlisted-waypoint`: rules at pods behind a waypoint that name its clients and not the waypoint, which is whom the
//! pods see (mutual-TLS reference §7; waypoint reference, behaviour 1).

use std::collections::BTreeMap;

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_ir::{Called, Capture, Fact, GatewayId, ResourceId, ServiceId, Workload};
use meshproof_resources::Action;

use crate::Context;
use crate::policies::Policy;
use crate::proof::{certain, fate_at, is_settled};
use crate::waypoint_bypass::guards_pods;
use crate::waypoint_calls::{at_waypoint, calls};

const ID: &str = "unlisted-waypoint";
/// Workloads looked at per Service, and policies per workload.
const TRIED: usize = 8;

/// Runs the lint: one finding per policy and waypoint.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    if ctx.mesh.gateways.is_empty() {
        return Vec::new();
    }
    let mut found: BTreeMap<(ResourceId, GatewayId), Finding> = BTreeMap::new();
    for service in (0..ctx.mesh.services.len() as u32).map(ServiceId) {
        let Fact::Known(binding, _) = ctx.mesh.waypoint_of(Called::Service(service)) else { continue };
        // With a second waypoint beside it some calls fare otherwise.
        let waypoints: Vec<GatewayId> = ctx.mesh.enforcing_waypoints(&binding).map(|(id, _)| id).collect();
        let [waypoint] = waypoints[..] else { continue };
        if guards_pods(ctx, service) {
            continue;
        }
        for id in ctx.mesh.services[service.index()].workloads.iter().take(TRIED) {
            let workload = ctx.mesh.workload(*id);
            if workload.capture.is(&Capture::Ambient)
                && let Some((policy, finding)) = at_workload(ctx, service, waypoint, workload)
            {
                found.entry((policy, waypoint)).or_insert(finding);
            }
        }
    }
    found.into_values().collect()
}

fn at_workload(
    ctx: &Context<'_>,
    service: ServiceId,
    waypoint: GatewayId,
    workload: &Workload,
) -> Option<(ResourceId, Finding)> {
    let proxy = ctx.mesh.gateway_identity(waypoint)?;
    let proxy = format!("{}/{}", proxy.namespace.as_ref()?, proxy.account);
    let on_the_way =
        certain(ctx.mesh.waypoint_policies(waypoint, Called::Service(service)).authorization.iter())?;
    let attached = workload.policies.iter().take(TRIED).filter_map(|at| ctx.policies.get(at.policy));
    attached.filter(|policy| policy.enforces(Action::Allow)).find_map(|policy| {
        let (witness, _) = calls(ctx, policy, workload).find(|(witness, port)| {
            let behind = Witness { from: proxy.clone(), ..witness.clone() };
            // By its own identity the caller would get in, and the waypoint passes it on.
            witness.from != proxy
                && is_captured(ctx, &witness.from)
                && at_waypoint(ctx, &on_the_way, workload, port, witness) == Some(Decision::Allow)
                && fate_at(ctx, workload, Some(port), witness) == Some(Decision::Allow)
                && fate_at(ctx, workload, Some(port), &behind) == Some(Decision::Deny)
        })?;
        Some((policy.id, finding(ctx, policy, (service, waypoint), workload, &proxy, witness)))
    })
}

/// Whether pods captured by ztunnel run under an account: their calls pass the waypoint.
fn is_captured(ctx: &Context<'_>, account: &str) -> bool {
    let Some((namespace, account)) = account.split_once('/') else { return false };
    let identities = ctx.mesh.accounts_named(namespace, account);
    let mut pods = identities.flat_map(|identity| identity.workloads.iter().take(TRIED));
    pods.any(|id| ctx.mesh.workload(*id).capture.is(&Capture::Ambient))
}

fn finding(
    ctx: &Context<'_>,
    policy: &Policy<'_>,
    (service, waypoint): (ServiceId, GatewayId),
    workload: &Workload,
    proxy: &str,
    witness: Witness,
) -> Finding {
    let name = policy.meta.resource_name();
    let object = &ctx.resource(ctx.mesh.services[service.index()].resource).meta;
    let gateway = ctx.mesh.gateway_display(waypoint);
    let message = format!(
        "{} cannot call {}: the call comes through waypoint {gateway}, and {name} does not let the waypoint in",
        witness.from,
        object.resource_name()
    );
    let because = vec![
        format!("calls to {} pass waypoint {gateway}", object.resource_name()),
        format!("the pods see the waypoint, {proxy}, in place of {}", witness.from),
        format!("{} lets {} in, and no rule lets {proxy} in", policy.name(), witness.from),
    ];
    let sure = is_settled(ctx, workload);
    Finding::new(
        ID,
        if sure { Level::Error } else { Level::Warning },
        Category::Outage,
        message,
        Label::new(policy.meta.name_span(), "enforced behind the waypoint"),
    )
    .with_resource(name)
    .with_confidence(if sure { Confidence::High } else { Confidence::Medium })
    .with_related(
        ctx.resource(ctx.mesh.gateway(waypoint).resource).meta.name_span(),
        "the waypoint, as whom calls arrive",
    )
    .with_related(ctx.workload_span(workload), "these pods")
    .with_witness(Witness { decision: Decision::Deny, because, ..witness })
    .with_help(format!(
        "let {proxy} in at the pods, and name the callers in a policy with `targetRefs` for the Service"
    ))
}
