//! Webhooks and aggregated APIs: the API server speaks TLS of its own, without a certificate of the mesh.

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Called, Capture, ClusterId, PortCapture, ResourceId, Workload, WorkloadPort};
use meshproof_resources::{ApiBackend, Spec};
use meshproof_transport::Client;

use super::{ID, Said, lost};
use crate::Context;
use crate::clients::{Host, HostPort};
use crate::hash::Set;
use crate::proof::is_settled;

/// What the API server calls where no port is given.
const HTTPS: u16 = 443;
const HELP: &str = "make the port of the pods PERMISSIVE with a PeerAuthentication for this workload (portLevelMtls), \
                    or take it out of the sidecar with traffic.sidecar.istio.io/excludeInboundPorts";

/// One finding per object and Service.
pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, resource) in ctx.mesh.resources.iter().enumerate() {
        let Spec::ApiBackends(backends) = &resource.spec else { continue };
        let id = ResourceId(at as u32);
        let cluster = ctx.mesh.placement[at].0;
        let mut told: Set<(&str, &str)> = Set::default();
        for backend in &backends.services {
            if told.insert((&backend.namespace.value, &backend.name.value)) {
                findings.extend(of_backend(ctx, id, cluster, backend));
            }
        }
    }
    findings
}

fn of_backend(
    ctx: &Context<'_>,
    id: ResourceId,
    cluster: ClusterId,
    backend: &ApiBackend,
) -> Option<Finding> {
    let namespace = ctx.mesh.namespace_by_name(cluster, &backend.namespace.value)?;
    let Called::Service(service) = ctx.mesh.service_called(namespace, &backend.name.value)? else {
        return None;
    };
    let name = ctx.mesh.services[service.index()].fqdn.as_deref()?;
    let clients = ctx.clients();
    let at = clients.named(cluster, name).next()?;
    let host = &clients.hosts[at as usize];
    let number = backend.port.as_ref().map_or(HTTPS, |port| port.value);
    let port = *host.ports.iter().find(|port| port.number == number)?;
    if let Some(lost) = lost(ctx, Client::Plaintext(cluster), host, port) {
        let said = Said {
            level: Level::Error,
            place: ctx.inner(backend.name.span),
            label: "the API server calls this Service".to_owned(),
            resource: ctx.resource(id).meta.resource_name(),
            who: "the API server".to_owned(),
            from: "plaintext".to_owned(),
            why: "it has no proxy and no certificate of the mesh".to_owned(),
            help: HELP,
        };
        return lost.finding(ctx, said);
    }
    of_http_port(ctx, id, backend, host, port)
}

/// A port that is HTTP to the sidecar takes plaintext or mTLS of the mesh, and no other TLS, whatever its mode
/// (mutual-TLS reference §1.6).
fn of_http_port(
    ctx: &Context<'_>,
    id: ResourceId,
    backend: &ApiBackend,
    host: &Host<'_>,
    port: HostPort,
) -> Option<Finding> {
    let is_http = |workload: &Workload| {
        let bound = bound(ctx, workload, host, port);
        matches!(workload.capture.known(), Some(Capture::Sidecar | Capture::SidecarHbone))
            && bound.is_some_and(|port| {
                port.capture == PortCapture::Captured && port.protocol.is(&ProtocolClass::Http)
            })
    };
    let servers = || host.workloads.iter().map(|id| ctx.mesh.workload(*id));
    if host.workloads.is_empty() || !servers().all(is_http) {
        return None;
    }
    let server = servers().next()?;
    let at = bound(ctx, server, host, port)?;
    let is_sure = servers().all(|server| is_settled(ctx, server) && server.envoy_filters.is_empty());
    let to = ctx.workload_name(server);
    let message = format!(
        "the API server cannot reach {to}:{}: it speaks TLS, and the sidecar takes the port for HTTP",
        at.number
    );
    let because = vec![
        "the API server calls webhooks and aggregated APIs over TLS, without a certificate of the mesh"
            .to_owned(),
        "an HTTP port of a sidecar takes plaintext or mTLS of the mesh, no other TLS".to_owned(),
    ];
    let witness = Witness {
        from: "plaintext".to_owned(),
        to,
        port: Some(at.number),
        transport: None,
        method: None,
        path: None,
        decision: Decision::Deny,
        because,
    };
    let level = if is_sure { Level::Error } else { Level::Warning };
    let label = Label::new(ctx.inner(backend.name.span), "the API server calls this Service");
    let mut finding = Finding::new(ID, level, Category::Outage, message, label)
        .with_resource(ctx.resource(id).meta.resource_name())
        .with_confidence(Confidence::Medium)
        .with_witness(witness)
        .with_help("name the port of the Service https-… (or set appProtocol: https), so that the sidecar leaves its TLS alone");
    if let Some(span) = at.protocol.span() {
        finding = finding.with_related(span, "this makes the port HTTP");
    }
    Some(finding.with_related(ctx.workload_span(server), "the server"))
}

/// The port of a workload that a port of a Service leads to.
fn bound<'w>(
    ctx: &Context<'_>,
    workload: &'w Workload,
    host: &Host<'_>,
    port: HostPort,
) -> Option<&'w WorkloadPort> {
    workload.ports.iter().find(|at| {
        at.bindings.iter().any(|binding| {
            ctx.mesh.services[binding.service.index()].resource == host.resource
                && ctx.mesh.service_spec(binding.service).is_some_and(|spec| {
                    spec.ports.get(binding.port).is_some_and(|own| own.port.value == port.number)
                })
        })
    })
}
