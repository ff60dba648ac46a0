//! `waypoint-bypass`: calls that go around a waypoint, past the policies that stand there (waypoint reference, C3, C5, G3;
//! mutual-TLS reference §11.3 ST14).

mod canary;
mod direct;
mod endpoints;
mod ingress;

use meshproof_diagnostics::Finding;
use meshproof_grammar::dry_run::DryRun;
use meshproof_ir::{Called, Fact, GatewayId, ResourceId, ServiceId};
use meshproof_resources::Action;

use crate::Context;
use crate::proof::certain;

const ID: &str = "waypoint-bypass";
/// istiod then guards pods behind a waypoint itself (Istio 1.32, pilot/pkg/features).
const AUTO_ALLOW: &str = "PILOT_AUTO_ALLOW_WAYPOINT_POLICY";

/// Runs the lint.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    if ctx.mesh.gateways.is_empty() {
        return Vec::new();
    }
    let guarded = guarded(ctx);
    let mut findings = direct::findings(ctx, &guarded);
    findings.extend(ingress::findings(ctx, &guarded));
    findings.extend(canary::findings(ctx));
    findings.extend(endpoints::findings(ctx));
    findings
}

/// A Service whose waypoint enforces policies.
struct Guarded {
    service: ServiceId,
    waypoint: GatewayId,
    /// Everything that stands in its chains.
    policies: Vec<ResourceId>,
}

/// Services with a waypoint where somebody may be refused, in the order of the input.
fn guarded(ctx: &Context<'_>) -> Vec<Guarded> {
    let services = (0..ctx.mesh.services.len() as u32).map(ServiceId);
    services
        .filter_map(|service| {
            let called = Called::Service(service);
            let Fact::Known(binding, _) = ctx.mesh.waypoint_of(called) else { return None };
            let (waypoint, _) = ctx.mesh.enforcing_waypoints(&binding).next()?;
            let policies = certain(ctx.mesh.waypoint_policies(waypoint, called).authorization.iter())?;
            policies.iter().any(|id| refuses(ctx, *id)).then_some(Guarded { service, waypoint, policies })
        })
        .collect()
}

/// Whether a policy can refuse anybody.
fn refuses(ctx: &Context<'_>, id: ResourceId) -> bool {
    let policy = ctx.policies.get(id);
    policy.is_some_and(|policy| policy.enforces(Action::Deny) || policy.enforces(Action::Allow))
}

/// Whether istiod makes a policy that admits only the waypoint.
pub(crate) fn guards_pods(ctx: &Context<'_>, service: ServiceId) -> bool {
    let namespace = ctx.mesh.services[service.index()].namespace;
    let settings = ctx.mesh.settings_of(ctx.mesh.namespace(namespace).cluster);
    let flag = settings.feature(AUTO_ALLOW).map(|flag| flag.known().map(|value| DryRun::parse(value)));
    match flag {
        None => false,
        Some(Some(Ok(on))) => on.0,
        Some(_) => true,
    }
}
