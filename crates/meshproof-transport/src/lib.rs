//! Who speaks what to whom, per port: what a client sends (emission) against what the server takes (acceptance).
//!
//! [`Transport`] is built once over a [`Mesh`](meshproof_ir::Mesh), in time linear in it, and answers a [`Call`] with an
//! [`Outcome`]: per endpoint the wire, what becomes of it, the identity that the server sees, and the objects that
//! decide. Rules: mutual-TLS reference §2 and §3; Istio 1.32.

mod answer;
mod call;
mod client_tls;
mod clients;
mod delivery;
mod emission;
mod endpoints;
mod export;
mod followed;
mod gateway;
mod hosts;
mod merge;
mod outbound;
mod outcome;
mod proxied;
mod registry;
mod remote;
mod routed;
mod routes;
mod rules;
mod scope;
mod senders;
mod server;
mod servers;
mod table;
mod transport;
mod waypoints;

pub use answer::trusted_domains;
pub use call::{Call, Client, Target};
pub use client_tls::written_tls;
pub use clients::ClientClass;
pub use gateway::{
    Arrival, Arriving, ExposedHost, GatewayRefusal, RouteSender, RouteTarget, SchemeFit, Taken,
    names_in_common,
};
pub use outcome::{
    Delivery, EndpointAddress, EndpointOutcome, Evidence, Outcome, Path, RefusedBy, SentTls, Wire,
};
pub use routed::{Routed, RoutedTo};
pub use server::{ServerMode, ServerSide, server_side};
pub use servers::ServerClass;
pub use table::{
    Callers, ClientKind, ClientSet, GatewayListener, GatewayPods, Group, Part, PartId, Reception, Roster,
    Row, ServedBy, Table, Via, Wanted,
};
pub use transport::Transport;
