//! Gateways: what they listen on is a place of its own, and routes tell where they send requests.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::HashMap;
use meshproof_explain::{Outcome, PointKind, ask_gateway, gateway_layer, is_taken};
use meshproof_ir::{Called, ClientTls, GatewayId, GatewayPort, Layer, Mesh, ResourceId, WorkloadId};
use meshproof_resources::{RouteRule, ServerTlsMode, Spec};
use meshproof_transport::{
    Arriving, GatewayListener, GatewayPods, GatewayRefusal, RouteTarget, Table, Taken, Transport,
};

use crate::clients::Clients;
use crate::effect::Effect;
use crate::grants::Grants;
use crate::http_routes::{Admitted, HttpRoutes, admits};
use crate::matches::Matches;
use crate::place::{Member, Place};
use crate::routing::{Lead, Routing};
use crate::sender::Asked;
use crate::sorting::Sorting;

/// What is sent on for a name: to which ports of workloads, by which route.
type SentOn = (String, Vec<(WorkloadId, u16)>, Arc<Routing>);

/// Adds a place for each port that gateways listen on.
pub(crate) fn add(transport: &Transport<'_>, table: &Table, sorting: &mut Sorting<'_, '_>) {
    let mut own = 0;
    // The servers of a port follow each other.
    let at = |listener: &GatewayListener| (listener.pods, listener.port);
    for servers in table.listeners.chunk_by(|one, other| at(one) == at(other)) {
        let place = match servers[0].pods {
            GatewayPods::Workload(id) => of_workload(transport, servers, sorting, id),
            GatewayPods::Deployed(_) | GatewayPods::Elsewhere(_) => None,
        };
        if let Some(place) = place {
            sorting.add(place, None, Some((true, own)));
            own += 1;
        }
    }
    let mesh = transport.mesh();
    let grants = Grants::new(mesh);
    for (id, gateway) in mesh.gateways_with_ids() {
        for port in mesh.gateway_ports(id) {
            let modes = modes(table, gateway.resource);
            if let Some(place) = of_gateway_api((mesh, &grants), sorting, id, &port, &modes) {
                sorting.add(place, None, Some((true, own)));
                own += 1;
            }
        }
    }
}

/// How whoever comes from outside is seen at a listener.
fn outcome(tls: Option<ServerTlsMode>) -> Outcome {
    match tls {
        None => Outcome::Plaintext,
        Some(ServerTlsMode::Mutual | ServerTlsMode::IstioMutual) => Outcome::Mtls,
        Some(_) => Outcome::Tls,
    }
}

fn arrives(outcome: Outcome, is_http: Option<bool>) -> Effect {
    // A client certificate is an identity, of which the input tells nothing.
    let identified = outcome == Outcome::Mtls;
    Effect { outcome, is_http, identified, tunnelled: false, is_open: false }
}

fn of_workload(
    transport: &Transport<'_>,
    servers: &[GatewayListener],
    sorting: &mut Sorting<'_, '_>,
    id: WorkloadId,
) -> Option<Place> {
    let mesh = transport.mesh();
    let port = servers[0].port;
    let mut effects: Vec<Effect> = Vec::new();
    let mut leads: Vec<Lead> = Vec::new();
    let mut doubts: Vec<String> = mesh.presumption(id).into_iter().collect();
    // Which VirtualServices are for each name: that of the longest name takes a request.
    let mut services: Vec<(String, BTreeSet<ResourceId>)> = Vec::new();
    let mut sent: Vec<SentOn> = Vec::new();
    let mut asked = Asked::of(mesh, servers, id);
    let mut read = Read::default();
    for name in transport.exposed_hosts(id, port) {
        let host = &name.example;
        services.push((name.written.clone(), BTreeSet::new()));
        let (mut arrival, _) = ask_gateway(transport, id, (port, host), Layer::Http);
        if arrival.taken == Taken::Refused(GatewayRefusal::CertificateRequired) {
            let tls = ClientTls::Mutual;
            arrival = transport.arrive(&Arriving { gateway: id, port, host, tls, speaks: Layer::Http });
        }
        doubts.extend(arrival.unknown.iter().cloned());
        if !is_taken(&arrival) {
            continue;
        }
        let is_http = gateway_layer(&arrival).map(|layer| layer == Layer::Http);
        let outcome = match arrival.taken {
            Taken::Terminated(mode, _) => outcome(Some(mode)),
            Taken::Unopened => Outcome::Tls,
            _ => Outcome::Plaintext,
        };
        let effect = arrives(outcome, is_http);
        if !effects.contains(&effect) {
            effects.push(effect);
        }
        asked.scheme = Some(if outcome == Outcome::Plaintext { "http" } else { "https" });
        if let Some((_, own)) = services.last_mut() {
            own.extend(arrival.targets.iter().filter_map(|target| target.route));
        }
        for target in &arrival.targets {
            let to = behind(mesh, sorting.called(&target.host), target.port);
            if is_http != Some(true) {
                leads.extend(to.into_iter().map(|to| Lead { to, routing: Routing::all() }));
            } else if let Some(routing) = routing_of((mesh, &asked, &mut read), target, &name.written) {
                sent.push((name.written.clone(), to, routing));
            }
        }
    }
    for (name, to, mut routing) in sent {
        if has_rivals(&name, &services) {
            Arc::make_mut(&mut routing).doubt_of_others("another VirtualService may take some of it");
        }
        leads.extend(to.into_iter().map(|to| Lead { to, routing: routing.clone() }));
    }
    place(mesh, sorting, (id, port), effects, leads, doubts)
}

/// Whether other VirtualServices may take requests of a name, which is written with a star in front or alone.
fn has_rivals(name: &str, services: &[(String, BTreeSet<ResourceId>)]) -> bool {
    let own = services.iter().find(|(other, _)| other == name).map(|(_, own)| own);
    let is_longer = |other: &str| other != name && admits(name, other);
    own.is_some_and(|own| {
        own.len() > 1 || services.iter().any(|(other, their)| is_longer(other) && their != own)
    })
}

/// The matches of VirtualServices at a port of a gateway, by the scheme of requests.
type Read<'m> = HashMap<(ResourceId, Option<&'static str>), Matches<'m>>;

/// What the route of a target sends on; nothing where other routes take all of it.
fn routing_of<'m>(
    (mesh, asked, read): (&'m Mesh, &Asked<'_>, &mut Read<'m>),
    target: &RouteTarget,
    written: &str,
) -> Option<Arc<Routing>> {
    let (Some(id), Some(span)) = (target.route, target.span) else { return Some(Routing::all()) };
    let Spec::VirtualService(service) = &mesh.resource(id).spec else { return Some(Routing::all()) };
    let matches = read.entry((id, asked.scheme)).or_insert_with(|| {
        let own = mesh.placement[id.index()].1.map_or("", |id| mesh.namespace_display(id));
        Matches::of(service, &asked.sender(own))
    });
    match matches.leading_to(span).and_then(|at| Some((at, service.http.get(at)?))) {
        Some((at, route)) => Routing::of_virtual_service(route, (matches, at), written).map(Arc::new),
        None => Some(Routing::all()),
    }
}

/// The modes of the listeners of a Gateway of the Gateway API, in their order.
fn modes(table: &Table, object: ResourceId) -> Vec<Option<ServerTlsMode>> {
    let own = |listener: &&GatewayListener| listener.object == object;
    table.listeners.iter().filter(own).map(|listener| listener.tls).collect()
}

/// A port of a gateway of the Gateway API: its listeners say what it takes, and its routes where it sends it.
fn of_gateway_api(
    (mesh, grants): (&Mesh, &Grants<'_>),
    sorting: &mut Sorting<'_, '_>,
    id: GatewayId,
    port: &GatewayPort,
    modes: &[Option<ServerTlsMode>],
) -> Option<Place> {
    let gateway = mesh.gateway(id);
    let pods = mesh.gateway_pods(id).next()?;
    let spec = mesh.gateway_spec(id)?;
    let mut effects: Vec<Effect> = Vec::new();
    let mut leads: Vec<Lead> = Vec::new();
    let mut doubts: Vec<String> = Vec::new();
    let mut admitted: Vec<Admitted> = Vec::new();
    let mut unread: Vec<ResourceId> = Vec::new();
    for at in &port.listeners {
        let Some(listener) = spec.listeners.get(*at) else { continue };
        let mode = modes.get(*at).copied().flatten();
        let protocol = listener.protocol.as_ref().map_or("", |protocol| protocol.value.as_str());
        let is_http = matches!(protocol, "HTTP" | "HTTPS") && mode != Some(ServerTlsMode::Passthrough);
        let effect = arrives(outcome(mode), Some(is_http));
        if !effects.contains(&effect) {
            effects.push(effect);
        }
        for parent in &gateway.routes {
            let Spec::Route(route) = &mesh.resource(parent.route).spec else { continue };
            let names = match mesh.admitted_hosts(id, listener, *parent) {
                Ok(Some(names)) => names,
                Ok(None) => continue,
                Err(reason) => {
                    doubts.push(reason);
                    route.hostnames.iter().map(|host| host.value.clone()).collect()
                }
            };
            match is_http {
                true => admitted.push(Admitted { route: parent.route, listener: *at, names }),
                false => unread.push(parent.route),
            }
        }
    }
    let routes = HttpRoutes::of(mesh, &admitted);
    let mut read: Vec<ResourceId> = admitted.iter().map(|admitted| admitted.route).collect();
    read.sort_unstable();
    read.dedup();
    for (id, is_http) in read.iter().map(|id| (*id, true)).chain(unread.iter().map(|id| (*id, false))) {
        let Spec::Route(route) = &mesh.resource(id).spec else { continue };
        for (at, rule) in route.rules.iter().enumerate() {
            let routing = match is_http {
                true => routes.routing(id, (at, rule)).map(Arc::new),
                false => Some(Routing::all()),
            };
            let Some(routing) = routing else { continue };
            for (to, doubt) in backends((mesh, grants), id, rule) {
                let mut routing = routing.clone();
                if doubt.is_some() {
                    Arc::make_mut(&mut routing).doubt = doubt;
                }
                leads.extend(to.into_iter().map(|to| Lead { to, routing: routing.clone() }));
            }
        }
    }
    place(mesh, sorting, (pods, port.number), effects, leads, doubts)
}

/// The workload ports behind each backend of a rule, and why the rule may not be let through to it.
fn backends<'a>(
    (mesh, grants): (&'a Mesh, &'a Grants<'_>),
    id: ResourceId,
    rule: &'a RouteRule,
) -> impl Iterator<Item = (Vec<(WorkloadId, u16)>, Option<String>)> + 'a {
    let (cluster, own) = mesh.placement[id.index()];
    rule.backend_refs.iter().filter_map(move |backend| {
        let is_service = backend.kind.as_ref().is_none_or(|kind| kind.value == "Service");
        let namespace = match &backend.namespace {
            Some(name) => mesh.namespace_by_name(cluster, &name.value),
            None => own,
        };
        let (name, port) = backend.name.as_ref().zip(backend.port.as_ref()).filter(|_| is_service)?;
        let namespace = namespace?;
        let to = behind(mesh, mesh.service_called(namespace, &name.value), port.value);
        let doubt = (!to.is_empty()).then(|| grants.doubt(mesh, id, (namespace, &name.value))).flatten();
        Some((to, doubt))
    })
}

/// The place of a port of a gateway's pods; nothing where nothing is taken.
fn place(
    mesh: &Mesh,
    sorting: &mut Sorting<'_, '_>,
    (pods, port): (WorkloadId, u16),
    mut effects: Vec<Effect>,
    leads: Vec<Lead>,
    mut doubts: Vec<String>,
) -> Option<Place> {
    if effects.is_empty() {
        return None;
    }
    doubts.sort();
    doubts.dedup();
    effects.sort_unstable();
    let workload = mesh.workload(pods);
    let internet = sorting.group(Clients { internet: true, ..Clients::default() });
    Some(Place {
        kind: PointKind::Gateway,
        members: vec![Member::Gateway(pods, port)],
        port,
        cluster: mesh.namespace(workload.namespace).cluster,
        policies: workload.policies.clone(),
        request_authentications: workload.request_authentications.clone(),
        arrivals: effects.into_iter().map(|effect| (effect, internet)).collect(),
        doubts,
        row: None,
        pods: Some(pods),
        leads,
        lists: (0, 0),
    })
}

/// The workload ports behind a port of a service.
fn behind(mesh: &Mesh, called: Option<Called>, port: u16) -> Vec<(WorkloadId, u16)> {
    let Some(Called::Service(id)) = called else { return Vec::new() };
    let Some(spec) = mesh.service_spec(id) else { return Vec::new() };
    let mut found = Vec::new();
    for workload in &mesh.services[id.index()].workloads {
        for own in &mesh.workload(*workload).ports {
            let leads = own.bindings.iter().any(|binding| {
                let number = spec.ports.get(binding.port).map(|port| port.port.value);
                binding.service == id && number == Some(port)
            });
            if leads {
                found.push((*workload, own.number));
            }
        }
    }
    found
}
