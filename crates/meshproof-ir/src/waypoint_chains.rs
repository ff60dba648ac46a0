//! For what a waypoint's proxy has filter chains, and what is attached to them (authorization reference §2.2, §2.3;
//! Istio 1.32, networking/core/listener_waypoint.go).

use std::collections::HashMap;
use std::sync::OnceLock;

use foldhash::fast::RandomState;

use crate::target_refs::{Target, TargetKind};
use crate::{Attachments, Called, Fact, GatewayId, GatewayRole, Mesh};

/// What each Gateway is the waypoint of; filled when first asked for.
#[derive(Debug, Default)]
pub(crate) struct Waypoints {
    served: OnceLock<HashMap<GatewayId, Vec<Called>, RandomState>>,
}

/// What is attached to the chains of a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyPolicies {
    /// AuthorizationPolicies.
    pub authorization: Attachments,
    /// RequestAuthentications; they stand in HTTP chains only.
    pub request_authentication: Attachments,
}

impl Mesh {
    /// Everything that certainly uses a Gateway as its waypoint, canaries included, sorted. Where the Gateway is a
    /// waypoint, its proxy has chains for every [port](Mesh::chain_ports) of the services among them.
    pub fn served_by(&self, waypoint: GatewayId) -> &[Called] {
        let served = self.waypoints.served.get_or_init(|| self.find_served());
        served.get(&waypoint).map_or(&[], Vec::as_slice)
    }

    fn find_served(&self) -> HashMap<GatewayId, Vec<Called>, RandomState> {
        let mut served: HashMap<GatewayId, Vec<Called>, RandomState> = HashMap::default();
        if self.gateways.is_empty() {
            return served;
        }
        for called in self.callable() {
            let Fact::Known(binding, _) = self.waypoint_of(called) else { continue };
            for (waypoint, _) in binding.shares() {
                served.entry(waypoint).or_default().push(called);
            }
        }
        served.values_mut().for_each(|list| list.sort_unstable());
        served
    }

    /// What is attached to the chains of `waypoint` for calls to `called`: policies that name the Gateway, the class
    /// `istio-waypoint` from the root namespace, and the service, each from the right namespace. Traffic that is
    /// addressed to a workload meets no policy of a service. Selectors never reach a waypoint. Nothing is attached
    /// anywhere for a Gateway that is no waypoint.
    pub fn waypoint_policies(&self, waypoint: GatewayId, called: Called) -> ProxyPolicies {
        self.attached_to_waypoint(waypoint, self.target_of(called))
    }

    /// What is attached to the chains for traffic that is addressed to workloads. Every waypoint has them, whether it
    /// serves workloads or not.
    pub fn direct_policies(&self, waypoint: GatewayId) -> ProxyPolicies {
        self.attached_to_waypoint(waypoint, None)
    }

    fn attached_to_waypoint(&self, waypoint: GatewayId, service: Option<Target<'_>>) -> ProxyPolicies {
        let gateway = self.gateway(waypoint);
        if gateway.role != GatewayRole::Waypoint {
            return ProxyPolicies::default();
        }
        let name = self.resource(gateway.resource).meta.name();
        let own = Target { kind: TargetKind::Gateway, namespace: gateway.namespace, name };
        let cluster = self.namespace(gateway.namespace).cluster;
        let targets = || [own].into_iter().chain(service);
        ProxyPolicies {
            authorization: self.references.authorization.at(targets(), Some(cluster)),
            request_authentication: self.references.request.at(targets(), Some(cluster)),
        }
    }

    /// How policies name a service.
    fn target_of(&self, called: Called) -> Option<Target<'_>> {
        let (kind, name) = match called {
            Called::Service(id) => {
                (TargetKind::Service, self.resource(self.services[id.index()].resource).meta.name())
            }
            Called::GatewayService(id) => {
                (TargetKind::Service, self.gateway(id).deployed_service()?.name.as_str())
            }
            Called::ServiceEntry(id) => (TargetKind::ServiceEntry, self.resource(id).meta.name()),
            Called::Workload(_) | Called::Endpoint { .. } => return None,
        };
        Some(Target { kind, namespace: self.namespace_of(called)?, name })
    }
}
