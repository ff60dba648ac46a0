//! TLS of a rule's own that a sidecar passes on unopened (mutual-TLS reference §3.2, DR06): on ports that are not HTTP it
//! reaches the application, and the identity of the client is lost.

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::{Capture, WorkloadPort};
use meshproof_transport::{Delivery, EndpointOutcome, Outcome, Wire};

use super::ID;
use crate::Context;
use crate::calls::{deciding_tls, first_call, is_decided_by, port_of, sets_tls, tls_span, workload_of};
use crate::clients::ClientRule;

pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let rules = ctx.clients().rules.iter().filter(|rule| sets_tls(rule.rule));
    rules.filter_map(|rule| finding(ctx, rule)).collect()
}

/// The first endpoint with a sidecar that gets TLS of the rule and does not open it.
fn unopened<'o>(
    ctx: &Context<'_>,
    rule: &ClientRule<'_>,
    outcome: &'o Outcome,
) -> Option<&'o EndpointOutcome> {
    outcome.endpoints.iter().find(|endpoint| {
        let server = workload_of(endpoint).map(|id| ctx.mesh.workload(id));
        let has_sidecar = server.is_some_and(|server| {
            matches!(server.capture.known(), Some(Capture::Sidecar | Capture::SidecarHbone))
        });
        has_sidecar
            && matches!(endpoint.wire.known(), Some(Wire::Tls | Wire::Mtls))
            && matches!(endpoint.result.known(), Some(Delivery::Unopened))
            && is_decided_by(outcome, endpoint, rule.id)
    })
}

fn finding<'c>(ctx: &Context<'c>, rule: &ClientRule<'c>) -> Option<Finding> {
    let call = first_call(ctx, rule, |outcome| unopened(ctx, rule, outcome).is_some())?;
    let endpoint = unopened(ctx, rule, &call.outcome)?;
    let server = ctx.mesh.workload(workload_of(endpoint)?);
    let tls = deciding_tls(rule, &call.outcome)?;
    let name = ctx.resource(rule.id).meta.resource_name();
    // Where the application is said to end TLS itself, and nobody asks for identities, it is a way to do it.
    let is_meant =
        server.policies.is_empty() && port_of(server, endpoint.port).is_some_and(|port| says_tls(ctx, port));
    let message = format!(
        "{} send {} to {}:{} past its sidecar: no identity arrives, and the application itself has to speak TLS",
        call.who(&name),
        tls.effective_mode().as_str(),
        ctx.workload_name(server),
        endpoint.port
    );
    let label = Label::new(tls_span(tls), "not TLS of the mesh, so the server's sidecar does not open it");
    let level = if is_meant { Level::Info } else { Level::Warning };
    Some(
        Finding::new(ID, level, Category::Hole, message, label)
            .with_resource(name)
            .with_confidence(Confidence::Medium)
            .with_related(ctx.workload_span(server), "the server")
            .with_help("remove `tls` from the DestinationRule: auto mTLS encrypts, and keeps the identity"),
    )
}

/// Whether a Service says of a port that TLS is spoken there.
fn says_tls(ctx: &Context<'_>, port: &WorkloadPort) -> bool {
    port.bindings.iter().any(|binding| {
        let spec = ctx.mesh.service_spec(binding.service);
        let written = spec.and_then(|spec| spec.ports.get(binding.port));
        let text = written.and_then(|port| port.app_protocol.as_ref().or(port.name.as_ref()));
        let word = text.map(|text| text.value.split('-').next().unwrap_or_default().to_ascii_lowercase());
        word.is_some_and(|word| matches!(word.as_str(), "https" | "tls"))
    })
}
