//! How the request gets to a workload: what the client puts on the wire, and what the server makes of it.

use meshproof_ir::{Capture, ClientTls, ClusterId, Fact, Identity, Layer, Mesh, WorkloadId};
use meshproof_transport::{Call, Delivery, EndpointAddress, EndpointOutcome, Path, RefusedBy, Target, Wire};

use crate::answer::{Evidence, Outcome, PointKind, Transport};
use crate::arrival;
use crate::client::Client;
use crate::server;

/// The end of a leg.
pub(crate) struct Leg {
    /// What is there.
    pub kind: PointKind,
    /// How the request gets there.
    pub transport: Transport,
    /// In which chain a proxy handles it; nothing when no proxy does.
    pub layer: Option<Layer>,
    /// Whether it comes through the tunnel of ambient mode.
    pub tunnelled: bool,
    /// The server name of the handshake.
    pub sni: Option<String>,
    /// What the input does not tell.
    pub unknowns: Vec<String>,
}

/// Where a leg leads.
#[derive(Clone, Copy)]
pub(crate) struct Goal<'a> {
    /// What the client dials, and its port there.
    pub dialled: (Target<'a>, u16),
    /// The workload at the end, and its port.
    pub workload: WorkloadId,
    /// The port of its pods.
    pub port: u16,
}

/// What the client asks for.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The host name that it calls.
    pub host: &'a str,
    /// What it speaks.
    pub speaks: Layer,
    /// The subset that a route picks.
    pub subset: Option<&'a str>,
}

/// The way from the client to a port of a workload.
pub(crate) fn to_workload(
    transport: &meshproof_transport::Transport<'_>,
    client: &Client,
    goal: Goal<'_>,
    asked: Asked<'_>,
) -> Leg {
    let mesh = transport.mesh();
    let cluster = mesh.namespace(mesh.workload(goal.workload).namespace).cluster;
    let bare = client.bare_identity();
    let (target, port) = goal.dialled;
    let call = Call {
        client: sender(client, client.cluster.unwrap_or(cluster), bare.as_ref()),
        target,
        port,
        subset: asked.subset,
        speaks: asked.speaks,
    };
    let outcome = transport.call(&call);
    let mut leg = Leg {
        kind: server::kind_of(mesh, goal.workload, goal.port),
        transport: Transport {
            outcome: Outcome::Unknown,
            identity: None,
            client: outcome.evidence.iter().map(told).collect(),
            server: server::told(mesh, goal.workload, goal.port),
            refusal: None,
        },
        layer: None,
        tunnelled: false,
        sni: None,
        unknowns: outcome.unknown.clone(),
    };
    if let (Some(id), None, Target::Host(host)) = (client.workload, client.waypoint, target) {
        leg.unknowns.extend(transport.undated_rules(id, (host, port), asked.subset));
    }
    let here = |endpoint: &&EndpointOutcome| endpoint.endpoint == EndpointAddress::Workload(goal.workload);
    if leg.transport.client.is_empty() {
        leg.transport.client.extend(client_side(mesh, client));
    }
    leg.unknowns.extend(server::doubts(mesh, goal.workload, goal.port));
    let endpoint = outcome.endpoints.iter().find(here);
    if leg.kind == PointKind::Gateway {
        at_gateway(&mut leg, transport, (client, endpoint), goal, asked);
        return leg;
    }
    if server::is_datagram(mesh, goal.workload, goal.port) {
        leg.kind = PointKind::NoProxy;
        leg.transport.outcome = Outcome::Plaintext;
        leg.transport.server = vec![Evidence::new("datagrams go around proxies, and no policy counts")];
        return leg;
    }
    let Some(endpoint) = endpoint else {
        (leg.transport.outcome, leg.transport.refusal) = match outcome.path {
            Path::Blackhole => {
                (Outcome::Refused, Some(RefusedBy::UnknownDestination.explanation(None).to_owned()))
            }
            Path::NoCluster => (Outcome::Refused, Some(RefusedBy::NoCluster.explanation(None).to_owned())),
            _ => (Outcome::Unknown, outcome.unknown.first().cloned()),
        };
        if leg.transport.outcome == Outcome::Unknown {
            if leg.unknowns.is_empty() {
                leg.unknowns.push(format!("how the call gets to {}", mesh.workload_display(goal.workload)));
            }
            assume(&mut leg, client, asked.speaks);
        }
        return leg;
    };
    leg.transport.client.extend(endpoint.evidence.iter().map(told));
    let sni = outcome.tls.as_ref().map(|tls| tls.sni.clone()).filter(|sni| !sni.is_empty());
    arrive(&mut leg, (client, asked.speaks), endpoint, sni);
    leg
}

/// What is known of a client of which no rule says anything.
fn client_side(mesh: &Mesh, client: &Client) -> Option<Evidence> {
    let Some(id) = client.workload else {
        return client.identity.is_none().then(|| Evidence::new("sends plaintext"));
    };
    match &mesh.workload(id).capture {
        Fact::Known(Capture::None, origin) => {
            Some(Evidence { text: "has no proxy, so it sends plaintext".to_owned(), span: origin.span() })
        }
        Fact::Known(Capture::Ambient, _) => Some(Evidence::new("sent by ztunnel")),
        _ => None,
    }
}

/// Gateways take what their Gateway objects say.
fn at_gateway(
    leg: &mut Leg,
    transport: &meshproof_transport::Transport<'_>,
    (client, endpoint): (&Client, Option<&EndpointOutcome>),
    goal: Goal<'_>,
    asked: Asked<'_>,
) {
    leg.unknowns.clear();
    let place = (goal.port, asked.host);
    let wire = endpoint.and_then(|endpoint| endpoint.wire.known().copied());
    let (arrival, tls) = match wire {
        Some(Wire::IstioMtls) => {
            arrival::ask_with(transport, goal.workload, place, ClientTls::IstioMutual, asked.speaks)
        }
        Some(Wire::Mtls) => {
            arrival::ask_with(transport, goal.workload, place, ClientTls::Mutual, asked.speaks)
        }
        _ => arrival::ask(transport, goal.workload, place, asked.speaks),
    };
    let own = std::mem::take(&mut leg.transport.client);
    leg.transport = arrival::told(&arrival, tls);
    if client.workload.is_some() {
        leg.transport.client = own;
    }
    if leg.transport.outcome == Outcome::Mtls && tls == ClientTls::IstioMutual {
        leg.transport.identity.clone_from(&client.identity);
    }
    leg.layer = arrival::layer(&arrival);
    leg.sni = (tls != ClientTls::None).then(|| asked.host.to_owned());
    leg.unknowns.extend(arrival.unknown);
}

/// Where it is not known whether proxies stand at the ends, they are taken to: that is what policies are written for.
fn assume(leg: &mut Leg, client: &Client, speaks: Layer) {
    leg.layer = Some(speaks);
    leg.transport.identity.clone_from(&client.identity);
}

/// Sets what arrives.
fn arrive(
    leg: &mut Leg,
    (client, speaks): (&Client, Layer),
    endpoint: &EndpointOutcome,
    sni: Option<String>,
) {
    let wire = endpoint.wire.known().copied();
    leg.tunnelled = matches!(wire, Some(Wire::Hbone | Wire::HboneTls));
    let identity = || endpoint.identity.as_ref().map(|id| id.trim_start_matches("spiffe://").to_owned());
    let delivery = match &endpoint.result {
        Fact::Known(delivery, _) => delivery,
        Fact::Unknown(reason) => {
            leg.transport.refusal = Some(reason.clone());
            if !leg.unknowns.contains(reason) {
                leg.unknowns.push(reason.clone());
            }
            assume(leg, client, speaks);
            return;
        }
    };
    match delivery {
        Delivery::Mutual(layer) => {
            leg.transport.outcome = Outcome::Mtls;
            leg.transport.identity = identity();
            leg.layer = Some(*layer);
            leg.sni = sni.filter(|_| !leg.tunnelled);
        }
        Delivery::Plaintext(layer) => {
            leg.transport.outcome = Outcome::Plaintext;
            leg.layer = Some(*layer);
        }
        Delivery::Unopened => {
            leg.transport.outcome = Outcome::Tls;
            leg.transport.identity = identity();
            // The bytes go through the chain that knows nothing but connections.
            leg.layer = Some(Layer::Tcp);
            leg.sni = sni;
            if wire == Some(Wire::IstioMtls) {
                let text = "whether the application ends the mutual TLS of the mesh that the client sends: no proxy does";
                leg.unknowns.push(text.to_owned());
            }
        }
        Delivery::Application => leg.transport.outcome = Outcome::Plaintext,
        Delivery::Refused(by) => {
            leg.transport.outcome = Outcome::Refused;
            leg.transport.refusal = Some(by.explanation(wire).to_owned());
        }
    }
}

fn sender<'q>(
    client: &Client,
    cluster: ClusterId,
    bare: Option<&'q Identity>,
) -> meshproof_transport::Client<'q> {
    if let Some(waypoint) = client.waypoint {
        return meshproof_transport::Client::Waypoint(waypoint);
    }
    match (client.workload, bare) {
        (Some(id), _) => meshproof_transport::Client::Workload(id),
        (None, Some(identity)) => meshproof_transport::Client::Identity(cluster, identity),
        (None, None) => meshproof_transport::Client::Plaintext(cluster),
    }
}

pub(crate) fn told(evidence: &meshproof_transport::Evidence) -> Evidence {
    Evidence { text: evidence.text.clone(), span: evidence.span }
}
