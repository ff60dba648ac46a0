//! What gateways take, in words.

use meshproof_ir::Mesh;
use meshproof_resources::ServerTlsMode;
use meshproof_transport::{GatewayListener, GatewayPods, GatewayRefusal};

use super::answer::{Because, TlsClients, TlsRow};
use super::rows::{cluster, object};
use crate::answer::{Evidence, Outcome};

/// Whoever reaches a gateway.
const ANYBODY: &str = "anybody";

/// One server of a gateway.
pub(super) fn row(mesh: &Mesh, listener: &GatewayListener) -> TlsRow {
    let to = match listener.pods {
        GatewayPods::Workload(id) => mesh.workload_display(id),
        GatewayPods::Deployed(id) => mesh.gateway_display(id),
        GatewayPods::Elsewhere(id) => {
            let name = object(mesh, id);
            name.split_once(' ').map_or(name.clone(), |(_, name)| name.to_owned())
        }
    };
    let mut notes = Vec::new();
    if let GatewayPods::Elsewhere(_) = listener.pods {
        notes.push(Evidence::new(
            "the pods of the gateway are not in the input; the port is that of the server",
        ));
    }
    if !listener.hosts.is_empty() {
        notes.push(Evidence::new(format!("for {}", listener.hosts.join(", "))));
    }
    TlsRow {
        to,
        cluster: cluster(mesh, mesh.placement[listener.object.index()].0),
        port: listener.port,
        mode: mode(listener.tls).to_owned(),
        decided_by: Some(object(mesh, listener.object)),
        place: Some(listener.span),
        clients: clients(mesh, listener),
        notes,
        alike: Vec::new(),
    }
}

fn mode(tls: Option<ServerTlsMode>) -> &'static str {
    match tls {
        None => "plaintext",
        Some(ServerTlsMode::Passthrough) => "PASSTHROUGH",
        Some(ServerTlsMode::Simple) => "SIMPLE",
        Some(ServerTlsMode::Mutual) => "MUTUAL",
        Some(ServerTlsMode::AutoPassthrough) => "AUTO_PASSTHROUGH",
        Some(ServerTlsMode::IstioMutual) => "ISTIO_MUTUAL",
        Some(ServerTlsMode::OptionalMutual) => "OPTIONAL_MUTUAL",
    }
}

/// Those who send what is asked for, and those who send plaintext where TLS is.
fn clients(mesh: &Mesh, listener: &GatewayListener) -> Vec<TlsClients> {
    let (wire, sends, outcome, what) = match listener.tls {
        None => ("plain", "plaintext", Outcome::Plaintext, "the gateway takes plaintext"),
        Some(ServerTlsMode::Simple) => {
            ("tls", "TLS", Outcome::Tls, "TLS ends at the gateway, and clients have no certificate")
        }
        Some(ServerTlsMode::OptionalMutual) => {
            ("tls", "TLS", Outcome::Tls, "TLS ends at the gateway, and clients may have a certificate")
        }
        Some(ServerTlsMode::Mutual) => (
            "mtls",
            "TLS with a certificate",
            Outcome::Mtls,
            "the gateway asks for certificates of the authority that it is given",
        ),
        Some(ServerTlsMode::IstioMutual) => {
            ("istio-mtls", "mTLS of the mesh", Outcome::Mtls, "the gateway asks for certificates of the mesh")
        }
        Some(ServerTlsMode::Passthrough) => {
            ("tls", "TLS", Outcome::Tls, "the gateway passes TLS on unopened, by its server name")
        }
        Some(ServerTlsMode::AutoPassthrough) => (
            "istio-mtls",
            "mTLS of the mesh",
            Outcome::Tls,
            "the gateway passes mTLS of the mesh on unopened, to the service that its server name says",
        ),
    };
    let of = |wire, sends: &str, outcome, reason: Option<&str>, text: &str| TlsClients {
        who: ANYBODY.to_owned(),
        count: 1,
        names: vec![ANYBODY.to_owned()],
        via: Vec::new(),
        wire: Some(wire),
        sends: sends.to_owned(),
        outcome,
        reason: reason.map(str::to_owned),
        identity: None,
        because: vec![Because {
            text: text.to_owned(),
            object: Some(object(mesh, listener.object)),
            span: Some(listener.span),
        }],
        and_alike: false,
        unknown: Vec::new(),
    };
    let mut clients = vec![match (listener.tls, listener.redirects) {
        (None, true) => of(
            wire,
            sends,
            Outcome::Refused,
            Some("clients are told to come back with HTTPS"),
            "httpsRedirect sends plaintext away",
        ),
        _ => of(wire, sends, outcome, None, what),
    }];
    if listener.tls.is_some() {
        let reason = GatewayRefusal::TlsRequired.explanation();
        clients.push(of("plain", "plaintext", Outcome::Refused, Some(reason), reason));
    }
    clients
}
