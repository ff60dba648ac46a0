//! Which hosts are asked about, for which ports, and which of their clients may see them in a way of their own.

use std::collections::{BTreeMap, HashSet};

use foldhash::fast::RandomState;
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{ClusterId, Layer, NamespaceId};

use super::asking::{Asking, HostPort};
use super::client_kind::ClientKind;
use super::receptions::receptions;
use super::row::Via;
use super::rows::Place;
use crate::clients::ClientClass;
use crate::registry::{self, Written};
use crate::routes::namespaces_named;
use crate::{Call, Client, EndpointAddress, Target};

/// What tells the clients of a host apart.
struct Apart {
    /// Sorted.
    namespaces: Vec<NamespaceId>,
    importers: Vec<Vec<ClientClass>>,
}

impl Asking<'_, '_> {
    /// Asks about every host that leads to a row.
    pub(super) fn hosts(&mut self) {
        let registry = &self.transport.registry;
        for (at, service) in registry.services.iter().enumerate() {
            let cluster = self.transport.mesh().namespace(service.namespace).cluster;
            let objects = registry.of_host(cluster, service.host);
            // A host is asked about once, with all its objects.
            if objects.first() == Some(&(at as u32)) {
                self.host(cluster, service.host, objects);
            }
        }
    }

    fn host(&mut self, cluster: ClusterId, host: &str, objects: &[u32]) {
        let transport = self.transport;
        let mut ports = self.leading(objects);
        let is_routed = transport.routes.for_host(cluster, host).next().is_some();
        if is_routed {
            let all = objects.iter().flat_map(|at| transport.registry.ports(*at));
            for port in all.filter(|port| port.class != ProtocolClass::Udp) {
                ports.entry(port.number).or_default();
            }
        }
        let Some(first) = objects.first().filter(|_| !ports.is_empty()) else { return };
        let apart = self.told_apart(cluster, host, objects);
        let called = transport.called(*first);
        for (number, behind) in ports {
            let port = HostPort { host, number, called, behind, is_routed };
            self.waypoint_of(&port);
            for at in 0..self.roster.kinds.len() as u32 {
                let kind = &self.roster.kinds[at as usize];
                if kind.cluster != cluster || (kind.kind == ClientKind::Waypoint && !self.serves(at, *first))
                {
                    continue;
                }
                for members in self.roster.seen_by(at, &apart.namespaces, &apart.importers) {
                    self.ask(&port, kind.kind, members);
                }
            }
            if self.is_known_by_address(*first, number) {
                self.pods_of_headless(&port, cluster, &apart);
            }
        }
    }

    /// Whether sidecars have a listener for each pod behind a port.
    fn is_known_by_address(&self, object: u32, number: u16) -> bool {
        let registry = &self.transport.registry;
        let is_headless =
            matches!(registry.service(object).written, Written::Service(_, spec) if spec.headless);
        let is_http = |port: &registry::HostPort<'_>| port.class == ProtocolClass::Http;
        is_headless && registry.ports(object).iter().any(|port| port.number == number && !is_http(port))
    }

    /// At the addresses of the pods of a headless Service, sidecars follow what is said of its host.
    fn pods_of_headless(&mut self, port: &HostPort<'_>, cluster: ClusterId, apart: &Apart) {
        for place in port.behind.iter().filter(|place| place.1 == port.number) {
            if !self.known_addresses.insert(*place) {
                continue;
            }
            for at in 0..self.roster.kinds.len() as u32 {
                let kind = &self.roster.kinds[at as usize];
                if kind.cluster != cluster || kind.kind != ClientKind::Sidecar {
                    continue;
                }
                for members in self.roster.seen_by(at, &apart.namespaces, &apart.importers) {
                    let Some(client) = self.roster.asker(&members, self.callers) else { continue };
                    let (target, port) = (Target::Workload(place.0), place.1);
                    let outcome = self.transport.call(&Call {
                        client,
                        target,
                        port,
                        subset: None,
                        speaks: Layer::Http,
                    });
                    for (place, reception) in receptions(outcome, &[*place]) {
                        self.note(place, &Via::Address, &members, reception);
                    }
                }
            }
        }
    }

    /// The ports of a host by number, each with the places behind it that have rows.
    pub(super) fn leading(&self, objects: &[u32]) -> BTreeMap<u16, Vec<Place>> {
        let registry = &self.transport.registry;
        let mut asked: HashSet<(u32, &str, u16), RandomState> = HashSet::default();
        let mut leading: BTreeMap<u16, Vec<Place>> = BTreeMap::new();
        for at in objects {
            for port in registry.ports(*at) {
                // Objects of one group share their endpoints.
                let is_new = asked.insert((registry.service(*at).group, port.name, port.number));
                if port.class == ProtocolClass::Udp || !is_new {
                    continue;
                }
                let (mut endpoints, _) = self.transport.endpoints.of_port(registry, &port);
                endpoints.extend(self.transport.endpoints.elsewhere(registry, &port));
                let places = endpoints.into_iter().filter_map(|endpoint| match endpoint.address {
                    EndpointAddress::Workload(id) => Some((id, endpoint.port)),
                    EndpointAddress::Address(_) => None,
                });
                let places: Vec<Place> = places.filter(|place| self.rows.has(*place)).collect();
                if !places.is_empty() {
                    leading.entry(port.number).or_default().extend(places);
                }
            }
        }
        for places in leading.values_mut() {
            places.sort_unstable();
            places.dedup();
        }
        leading
    }

    /// The clients that may see a host in another way than everybody else: those of the namespaces of its objects and of the
    /// VirtualServices that concern it, those that `exportTo` names there or in rules, and those with rules of their own;
    /// and those whose Sidecar objects name one of the first. For all other clients the lookups of scope and rules never
    /// come to a table of their namespace, and so end alike.
    fn told_apart(&self, cluster: ClusterId, host: &str, objects: &[u32]) -> Apart {
        let transport = self.transport;
        let mesh = transport.mesh();
        let mut apart = self.unnamed.clone();
        let mut namespaces: Vec<NamespaceId> = Vec::new();
        let of_object = |at: u32, apart: &mut Vec<NamespaceId>| {
            let service = transport.registry.service(at);
            apart.extend(transport.registry.exported_by_name(at));
            apart.extend(transport.rules.told_apart(mesh, cluster, service.namespace, service.host));
            service.namespace
        };
        for at in objects {
            namespaces.push(of_object(*at, &mut apart));
        }
        for (id, _) in transport.routes.leading_to(cluster, host) {
            namespaces.extend(mesh.placement[id.index()].1);
        }
        for (id, service) in transport.routes.for_host(cluster, host) {
            namespaces.extend(mesh.placement[id.index()].1);
            let named = namespaces_named(service).filter_map(|name| mesh.namespace_by_name(cluster, name));
            apart.extend(named);
            for destination in transport.routes.destinations(mesh, id, service) {
                for at in transport.registry.of_host(cluster, &destination) {
                    namespaces.push(of_object(*at, &mut apart));
                }
            }
        }
        namespaces.sort_unstable();
        namespaces.dedup();
        let names = namespaces.iter().filter_map(|id| mesh.namespace(*id).name.as_deref());
        let importers = self.importers.of(names);
        apart.extend(namespaces);
        apart.sort_unstable();
        apart.dedup();
        Apart { namespaces: apart, importers }
    }

    /// Whether the waypoints of a kind serve a host; others have no reason to call it.
    fn serves(&self, kind: u32, object: u32) -> bool {
        let members = self.roster.everybody(kind);
        match self.roster.asker(&members, self.callers) {
            Some(Client::Workload(id)) => self.transport.serves(self.transport.clients.profile(id), object),
            _ => false,
        }
    }
}
