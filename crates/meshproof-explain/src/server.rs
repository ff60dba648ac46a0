//! What stands before a port of a workload, and which connections it takes.

use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{
    AmbientPeerAuthentication, Capture, EffectiveMode, Fact, Mesh, PortCapture, ResourceId, Workload,
    WorkloadId,
};
use meshproof_resources::MtlsMode;
use meshproof_transport::{ServerMode, server_side};

use crate::answer::{Evidence, PointKind};

/// What stands before the port.
pub fn kind_of(mesh: &Mesh, id: WorkloadId, port: u16) -> PointKind {
    let workload = mesh.workload(id);
    let Fact::Known(capture, _) = &workload.capture else { return PointKind::Unknown };
    if let PortCapture::Excluded { .. } = port_capture(workload, port) {
        return PointKind::NoProxy;
    }
    match capture {
        Capture::Sidecar | Capture::SidecarHbone => PointKind::Sidecar,
        Capture::Ambient => PointKind::Ztunnel,
        Capture::Gateway => PointKind::Gateway,
        Capture::Waypoint => PointKind::Waypoint,
        Capture::ProxylessGrpc => PointKind::ProxylessGrpc,
        Capture::None => PointKind::NoProxy,
    }
}

fn port_capture(workload: &Workload, port: u16) -> &PortCapture {
    workload.ports.iter().find(|own| own.number == port).map_or(&workload.other_ports, |own| &own.capture)
}

fn effective(workload: &Workload, port: u16) -> &EffectiveMode {
    workload.ports.iter().find(|own| own.number == port).map_or(&workload.mode, |own| &own.mode)
}

/// Whether the port is one for datagrams.
pub(crate) fn is_datagram(mesh: &Mesh, id: WorkloadId, port: u16) -> bool {
    let own = mesh.workload(id).ports.iter().find(|own| own.number == port);
    own.is_some_and(|own| own.protocol.is(&ProtocolClass::Udp))
}

/// What leaves the mode open: objects of one scope, of which the older one counts, without their ages.
pub fn doubts(mesh: &Mesh, id: WorkloadId, port: u16) -> Option<String> {
    let effective = effective(mesh.workload(id), port);
    let decided = effective.decided_by?;
    let undated = |id: &ResourceId| mesh.resource(*id).meta.creation_timestamp.is_none();
    let mode = |id: ResourceId| {
        mesh.peer_authentication(id).map(|policy| policy.mode.as_ref().map(|mode| mode.value))
    };
    let other = effective
        .shadowed
        .iter()
        .find(|other| (undated(other) || undated(&decided)) && mode(**other) != mode(decided))?;
    let name = |id: ResourceId| mesh.resource(id).meta.name();
    Some(format!(
        "which of the PeerAuthentications {} and {} is older, and so counts; {} is taken to be",
        name(decided),
        name(*other),
        name(decided)
    ))
}

/// What makes the server take plaintext, or not.
pub(crate) fn told(mesh: &Mesh, id: WorkloadId, port: u16) -> Vec<Evidence> {
    let side = server_side(mesh, id, port);
    let evidence = |text: String| Evidence { text, span: side.span };
    let word = side.mode.as_str();
    let first = match (&side.mode, side.decided_by) {
        (ServerMode::Gateway | ServerMode::Tunnel, _) => return Vec::new(),
        (ServerMode::Unknown(reason), _) => evidence(format!("its mode is not known: {reason}")),
        (ServerMode::NoProxy, _) => {
            evidence("no proxy, so no PeerAuthentication and no AuthorizationPolicy counts".to_owned())
        }
        (ServerMode::AroundProxy, _) => evidence("this port goes around the proxy".to_owned()),
        (ServerMode::Mutual(_), Some(object)) => {
            let resource = mesh.resource(object);
            let namespace = mesh.placement[object.index()]
                .1
                .map_or(meshproof_ir::UNNAMED, |id| mesh.namespace_display(id));
            evidence(format!("{word} by PeerAuthentication {namespace}/{}", resource.meta.name()))
        }
        (ServerMode::Mutual(_), None) => {
            evidence(format!("{word} by default: no PeerAuthentication says otherwise"))
        }
    };
    // Without a known proxy there is nothing to tell but that.
    if let Some(doubt) = &side.doubt {
        let text = format!("it is not known whether a proxy stands before it: {doubt}");
        return vec![Evidence::new(text)];
    }
    let mut told = vec![first];
    let workload = mesh.workload(id);
    if let Some(ambient) = &workload.ambient {
        told.extend(at_ztunnel(mesh, ambient, effective(workload, port)));
    }
    told
}

/// Where ztunnel does not do what is written.
fn at_ztunnel(
    mesh: &Mesh,
    ambient: &AmbientPeerAuthentication,
    effective: &EffectiveMode,
) -> Option<Evidence> {
    if let Some(lost) = ambient.converted.filter(|_| ambient.missing) {
        let resource = mesh.resource(lost);
        let text = format!(
            "the ports of PeerAuthentication {} never reach ztunnel, which then takes plaintext everywhere",
            resource.meta.name()
        );
        return Some(Evidence::at(text, resource.meta.span));
    }
    let disabled = effective.mode.is(&MtlsMode::Disable);
    disabled.then(|| Evidence::new("ztunnel takes DISABLE for PERMISSIVE"))
}
