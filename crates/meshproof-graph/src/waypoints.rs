//! Calls through waypoints: the way to one is a hop, and what it sends on another.

use std::collections::BTreeSet;

use meshproof_explain::{Outcome, PointKind, point_kind};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Called, GatewayId, Mesh, WorkloadId};
use meshproof_resources::{ObjectRef, Spec};
use meshproof_transport::{Group, Via};

use crate::clients::Draft;
use crate::effect::Effect;
use crate::place::{Member, Place};
use crate::routing::{Lead, Routing};
use crate::sorting::{Sorting, draft};

/// What is called through a waypoint.
pub(crate) type WaypointKey = (GatewayId, Called, String, u16);
/// Who calls it, and the workload ports behind.
pub(crate) type Behind = (Draft, Vec<(WorkloadId, u16)>);

impl Sorting<'_, '_> {
    /// Calls through a waypoint: the way to it is a hop, and what it sends on another one.
    pub(crate) fn through(
        &mut self,
        waypoint: GatewayId,
        group: &Group,
        behind: (WorkloadId, u16),
        drafts: &mut Vec<(Effect, Draft)>,
    ) {
        for via in &group.via {
            let (called, host, port) = match via {
                Via::Host(host, port) | Via::Routed { to: (host, port), .. } => {
                    match self.hosts.get(host.as_str()) {
                        Some(called) => (*called, host.clone(), *port),
                        None => continue,
                    }
                }
                Via::Address => (Called::Workload(behind.0), self.mesh.workload_display(behind.0), behind.1),
            };
            let key = (waypoint, called, host, port);
            let next = self.waypoints.len();
            let at = *self.waypoint_at.entry(key.clone()).or_insert(next);
            if at == next {
                self.waypoints.push((key, (Draft::default(), Vec::new())));
            }
            let (draft, leads) = &mut self.waypoints[at].1;
            draft.sets.push(group.clients.clone());
            leads.push(behind);
        }
        let kind = point_kind(self.mesh, behind.0, behind.1);
        let Some(effect) = self.effect(&group.reception, kind) else { return };
        let more = &mut draft(drafts, effect).more;
        let pods = self.mesh.gateway_pods(waypoint).next().and_then(|pods| self.standing.part(pods));
        match pods {
            Some(part) => {
                more.parts.push(part);
                more.parts.sort_unstable();
                more.parts.dedup();
            }
            None if !more.waypoints.contains(&waypoint) => more.waypoints.push(waypoint),
            None => {}
        }
    }

    pub(crate) fn waypoint(&mut self, key: WaypointKey, draft: Draft, mut behind: Vec<(WorkloadId, u16)>) {
        let (id, called, host, port) = key;
        let policies = self.mesh.waypoint_policies(id, called);
        let cluster = self.mesh.namespace(self.mesh.gateway(id).namespace).cluster;
        let class = self.mesh.chain_ports(called).iter().find(|own| own.number == port).map(|own| own.class);
        let is_http = !matches!(class, Some(ProtocolClass::Tcp | ProtocolClass::Udp));
        let effect = Effect {
            outcome: Outcome::Mtls,
            is_http: Some(is_http),
            identified: true,
            tunnelled: true,
            is_open: false,
        };
        behind.sort_unstable();
        behind.dedup();
        let clients = self.groups.of_draft(draft, &self.table.roster);
        let routing = match self.is_routed(called, &host) {
            false => Routing::all(),
            true => Routing::unknown("routes for the called service are not followed at waypoints"),
        };
        let place = Place {
            kind: PointKind::Waypoint,
            members: vec![Member::Waypoint(id, host, port)],
            port,
            cluster,
            policies: policies.authorization,
            request_authentications: policies.request_authentication,
            arrivals: vec![(effect, clients)],
            doubts: Vec::new(),
            row: None,
            pods: self.mesh.gateway_pods(id).next(),
            leads: behind.into_iter().map(|to| Lead { to, routing: routing.clone() }).collect(),
            lists: (0, 0),
        };
        self.add(place, None, Some((false, id.0)));
    }

    /// Whether a VirtualService or a route of the Gateway API is for what is called.
    fn is_routed(&self, called: Called, host: &str) -> bool {
        let service = match called {
            Called::Service(id) => Some(&self.mesh.services[id.index()]),
            _ => None,
        };
        let object = service.map(|service| self.mesh.resource(service.resource).meta.name());
        let is_it = |written: &str| {
            let short = written.split('.').next().unwrap_or_default();
            written == host
                || written.strip_prefix('*').is_some_and(|rest| host.ends_with(rest))
                || object.is_some_and(|name| short == name)
        };
        self.routed.iter().any(|name| is_it(name))
    }
}

/// Names that VirtualServices of the mesh and routes with Services as parents are for.
pub(crate) fn routed(mesh: &Mesh) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for resource in &mesh.resources {
        match &resource.spec {
            Spec::VirtualService(service) => {
                let gateways = &service.gateways;
                if gateways.is_empty() || gateways.iter().any(|name| name.value == "mesh") {
                    names.extend(service.hosts.iter().map(|host| host.value.as_str()));
                }
            }
            Spec::Route(route) => {
                let is_of_mesh =
                    |parent: &&ObjectRef| parent.kind.as_ref().is_some_and(|kind| kind.value != "Gateway");
                let parents = route.parent_refs.iter().filter(is_of_mesh);
                names.extend(
                    parents.filter_map(|parent| parent.name.as_ref()).map(|name| name.value.as_str()),
                );
            }
            _ => {}
        }
    }
    names
}
