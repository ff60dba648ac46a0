//! Asks each class of clients what becomes of its calls, host by host.

use std::collections::{BTreeMap, HashSet};

use foldhash::fast::RandomState;
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{
    Called, ClusterId, Fact, GatewayId, GatewayRole, IngressRoute, Layer, NamespaceId, NoWaypoint, Origin,
    ResourceId, WorkloadId,
};
use meshproof_resources::Spec;
use meshproof_source::Span;

use super::Wanted;
use super::imports::Importers;
use super::roster::{Callers, ClientKind, Members, Roster};
use super::row::{Reception, Row, ServedBy, Via};
use super::rows::{Place, Rows};
use crate::clients::ClientClass;
use crate::registry::{self, Written};
use crate::routes::namespaces_named;
use crate::{Call, Client, Delivery, EndpointAddress, Evidence, Outcome, Path, RefusedBy, Target, Transport};

/// The table while it is made.
pub(super) struct Asking<'a, 'm> {
    pub(super) transport: &'a Transport<'m>,
    pub(super) roster: &'a Roster,
    pub(super) callers: &'a Callers<'a>,
    pub(super) rows: Rows,
    /// Namespaces without a known name, which every host tells apart.
    unnamed: Vec<NamespaceId>,
    importers: Importers,
    /// Where sidecars know the address of the pods, by a headless Service.
    pub(super) known_addresses: HashSet<Place, RandomState>,
}

/// What tells the clients of a host apart.
struct Apart {
    /// Sorted.
    namespaces: Vec<NamespaceId>,
    importers: Vec<Vec<ClientClass>>,
}

/// A port of a host, and the places behind it that have rows.
struct HostPort<'h> {
    host: &'h str,
    number: u16,
    /// The object that clients without a namespace of their own are taken to mean.
    called: Called,
    /// Sorted.
    behind: Vec<Place>,
    /// VirtualServices may send calls on.
    is_routed: bool,
}

/// Which way calls of some clients take.
enum Way {
    Straight,
    Through(GatewayId, Option<Span>),
    Nowhere(String),
    Unknown(String),
}

impl<'a, 'm> Asking<'a, 'm> {
    pub(super) fn new(
        transport: &'a Transport<'m>,
        roster: &'a Roster,
        callers: &'a Callers<'a>,
        wanted: Wanted<'_>,
    ) -> Self {
        let mesh = transport.mesh();
        let unnamed = mesh.namespaces.iter().enumerate().filter(|(_, namespace)| namespace.name.is_none());
        let unnamed = unnamed.map(|(at, _)| NamespaceId(at as u32)).collect();
        let rows = Rows::new(mesh, wanted);
        let importers = Importers::new(transport, roster);
        Asking { transport, roster, callers, rows, unnamed, importers, known_addresses: HashSet::default() }
    }

    pub(super) fn finish(self) -> Vec<Row> {
        self.rows.finish(self.transport.mesh(), self.roster)
    }

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
    fn leading(&self, objects: &[u32]) -> BTreeMap<u16, Vec<Place>> {
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

    fn ask(&mut self, port: &HostPort<'_>, kind: ClientKind, members: Members) {
        let via = Via::Host(port.host.to_owned(), port.number);
        if let Some(reception) = unknown_sender(kind) {
            for place in &port.behind {
                self.note(*place, &via, &members, reception.clone());
            }
            return;
        }
        let Some(asker) = self.roster.asker(&members, self.callers) else { return };
        if port.is_routed && kind == ClientKind::Sidecar && self.follow_routes(port, asker, &members) {
            return;
        }
        let (client, through) = match self.way(kind, port.called) {
            Way::Straight => (asker, None),
            Way::Through(id, span) => (Client::Waypoint(id), Some((id, span))),
            Way::Nowhere(reason) | Way::Unknown(reason) => {
                for place in &port.behind {
                    let reception = nothing_sent(Fact::Unknown(reason.clone()), Vec::new());
                    self.note(*place, &via, &members, reception);
                }
                return;
            }
        };
        let target = Target::Host(port.host);
        let call = Call { client, target, port: port.number, subset: None, speaks: Layer::Http };
        let outcome = self.transport.call(&call);
        let undated = self.undated(client, (port.host, port.number), None);
        for (place, mut reception) in receptions(outcome, &port.behind) {
            reception.unknown.extend(undated.clone());
            if let Some((id, span)) = through {
                self.send_through(&mut reception, id, span);
            }
            self.note(place, &via, &members, reception);
        }
    }

    /// Notes what becomes of calls that VirtualServices send on; nothing where they leave calls to the host as they are.
    fn follow_routes(&mut self, port: &HostPort<'_>, client: Client<'_>, members: &Members) -> bool {
        let Client::Workload(id) = client else { return false };
        let transport = self.transport;
        let profile = transport.clients.profile(id);
        let routed = transport.routed_for(profile, None, (port.host, port.number), Layer::Http);
        for to in &routed.destinations {
            let is_itself = (to.host.as_str(), to.port, &to.subset) == (port.host, port.number, &None);
            let called = (port.host.to_owned(), port.number);
            let via = match is_itself {
                true => Via::Host(called.0, called.1),
                false => Via::Routed { called, to: (to.host.clone(), to.port), subset: to.subset.clone() },
            };
            let objects = transport.registry.of_host(profile.scope.cluster, &to.host);
            let behind = self.leading(objects).remove(&to.port).unwrap_or_default();
            let subset = to.subset.as_deref();
            let call =
                Call { client, target: Target::Host(&to.host), port: to.port, subset, speaks: Layer::Http };
            let undated = self.undated(client, (&to.host, to.port), subset);
            for (place, mut reception) in receptions(transport.call(&call), &behind) {
                reception.unknown.extend(undated.clone());
                reception.client.insert(0, to.evidence.clone());
                self.note(place, &via, members, reception);
            }
        }
        !routed.destinations.is_empty() || routed.lost.is_some()
    }

    fn undated(&self, client: Client<'_>, at: (&str, u16), subset: Option<&str>) -> Option<String> {
        match client {
            Client::Workload(id) => self.transport.undated_rules(id, at, subset),
            _ => None,
        }
    }

    /// Notes an answer for clients of whom one was asked.
    fn note(&mut self, place: Place, via: &Via, members: &Members, reception: Reception) {
        let names_sidecar = reception.client.iter().any(|evidence| self.is_sidecar(evidence.object));
        let and_alike = names_sidecar && self.roster.follows_several(self.transport, members);
        self.rows.add(place, via, members.clone(), (reception, and_alike));
    }

    /// Whether an object is a Sidecar, of which each namespace may have its own.
    pub(super) fn is_sidecar(&self, object: Option<ResourceId>) -> bool {
        object.is_some_and(|id| matches!(self.transport.mesh().resource(id).spec, Spec::Sidecar(_)))
    }

    /// The way to a service: clients of ambient mode use its waypoint, ingress gateways where they are told to, sidecars
    /// never (waypoint reference).
    fn way(&self, kind: ClientKind, called: Called) -> Way {
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
    fn waypoint_of(&mut self, port: &HostPort<'_>) {
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

/// What becomes of the calls of clients of whom it is not known whether they have a proxy.
fn unknown_sender(kind: ClientKind) -> Option<Reception> {
    let reason = "whether these clients have a proxy is not known";
    (kind == ClientKind::Unknown).then(|| nothing_sent(Fact::Unknown(reason.to_owned()), Vec::new()))
}

fn nothing_sent(result: Fact<Delivery>, client: Vec<Evidence>) -> Reception {
    Reception {
        sends: None,
        result,
        identified: false,
        through: None,
        client,
        server: Vec::new(),
        unknown: Vec::new(),
    }
}

/// An outcome, place by place. Where nothing is sent at all, every place behind the host gets the refusal; a client that
/// means other endpoints by the host says nothing of these.
pub(super) fn receptions(outcome: Outcome, behind: &[Place]) -> Vec<(Place, Reception)> {
    let Outcome { path, endpoints, evidence, unknown, .. } = outcome;
    if endpoints.is_empty() {
        let result = match (path, unknown.first()) {
            (Path::Blackhole, _) => {
                Fact::Known(Delivery::Refused(RefusedBy::UnknownDestination), Origin::Default)
            }
            (Path::NoCluster, _) => Fact::Known(Delivery::Refused(RefusedBy::NoCluster), Origin::Default),
            (_, Some(reason)) => Fact::Unknown(reason.clone()),
            (_, None) => return Vec::new(),
        };
        let reception = nothing_sent(result, evidence);
        return behind.iter().map(|place| (*place, reception.clone())).collect();
    }
    // Two Services of one name have each endpoint twice.
    let mut told: HashSet<Place, RandomState> = HashSet::default();
    let here = endpoints.into_iter().filter_map(|endpoint| {
        let EndpointAddress::Workload(id) = endpoint.endpoint else { return None };
        let place: (WorkloadId, u16) = (id, endpoint.port);
        behind.binary_search(&place).ok().filter(|_| told.insert(place))?;
        let reception = Reception {
            sends: Some(endpoint.wire),
            result: endpoint.result,
            identified: endpoint.identity.is_some(),
            through: None,
            client: evidence.iter().cloned().chain(endpoint.evidence).collect(),
            server: endpoint.server,
            unknown: unknown.clone(),
        };
        Some((place, reception))
    });
    here.collect()
}
