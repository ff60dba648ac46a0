//! What lints ask of the outcome of a call.

use meshproof_diagnostics::{Decision, Witness};
use meshproof_ir::{Capture, ResourceId, Workload, WorkloadId, WorkloadPort};
use meshproof_resources::{ClientTls, DestinationRule, MtlsMode};
use meshproof_source::Span;
use meshproof_transport::{Delivery, EndpointAddress, EndpointOutcome, Evidence, Outcome, Wire};

use crate::Context;

/// Whether anything in a rule says what clients send.
pub(crate) fn sets_tls(rule: &DestinationRule) -> bool {
    all_tls(rule).next().is_some()
}

/// Every `tls` of a rule: at the top, of port entries, and of subsets.
pub(crate) fn all_tls(rule: &DestinationRule) -> impl Iterator<Item = &ClientTls> {
    let subsets = rule.subsets.iter().filter_map(|subset| subset.traffic_policy.as_ref());
    rule.traffic_policy.iter().chain(subsets).flat_map(|policy| {
        let entries = policy.port_level.iter().filter_map(|entry| entry.tls.as_ref());
        policy.tls.iter().chain(entries)
    })
}

/// The workload of an endpoint.
pub(crate) fn workload_of(endpoint: &EndpointOutcome) -> Option<WorkloadId> {
    match &endpoint.endpoint {
        EndpointAddress::Workload(id) => Some(*id),
        EndpointAddress::Address(_) => None,
    }
}

/// Whether a connection is known to come to nothing: it is refused, or mutual TLS of the mesh reaches an application.
pub(crate) fn is_lost(endpoint: &EndpointOutcome) -> bool {
    match endpoint.result.known() {
        Some(Delivery::Refused(_)) => true,
        Some(Delivery::Unopened) => endpoint.wire.is(&Wire::IstioMtls),
        _ => false,
    }
}

/// Whether every endpoint is known to lose the connection.
pub(crate) fn is_all_lost(outcome: &Outcome) -> bool {
    !outcome.endpoints.is_empty() && outcome.endpoints.iter().all(is_lost)
}

/// Whether plaintext is sent and taken although the server's sidecar takes mutual TLS as well.
pub(crate) fn is_unencrypted(ctx: &Context<'_>, endpoint: &EndpointOutcome) -> bool {
    if !endpoint.wire.is(&Wire::Plain) || !matches!(endpoint.result.known(), Some(Delivery::Plaintext(_))) {
        return false;
    }
    let Some(server) = workload_of(endpoint).map(|id| ctx.mesh.workload(id)) else { return false };
    let mode = port_of(server, endpoint.port).map_or(&server.mode, |port| &port.mode);
    matches!(server.capture.known(), Some(Capture::Sidecar | Capture::SidecarHbone))
        && mode.mode.is(&MtlsMode::Permissive)
}

/// The port of a workload, where anything is known of it.
pub(crate) fn port_of(workload: &Workload, number: u16) -> Option<&WorkloadPort> {
    workload.ports.iter().find(|port| port.number == number)
}

/// Whether the `tls` that decides an outcome, for all endpoints or for this one, is that of an object.
pub(crate) fn is_decided_by(outcome: &Outcome, endpoint: &EndpointOutcome, id: ResourceId) -> bool {
    outcome.evidence.iter().chain(&endpoint.evidence).any(|evidence| evidence.object == Some(id))
}

/// The first text that decides on the client's side.
pub(crate) fn deciding<'o>(outcome: &'o Outcome, endpoint: &'o EndpointOutcome) -> Option<&'o Evidence> {
    outcome.evidence.iter().chain(&endpoint.evidence).find(|evidence| evidence.span.is_some())
}

/// A connection that shows what becomes of it.
pub(crate) fn connection(
    ctx: &Context<'_>,
    client: WorkloadId,
    server: &Workload,
    endpoint: &EndpointOutcome,
    decision: Decision,
    because: Vec<String>,
) -> Witness {
    let is_mutual = endpoint.wire.known().is_some_and(|wire| *wire != Wire::Plain && *wire != Wire::Tls);
    let transport = match endpoint.wire.known() {
        Some(Wire::Plain) => Some("plaintext"),
        _ if is_mutual => Some("mtls"),
        _ => None,
    };
    Witness {
        from: ctx.workload_name(ctx.mesh.workload(client)),
        to: ctx.workload_name(server),
        port: Some(endpoint.port),
        transport,
        method: None,
        path: None,
        decision,
        because,
    }
}

/// What decides on both sides, for people.
pub(crate) fn reasons(outcome: &Outcome, endpoint: &EndpointOutcome) -> Vec<String> {
    let all = outcome.evidence.iter().chain(&endpoint.evidence).chain(&endpoint.server);
    let mut lines: Vec<String> = all.map(|evidence| evidence.text.clone()).collect();
    lines.dedup();
    lines
}

/// The first line of a text.
pub(crate) fn first_line(ctx: &Context<'_>, span: Span) -> Span {
    span.part(0, ctx.sources.snippet(span).lines().next().map_or(0, str::len))
}
