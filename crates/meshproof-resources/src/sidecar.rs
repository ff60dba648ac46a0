//! Sidecar (networking.istio.io v1, v1beta1, v1alpha3): what a workload listens on and what it knows of.

use meshproof_source::{Span, Spanned};
use meshproof_yaml::NodeRef;

use crate::read::{entries, key_name, mapping, objects, spec_span, text, texts, word};
use crate::{Field, IstioPort, ServerTls, Text, WorkloadSelector};

/// The spec of a Sidecar.
#[derive(Clone, Debug, PartialEq)]
pub struct Sidecar {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// `workloadSelector`; absent means the whole namespace.
    pub workload_selector: Option<WorkloadSelector>,
    /// `ingress`.
    pub ingress: Field<IngressListener>,
    /// `egress`.
    pub egress: Field<EgressListener>,
    /// `outboundTrafficPolicy.mode`.
    pub outbound: Option<Spanned<OutboundMode>>,
}

/// `outboundTrafficPolicy.mode`, of a Sidecar or of the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutboundMode {
    /// Unknown destinations are refused.
    RegistryOnly,
    /// Unknown destinations are passed through in plaintext.
    AllowAny,
}

/// One item of `ingress`.
#[derive(Clone, Debug, PartialEq)]
pub struct IngressListener {
    /// The item.
    pub span: Span,
    /// `port`.
    pub port: Option<IstioPort>,
    /// `bind`.
    pub bind: Option<Text>,
    /// `captureMode`.
    pub capture_mode: Option<Text>,
    /// `defaultEndpoint`.
    pub default_endpoint: Option<Text>,
    /// `tls`.
    pub tls: Option<ServerTls>,
}

/// One item of `egress`.
#[derive(Clone, Debug, PartialEq)]
pub struct EgressListener {
    /// The item.
    pub span: Span,
    /// `port`.
    pub port: Option<IstioPort>,
    /// `bind`.
    pub bind: Option<Text>,
    /// `captureMode`.
    pub capture_mode: Option<Text>,
    /// `hosts`, each `namespace/host`.
    pub hosts: Field<Text>,
}

impl Sidecar {
    /// Reads `spec` of `object`.
    pub(crate) fn decode(spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut sidecar = Sidecar {
            span: spec_span(spec, object),
            workload_selector: None,
            ingress: Field::default(),
            egress: Field::default(),
            outbound: None,
        };
        for (key, value) in entries(spec) {
            match key_name(key) {
                "workloadSelector" => sidecar.workload_selector = WorkloadSelector::decode(value),
                "ingress" => sidecar.ingress = objects(key, value, ingress),
                "egress" => sidecar.egress = objects(key, value, egress),
                "outboundTrafficPolicy" => sidecar.outbound = outbound_mode(value),
                _ => {}
            }
        }
        sidecar
    }
}

/// Reads `mode` of an `outboundTrafficPolicy`.
pub(crate) fn outbound_mode(node: NodeRef<'_>) -> Option<Spanned<OutboundMode>> {
    let words = [("REGISTRY_ONLY", OutboundMode::RegistryOnly), ("ALLOW_ANY", OutboundMode::AllowAny)];
    node.get("mode").and_then(|mode| word(mode, &words))
}

fn ingress(item: NodeRef<'_>) -> IngressListener {
    let mut listener = IngressListener {
        span: item.span(),
        port: None,
        bind: None,
        capture_mode: None,
        default_endpoint: None,
        tls: None,
    };
    for (key, value) in item.entries() {
        match key_name(key) {
            "port" => listener.port = mapping(value).map(IstioPort::decode),
            "bind" => listener.bind = text(value),
            "captureMode" => listener.capture_mode = text(value),
            "defaultEndpoint" => listener.default_endpoint = text(value),
            "tls" => listener.tls = ServerTls::decode(value),
            _ => {}
        }
    }
    listener
}

fn egress(item: NodeRef<'_>) -> EgressListener {
    let mut listener = EgressListener {
        span: item.span(),
        port: None,
        bind: None,
        capture_mode: None,
        hosts: Field::default(),
    };
    for (key, value) in item.entries() {
        match key_name(key) {
            "port" => listener.port = mapping(value).map(IstioPort::decode),
            "bind" => listener.bind = text(value),
            "captureMode" => listener.capture_mode = text(value),
            "hosts" => listener.hosts = texts(key, value),
            _ => {}
        }
    }
    listener
}
