//! Gateways: what they listen on is a place of its own, and routes tell where they send requests.

use meshproof_explain::{Outcome, PointKind, ask_gateway, gateway_layer, is_taken};
use meshproof_ir::{Called, ClientTls, Layer, Mesh, WorkloadId};
use meshproof_resources::ServerTlsMode;
use meshproof_transport::{Arriving, GatewayPods, GatewayRefusal, Table, Taken, Transport};

use crate::clients::Clients;
use crate::effect::Effect;
use crate::place::{Member, Place};
use crate::sorting::Sorting;

/// Adds a place for each port that gateways listen on.
pub(crate) fn add(transport: &Transport<'_>, table: &Table, sorting: &mut Sorting<'_, '_>) {
    let mut own = 0;
    let mut done: Vec<(GatewayPods, u16)> = Vec::new();
    for listener in &table.listeners {
        let at = (listener.pods, listener.port);
        if done.contains(&at) {
            continue;
        }
        done.push(at);
        let place = match listener.pods {
            GatewayPods::Workload(id) => of_workload(transport, sorting, id, listener.port),
            GatewayPods::Deployed(_) | GatewayPods::Elsewhere(_) => None,
        };
        if let Some(place) = place {
            sorting.add(place, None, Some((true, own)));
            own += 1;
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
