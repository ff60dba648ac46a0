//! DestinationRule (networking.istio.io v1, v1beta1, v1alpha3), the parts that decide what a client sends.

use meshproof_source::{Span, Spanned};

use crate::{Field, Selector, Text, TextMap};

/// The spec of a DestinationRule.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationRule {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// `host`.
    pub host: Option<Text>,
    /// `trafficPolicy`.
    pub traffic_policy: Option<TrafficPolicy>,
    /// `subsets`.
    pub subsets: Field<Subset>,
    /// `exportTo`.
    pub export_to: Field<Text>,
    /// `workloadSelector`.
    pub workload_selector: Option<Selector>,
}

/// `trafficPolicy`, at the top or in a subset.
#[derive(Clone, Debug, PartialEq)]
pub struct TrafficPolicy {
    /// The value.
    pub span: Span,
    /// `tls`.
    pub tls: Option<ClientTls>,
    /// `loadBalancer.simple` is PASSTHROUGH.
    pub passthrough: bool,
    /// `portLevelSettings`.
    pub port_level: Field<PortTrafficPolicy>,
}

/// One item of `portLevelSettings`; it replaces the settings above it whole.
#[derive(Clone, Debug, PartialEq)]
pub struct PortTrafficPolicy {
    /// The item.
    pub span: Span,
    /// `port.number`: the Service port.
    pub port: Option<Spanned<u16>>,
    /// `tls`.
    pub tls: Option<ClientTls>,
    /// `loadBalancer.simple` is PASSTHROUGH.
    pub passthrough: bool,
}

/// One item of `subsets`.
#[derive(Clone, Debug, PartialEq)]
pub struct Subset {
    /// The item.
    pub span: Span,
    /// `name`.
    pub name: Option<Text>,
    /// `labels`.
    pub labels: TextMap,
    /// `trafficPolicy`.
    pub traffic_policy: Option<TrafficPolicy>,
}

/// `tls.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientTlsMode {
    /// Plaintext; also what a `tls` without `mode` means.
    Disable,
    /// Server authentication only.
    Simple,
    /// With a client certificate of one's own.
    Mutual,
    /// With the workload certificate.
    IstioMutual,
}

impl ClientTlsMode {
    /// As written in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            ClientTlsMode::Disable => "DISABLE",
            ClientTlsMode::Simple => "SIMPLE",
            ClientTlsMode::Mutual => "MUTUAL",
            ClientTlsMode::IstioMutual => "ISTIO_MUTUAL",
        }
    }
}

/// `tls` of a traffic policy.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientTls {
    /// The value of the `tls` field.
    pub span: Span,
    /// `mode` as written; absent means DISABLE (proto3 zero value).
    pub mode: Option<Spanned<ClientTlsMode>>,
    /// `credentialName`.
    pub credential_name: Option<Text>,
    /// `clientCertificate`.
    pub client_certificate: Option<Text>,
    /// `caCertificates`.
    pub ca_certificates: Option<Text>,
    /// `subjectAltNames`.
    pub subject_alt_names: Field<Text>,
    /// `sni`.
    pub sni: Option<Text>,
    /// `insecureSkipVerify`.
    pub insecure_skip_verify: bool,
}

impl ClientTls {
    /// The mode in force.
    pub fn effective_mode(&self) -> ClientTlsMode {
        self.mode.as_ref().map_or(ClientTlsMode::Disable, |mode| mode.value)
    }
}
