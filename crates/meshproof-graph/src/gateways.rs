//! Gateways: what they listen on is a place of its own, and routes tell where they send requests.

use meshproof_explain::{Outcome, PointKind, ask_gateway, gateway_layer, is_taken};
use meshproof_ir::{Called, ClientTls, GatewayId, GatewayPort, Layer, Mesh, WorkloadId};
use meshproof_resources::{ServerTlsMode, Spec};
use meshproof_transport::{Arriving, GatewayPods, GatewayRefusal, Table, Taken, Transport};

use crate::clients::Clients;
use crate::effect::Effect;
use crate::place::{Member, Place};
use crate::sorting::Sorting;

/// Adds a place for each port that gateways listen on.
pub(crate) fn add(transport: &Transport<'_>, table: &Table, sorting: &mut Sorting<'_, '_>) {
    let mut own = 0;
    let mut before: Option<(GatewayPods, u16)> = None;
    for listener in &table.listeners {
        // The servers of a port follow each other.
        let at = Some((listener.pods, listener.port));
        if at == before {
            continue;
        }
        before = at;
        let place = match listener.pods {
            GatewayPods::Workload(id) => of_workload(transport, sorting, id, listener.port),
            GatewayPods::Deployed(_) | GatewayPods::Elsewhere(_) => None,
        };
        if let Some(place) = place {
            sorting.add(place, None, Some((true, own)));
            own += 1;
        }
    }
    let mesh = transport.mesh();
    for (id, _) in mesh.gateways_with_ids() {
        for port in mesh.gateway_ports(id) {
            if let Some(place) = of_gateway_api(mesh, sorting, id, &port) {
                sorting.add(place, None, Some((true, own)));
                own += 1;
            }
        }
    }
}

fn of_workload(
    transport: &Transport<'_>,
    sorting: &mut Sorting<'_, '_>,
    id: WorkloadId,
    port: u16,
) -> Option<Place> {
    let mesh = transport.mesh();
    let workload = mesh.workload(id);
    let mut effects: Vec<Effect> = Vec::new();
    let mut leads: Vec<(WorkloadId, u16)> = Vec::new();
    let mut doubts: Vec<String> = Vec::new();
    for host in transport.exposed_hosts(id, port) {
        let (mut arrival, _) = ask_gateway(transport, id, (port, &host), Layer::Http);
        if arrival.taken == Taken::Refused(GatewayRefusal::CertificateRequired) {
            let tls = ClientTls::Mutual;
            let arriving = Arriving { gateway: id, port, host: &host, tls, speaks: Layer::Http };
            arrival = transport.arrive(&arriving);
        }
        doubts.extend(arrival.unknown.iter().cloned());
        if !is_taken(&arrival) {
            continue;
        }
        let is_http = gateway_layer(&arrival).map(|layer| layer == Layer::Http);
        let outcome = match arrival.taken {
            Taken::Terminated(ServerTlsMode::Simple | ServerTlsMode::OptionalMutual, _) | Taken::Unopened => {
                Outcome::Tls
            }
            Taken::Terminated(..) => Outcome::Mtls,
            _ => Outcome::Plaintext,
        };
        let effect = Effect { outcome, is_http, identified: false, tunnelled: false, is_open: false };
        if !effects.contains(&effect) {
            effects.push(effect);
        }
        for target in &arrival.targets {
            leads.extend(behind(mesh, sorting.called(&target.host), target.port));
        }
    }
    if effects.is_empty() {
        return None;
    }
    doubts.sort();
    doubts.dedup();
    leads.sort_unstable();
    leads.dedup();
    effects.sort_unstable();
    let internet = sorting.group(Clients { internet: true, ..Clients::default() });
    Some(Place {
        kind: PointKind::Gateway,
        members: vec![Member::Gateway(id, port)],
        port,
        cluster: mesh.namespace(workload.namespace).cluster,
        policies: workload.policies.clone(),
        request_authentications: workload.request_authentications.clone(),
        arrivals: effects.into_iter().map(|effect| (effect, internet)).collect(),
        doubts,
        row: None,
        pods: Some(id),
        leads,
    })
}

/// A port of a gateway of the Gateway API: its listeners say what it takes, and its routes where it sends it.
fn of_gateway_api(
    mesh: &Mesh,
    sorting: &mut Sorting<'_, '_>,
    id: GatewayId,
    port: &GatewayPort,
) -> Option<Place> {
    let gateway = mesh.gateway(id);
    let pods = mesh.gateway_pods(id).next()?;
    let spec = mesh.gateway_spec(id)?;
    let cluster = mesh.namespace(gateway.namespace).cluster;
    let mut effects: Vec<Effect> = Vec::new();
    for listener in port.listeners.iter().filter_map(|at| spec.listeners.get(*at)) {
        let protocol = listener.protocol.as_ref().map_or("", |protocol| protocol.value.as_str());
        let mode = listener.tls.as_ref().and_then(|tls| tls.mode.as_ref()).map(|mode| mode.value.as_str());
        let outcome = if matches!(protocol, "HTTPS" | "TLS") { Outcome::Tls } else { Outcome::Plaintext };
        let is_http = matches!(protocol, "HTTP" | "HTTPS") && mode != Some("Passthrough");
        let is_http = Some(is_http);
        let effect = Effect { outcome, is_http, identified: false, tunnelled: false, is_open: false };
        if !effects.contains(&effect) {
            effects.push(effect);
        }
    }
    let mut leads: Vec<(WorkloadId, u16)> = Vec::new();
    for parent in &gateway.routes {
        let Spec::Route(route) = &mesh.resource(parent.route).spec else { continue };
        let Some(own) = mesh.placement[parent.route.index()].1 else { continue };
        for backend in route.rules.iter().flat_map(|rule| rule.backend_refs.iter()) {
            let is_service = backend.kind.as_ref().is_none_or(|kind| kind.value == "Service");
            let namespace = match &backend.namespace {
                Some(name) => mesh.namespace_by_name(cluster, &name.value),
                None => Some(own),
            };
            let (true, Some(namespace), Some(name), Some(port)) =
                (is_service, namespace, &backend.name, &backend.port)
            else {
                continue;
            };
            leads.extend(behind(mesh, mesh.service_called(namespace, &name.value), port.value));
        }
    }
    if effects.is_empty() {
        return None;
    }
    leads.sort_unstable();
    leads.dedup();
    effects.sort_unstable();
    let workload = mesh.workload(pods);
    let internet = sorting.group(Clients { internet: true, ..Clients::default() });
    Some(Place {
        kind: PointKind::Gateway,
        members: vec![Member::Gateway(pods, port.number)],
        port: port.number,
        cluster,
        policies: workload.policies.clone(),
        request_authentications: workload.request_authentications.clone(),
        arrivals: effects.into_iter().map(|effect| (effect, internet)).collect(),
        doubts: Vec::new(),
        row: None,
        pods: Some(pods),
        leads,
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
