//! Which way calls to a service take: straight, or through its waypoint.

use meshproof_ir::{Called, Fact, GatewayId, GatewayRole, IngressRoute, NoWaypoint, ResourceId};
use meshproof_source::Span;

use super::asking::{Asking, HostPort};
use super::client_kind::ClientKind;
use super::row::{Reception, ServedBy};
use crate::Evidence;

/// Which way calls of some clients take.
pub(super) enum Way {
    Straight,
    Through(GatewayId, Option<Span>),
    Nowhere(String),
    Unknown(String),
}

impl Asking<'_, '_> {
    /// The way to a service: clients of ambient mode use its waypoint, ingress gateways where they are told to, sidecars
    /// never (waypoint reference).
    pub(super) fn way(&self, kind: ClientKind, called: Called) -> Way {
        let mesh = self.transport.mesh();
        match kind {
            ClientKind::Ambient => match mesh.waypoint_of(called) {
                Fact::Unknown(reason) => Way::Unknown(reason),
                Fact::Known(binding, origin) => {
                    let waypoint = binding.shares().find(|(_, share)| *share > 0);
                    waypoint.map_or(Way::Straight, |(id, _)| self.through(id, origin.span()))
                }
            },
            ClientKind::Gateway => match mesh.ingress_route(called) {
                Fact::Unknown(reason) => Way::Unknown(reason),
                Fact::Known(IngressRoute::Endpoints, _) => Way::Straight,
                Fact::Known(IngressRoute::Nowhere(reason), _) => Way::Nowhere(reason),
                Fact::Known(IngressRoute::Waypoints(shares), origin) => {
                    shares.first().map_or(Way::Straight, |(id, _)| self.through(*id, origin.span()))
                }
            },
            _ => Way::Straight,
        }
    }

    fn through(&self, id: GatewayId, span: Option<Span>) -> Way {
        let mesh = self.transport.mesh();
        if mesh.gateway(id).role == GatewayRole::Waypoint {
            return Way::Through(id, span);
        }
        let name = mesh.gateway_display(id);
        Way::Unknown(format!(
            "{name} is taken for the waypoint and is none; what becomes of calls is not known"
        ))
    }

    pub(super) fn send_through(&self, reception: &mut Reception, id: GatewayId, span: Option<Span>) {
        let mesh = self.transport.mesh();
        let object: ResourceId = mesh.gateway(id).resource;
        let text = format!("through waypoint {}, over mTLS", mesh.gateway_display(id));
        reception.client.insert(0, Evidence { object: Some(object), span, text });
        reception.through = Some(id);
    }

    /// Notes the waypoint of a host, or that there is none although a label asks for one.
    pub(super) fn waypoint_of(&mut self, port: &HostPort<'_>) {
        let mesh = self.transport.mesh();
        let Fact::Known(binding, origin) = mesh.waypoint_of(port.called) else { return };
        let waypoint = match binding.waypoint {
            Ok(id) => Ok(id),
            Err(
                NoWaypoint::NotAsked | NoWaypoint::OptedOut | NoWaypoint::IsGateway | NoWaypoint::NotInIndex,
            ) => return,
            Err(reason) => Err(reason),
        };
        let for_ingress =
            matches!(mesh.ingress_route(port.called), Fact::Known(IngressRoute::Waypoints(_), _));
        let served = ServedBy { host: port.host.to_owned(), waypoint, for_ingress, span: origin.span() };
        for place in &port.behind {
            self.rows.serve(*place, &served);
        }
    }
}
