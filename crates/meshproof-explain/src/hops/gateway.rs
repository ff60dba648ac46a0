//! A gateway that sends the request into the mesh: whoever asks on its behalf had to get past it first.

use meshproof_authz::{Engine, gateway_context_of};
use meshproof_ir::{Capture, ClientTls, Layer, WorkloadId, WorkloadPort};
use meshproof_transport::Arrival;

use super::Journey;
use crate::answer::{Answer, Evidence, Hop, PointKind};
use crate::arrival;
use crate::authorize::{self, Desk};
use crate::client::Client;

/// Adds the hop when the client is a gateway.
pub(super) fn pass(journey: &mut Journey<'_>, answer: &mut Answer) {
    let Some(id) = journey.client.workload else { return };
    let workload = journey.mesh.workload(id);
    if !workload.capture.is(&Capture::Gateway) {
        return;
    }
    let name = journey.mesh.workload_display(id);
    let cluster = journey.mesh.namespace(workload.namespace).cluster;
    let (port, arrival, tls) = entrance(journey, id);
    let mut hop = Hop {
        kind: PointKind::Gateway,
        name: name.clone(),
        port,
        transport: arrival::told(&arrival, tls),
        network: None,
        authorization: None,
    };
    let Some(layer) = arrival::layer(&arrival) else {
        answer.hops.push(hop);
        return;
    };
    answer.notes.extend(elsewhere(journey, &arrival));
    let engine = if layer == Layer::Http { Engine::EnvoyHttp } else { Engine::EnvoyTcp };
    let desk = Desk {
        policies: workload.policies.iter().collect(),
        request_authentications: workload.request_authentications.iter().map(|own| own.policy).collect(),
        context: gateway_context_of(journey.mesh, cluster, engine),
        port,
        identity: None,
        host: journey.host(),
        sni: (tls != ClientTls::None).then(|| journey.host()),
        arriving: journey.arriving.clone(),
    };
    let (authorization, unknowns) = authorize::ask(journey.mesh, &desk, journey.question);
    answer.unknowns.extend(unknowns);
    hop.authorization = Some(authorization.clone());
    answer.hops.push(hop);
    let proxy = Client::proxy(journey.mesh, Some(id), name, None);
    journey.send_on(proxy, &authorization, answer);
}

/// The port on which the request comes in: one with a route to the service, else one that takes it, else the one
/// behind port 443 or 80 of the gateway's Service.
fn entrance(journey: &Journey<'_>, gateway: WorkloadId) -> (u16, Arrival, ClientTls) {
    let host = journey.host();
    let speaks = journey.question.speaks;
    let mut ports = usual_ports(journey, gateway);
    ports.dedup();
    let mut fallback: Option<(u16, Arrival, ClientTls)> = None;
    for port in ports {
        let (arrival, tls) = arrival::ask(journey.transport, gateway, (port, &host), speaks);
        let leads = || arrival.targets.iter().any(|target| journey.is_called(&target.host));
        if arrival::is_taken(&arrival) && leads() {
            return (port, arrival, tls);
        }
        let better = fallback
            .as_ref()
            .is_none_or(|(_, known, _)| !arrival::is_taken(known) && arrival::is_taken(&arrival));
        if better {
            fallback = Some((port, arrival, tls));
        }
    }
    fallback.unwrap_or_else(|| {
        let (arrival, tls) = arrival::ask(journey.transport, gateway, (80, &host), speaks);
        (80, arrival, tls)
    })
}

/// A note when no route of the gateway leads to the service by this host name.
fn elsewhere(journey: &Journey<'_>, arrival: &Arrival) -> Option<Evidence> {
    let called = journey.service.as_ref()?;
    if arrival.targets.iter().any(|target| journey.is_called(&target.host)) {
        return None;
    }
    let text = format!(
        "no route of the gateway leads to {} for the host {}; say which host the client asks for with --host",
        called.host,
        journey.host()
    );
    Some(Evidence::new(text))
}

/// Ports of the gateway's pods: those behind 443 and 80 first.
fn usual_ports(journey: &Journey<'_>, gateway: WorkloadId) -> Vec<u16> {
    let workload = journey.mesh.workload(gateway);
    let rank = |port: &&WorkloadPort| {
        let leads = |wanted: u16| {
            port.bindings.iter().any(|binding| {
                let spec = journey.mesh.service_spec(binding.service);
                spec.and_then(|spec| spec.ports.get(binding.port))
                    .is_some_and(|port| port.port.value == wanted)
            })
        };
        if leads(443) {
            0
        } else if leads(80) {
            1
        } else {
            2
        }
    };
    let mut ports: Vec<&WorkloadPort> = workload.ports.iter().collect();
    ports.sort_by_key(rank);
    ports.into_iter().map(|port| port.number).collect()
}
