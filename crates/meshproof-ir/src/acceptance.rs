//! What an inbound listener does with a connection (mutual-TLS reference §1.6, §3.2; Istio 1.32,
//! networking/core/{listener_inbound,filterchain_options}.go).

use meshproof_grammar::protocol::ProtocolClass;
use meshproof_resources::MtlsMode;

use crate::inbound::is_of_sidecar;
use crate::{Capture, Fact, PortCapture, Workload};

/// How a client opens a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientTls {
    /// No TLS.
    None,
    /// TLS without a client certificate.
    OneWay,
    /// A client certificate that the mesh trusts, and none of Istio's ALPN names.
    Mutual,
    /// A client certificate of the mesh and Istio's ALPN, as proxies send it.
    IstioMutual,
}

/// What is spoken, inside TLS if there is any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// HTTP.
    Http,
    /// Anything else.
    Tcp,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Acceptance {
    /// The proxy ends TLS, knows the identity of the client, and goes on in the chain of that layer.
    Terminated(Layer),
    /// Taken as plaintext, without an identity, in the chain of that layer.
    Plaintext(Layer),
    /// The proxy hands the bytes of a TLS connection to the application unopened.
    Unopened,
    /// No proxy sees it.
    NoProxy,
    /// The proxy refuses it.
    Refused(Refusal),
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// No chain of the listener takes it.
    NoChain,
    /// The chain asks for a client certificate.
    CertificateRequired,
    /// The chain is HTTP and the bytes are not.
    NotHttp,
}

/// What the listener of a port with this mode and protocol does.
pub fn accept(mode: MtlsMode, class: ProtocolClass, tls: ClientTls, speaks: Layer) -> Acceptance {
    // Datagrams are not intercepted.
    if class == ProtocolClass::Udp {
        return Acceptance::NoProxy;
    }
    let is_http = class == ProtocolClass::Http;
    match (mode, tls) {
        (MtlsMode::Strict, ClientTls::None) => Acceptance::Refused(Refusal::NoChain),
        (MtlsMode::Strict, ClientTls::OneWay) => Acceptance::Refused(Refusal::CertificateRequired),
        (_, ClientTls::None) => chain(class, speaks, Acceptance::Plaintext),
        // STRICT does not look at ALPN, but what lacks Istio's names for HTTP is never taken for HTTP by an open chain.
        (MtlsMode::Strict, ClientTls::Mutual) if class == ProtocolClass::Auto => {
            Acceptance::Terminated(Layer::Tcp)
        }
        (MtlsMode::Strict, _) | (MtlsMode::Permissive | MtlsMode::Unset, ClientTls::IstioMutual) => {
            chain(class, speaks, Acceptance::Terminated)
        }
        (MtlsMode::Permissive | MtlsMode::Unset, _) if is_http => Acceptance::Refused(Refusal::NoChain),
        (MtlsMode::Disable, _) if is_http => Acceptance::Refused(Refusal::NotHttp),
        (MtlsMode::Permissive | MtlsMode::Unset | MtlsMode::Disable, _) => Acceptance::Unopened,
    }
}

fn chain(class: ProtocolClass, speaks: Layer, taken: fn(Layer) -> Acceptance) -> Acceptance {
    match (class, speaks) {
        (ProtocolClass::Http, Layer::Tcp) => Acceptance::Refused(Refusal::NotHttp),
        (ProtocolClass::Http | ProtocolClass::Auto, Layer::Http) => taken(Layer::Http),
        _ => taken(Layer::Tcp),
    }
}

impl Workload {
    /// What becomes of a connection to a port of a workload with a sidecar, or without any proxy.
    ///
    /// # Errors
    /// Why it cannot be told: a fact that the input does not hold, or a workload whose listeners follow other rules
    /// (gateways, waypoints, ztunnel, proxyless gRPC).
    pub fn accept(&self, port: u16, tls: ClientTls, speaks: Layer) -> Result<Acceptance, String> {
        match &self.capture {
            Fact::Known(Capture::None, _) => return Ok(Acceptance::NoProxy),
            Fact::Known(Capture::Sidecar | Capture::SidecarHbone, _) => {}
            Fact::Known(other, _) => {
                return Err(format!("{} has no listeners of a sidecar but those of {other:?}", self.name));
            }
            Fact::Unknown(reason) => return Err(reason.clone()),
        }
        let known = self.ports.binary_search_by_key(&port, |port| port.number).ok();
        let (capture, mode, class) = match known.and_then(|at| self.ports.get(at)) {
            Some(port) => (&port.capture, &port.mode, &port.protocol),
            None if is_of_sidecar(port) => return Ok(Acceptance::NoProxy),
            // The proxy looks at the bytes of what it knows nothing of.
            None => {
                (&self.other_ports, &self.mode, &Fact::Known(ProtocolClass::Auto, crate::Origin::Default))
            }
        };
        if matches!(capture, PortCapture::Excluded { .. }) {
            return Ok(Acceptance::NoProxy);
        }
        match (&mode.mode, class) {
            (Fact::Known(mode, _), Fact::Known(class, _)) => Ok(accept(*mode, *class, tls, speaks)),
            (Fact::Unknown(reason), _) | (_, Fact::Unknown(reason)) => Err(reason.clone()),
        }
    }
}
