//! Waypoints in front of sidecars: a waypoint has tunnels and plaintext, and STRICT sidecars without HBONE take neither
//! (mutual-TLS reference §3.1, PA21).

use meshproof_diagnostics::{Finding, Level};
use meshproof_ir::{Called, Capture, Fact, ServiceId};
use meshproof_transport::Client;

use super::{Said, lost};
use crate::Context;

/// One finding per Service.
pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    // Only what ztunnel captures sends through waypoints.
    let is_used = ctx.mesh.workloads.iter().any(|workload| workload.capture.is(&Capture::Ambient));
    if ctx.mesh.gateways.is_empty() {
        return Vec::new();
    }
    let clients = ctx.clients();
    let services = (0..ctx.mesh.services.len() as u32).map(ServiceId);
    let of_service = |service: ServiceId| {
        let Fact::Known(binding, _) = ctx.mesh.waypoint_of(Called::Service(service)) else { return None };
        let (waypoint, _) = ctx.mesh.enforcing_waypoints(&binding).next()?;
        let known = &ctx.mesh.services[service.index()];
        let cluster = ctx.mesh.namespace(known.namespace).cluster;
        let host = &clients.hosts[clients.named(cluster, known.fqdn.as_deref()?).next()? as usize];
        let lost = host.ports.iter().find_map(|port| lost(ctx, Client::Waypoint(waypoint), host, *port))?;
        let meta = &ctx.resource(known.resource).meta;
        let gateway = ctx.mesh.gateway_display(waypoint);
        let said = Said {
            level: if is_used { Level::Error } else { Level::Warning },
            place: meta.name_span(),
            label: format!("called through waypoint {gateway}"),
            resource: meta.resource_name(),
            who: format!("waypoint {gateway}"),
            from: "plaintext".to_owned(),
            why: "it has no tunnel to these sidecars, and sends plaintext".to_owned(),
            help: "take the Service away from the waypoint (istio.io/use-waypoint: none), or move its pods to ambient",
        };
        lost.finding(ctx, said)
    };
    services.filter_map(of_service).collect()
}
