//! A gateway that sends the request into the mesh: whoever asks on its behalf had to get past it first.

use meshproof_authz::{Engine, gateway_context_of};
use meshproof_ir::{Capture, Layer};

use super::Journey;
use crate::answer::{Answer, Evidence, Hop, Outcome, PointKind, Transport};
use crate::authorize::{self, Desk};
use crate::client::Client;

/// Adds the hop when the client is a gateway.
pub(super) fn pass(journey: &mut Journey<'_>, answer: &mut Answer) {
    let Some(id) = journey.client.workload else { return };
    let workload = journey.mesh.workload(id);
    if !workload.capture.is(&Capture::Gateway) {
        return;
    }
    let engine = match journey.question.speaks {
        Layer::Http => Engine::EnvoyHttp,
        Layer::Tcp => Engine::EnvoyTcp,
    };
    let name = journey.mesh.workload_display(id);
    let cluster = journey.mesh.namespace(workload.namespace).cluster;
    let port = entrance(journey);
    let desk = Desk {
        policies: workload.policies.iter().collect(),
        request_authentications: workload.request_authentications.iter().map(|own| own.policy).collect(),
        context: gateway_context_of(journey.mesh, cluster, engine),
        port: port.unwrap_or_default(),
        identity: None,
        host: journey.host(),
        sni: None,
        arriving: journey.arriving,
    };
    let (authorization, unknowns) = authorize::ask(journey.mesh, &desk, journey.question);
    answer.unknowns.extend(unknowns);
    let keeps_token = authorization.keeps_token;
    answer.hops.push(Hop {
        kind: PointKind::Gateway,
        name: name.clone(),
        port: desk.port,
        transport: Transport {
            outcome: Outcome::Plaintext,
            identity: None,
            client: vec![Evidence::new("somebody outside of the mesh, without a certificate of it")],
            server: Vec::new(),
            refusal: None,
        },
        network: None,
        authorization: Some(authorization),
    });
    let proxy = Client::proxy(journey.mesh, Some(id), name, None);
    journey.send_on(proxy, keeps_token);
}

/// The port on which the request comes in: the one behind port 443 or 80 of its Service, if there is one.
fn entrance(journey: &Journey<'_>) -> Option<u16> {
    let workload = journey.mesh.workload(journey.client.workload?);
    let behind = |wanted: u16| {
        let leads = |port: &&meshproof_ir::WorkloadPort| {
            port.bindings.iter().any(|binding| {
                let spec = journey.mesh.service_spec(binding.service);
                spec.and_then(|spec| spec.ports.get(binding.port))
                    .is_some_and(|port| port.port.value == wanted)
            })
        };
        workload.ports.iter().find(leads).map(|port| port.number)
    };
    behind(443).or_else(|| behind(80)).or_else(|| workload.ports.first().map(|port| port.number))
}
