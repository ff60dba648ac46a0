//! Gateway of networking.istio.io (v1, v1beta1, v1alpha3).

use meshproof_source::{Span, Spanned};
use meshproof_yaml::NodeRef;

use crate::read::{entries, is_true, key_name, mapping, objects, spec_span, text, text_map, texts, word};
use crate::{Field, IstioPort, Text, TextMap};

/// The spec of an Istio Gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// `selector`: labels of the gateway pods, in any namespace.
    pub selector: TextMap,
    /// `servers`.
    pub servers: Field<Server>,
}

/// One item of `servers`.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// The item.
    pub span: Span,
    /// `name`.
    pub name: Option<Text>,
    /// `port`.
    pub port: Option<IstioPort>,
    /// `bind`.
    pub bind: Option<Text>,
    /// `hosts`.
    pub hosts: Field<Text>,
    /// `tls`.
    pub tls: Option<ServerTls>,
}

/// `tls.mode` of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerTlsMode {
    /// TLS is not terminated; also what a `tls` without `mode` means.
    Passthrough,
    /// Server certificate only.
    Simple,
    /// Client certificates are required.
    Mutual,
    /// Like passthrough, and routes on the SNI of mesh clients.
    AutoPassthrough,
    /// Workload certificates on both sides.
    IstioMutual,
    /// Client certificates are taken and not required.
    OptionalMutual,
}

impl ServerTlsMode {
    /// As written in manifests.
    pub fn as_str(self) -> &'static str {
        MODES.iter().find(|(_, mode)| *mode == self).map_or("", |(word, _)| word)
    }
}

/// `tls` of a server or of a Sidecar's ingress listener.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerTls {
    /// The value.
    pub span: Span,
    /// `mode`.
    pub mode: Option<Spanned<ServerTlsMode>>,
    /// `httpsRedirect`.
    pub https_redirect: bool,
    /// `credentialName`.
    pub credential_name: Option<Text>,
    /// `serverCertificate`.
    pub server_certificate: Option<Text>,
    /// `caCertificates`.
    pub ca_certificates: Option<Text>,
    /// `subjectAltNames`.
    pub subject_alt_names: Field<Text>,
}

impl Gateway {
    /// Reads `spec` of `object`.
    pub(crate) fn decode(spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut gateway = Gateway {
            span: spec_span(spec, object),
            selector: TextMap::default(),
            servers: Field::default(),
        };
        for (key, value) in entries(spec) {
            match key_name(key) {
                "selector" => gateway.selector = text_map(key, value),
                "servers" => gateway.servers = objects(key, value, server),
                _ => {}
            }
        }
        gateway
    }
}

impl Server {
    /// The text that decides about TLS: `tls`, or the whole item.
    pub fn deciding_span(&self) -> Span {
        self.tls.as_ref().map_or(self.span, |tls| tls.span)
    }
}

fn server(item: NodeRef<'_>) -> Server {
    let mut server =
        Server { span: item.span(), name: None, port: None, bind: None, hosts: Field::default(), tls: None };
    for (key, value) in item.entries() {
        match key_name(key) {
            "name" => server.name = text(value),
            "port" => server.port = mapping(value).map(IstioPort::decode),
            "bind" => server.bind = text(value),
            "hosts" => server.hosts = texts(key, value),
            "tls" => server.tls = ServerTls::decode(value),
            _ => {}
        }
    }
    server
}

const MODES: [(&str, ServerTlsMode); 6] = [
    ("PASSTHROUGH", ServerTlsMode::Passthrough),
    ("SIMPLE", ServerTlsMode::Simple),
    ("MUTUAL", ServerTlsMode::Mutual),
    ("AUTO_PASSTHROUGH", ServerTlsMode::AutoPassthrough),
    ("ISTIO_MUTUAL", ServerTlsMode::IstioMutual),
    ("OPTIONAL_MUTUAL", ServerTlsMode::OptionalMutual),
];

impl ServerTls {
    pub(crate) fn decode(node: NodeRef<'_>) -> Option<Self> {
        let node = mapping(node)?;
        let mut tls = ServerTls {
            span: node.span(),
            mode: None,
            https_redirect: false,
            credential_name: None,
            server_certificate: None,
            ca_certificates: None,
            subject_alt_names: Field::default(),
        };
        for (key, value) in node.entries() {
            match key_name(key) {
                "mode" => tls.mode = word(value, &MODES),
                "httpsRedirect" => tls.https_redirect = is_true(value),
                "credentialName" => tls.credential_name = text(value),
                "serverCertificate" => tls.server_certificate = text(value),
                "caCertificates" => tls.ca_certificates = text(value),
                "subjectAltNames" => tls.subject_alt_names = texts(key, value),
                _ => {}
            }
        }
        Some(tls)
    }
}
