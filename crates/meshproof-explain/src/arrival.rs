//! How a request from outside comes in at a gateway.

use meshproof_ir::{ClientTls, Layer, WorkloadId};
use meshproof_resources::ServerTlsMode;
use meshproof_transport::{Arrival, Arriving, GatewayRefusal, Taken, Transport};

use crate::answer::{Evidence, Outcome, Transport as Told};

/// Asks a gateway about a connection: in plaintext, and if it wants TLS, with TLS as browsers speak it.
pub fn ask(
    transport: &Transport<'_>,
    gateway: WorkloadId,
    (port, host): (u16, &str),
    speaks: Layer,
) -> (Arrival, ClientTls) {
    let by = |tls| ask_with(transport, gateway, (port, host), tls, speaks).0;
    let plain = by(ClientTls::None);
    if is_taken(&plain) {
        return (plain, ClientTls::None);
    }
    let one_way = by(ClientTls::OneWay);
    if is_taken(&one_way) || matches!(one_way.taken, Taken::Refused(GatewayRefusal::CertificateRequired)) {
        return (one_way, ClientTls::OneWay);
    }
    (plain, ClientTls::None)
}

/// Asks a gateway about a connection that is opened in a known way.
pub(crate) fn ask_with(
    transport: &Transport<'_>,
    gateway: WorkloadId,
    (port, host): (u16, &str),
    tls: ClientTls,
    speaks: Layer,
) -> (Arrival, ClientTls) {
    (transport.arrive(&Arriving { gateway, port, host, tls, speaks }), tls)
}

/// Whether the connection gets any further.
pub fn is_taken(arrival: &Arrival) -> bool {
    matches!(arrival.taken, Taken::Terminated(..) | Taken::Plaintext(_) | Taken::Unopened)
}

/// The layer of the chain that takes it.
pub fn layer(arrival: &Arrival) -> Option<Layer> {
    match arrival.taken {
        Taken::Terminated(_, layer) | Taken::Plaintext(layer) => Some(layer),
        Taken::Unopened => Some(Layer::Tcp),
        Taken::Redirected | Taken::Refused(_) => None,
    }
}

/// The same for people.
pub(crate) fn told(arrival: &Arrival, tls: ClientTls) -> Told {
    let (outcome, refusal) = match arrival.taken {
        Taken::Terminated(ServerTlsMode::Simple | ServerTlsMode::OptionalMutual, _) | Taken::Unopened => {
            (Outcome::Tls, None)
        }
        Taken::Terminated(..) => (Outcome::Mtls, None),
        Taken::Plaintext(_) => (Outcome::Plaintext, None),
        Taken::Redirected => (Outcome::Refused, Some("the gateway sends the client to HTTPS (301)")),
        Taken::Refused(why) => (Outcome::Refused, Some(why.explanation())),
    };
    let sends = match tls {
        ClientTls::None => "somebody without a certificate of the mesh, in plaintext",
        _ => "somebody without a certificate of the mesh, over TLS",
    };
    let evidence = |evidence: &meshproof_transport::Evidence| Evidence {
        text: evidence.text.clone(),
        span: evidence.span,
    };
    Told {
        outcome,
        identity: None,
        client: vec![Evidence::new(sends)],
        server: arrival.evidence.iter().map(evidence).collect(),
        refusal: refusal.map(str::to_owned),
    }
}
