//! DestinationRule (networking.istio.io v1, v1beta1, v1alpha3), the parts that decide what a client sends.

use meshproof_source::{Span, Spanned};
use meshproof_yaml::NodeRef;

use crate::read::{
    entries, is_true, key_name, mapping, number, objects, selector, spec_span, text, text_map, texts, word,
};
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
    /// `privateKey`.
    pub private_key: Option<Text>,
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

const MODES: [(&str, ClientTlsMode); 4] = [
    ("DISABLE", ClientTlsMode::Disable),
    ("SIMPLE", ClientTlsMode::Simple),
    ("MUTUAL", ClientTlsMode::Mutual),
    ("ISTIO_MUTUAL", ClientTlsMode::IstioMutual),
];

impl DestinationRule {
    /// Reads `spec` of `object`.
    pub(crate) fn decode(spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut rule = DestinationRule {
            span: spec_span(spec, object),
            host: None,
            traffic_policy: None,
            subsets: Field::default(),
            export_to: Field::default(),
            workload_selector: None,
        };
        for (key, value) in entries(spec) {
            match key_name(key) {
                "host" => rule.host = text(value),
                "trafficPolicy" => rule.traffic_policy = traffic_policy(value),
                "subsets" => rule.subsets = objects(key, value, subset),
                "exportTo" => rule.export_to = texts(key, value),
                "workloadSelector" => rule.workload_selector = selector(value),
                _ => {}
            }
        }
        rule
    }
}

fn traffic_policy(node: NodeRef<'_>) -> Option<TrafficPolicy> {
    let node = mapping(node)?;
    let mut policy =
        TrafficPolicy { span: node.span(), tls: None, passthrough: false, port_level: Field::default() };
    for (key, value) in node.entries() {
        match key_name(key) {
            "tls" => policy.tls = client_tls(value),
            "loadBalancer" => policy.passthrough = is_passthrough(value),
            "portLevelSettings" => policy.port_level = objects(key, value, port_policy),
            _ => {}
        }
    }
    Some(policy)
}

fn port_policy(item: NodeRef<'_>) -> PortTrafficPolicy {
    let mut policy = PortTrafficPolicy { span: item.span(), port: None, tls: None, passthrough: false };
    for (key, value) in item.entries() {
        match key_name(key) {
            "port" => policy.port = value.get("number").and_then(number),
            "tls" => policy.tls = client_tls(value),
            "loadBalancer" => policy.passthrough = is_passthrough(value),
            _ => {}
        }
    }
    policy
}

fn is_passthrough(load_balancer: NodeRef<'_>) -> bool {
    load_balancer.get("simple").is_some_and(|simple| simple.str() == Some("PASSTHROUGH"))
}

fn subset(item: NodeRef<'_>) -> Subset {
    let mut subset =
        Subset { span: item.span(), name: None, labels: TextMap::default(), traffic_policy: None };
    for (key, value) in item.entries() {
        match key_name(key) {
            "name" => subset.name = text(value),
            "labels" => subset.labels = text_map(key, value),
            "trafficPolicy" => subset.traffic_policy = traffic_policy(value),
            _ => {}
        }
    }
    subset
}

fn client_tls(node: NodeRef<'_>) -> Option<ClientTls> {
    let node = mapping(node)?;
    let mut tls = ClientTls {
        span: node.span(),
        mode: None,
        credential_name: None,
        client_certificate: None,
        private_key: None,
        ca_certificates: None,
        subject_alt_names: Field::default(),
        sni: None,
        insecure_skip_verify: false,
    };
    for (key, value) in node.entries() {
        match key_name(key) {
            "mode" => tls.mode = word(value, &MODES),
            "credentialName" => tls.credential_name = text(value),
            "clientCertificate" => tls.client_certificate = text(value),
            "privateKey" => tls.private_key = text(value),
            "caCertificates" => tls.ca_certificates = text(value),
            "subjectAltNames" => tls.subject_alt_names = texts(key, value),
            "sni" => tls.sni = text(value),
            "insecureSkipVerify" => tls.insecure_skip_verify = is_true(value),
            _ => {}
        }
    }
    Some(tls)
}
