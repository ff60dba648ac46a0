//! Waypoints on the way of a call.

use meshproof_ir::{Called, Fact, GatewayId, IngressRoute};

use crate::Transport;
use crate::answer::{Answer, gateway_id};
use crate::clients::{Profile, Sender};
use crate::registry::Written;

impl<'m> Transport<'m> {
    /// What the proxy of a Gateway proves to be, as a SPIFFE id, whether its pods are in the input or istiod makes them.
    pub fn gateway_identity(&self, id: GatewayId) -> Option<String> {
        gateway_id(self.mesh, id)
    }

    /// Whether a client is the waypoint that a host is reached through.
    pub(crate) fn serves(&self, profile: &Profile, service: u32) -> bool {
        let Sender::Waypoint(Some(gateway)) = profile.sender else { return false };
        let binding = self.mesh.waypoint_of(self.called(service));
        binding.known().is_some_and(|binding| binding.shares().any(|(waypoint, _)| waypoint == gateway))
    }

    /// What a waypoint is looked up for.
    pub(crate) fn called(&self, service: u32) -> Called {
        let of_host = self.registry.service(service);
        match of_host.written {
            Written::Service(id, _) => Called::Service(id),
            Written::Entry(_) => Called::ServiceEntry(of_host.resource),
        }
    }

    /// The waypoints that ztunnel sends to first.
    pub(crate) fn through_waypoints(&self, answer: &mut Answer<'_, 'm>, service: u32) {
        match self.mesh.waypoint_of(self.called(service)) {
            Fact::Known(binding, _) => answer.through = in_force(binding.shares()),
            Fact::Unknown(reason) => answer.unknown.push(reason),
        }
    }

    /// The waypoints that an ingress gateway sends to first; without a label that says so there are none.
    pub(crate) fn through_ingress(&self, answer: &mut Answer<'_, 'm>, service: u32) {
        match self.mesh.ingress_route(self.called(service)) {
            Fact::Known(IngressRoute::Waypoints(shares), _) => answer.through = in_force(shares.into_iter()),
            Fact::Known(..) => {}
            Fact::Unknown(reason) => answer.unknown.push(reason),
        }
    }
}

/// Waypoints that get any share of the calls.
fn in_force(shares: impl Iterator<Item = (GatewayId, u8)>) -> Vec<(GatewayId, u8)> {
    shares.filter(|(_, share)| *share > 0).collect()
}
