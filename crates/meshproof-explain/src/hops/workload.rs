//! The last hop: the workload itself, with whatever stands before its port.

use meshproof_authz::{Context, Engine, IdentityFlavour, context_of, gateway_context_of};
use meshproof_ir::Layer;
use meshproof_transport::Target;

use super::{HBONE_PORT, Journey};
use crate::answer::{Answer, Hop, PointKind};
use crate::assumed;
use crate::authorize::{self, Desk};
use crate::bystanders;
use crate::network;
use crate::transport::{self, Asked, Goal};

/// Adds the hop.
pub(super) fn pass(journey: &mut Journey<'_>, answer: &mut Answer) {
    let workload = journey.mesh.workload(journey.target);
    let dialled = match (&journey.sent_to, &journey.service) {
        (Some(to), _) => (Target::Host(&to.host), to.port),
        (None, Some(called)) => (Target::Host(&called.host), called.port),
        (None, None) => (Target::Workload(journey.target), journey.port),
    };
    let goal = Goal { dialled, workload: journey.target, port: journey.port };
    let host = journey.host();
    let subset = journey.sent_to.as_ref().and_then(|to| to.subset.as_deref());
    let asked = Asked { host: &host, speaks: journey.question.speaks, subset };
    let mut leg = transport::to_workload(journey.transport, &journey.client, goal, asked);
    if let Some(to) = &journey.sent_to {
        leg.transport.client.insert(0, transport::told(&to.evidence));
    }
    answer.unknowns.extend(leg.unknowns);
    answer.unknowns.extend(assumed::of(journey.mesh, journey.target));
    let wire_port = if leg.tunnelled { HBONE_PORT } else { journey.port };
    let network = network::ask(journey.network, &journey.client, journey.target, wire_port);
    answer.unknowns.extend(network::doubt(&network, &journey.client));
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
            host,
            sni: leg.sni,
            arriving: journey.arriving.clone(),
        };
        let (authorization, unknowns) = authorize::ask(journey.mesh, &desk, journey.question);
        answer.unknowns.extend(unknowns);
        if authorization.phases.is_empty() {
            answer.notes.extend(bystanders::of(journey.mesh, journey.target, hop.kind));
        }
        hop.authorization = Some(authorization);
    }
    answer.hops.push(hop);
}

/// Who decides there; nobody where no proxy takes the request. Where it is not known what stands there, it is taken to
/// be a sidecar, which most policies are written for.
fn engine(kind: PointKind, layer: Option<Layer>) -> Option<Engine> {
    match (kind, layer?) {
        (PointKind::NoProxy, _) => None,
        (PointKind::Ztunnel, _) => Some(Engine::Ztunnel),
        (PointKind::ProxylessGrpc, _) => Some(Engine::Grpc),
        (_, Layer::Http) => Some(Engine::EnvoyHttp),
        (_, Layer::Tcp) => Some(Engine::EnvoyTcp),
    }
}
