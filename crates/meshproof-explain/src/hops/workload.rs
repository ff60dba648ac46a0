//! The last hop: the workload itself, with whatever stands before its port.

use meshproof_authz::{Context, Engine, IdentityFlavour, context_of, gateway_context_of};
use meshproof_ir::Layer;
use meshproof_network::Passage;
use meshproof_transport::Target;

use super::{HBONE_PORT, Journey};
use crate::answer::{Answer, Hop, PointKind};
use crate::authorize::{self, Desk};
use crate::network;
use crate::transport::{self, Goal};

/// Adds the hop.
pub(super) fn pass(journey: &mut Journey<'_>, answer: &mut Answer) {
    let workload = journey.mesh.workload(journey.target);
    let dialled = match &journey.service {
        Some(called) => (Target::Host(&called.host), called.port),
        None => (Target::Workload(journey.target), journey.port),
    };
    let goal = Goal { dialled, workload: journey.target, port: journey.port };
    let leg = transport::to_workload(journey.transport, &journey.client, goal, journey.question.speaks);
    answer.unknowns.extend(leg.unknowns);
    let wire_port = if leg.tunnelled { HBONE_PORT } else { journey.port };
    let network = network::ask(journey.network, &journey.client, journey.target, wire_port);
    if network.passage == Passage::Unknown {
        answer.unknowns.extend(network.evidence.first().map(|evidence| evidence.text.clone()));
    }
    let mut hop = Hop {
        kind: leg.kind,
        name: journey.mesh.workload_display(journey.target),
        port: journey.port,
        transport: leg.transport,
        network: Some(network),
        authorization: None,
    };
    if let Some(engine) = engine(hop.kind, leg.layer).filter(|_| !hop.is_cut_off()) {
        let cluster = journey.mesh.namespace(workload.namespace).cluster;
        let mut context = match hop.kind {
            PointKind::Gateway => gateway_context_of(journey.mesh, cluster, engine),
            _ => context_of(journey.mesh, cluster, engine),
        };
        if leg.tunnelled && hop.kind == PointKind::Sidecar {
            context = Context { identity: IdentityFlavour::FilterState, ..context };
        }
        let desk = Desk {
            policies: workload.policies.iter().collect(),
            request_authentications: workload.request_authentications.iter().map(|own| own.policy).collect(),
            context,
            port: journey.port,
            identity: hop.transport.identity.clone(),
            host: journey.host(),
            sni: leg.sni,
            arriving: journey.arriving,
        };
        let (authorization, unknowns) = authorize::ask(journey.mesh, &desk, journey.question);
        answer.unknowns.extend(unknowns);
        hop.authorization = Some(authorization);
    }
    answer.hops.push(hop);
}

/// Who decides there; nobody where no proxy takes the request.
fn engine(kind: PointKind, layer: Option<Layer>) -> Option<Engine> {
    match (kind, layer?) {
        (PointKind::Sidecar | PointKind::Gateway | PointKind::Waypoint, Layer::Http) => {
            Some(Engine::EnvoyHttp)
        }
        (PointKind::Sidecar | PointKind::Gateway | PointKind::Waypoint, Layer::Tcp) => Some(Engine::EnvoyTcp),
        (PointKind::Ztunnel, _) => Some(Engine::Ztunnel),
        (PointKind::ProxylessGrpc, _) => Some(Engine::Grpc),
        (PointKind::NoProxy | PointKind::Unknown, _) => None,
    }
}
