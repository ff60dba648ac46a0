//! What clients without rules of their own send: ztunnel, and somebody of whom only the identity is known.

use meshproof_ir::{Capture, Fact, Mesh, Origin};
use meshproof_resources::MtlsMode;

use crate::emission::ClusterWire;
use crate::endpoints::Endpoint;
use crate::{EndpointAddress, Wire};

const TUNNEL: &str = "networking.istio.io/tunnel";

/// ztunnel sends tunnels to whoever takes them, and else plaintext; it knows no DestinationRules (mutual-TLS reference
/// §3.1).
pub(crate) fn from_ztunnel(mesh: &Mesh, endpoint: &Endpoint<'_>) -> Fact<Wire> {
    let is_marked =
        endpoint.labels.and_then(|labels| labels.get(TUNNEL)).is_some_and(|way| way.value == "http");
    let EndpointAddress::Workload(id) = &endpoint.address else {
        return Fact::Known(if is_marked { Wire::Hbone } else { Wire::Plain }, Origin::Default);
    };
    match &mesh.workload(*id).capture {
        Fact::Known(Capture::Ambient | Capture::SidecarHbone | Capture::Waypoint, origin) => {
            Fact::Known(Wire::Hbone, *origin)
        }
        Fact::Known(_, origin) if is_marked => Fact::Known(Wire::Hbone, *origin),
        Fact::Known(_, origin) => Fact::Known(Wire::Plain, *origin),
        Fact::Unknown(reason) => Fact::Unknown(reason.clone()),
    }
}

/// A waypoint to the endpoints of a service that it serves: tunnels where they are taken, else plaintext, since
/// waypoints know no mutual TLS of sidecars. TLS that a DestinationRule asks for goes inside (Istio 1.32,
/// networking/core/cluster_waypoint.go).
pub(crate) fn from_waypoint(mesh: &Mesh, cluster: &ClusterWire, endpoint: &Endpoint<'_>) -> Fact<Wire> {
    let inside = match cluster {
        ClusterWire::Same(wire @ (Wire::Tls | Wire::Mtls)) => Some(*wire),
        _ => None,
    };
    match (from_ztunnel(mesh, endpoint), inside) {
        (Fact::Known(Wire::Hbone, origin), Some(_)) => Fact::Known(Wire::HboneTls, origin),
        (Fact::Known(_, origin), Some(wire)) => Fact::Known(wire, origin),
        (plain, _) => plain,
    }
}

/// Somebody who can prove an identity and opens whatever lets the server see it.
pub(crate) fn with_identity(mesh: &Mesh, endpoint: &Endpoint<'_>) -> Fact<Wire> {
    let EndpointAddress::Workload(id) = &endpoint.address else {
        return Fact::Known(Wire::IstioMtls, Origin::Default);
    };
    match &mesh.workload(*id).capture {
        Fact::Known(Capture::Ambient | Capture::Waypoint, origin) => Fact::Known(Wire::Hbone, *origin),
        Fact::Known(Capture::None, origin) => Fact::Known(Wire::Plain, *origin),
        Fact::Known(_, origin) => match endpoint.mode.map(|mode| &mode.mode) {
            Some(Fact::Known(MtlsMode::Disable, _)) => Fact::Known(Wire::Plain, *origin),
            Some(Fact::Unknown(reason)) => Fact::Unknown(reason.clone()),
            Some(Fact::Known(..)) | None => Fact::Known(Wire::IstioMtls, *origin),
        },
        Fact::Unknown(reason) => Fact::Unknown(reason.clone()),
    }
}
