//! How a connection arrives at a place, and who decides there.

use meshproof_authz::{Context, Engine, IdentityFlavour, context_of, gateway_context_of};
use meshproof_explain::{Outcome, PointKind};
use meshproof_ir::{ClusterId, Fact, Layer, Mesh};
use meshproof_transport::{Delivery, Reception, Wire};

/// The port of tunnels.
pub(crate) const HBONE_PORT: u16 = 15008;

/// How a connection arrives: clients with equal effects meet the same chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Effect {
    /// What is on the wire.
    pub outcome: Outcome,
    /// The layer of the chain that takes it; nothing where no proxy looks at it.
    pub is_http: Option<bool>,
    /// Whether the server sees the identity of the client.
    pub identified: bool,
    /// Whether it comes through the tunnel of ambient mode.
    pub tunnelled: bool,
    /// The input leaves open whether it arrives like this.
    pub is_open: bool,
}

impl Effect {
    /// What a reception means at a place; nothing when the connection does not come about.
    pub(crate) fn of(reception: &Reception) -> Option<Effect> {
        let wire = reception.sends.as_ref().and_then(Fact::known).copied();
        let tunnelled = matches!(wire, Some(Wire::Hbone | Wire::HboneTls));
        let identified = reception.identified;
        let is_open = !reception.unknown.is_empty();
        let arrives = |outcome, is_http| Some(Effect { outcome, is_http, identified, tunnelled, is_open });
        let Fact::Known(delivery, _) = &reception.result else {
            // Where it is not known whether proxies stand at the ends they are taken to, as explain does.
            return Some(Effect {
                outcome: Outcome::Unknown,
                is_http: Some(true),
                identified: true,
                tunnelled,
                is_open: true,
            });
        };
        match delivery {
            // An account that the input does not tell is an identity all the same.
            Delivery::Mutual(layer) => {
                let effect = arrives(Outcome::Mtls, Some(*layer == Layer::Http));
                effect.map(|effect| Effect { identified: true, ..effect })
            }
            Delivery::Plaintext(layer) => arrives(Outcome::Plaintext, Some(*layer == Layer::Http)),
            Delivery::Unopened => arrives(Outcome::Tls, Some(false)),
            Delivery::Application => arrives(Outcome::Plaintext, None),
            Delivery::Refused(_) => None,
        }
    }

    /// Who decides at a place; nobody where no proxy takes the connection.
    pub(crate) fn engine(&self, kind: PointKind) -> Option<Engine> {
        match (kind, self.is_http?) {
            (PointKind::NoProxy, _) => None,
            (PointKind::Ztunnel, _) => Some(Engine::Ztunnel),
            (PointKind::ProxylessGrpc, _) => Some(Engine::Grpc),
            (_, true) => Some(Engine::EnvoyHttp),
            (_, false) => Some(Engine::EnvoyTcp),
        }
    }

    /// The enforcement point that the connection meets.
    pub(crate) fn context(&self, mesh: &Mesh, cluster: ClusterId, kind: PointKind) -> Option<Context> {
        let engine = self.engine(kind)?;
        let context = match kind {
            PointKind::Gateway => gateway_context_of(mesh, cluster, engine),
            _ => context_of(mesh, cluster, engine),
        };
        let from_tunnel = self.tunnelled && kind == PointKind::Sidecar;
        Some(match from_tunnel || kind == PointKind::Waypoint {
            true => Context { identity: IdentityFlavour::FilterState, ..context },
            false => context,
        })
    }

    /// The port that network policies see.
    pub(crate) fn wire_port(&self, port: u16) -> u16 {
        if self.tunnelled { HBONE_PORT } else { port }
    }
}
