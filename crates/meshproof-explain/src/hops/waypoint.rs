//! The waypoint of the service, for those callers that go through it (waypoint reference).

use meshproof_authz::{Context, Engine, IdentityFlavour, context_of};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{
    Called, Capture, Fact, GatewayId, IngressRoute, Layer, NoWaypoint, ServiceId, WaypointBinding,
};
use meshproof_network::Passage;

use super::{HBONE_PORT, Journey};
use crate::answer::{Answer, Authorization, Evidence, Hop, Outcome, PointKind, Transport};
use crate::authorize::{self, Desk};
use crate::client::Client;
use crate::network;

/// Adds the hop when the call goes through a waypoint, and says so when it goes around one.
pub(super) fn pass(journey: &mut Journey<'_>, answer: &mut Answer) {
    let (binding, span) = match journey.mesh.waypoint_of(journey.addressed()) {
        Fact::Known(binding, origin) => (binding, origin.span()),
        Fact::Unknown(reason) => {
            if goes_through_waypoints(journey) {
                answer.unknowns.push(reason);
            }
            return;
        }
    };
    if journey.service.is_none() && binding.waypoint.is_err() {
        answer.notes.extend(around_service(journey));
    }
    if let Some(text) = without(journey, &binding) {
        answer.notes.push(Evidence { text, span });
        return;
    }
    let mut shares: Vec<(GatewayId, u8)> = binding.shares().filter(|(_, share)| *share > 0).collect();
    if shares.is_empty() {
        return;
    }
    if let Err(text) = on_the_way(journey, answer, &mut shares) {
        answer.notes.push(Evidence { text, span });
        return;
    }
    let Some((first, others)) = shares.split_first() else { return };
    let enforcing: Vec<GatewayId> = journey.mesh.enforcing_waypoints(&binding).map(|(id, _)| id).collect();
    if !enforcing.contains(&first.0) {
        let name = journey.mesh.gateway_display(first.0);
        answer
            .unknowns
            .push(format!("{name} is taken for the waypoint and is none; what becomes of calls to it"));
        return;
    }
    let evidence =
        Evidence { text: format!("through waypoint {}", journey.mesh.gateway_display(first.0)), span };
    let told = at(journey, first.0, answer);
    for (other, share) in others.iter().filter(|(other, _)| enforcing.contains(other)) {
        let differs = at(journey, *other, answer).verdict != told.verdict;
        let name = journey.mesh.gateway_display(*other);
        let text =
            format!("{share} % of the calls go through waypoint {name}, which has policies of its own");
        match differs {
            true => {
                answer.unknowns.push(format!("which waypoint takes the call: {text} and decides otherwise"))
            }
            false => answer.notes.push(Evidence::new(text)),
        }
    }
    enter(journey, answer, first.0, told, evidence);
}

/// A call to the address of a pod whose Services have a waypoint.
fn around_service(journey: &Journey<'_>) -> Option<Evidence> {
    let services = journey.mesh.workload(journey.target).services.iter();
    let of = |id: &ServiceId| match journey.mesh.waypoint_of(Called::Service(*id)) {
        Fact::Known(binding, origin) => Some((binding.waypoint.ok()?, origin.span())),
        Fact::Unknown(_) => None,
    };
    let (waypoint, span) = services.into_iter().find_map(of)?;
    let name = journey.mesh.gateway_display(waypoint);
    let text =
        format!("calls to the address of a pod go around waypoint {name} of its Service, and its policies");
    Some(Evidence { text, span })
}

/// Sends the request through a waypoint.
fn enter(journey: &mut Journey<'_>, answer: &mut Answer, id: GatewayId, told: Authorization, way: Evidence) {
    let name = journey.mesh.gateway_display(id);
    let pods = journey.mesh.gateway_pods(id).next();
    let network = pods.map(|pods| network::ask(journey.network, &journey.client, pods, HBONE_PORT));
    answer.unknowns.extend(network.as_ref().and_then(|told| network::doubt(told, &journey.client)));
    let authorization =
        Some(told.clone()).filter(|_| network.as_ref().is_none_or(|told| told.passage != Passage::Denied));
    answer.hops.push(Hop {
        kind: PointKind::Waypoint,
        name: name.clone(),
        port: HBONE_PORT,
        transport: Transport {
            outcome: Outcome::Mtls,
            identity: journey.client.identity.clone(),
            client: vec![way],
            server: Vec::new(),
            refusal: None,
        },
        network,
        authorization,
    });
    let mut proxy = Client::proxy(journey.mesh, pods, name, journey.mesh.gateway_identity(id));
    proxy.waypoint = Some(id);
    if proxy.identity.is_none() {
        let id = journey.transport.gateway_identity(id);
        proxy.identity = id.map(|id| id.trim_start_matches("spiffe://").to_owned());
    }
    journey.send_on(proxy, &told, answer);
}

/// Why the service has no waypoint although its labels ask for one.
fn without(journey: &Journey<'_>, binding: &WaypointBinding) -> Option<String> {
    let name = |id: &GatewayId| journey.mesh.gateway_display(*id);
    match binding.waypoint.as_ref().err()? {
        NoWaypoint::NoSuchGateway { namespace, name } => {
            let namespace = namespace.as_deref().unwrap_or(meshproof_ir::UNNAMED);
            Some(format!(
                "the waypoint {namespace}/{name} does not exist, so calls go straight to the workload"
            ))
        }
        NoWaypoint::AttachmentDenied(id) => Some(format!(
            "waypoint {} does not admit this namespace (allowedRoutes), so calls go around it",
            name(id)
        )),
        NoWaypoint::UnsupportedTrafficType(id) if journey.service.is_none() => Some(format!(
            "calls to the address of a pod go around waypoint {}, which serves services only (istio.io/waypoint-for)",
            name(id)
        )),
        NoWaypoint::UnsupportedTrafficType(id) => {
            Some(format!("waypoint {} does not serve this kind of traffic (istio.io/waypoint-for)", name(id)))
        }
        _ => None,
    }
}

fn goes_through_waypoints(journey: &Journey<'_>) -> bool {
    let capture = journey.client.workload.map(|id| &journey.mesh.workload(id).capture);
    capture.is_some_and(|capture| capture.is(&Capture::Ambient))
}

/// Whether this client goes through the waypoint; the error is a note on why it does not. An ingress gateway may send
/// through fewer.
fn on_the_way(
    journey: &Journey<'_>,
    answer: &mut Answer,
    shares: &mut Vec<(GatewayId, u8)>,
) -> Result<(), String> {
    let waypoint = || shares.first().map(|(id, _)| journey.mesh.gateway_display(*id)).unwrap_or_default();
    let around =
        |who: &str| Err(format!("{who}, so the call goes around waypoint {} and its policies", waypoint()));
    let Some(client) = journey.client.workload else {
        return around("the client does not come through ztunnel");
    };
    match &journey.mesh.workload(client).capture {
        Fact::Known(Capture::Ambient, _) => Ok(()),
        Fact::Known(Capture::Gateway, _) => match journey.mesh.ingress_route(journey.addressed()) {
            Fact::Known(IngressRoute::Waypoints(through), _) => {
                *shares = through;
                Ok(())
            }
            Fact::Known(..) => {
                around("the gateway is not told to use waypoints (istio.io/ingress-use-waypoint)")
            }
            Fact::Unknown(reason) => {
                answer.unknowns.push(reason);
                around("it is not known whether the gateway uses waypoints")
            }
        },
        Fact::Known(Capture::Waypoint, _) => around("the client is a waypoint itself"),
        Fact::Known(Capture::Sidecar | Capture::SidecarHbone | Capture::ProxylessGrpc, _) => {
            around("the client has a sidecar, and sidecars do not use waypoints")
        }
        Fact::Known(Capture::None, _) => around("the client is not in the mesh"),
        Fact::Unknown(reason) => {
            answer
                .unknowns
                .push(format!("whether the client goes through waypoint {}: {reason}", waypoint()));
            around("it is not known whether the client is captured")
        }
    }
}

/// What the policies of a waypoint say.
fn at(journey: &Journey<'_>, id: GatewayId, answer: &mut Answer) -> Authorization {
    let mesh = journey.mesh;
    let called = journey.addressed();
    let policies = mesh.waypoint_policies(id, called);
    let cluster = mesh.namespace(mesh.gateway(id).namespace).cluster;
    let port = journey.service.as_ref().map_or(journey.port, |called| called.port);
    let class = mesh.chain_ports(called).iter().find(|own| own.number == port).map(|port| port.class);
    let is_http = match class {
        Some(ProtocolClass::Http) => true,
        Some(ProtocolClass::Tcp | ProtocolClass::Udp) => false,
        Some(ProtocolClass::Auto) | None => journey.question.speaks == Layer::Http,
    };
    let context = context_of(mesh, cluster, if is_http { Engine::EnvoyHttp } else { Engine::EnvoyTcp });
    let desk = Desk {
        policies: policies.authorization.iter().collect(),
        request_authentications: policies.request_authentication.iter().map(|own| own.policy).collect(),
        context: Context { identity: IdentityFlavour::FilterState, ..context },
        port,
        identity: journey.client.identity.clone(),
        host: journey.host(),
        sni: None,
        arriving: journey.arriving.clone(),
    };
    let (authorization, unknowns) = authorize::ask(mesh, &desk, journey.question);
    answer.unknowns.extend(unknowns);
    authorization
}
