//! Addresses that are written in a ServiceEntry, which do not have the waypoint of its hosts (waypoint reference, C3).

use std::net::IpAddr;

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::{Called, Fact, ResourceId};
use meshproof_resources::{ServiceEntry, Spec};

use super::{ID, refuses};
use crate::Context;
use crate::policies::Policy;
use crate::proof::certain;

/// One finding per ServiceEntry.
pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let objects = ctx.mesh.resources.iter().enumerate();
    objects
        .filter_map(|(at, resource)| match &resource.spec {
            Spec::ServiceEntry(entry) => at_entry(ctx, ResourceId(at as u32), entry),
            _ => None,
        })
        .collect()
}

fn at_entry(ctx: &Context<'_>, id: ResourceId, entry: &ServiceEntry) -> Option<Finding> {
    let called = Called::ServiceEntry(id);
    let Fact::Known(binding, _) = ctx.mesh.waypoint_of(called) else { return None };
    let (waypoint, _) = ctx.mesh.enforcing_waypoints(&binding).next()?;
    let attached = certain(ctx.mesh.waypoint_policies(waypoint, called).authorization.iter())?;
    let policy: &Policy<'_> =
        attached.iter().filter(|id| refuses(ctx, **id)).find_map(|id| ctx.policies.get(*id))?;
    let without = |at: &usize| {
        let own = ctx.mesh.waypoint_of(Called::Endpoint { entry: id, endpoint: *at });
        matches!(own, Fact::Known(binding, _) if binding.waypoint.is_err())
    };
    let is_address = |at: &usize| {
        let address = entry.endpoints[*at].address.as_ref();
        address.is_some_and(|address| address.value.parse::<IpAddr>().is_ok())
    };
    let at = (0..entry.endpoints.len()).filter(is_address).find(without)?;
    let address = entry.endpoints[at].address.as_ref()?;
    let name = policy.meta.resource_name();
    let message = format!(
        "calls to {} go around waypoint {}, where {name} stands: the label of the ServiceEntry is for its hosts, not for its addresses",
        address.value,
        ctx.mesh.gateway_display(waypoint)
    );
    Some(
        Finding::new(ID, Level::Info, Category::Hole, message, Label::new(address.span, "has no waypoint"))
            .with_resource(ctx.resource(id).meta.resource_name())
            .with_confidence(Confidence::Medium)
            .with_related(policy.meta.name_span(), "enforced for calls to the hosts only")
            .with_help("label the endpoint with istio.io/use-waypoint too, with a waypoint for workloads, and name the Gateway in `targetRefs`"),
    )
}
