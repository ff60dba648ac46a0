//! Classes of servers: what an endpoint gets and makes of it depends on nothing else.

use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Capture, PortCapture, WorkloadId};
use meshproof_resources::MtlsMode;

use crate::Transport;
use crate::endpoints::{TlsMode, tls_mode};

/// What a port of a workload is to clients. Of two endpoints of one Service port and one class, every client sends the
/// same to both, with the same result, but for the names that a DestinationRule asks of servers. Absent values are not
/// known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerClass {
    /// How traffic meets the mesh.
    pub capture: Option<Capture>,
    /// The mode in force; ztunnel tells STRICT from the rest.
    pub mode: Option<MtlsMode>,
    /// The chains of the port.
    pub protocol: Option<ProtocolClass>,
    /// The port goes around the proxy.
    pub is_around: bool,
    /// Clients are told that a proxy takes mutual TLS of the mesh there.
    pub is_marked: Option<bool>,
    /// EnvoyFilters may change what it takes.
    pub is_patched: bool,
}

impl Transport<'_> {
    /// The class of a port of a workload.
    pub fn server_class(&self, id: WorkloadId, port: u16) -> ServerClass {
        let workload = self.mesh.workload(id);
        let at = workload.ports.binary_search_by_key(&port, |port| port.number).ok();
        let own = at.and_then(|at| workload.ports.get(at));
        let mode = own.map_or(&workload.mode, |port| &port.mode);
        let capture = own.map_or(&workload.other_ports, |port| &port.capture);
        ServerClass {
            capture: workload.capture.known().copied(),
            mode: mode.mode.known().copied(),
            protocol: own.map_or(Some(ProtocolClass::Auto), |port| port.protocol.known().copied()),
            is_around: matches!(capture, PortCapture::Excluded { .. }),
            is_marked: tls_mode(self.mesh, id).known().map(|mode| *mode == TlsMode::Istio),
            is_patched: !workload.envoy_filters.is_empty(),
        }
    }
}
