//! How the request gets to a workload: what the client puts on the wire, and what the server makes of it.

use meshproof_ir::{Capture, ClusterId, Fact, Identity, Layer, Mesh, PortCapture, WorkloadId};
use meshproof_resources::MtlsMode;
use meshproof_transport::{Call, Delivery, EndpointAddress, EndpointOutcome, Path, RefusedBy, Target, Wire};

use crate::answer::{Evidence, Outcome, PointKind, Transport};
use crate::client::Client;

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

/// The way from the client to a port of a workload.
pub(crate) fn to_workload(
    transport: &meshproof_transport::Transport<'_>,
    client: &Client,
    goal: Goal<'_>,
    speaks: Layer,
) -> Leg {
    let mesh = transport.mesh();
    let cluster = mesh.namespace(mesh.workload(goal.workload).namespace).cluster;
    let bare = client.bare_identity();
    let (target, port) = goal.dialled;
    let call = Call { client: asked(client, cluster, bare.as_ref()), target, port, subset: None, speaks };
    let outcome = transport.call(&call);
    let mut leg = Leg {
        kind: kind_of(mesh, goal),
        transport: Transport {
            outcome: Outcome::Unknown,
            identity: None,
            client: outcome.evidence.iter().map(told).collect(),
            server: server_side(mesh, goal),
            refusal: None,
        },
        layer: None,
        tunnelled: false,
        sni: None,
        unknowns: outcome.unknown.clone(),
    };
    let here = |endpoint: &&EndpointOutcome| endpoint.endpoint == EndpointAddress::Workload(goal.workload);
    if leg.transport.client.is_empty() {
        leg.transport.client.extend(client_side(mesh, client));
    }
    if leg.kind == PointKind::Gateway {
        at_gateway(&mut leg, client, speaks);
        return leg;
    }
    let Some(endpoint) = outcome.endpoints.iter().find(here) else {
        (leg.transport.outcome, leg.transport.refusal) = match outcome.path {
            Path::Blackhole => {
                (Outcome::Refused, Some(RefusedBy::UnknownDestination.explanation(None).to_owned()))
            }
            Path::NoCluster => (Outcome::Refused, Some(RefusedBy::NoCluster.explanation(None).to_owned())),
            _ => (Outcome::Unknown, outcome.unknown.first().cloned()),
        };
        if leg.transport.outcome == Outcome::Unknown && leg.unknowns.is_empty() {
            leg.unknowns.push(format!("how the call gets to {}", mesh.workload_display(goal.workload)));
        }
        return leg;
    };
    leg.transport.client.extend(endpoint.evidence.iter().map(told));
    let sni = outcome.tls.as_ref().map(|tls| tls.sni.clone()).filter(|sni| !sni.is_empty());
    arrive(&mut leg, endpoint, sni);
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

/// Gateways take what their Gateway objects say; clients outside of the mesh have no identity there.
fn at_gateway(leg: &mut Leg, client: &Client, speaks: Layer) {
    leg.layer = Some(speaks);
    leg.unknowns.clear();
    leg.transport.outcome = Outcome::Plaintext;
    leg.transport.server.push(Evidence::new("a gateway: which TLS it takes is up to its Gateway objects"));
    if client.identity.is_some() {
        leg.transport.outcome = Outcome::Unknown;
        let open = "whether the gateway asks for a certificate of the mesh";
        leg.transport.refusal = Some(open.to_owned());
        leg.unknowns.push(open.to_owned());
    }
}

/// Sets what arrives.
fn arrive(leg: &mut Leg, endpoint: &EndpointOutcome, sni: Option<String>) {
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
        }
        Delivery::Application => leg.transport.outcome = Outcome::Plaintext,
        Delivery::Refused(by) => {
            leg.transport.outcome = Outcome::Refused;
            leg.transport.refusal = Some(by.explanation(wire).to_owned());
        }
    }
}

fn asked<'q>(
    client: &Client,
    cluster: ClusterId,
    bare: Option<&'q Identity>,
) -> meshproof_transport::Client<'q> {
    match (client.workload, bare) {
        (Some(id), _) => meshproof_transport::Client::Workload(id),
        (None, Some(identity)) => meshproof_transport::Client::Identity(cluster, identity),
        (None, None) => meshproof_transport::Client::Plaintext(cluster),
    }
}

fn told(evidence: &meshproof_transport::Evidence) -> Evidence {
    Evidence { text: evidence.text.clone(), span: evidence.span }
}

/// What stands before the port.
fn kind_of(mesh: &Mesh, goal: Goal<'_>) -> PointKind {
    let workload = mesh.workload(goal.workload);
    let Fact::Known(capture, _) = &workload.capture else { return PointKind::Unknown };
    if let PortCapture::Excluded { .. } = port_capture(mesh, goal) {
        return PointKind::NoProxy;
    }
    match capture {
        Capture::Sidecar | Capture::SidecarHbone => PointKind::Sidecar,
        Capture::Ambient => PointKind::Ztunnel,
        Capture::Gateway => PointKind::Gateway,
        Capture::Waypoint => PointKind::Waypoint,
        Capture::ProxylessGrpc => PointKind::ProxylessGrpc,
        Capture::None => PointKind::NoProxy,
    }
}

fn port_capture<'m>(mesh: &'m Mesh, goal: Goal<'_>) -> &'m PortCapture {
    let workload = mesh.workload(goal.workload);
    let own = workload.ports.iter().find(|port| port.number == goal.port);
    own.map_or(&workload.other_ports, |port| &port.capture)
}

/// What makes the server take plaintext, or not.
fn server_side(mesh: &Mesh, goal: Goal<'_>) -> Vec<Evidence> {
    let workload = mesh.workload(goal.workload);
    match &workload.capture {
        Fact::Unknown(reason) => {
            return vec![Evidence::new(format!(
                "it is not known whether a proxy stands before it: {reason}"
            ))];
        }
        Fact::Known(Capture::None, origin) => {
            let text = "no proxy, so no PeerAuthentication and no AuthorizationPolicy counts";
            return vec![Evidence { text: text.to_owned(), span: origin.span() }];
        }
        Fact::Known(Capture::Gateway | Capture::Waypoint, _) => return Vec::new(),
        Fact::Known(..) => {}
    }
    if let PortCapture::Excluded { by } = port_capture(mesh, goal) {
        return vec![Evidence { text: "this port goes around the proxy".to_owned(), span: *by }];
    }
    let own = workload.ports.iter().find(|port| port.number == goal.port);
    let effective = own.map_or(&workload.mode, |port| &port.mode);
    let word = match effective.mode.known() {
        Some(MtlsMode::Strict) => "STRICT",
        Some(MtlsMode::Disable) => "DISABLE",
        Some(MtlsMode::Permissive | MtlsMode::Unset) => "PERMISSIVE",
        None => "mode not known",
    };
    let evidence = match effective.decided_by {
        Some(id) => {
            let resource = mesh.resource(id);
            let namespace =
                mesh.placement[id.index()].1.map_or("?", |namespace| mesh.namespace_display(namespace));
            let text = format!("{word} by PeerAuthentication {namespace}/{}", resource.meta.name());
            Evidence::at(text, effective.mode.span().unwrap_or(resource.meta.span))
        }
        None => Evidence::new(format!("{word} by default: no PeerAuthentication says otherwise")),
    };
    vec![evidence]
}
