//! The question: who calls what.

use meshproof_ir::{ClusterId, GatewayId, Identity, Layer, WorkloadId};

/// One call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call<'q> {
    /// Who calls.
    pub client: Client<'q>,
    /// What is called.
    pub target: Target<'q>,
    /// The port that the client dials: of the Service for a host, of the pods for an address.
    pub port: u16,
    /// The subset that a route picks (`destination.subset`).
    pub subset: Option<&'q str>,
    /// What is spoken, inside TLS if there is any.
    pub speaks: Layer,
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Client<'q> {
    /// A workload of the mesh: with a sidecar, in ambient, a gateway, a waypoint, or without any proxy.
    Workload(WorkloadId),
    /// The waypoint of this Gateway, whether its pods are in the input or istiod makes them.
    Waypoint(GatewayId),
    /// Somebody of this cluster without a proxy and without a certificate, such as a node or a scraper.
    Plaintext(ClusterId),
    /// Somebody who proves this identity and speaks whatever the server's proxy takes; which rules his own proxy
    /// follows is not known.
    Identity(ClusterId, &'q Identity),
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'q> {
    /// A host of a Service or ServiceEntry, as a full name.
    Host(&'q str),
    /// The address of a pod, around every Service.
    Workload(WorkloadId),
}
