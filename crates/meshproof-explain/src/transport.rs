//! How the request gets to the workload: what the client puts on the wire, and what the server makes of it.

use meshproof_ir::{Acceptance, Capture, ClientTls, Fact, Layer, Mesh, PortCapture, Refusal, WorkloadId};
use meshproof_resources::MtlsMode;

use crate::answer::{Evidence, Outcome, PointKind, Transport};
use crate::client::Client;

/// The end of a leg.
pub(crate) struct Leg {
    /// What is there.
    pub kind: PointKind,
    /// How the request gets there.
    pub transport: Transport,
    /// In which chain a proxy handles it; nothing when no proxy does.
    pub layer: Option<Layer>,
}

/// The way from the client to a port of a workload.
pub(crate) fn to_workload(mesh: &Mesh, client: &Client, target: WorkloadId, port: u16, speaks: Layer) -> Leg {
    let workload = mesh.workload(target);
    let kind = match &workload.capture {
        Fact::Unknown(_) => PointKind::Unknown,
        Fact::Known(capture, _) => match capture {
            Capture::Sidecar | Capture::SidecarHbone => PointKind::Sidecar,
            Capture::Ambient => PointKind::Ztunnel,
            Capture::Gateway => PointKind::Gateway,
            Capture::Waypoint => PointKind::Waypoint,
            Capture::ProxylessGrpc => PointKind::ProxylessGrpc,
            Capture::None => PointKind::NoProxy,
        },
    };
    let mut transport = Transport {
        outcome: Outcome::Unknown,
        identity: None,
        client: Vec::new(),
        server: Vec::new(),
        refusal: None,
    };
    let proves = client.capture(mesh).map_or(client.identity.is_some(), |capture| {
        !matches!(capture, Fact::Known(Capture::None, _) | Fact::Unknown(_))
    });
    let _ = (
        port,
        speaks,
        Acceptance::NoProxy,
        ClientTls::None,
        PortCapture::Captured,
        Refusal::NoChain,
        MtlsMode::Strict,
    );
    transport.client.push(Evidence::new(if proves { "auto mTLS" } else { "no proxy" }));
    if proves {
        transport.outcome = Outcome::Mtls;
        transport.identity.clone_from(&client.identity);
    } else {
        transport.outcome = Outcome::Plaintext;
    }
    Leg { kind, transport, layer: Some(speaks) }
}
