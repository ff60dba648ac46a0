//! What a server does with what is on the wire (mutual-TLS reference §3.2, §3.4).

use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{
    Acceptance, Capture, ClientTls, EffectiveMode, Fact, Layer, Mesh, Origin, PortCapture, Workload,
    WorkloadId, accept,
};
use meshproof_resources::MtlsMode;
use meshproof_source::Span;

use crate::endpoints::{TlsMode, tls_mode};
use crate::{Delivery, Evidence, RefusedBy, Wire};

/// A server and the port that is hit.
#[derive(Clone, Copy)]
pub(crate) struct Server<'m> {
    pub(crate) mesh: &'m Mesh,
    pub(crate) id: WorkloadId,
    pub(crate) port: u16,
}

impl<'m> Server<'m> {
    fn workload(&self) -> &'m Workload {
        self.mesh.workload(self.id)
    }

    /// What becomes of a connection, before identities are compared.
    ///
    /// # Errors
    /// Why the input cannot tell.
    pub(crate) fn deliver(
        &self,
        wire: Wire,
        speaks: Layer,
        evidence: &mut Vec<Evidence>,
    ) -> Result<Delivery, String> {
        let workload = self.workload();
        let capture = match &workload.capture {
            Fact::Known(capture, origin) => {
                self.say_capture(*capture, *origin, evidence);
                *capture
            }
            Fact::Unknown(reason) => return Err(reason.clone()),
        };
        if let Some(span) = self.around_the_proxy() {
            let text = "the port goes around the proxy, so no policy of the mesh is in force there";
            evidence.push(Evidence { object: Some(workload.resource), span, text: text.to_owned() });
        }
        match capture {
            Capture::Ambient => Ok(self.through_ztunnel(wire, evidence)),
            Capture::Sidecar | Capture::SidecarHbone | Capture::None => {
                self.say_mode(capture, evidence);
                self.through_sidecar(capture, wire, speaks)
            }
            Capture::ProxylessGrpc => self.through_grpc(wire, speaks, evidence),
            Capture::Waypoint => Ok(match wire {
                Wire::Hbone | Wire::HboneTls => Delivery::Mutual(speaks),
                _ => Delivery::Refused(RefusedBy::Plaintext),
            }),
            Capture::Gateway => Err(format!(
                "{} is a gateway: its Gateway objects say what it takes",
                self.mesh.workload_display(self.id)
            )),
        }
    }

    fn say_capture(&self, capture: Capture, origin: Origin, evidence: &mut Vec<Evidence>) {
        let text = match capture {
            Capture::Sidecar => "the server has a sidecar",
            Capture::SidecarHbone => "the server has a sidecar that takes tunnels too",
            Capture::Ambient => "ztunnel takes what arrives at the server",
            Capture::Gateway => "the server is a gateway",
            Capture::Waypoint => "the server is a waypoint",
            Capture::ProxylessGrpc => "the server is gRPC without a proxy",
            Capture::None => "the server has no proxy",
        };
        let workload = self.workload();
        let object = match origin {
            Origin::Written(_) => Some(workload.resource),
            Origin::Inherited(_) => self.mesh.namespace(workload.namespace).resource,
            Origin::Default | Origin::Assumed => None,
        };
        evidence.push(Evidence { object, span: origin.span(), text: text.to_owned() });
    }

    /// The mode in force where the proxy looks.
    fn say_mode(&self, capture: Capture, evidence: &mut Vec<Evidence>) {
        if capture == Capture::None || self.around_the_proxy().is_some() {
            return;
        }
        let mode = self.mode();
        if let Fact::Known(value, origin) = &mode.mode {
            let text = match mode.decided_by {
                Some(_) => format!("PeerAuthentication is {} on port {}", value.as_str(), self.port),
                None => "no PeerAuthentication: the default is PERMISSIVE".to_owned(),
            };
            evidence.push(Evidence { object: mode.decided_by, span: origin.span(), text });
        }
    }

    fn mode(&self) -> &'m EffectiveMode {
        let workload = self.workload();
        let at = workload.ports.binary_search_by_key(&self.port, |port| port.number).ok();
        at.and_then(|at| workload.ports.get(at)).map_or(&workload.mode, |port| &port.mode)
    }

    /// The annotation that takes the port out, when one does; the port may also be one of the proxy's own.
    fn around_the_proxy(&self) -> Option<Option<Span>> {
        let workload = self.workload();
        let at = workload.ports.binary_search_by_key(&self.port, |port| port.number).ok();
        match at.and_then(|at| workload.ports.get(at)).map_or(&workload.other_ports, |port| &port.capture) {
            PortCapture::Excluded { by } => Some(*by),
            PortCapture::Captured => None,
        }
    }

    fn through_sidecar(&self, capture: Capture, wire: Wire, speaks: Layer) -> Result<Delivery, String> {
        let tls = match wire {
            Wire::Hbone | Wire::HboneTls if capture != Capture::SidecarHbone => {
                return Ok(Delivery::Refused(RefusedBy::NoTunnel));
            }
            Wire::Hbone | Wire::HboneTls => return self.out_of_the_tunnel(wire, speaks),
            Wire::Plain => ClientTls::None,
            Wire::Tls => ClientTls::OneWay,
            Wire::Mtls => ClientTls::Mutual,
            Wire::IstioMtls => ClientTls::IstioMutual,
        };
        let accepted = self.workload().accept(self.port, tls, speaks)?;
        Ok(match accepted {
            Acceptance::Terminated(layer) => Delivery::Mutual(layer),
            Acceptance::Plaintext(layer) => Delivery::Plaintext(layer),
            Acceptance::Unopened => Delivery::Unopened,
            Acceptance::NoProxy if wire == Wire::Plain => Delivery::Application,
            Acceptance::NoProxy => Delivery::Unopened,
            Acceptance::Refused(refusal) => Delivery::Refused(RefusedBy::Listener(refusal)),
        })
    }

    /// Behind the tunnel of a sidecar there are chains for plaintext alone; the mode has no say (reference §1.6).
    fn out_of_the_tunnel(&self, wire: Wire, speaks: Layer) -> Result<Delivery, String> {
        let workload = self.workload();
        let at = workload.ports.binary_search_by_key(&self.port, |port| port.number).ok();
        let class = match at.and_then(|at| workload.ports.get(at)).map(|port| &port.protocol) {
            Some(Fact::Known(class, _)) => *class,
            Some(Fact::Unknown(reason)) => return Err(reason.clone()),
            None => ProtocolClass::Auto,
        };
        let inside = if wire == Wire::HboneTls { ClientTls::OneWay } else { ClientTls::None };
        Ok(match accept(MtlsMode::Disable, class, inside, speaks) {
            Acceptance::Plaintext(layer) | Acceptance::Terminated(layer) => Delivery::Mutual(layer),
            Acceptance::Unopened | Acceptance::NoProxy => Delivery::Mutual(Layer::Tcp),
            Acceptance::Refused(refusal) => Delivery::Refused(RefusedBy::Listener(refusal)),
        })
    }

    /// ztunnel knows tunnels and plaintext; everything is bytes to it.
    fn through_ztunnel(&self, wire: Wire, evidence: &mut Vec<Evidence>) -> Delivery {
        if matches!(wire, Wire::Hbone | Wire::HboneTls) {
            return Delivery::Mutual(Layer::Tcp);
        }
        let is_around = self.around_the_proxy().is_some();
        self.say_mode(Capture::Ambient, evidence);
        let refuses = self.workload().ambient.as_ref().is_some_and(|rule| rule.refuses_plaintext(self.port));
        match (refuses && !is_around, wire) {
            (true, _) => Delivery::Refused(RefusedBy::Plaintext),
            (false, Wire::Plain) if is_around => Delivery::Application,
            (false, Wire::Plain) => Delivery::Plaintext(Layer::Tcp),
            (false, _) => Delivery::Unopened,
        }
    }

    /// gRPC without a proxy cannot take both: PERMISSIVE becomes STRICT where the pods are marked for mutual TLS, else
    /// DISABLE (Istio 1.32, networking/grpcgen/lds.go).
    fn through_grpc(
        &self,
        wire: Wire,
        speaks: Layer,
        evidence: &mut Vec<Evidence>,
    ) -> Result<Delivery, String> {
        self.say_mode(Capture::ProxylessGrpc, evidence);
        let mode = match &self.mode().mode {
            Fact::Known(mode, _) => *mode,
            Fact::Unknown(reason) => return Err(reason.clone()),
        };
        let is_marked = tls_mode(self.mesh, self.id).is(&TlsMode::Istio);
        let strict = mode == MtlsMode::Strict || (mode != MtlsMode::Disable && is_marked);
        Ok(match (strict, wire) {
            (true, Wire::IstioMtls | Wire::Mtls) => Delivery::Mutual(speaks),
            (false, Wire::Plain) => Delivery::Plaintext(speaks),
            (true, Wire::Plain) => Delivery::Refused(RefusedBy::Plaintext),
            (_, Wire::Hbone | Wire::HboneTls) => Delivery::Refused(RefusedBy::NoTunnel),
            _ => Delivery::Unopened,
        })
    }
}
