//! What a port of a workload asks of its clients, and who decides it.

use meshproof_ir::{Capture, Fact, Mesh, PortCapture, ResourceId, WorkloadId};
use meshproof_resources::MtlsMode;
use meshproof_source::Span;

use crate::endpoints::{TlsMode, tls_mode};

/// What a port asks of its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSide {
    /// In which way.
    pub mode: ServerMode,
    /// The object that decides; absent where the default does, or the input leaves it open.
    pub decided_by: Option<ResourceId>,
    /// The deciding text.
    pub span: Option<Span>,
    /// Why it is not certain that a proxy is there to ask for it.
    pub doubt: Option<String>,
}

/// In which way a port takes connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerMode {
    /// By a mode of PeerAuthentication; never `UNSET`.
    Mutual(MtlsMode),
    /// Through tunnels of ambient mode only: a waypoint.
    Tunnel,
    /// As its Gateway objects say.
    Gateway,
    /// Whatever arrives reaches the application: the workload has no proxy.
    NoProxy,
    /// Whatever arrives reaches the application: the port goes around the proxy.
    AroundProxy,
    /// The input does not tell; the reason for people.
    Unknown(String),
}

impl ServerMode {
    /// The word of reports.
    pub fn as_str(&self) -> &'static str {
        match self {
            ServerMode::Mutual(MtlsMode::Strict) => "STRICT",
            ServerMode::Mutual(MtlsMode::Disable) => "DISABLE",
            ServerMode::Mutual(MtlsMode::Permissive | MtlsMode::Unset) => "PERMISSIVE",
            ServerMode::Tunnel => "tunnel",
            ServerMode::Gateway => "gateway",
            ServerMode::NoProxy => "no proxy",
            ServerMode::AroundProxy => "around the proxy",
            ServerMode::Unknown(_) => "unknown",
        }
    }
}

/// What a port of a workload asks of its clients (mutual-TLS reference §1.6, §4.5).
pub fn server_side(mesh: &Mesh, id: WorkloadId, port: u16) -> ServerSide {
    let workload = mesh.workload(id);
    let of = |mode, span| ServerSide { mode, decided_by: Some(workload.resource), span, doubt: None };
    let (capture, doubt) = match &workload.capture {
        Fact::Unknown(reason) => (None, Some(reason.clone())),
        Fact::Known(Capture::None, origin) => return of(ServerMode::NoProxy, origin.span()),
        Fact::Known(Capture::Gateway, origin) => return of(ServerMode::Gateway, origin.span()),
        Fact::Known(Capture::Waypoint, origin) => return of(ServerMode::Tunnel, origin.span()),
        Fact::Known(capture, _) => (Some(*capture), None),
    };
    let at = workload.ports.binary_search_by_key(&port, |port| port.number).ok();
    let own = at.and_then(|at| workload.ports.get(at));
    if let PortCapture::Excluded { by } = own.map_or(&workload.other_ports, |port| &port.capture) {
        return of(ServerMode::AroundProxy, *by);
    }
    let effective = own.map_or(&workload.mode, |port| &port.mode);
    let mode = match &effective.mode {
        Fact::Known(mode, _) => *mode,
        Fact::Unknown(reason) => {
            let mode = ServerMode::Unknown(reason.clone());
            return ServerSide { mode, decided_by: None, span: None, doubt };
        }
    };
    // gRPC without a proxy takes one or the other (Istio 1.32, networking/grpcgen/lds.go).
    let mode = match (capture, mode) {
        (Some(Capture::ProxylessGrpc), MtlsMode::Permissive | MtlsMode::Unset) => {
            if tls_mode(mesh, id).is(&TlsMode::Istio) { MtlsMode::Strict } else { MtlsMode::Disable }
        }
        _ => mode,
    };
    ServerSide {
        mode: ServerMode::Mutual(mode),
        decided_by: effective.decided_by,
        span: effective.mode.span(),
        doubt,
    }
}
