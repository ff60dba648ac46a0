//! What gateways listen on: `Gateway.servers` and the listeners of Gateway API gateways decide, not PeerAuthentication
//! (mutual-TLS reference §1.6).

use std::collections::HashSet;

use foldhash::fast::RandomState;
use meshproof_ir::{Capture, GatewayId, GatewayRole, Mesh, ResourceId, WorkloadId};
use meshproof_resources::{KubernetesGateway, Listener, ServerTlsMode, Spec};
use meshproof_source::Span;

use super::Wanted;
use crate::Transport;
use crate::gateway::{Listening, MergedServer};

/// How Gateway API gateways are told to ask for client certificates.
const TERMINATE_MODE: &str = "gateway.istio.io/tls-terminate-mode";

/// One server of a gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayListener {
    /// Whose pods listen.
    pub pods: GatewayPods,
    /// The port of the pods; as it is written, where they are not in the input.
    pub port: u16,
    /// Which TLS it takes; absent for plaintext.
    pub tls: Option<ServerTlsMode>,
    /// Plaintext HTTP is told to come back with HTTPS.
    pub redirects: bool,
    /// The names that it is for.
    pub hosts: Vec<String>,
    /// The object that says so.
    pub object: ResourceId,
    /// The deciding text in it.
    pub span: Span,
}

/// The pods of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayPods {
    /// In the input.
    Workload(WorkloadId),
    /// Those that istiod makes for a Gateway of the Gateway API.
    Deployed(GatewayId),
    /// Not in the input; the Gateway object that is for them.
    Elsewhere(ResourceId),
}

/// What all gateways listen on, or that of one workload.
pub(super) fn listeners(transport: &Transport<'_>, wanted: Wanted<'_>) -> Vec<GatewayListener> {
    let mesh = transport.mesh();
    let mut found = Vec::new();
    let mut with_pods: HashSet<ResourceId, RandomState> = HashSet::default();
    for (id, workload) in mesh.workloads_with_ids() {
        if !workload.capture.is(&Capture::Gateway) {
            continue;
        }
        let gateways = transport.gateways.of_pods(mesh, id);
        if wanted.to.is_none_or(|wanted| wanted.contains(&id)) {
            let listening = Listening::new(mesh, id, &gateways);
            for port in &listening.ports {
                let servers = port.servers.iter().map(|at| &listening.servers[*at]);
                found.extend(servers.map(|server| of_server(GatewayPods::Workload(id), port.number, server)));
            }
        }
        with_pods.extend(gateways);
    }
    if wanted.to.is_none() {
        for (at, resource) in mesh.resources.iter().enumerate() {
            let id = ResourceId(at as u32);
            let Spec::Gateway(gateway) = &resource.spec else { continue };
            if with_pods.contains(&id) {
                continue;
            }
            for server in gateway.servers.iter() {
                let number = server.port.as_ref().and_then(|port| port.number.as_ref());
                found.push(GatewayListener {
                    pods: GatewayPods::Elsewhere(id),
                    port: number.map_or(0, |number| number.value),
                    tls: server.tls.as_ref().and_then(tls_mode),
                    redirects: server.tls.as_ref().is_some_and(|tls| tls.https_redirect),
                    hosts: server.hosts.iter().map(|host| host.value.clone()).collect(),
                    object: id,
                    span: server.deciding_span(),
                });
            }
        }
    }
    for (id, gateway) in mesh.gateways_with_ids().filter(|(_, gateway)| gateway.role == GatewayRole::Ingress)
    {
        let pods = match mesh.gateway_pods(id).next() {
            Some(pods) => GatewayPods::Workload(pods),
            None => GatewayPods::Deployed(id),
        };
        let is_wanted =
            wanted.to.is_none_or(|wanted| wanted.iter().any(|id| pods == GatewayPods::Workload(*id)));
        if let (true, Some(spec)) = (is_wanted, mesh.gateway_spec(id)) {
            found.extend(of_gateway_api(pods, gateway.resource, spec));
        }
    }
    found.retain(|listener| wanted.port.is_none_or(|port| port == listener.port));
    found
}

fn of_server(pods: GatewayPods, port: u16, server: &MergedServer<'_>) -> GatewayListener {
    GatewayListener {
        pods,
        port,
        tls: server.tls().filter(|_| !server.is_plain_http()),
        redirects: server.server.tls.as_ref().is_some_and(|tls| tls.https_redirect),
        hosts: server.hosts.clone(),
        object: server.gateway,
        span: server.server.deciding_span(),
    }
}

/// The mode of a server's `tls`; that of plaintext HTTP only redirects.
fn tls_mode(tls: &meshproof_resources::ServerTls) -> Option<ServerTlsMode> {
    match &tls.mode {
        Some(mode) => Some(mode.value),
        None if tls.https_redirect => None,
        None => Some(ServerTlsMode::Passthrough),
    }
}

fn of_gateway_api(
    pods: GatewayPods,
    object: ResourceId,
    spec: &KubernetesGateway,
) -> impl Iterator<Item = GatewayListener> {
    spec.listeners.iter().map(move |listener| GatewayListener {
        pods,
        port: listener.port.as_ref().map_or(0, |port| port.value),
        tls: of_listener(listener),
        redirects: false,
        hosts: listener.hostname.iter().map(|host| host.value.clone()).collect(),
        object,
        span: listener.tls.as_ref().map_or(listener.span, |tls| tls.span),
    })
}

fn of_listener(listener: &Listener) -> Option<ServerTlsMode> {
    let protocol = listener.protocol.as_ref().map_or("", |protocol| &protocol.value);
    if !matches!(protocol, "HTTPS" | "TLS") {
        return None;
    }
    let tls = listener.tls.as_ref();
    if tls.and_then(|tls| tls.mode.as_ref()).is_some_and(|mode| mode.value == "Passthrough") {
        return Some(ServerTlsMode::Passthrough);
    }
    let asked = tls.and_then(|tls| tls.options.get(TERMINATE_MODE)).map(|mode| mode.value.as_str());
    Some(match asked {
        Some("MUTUAL") => ServerTlsMode::Mutual,
        Some("ISTIO_MUTUAL") => ServerTlsMode::IstioMutual,
        Some("OPTIONAL_MUTUAL") => ServerTlsMode::OptionalMutual,
        _ => ServerTlsMode::Simple,
    })
}

/// Whether a workload has listeners instead of ports.
pub(super) fn is_gateway(mesh: &Mesh, id: WorkloadId) -> bool {
    mesh.workload(id).capture.is(&Capture::Gateway)
}
