//! What a client puts on the wire, endpoint by endpoint (mutual-TLS reference §2.6, §3.1).

use meshproof_ir::{Capture, EffectiveMode, Fact, Mesh, Origin, ResourceId};
use meshproof_resources::{ClientTls, ClientTlsMode, MtlsMode};
use meshproof_source::Span;

use crate::client_tls::ClusterSettings;
use crate::endpoints::{Endpoint, TlsMode, is_machine};
use crate::{EndpointAddress, Evidence, Wire};

/// What all endpoints of a cluster get, before each is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClusterWire {
    /// The same for all.
    Same(Wire),
    /// Mutual TLS of the mesh for endpoints that are marked for it.
    Marked,
    /// Not known, with the reason.
    Unknown(String),
}

/// What is known of a cluster beside the settings.
pub(crate) struct Cluster<'c, 'm> {
    pub(crate) settings: &'c ClusterSettings<'m>,
    pub(crate) is_external: bool,
    /// It sends to the address that was dialled.
    pub(crate) original_destination: bool,
    /// Endpoints of the whole port, not of the subset alone.
    pub(crate) endpoints: &'c [Endpoint<'m>],
    /// `enableAutoMtls`.
    pub(crate) auto: &'c Fact<bool>,
    /// The mode of the namespace of the Service.
    pub(crate) namespace_mode: Option<&'c EffectiveMode>,
    /// All endpoints have to be asked: the host has no addresses of its own.
    pub(crate) asks_endpoints: bool,
    /// Certificates by name do not reach sidecars unless the rule is for some workloads.
    pub(crate) is_sidecar: bool,
}

impl Cluster<'_, '_> {
    /// What the cluster is set to, with the reasons.
    pub(crate) fn wire(&self, evidence: &mut Vec<Evidence>) -> ClusterWire {
        match self.settings.tls {
            Some((object, tls)) => {
                let (wire, text) = self.written(tls);
                let span = Some(tls.mode.as_ref().map_or(tls.span, |mode| mode.span));
                evidence.push(Evidence { object: Some(object), span, text });
                ClusterWire::Same(wire)
            }
            None => self.automatic(evidence),
        }
    }

    fn written(&self, tls: &ClientTls) -> (Wire, String) {
        let mode = tls.effective_mode();
        let named = tls.credential_name.is_some() && self.is_sidecar && !self.settings.has_selector;
        let has_own = tls.client_certificate.is_some() && tls.private_key.is_some();
        match mode {
            ClientTlsMode::Disable if tls.mode.is_none() => {
                (Wire::Plain, "`tls` without `mode` means DISABLE: plaintext".to_owned())
            }
            ClientTlsMode::Disable => (Wire::Plain, "DISABLE: plaintext".to_owned()),
            ClientTlsMode::IstioMutual => {
                (Wire::IstioMtls, "ISTIO_MUTUAL: mutual TLS of the mesh".to_owned())
            }
            ClientTlsMode::Simple | ClientTlsMode::Mutual if named => {
                let text =
                    "`credentialName` is not given to sidecars by a rule without workloadSelector: plaintext";
                (Wire::Plain, text.to_owned())
            }
            ClientTlsMode::Simple => (Wire::Tls, "SIMPLE: TLS without a client certificate".to_owned()),
            ClientTlsMode::Mutual if tls.credential_name.is_none() && !has_own => {
                (Wire::Plain, "MUTUAL without certificate or key is left out: plaintext".to_owned())
            }
            ClientTlsMode::Mutual => (Wire::Mtls, "MUTUAL: TLS with a certificate of its own".to_owned()),
        }
    }

    /// Automatic mutual TLS as the cluster sees it.
    fn automatic(&self, evidence: &mut Vec<Evidence>) -> ClusterWire {
        let mut say = |object, span, text: String| evidence.push(Evidence { object, span, text });
        if self.is_external {
            say(None, None, "outside of the mesh there is no automatic mutual TLS".to_owned());
            return ClusterWire::Same(Wire::Plain);
        }
        match self.auto {
            Fact::Known(true, _) => {}
            Fact::Known(false, origin) => {
                say(None, origin.span(), "enableAutoMtls is off: plaintext".to_owned());
                return ClusterWire::Same(Wire::Plain);
            }
            Fact::Unknown(reason) => return ClusterWire::Unknown(reason.clone()),
        }
        let asks = self.asks_endpoints || self.settings.asks_endpoints;
        if asks && let Some(decided) = self.all_have_proxies(&mut say) {
            return decided;
        }
        match self.namespace_mode.map(|mode| (&mode.mode, mode.decided_by)) {
            Some((Fact::Known(MtlsMode::Disable, origin), decided_by)) => {
                let text = "the mode of the Service's namespace is DISABLE: plaintext to every endpoint";
                say(decided_by, origin.span(), text.to_owned());
                return ClusterWire::Same(Wire::Plain);
            }
            Some((Fact::Unknown(reason), _)) => return ClusterWire::Unknown(reason.clone()),
            Some((Fact::Known(..), _)) | None => {}
        }
        if self.original_destination {
            say(
                None,
                None,
                "auto mTLS, as no DestinationRule sets TLS for this port: to all endpoints alike".to_owned(),
            );
            return ClusterWire::Same(Wire::IstioMtls);
        }
        say(None, None, "auto mTLS, as no DestinationRule sets TLS for this port".to_owned());
        ClusterWire::Marked
    }

    /// Where the client cannot tell endpoints apart, one without a proxy is enough for plaintext to all.
    fn all_have_proxies(
        &self,
        say: &mut impl FnMut(Option<ResourceId>, Option<Span>, String),
    ) -> Option<ClusterWire> {
        let without = self.endpoints.iter().find(|endpoint| endpoint.tls_mode.is(&TlsMode::Disabled));
        if self.endpoints.is_empty() {
            say(None, None, "no endpoint is known, so the client sends plaintext".to_owned());
            return Some(ClusterWire::Same(Wire::Plain));
        }
        if let Some(endpoint) = without {
            let text = "an endpoint without a proxy makes the client send plaintext to all".to_owned();
            say(None, endpoint.tls_mode.span(), text);
            return Some(ClusterWire::Same(Wire::Plain));
        }
        self.endpoints.iter().find_map(|endpoint| match &endpoint.tls_mode {
            Fact::Unknown(reason) => Some(ClusterWire::Unknown(reason.clone())),
            Fact::Known(..) => None,
        })
    }
}

/// What an endpoint gets from a cluster of a sidecar or gateway.
pub(crate) fn to_endpoint(
    mesh: &Mesh,
    cluster: &ClusterWire,
    settings: &ClusterSettings<'_>,
    endpoint: &Endpoint<'_>,
    can_tunnel: bool,
    evidence: &mut Vec<Evidence>,
) -> Fact<Wire> {
    let known = |wire: Wire| Fact::Known(wire, Origin::Default);
    match (can_tunnel, takes_tunnel(mesh, endpoint)) {
        (true, Fact::Unknown(reason)) => return Fact::Unknown(reason),
        (true, Fact::Known(true, origin)) => {
            let text = "ztunnel takes what the client sends, through a tunnel with mutual TLS";
            evidence.push(Evidence { object: None, span: origin.span(), text: text.to_owned() });
            return match cluster {
                ClusterWire::Same(Wire::Tls | Wire::Mtls) => known(Wire::HboneTls),
                _ => known(Wire::Hbone),
            };
        }
        _ => {}
    }
    match cluster {
        ClusterWire::Same(wire) => known(*wire),
        ClusterWire::Unknown(reason) => Fact::Unknown(reason.clone()),
        ClusterWire::Marked => marked(settings, endpoint, evidence),
    }
}

/// Automatic mutual TLS as the endpoint sees it: a proxy that takes it, and a mode that is not DISABLE.
fn marked(
    settings: &ClusterSettings<'_>,
    endpoint: &Endpoint<'_>,
    evidence: &mut Vec<Evidence>,
) -> Fact<Wire> {
    let known = |wire: Wire| Fact::Known(wire, Origin::Default);
    let mut say = |object, span, text: &str| evidence.push(Evidence { object, span, text: text.to_owned() });
    if let Some((object, mode)) = settings.mark.filter(|(_, mode)| *mode != ClientTlsMode::IstioMutual) {
        let text = format!(
            "the port entry has no `tls`, yet endpoints are marked by the {} above it, so they get plaintext",
            mode.as_str()
        );
        say(Some(object), None, &text);
        return known(Wire::Plain);
    }
    match &endpoint.tls_mode {
        Fact::Known(TlsMode::Istio, _) => {}
        Fact::Known(_, origin) => {
            say(None, origin.span(), "no proxy of the mesh is there, so it gets plaintext");
            return known(Wire::Plain);
        }
        Fact::Unknown(reason) => return Fact::Unknown(reason.clone()),
    }
    if let Some((object, _)) = settings.mark {
        say(Some(object), None, "endpoints are marked by the ISTIO_MUTUAL above, whatever their mode is");
        return known(Wire::IstioMtls);
    }
    match endpoint.mode.map(|mode| (&mode.mode, mode.decided_by)) {
        Some((Fact::Known(MtlsMode::Disable, origin), decided_by)) => {
            say(decided_by, origin.span(), "its mode is DISABLE, so it gets plaintext");
            known(Wire::Plain)
        }
        Some((Fact::Unknown(reason), _)) => Fact::Unknown(reason.clone()),
        Some((Fact::Known(..), _)) | None => known(Wire::IstioMtls),
    }
}

/// Whether proxies reach an endpoint through a tunnel: one that ztunnel captures. Where a sidecar takes mutual TLS as
/// well, that is preferred.
fn takes_tunnel(mesh: &Mesh, endpoint: &Endpoint<'_>) -> Fact<bool> {
    let EndpointAddress::Workload(id) = &endpoint.address else {
        return Fact::Known(false, Origin::Default);
    };
    match &mesh.workload(*id).capture {
        Fact::Known(capture, origin) => Fact::Known(*capture == Capture::Ambient, *origin),
        // ztunnel captures no machines, and no pods that say that another proxy is there.
        Fact::Unknown(_) if is_machine(mesh, *id) || endpoint.tls_mode.is(&TlsMode::Istio) => {
            Fact::Known(false, Origin::Default)
        }
        Fact::Unknown(reason) => Fact::Unknown(reason.clone()),
    }
}
