//! What an Istio gateway takes from outside, and where it sends it: servers of Gateway objects, joined by port, and
//! routes of VirtualServices (Istio 1.32, model/gateway.go, networking/core/gateway.go).

mod chains;
mod exposed;
mod routes;
mod select;
mod sender;
mod servers;
mod targets;

use meshproof_ir::{ClientTls, Layer, ResourceId, WorkloadId};
use meshproof_resources::ServerTlsMode;
use meshproof_source::Span;

use crate::Evidence;

pub use exposed::ExposedHost;
pub use routes::names_in_common;
pub use sender::{RouteSender, SchemeFit};

pub(crate) use routes::GatewayRoutes;
pub(crate) use servers::{Gateways, Listening, MergedServer};

/// One connection to a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arriving<'q> {
    /// The pods of the gateway.
    pub gateway: WorkloadId,
    /// The port of the pods on which it arrives.
    pub port: u16,
    /// The Host header, and the server name when TLS is spoken.
    pub host: &'q str,
    /// How it is opened.
    pub tls: ClientTls,
    /// What is spoken, inside TLS if there is any.
    pub speaks: Layer,
}

/// What a gateway does with a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// How it is taken.
    pub taken: Taken,
    /// Where it goes on to, in the order in which routes are tried; several when they have conditions or weights.
    pub targets: Vec<RouteTarget>,
    /// A route answers it, so that nobody behind the gateway does.
    pub answered: bool,
    /// The objects that decide.
    pub evidence: Vec<Evidence>,
    /// What the input leaves open, for people.
    pub unknown: Vec<String>,
}

/// How a gateway takes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Taken {
    /// TLS ends here, in this mode.
    Terminated(ServerTlsMode, Layer),
    /// As plaintext.
    Plaintext(Layer),
    /// TLS goes through unopened, by its server name.
    Unopened,
    /// Clients are told to come back with HTTPS.
    Redirected,
    /// It is refused.
    Refused(GatewayRefusal),
}

/// Why a gateway refuses a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GatewayRefusal {
    /// Nothing listens on the port.
    NoListener,
    /// No server is for this name.
    NoChain,
    /// The server ends TLS, and this is plaintext.
    TlsRequired,
    /// The server asks for a client certificate.
    CertificateRequired,
    /// The server is for HTTP, and the bytes are not.
    NotHttp,
}

impl GatewayRefusal {
    /// One clause for people, without a final stop.
    pub fn explanation(self) -> &'static str {
        match self {
            GatewayRefusal::NoListener => "the gateway listens on no such port",
            GatewayRefusal::NoChain => "no server of the gateway is for this host name",
            GatewayRefusal::TlsRequired => "the gateway takes TLS only on this port",
            GatewayRefusal::CertificateRequired => "the gateway asks for a client certificate",
            GatewayRefusal::NotHttp => "the gateway takes HTTP only on this port",
        }
    }
}

/// A destination of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTarget {
    /// The VirtualService; absent where the server name itself says the destination (`AUTO_PASSTHROUGH`).
    pub route: Option<ResourceId>,
    /// The destination as written.
    pub span: Option<Span>,
    /// The host as a full name.
    pub host: String,
    /// The port of the host.
    pub port: u16,
    /// The subset.
    pub subset: Option<String>,
    /// The route has conditions beyond the host name.
    pub is_conditional: bool,
}
