//! Ports of the pods of a headless Service that the Service does not list: who calls a pod by its name there sends
//! plaintext, since the client's proxy knows no such destination (mutual-TLS reference §2.6, §3.1).

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_ir::{Layer, PortCapture, Service, Workload, WorkloadId, WorkloadPort};
use meshproof_resources::{MtlsMode, Spec};
use meshproof_transport::{Call, Client, Delivery, Target};

use super::ID;
use crate::Context;
use crate::calls::{connection, reasons};
use crate::peers::is_protected;

/// One finding per workload whose pods have names of their own.
pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let headless = ctx.mesh.services.iter().filter(
        |service| matches!(&ctx.resource(service.resource).spec, Spec::Service(spec) if spec.headless),
    );
    let mut told = crate::hash::Set::default();
    let mut findings = Vec::new();
    for service in headless {
        for id in &service.workloads {
            let workload = ctx.mesh.workload(*id);
            // The pods of a StatefulSet are called one by one, by each other.
            let is_set = ctx.resource(workload.resource).meta.kind.value == "StatefulSet";
            if is_set && is_protected(workload) && told.insert(*id) {
                findings.extend(unlisted(ctx, service, *id, workload));
            }
        }
    }
    findings
}

/// A port that refuses plaintext and that no Service leads to.
fn unlisted(ctx: &Context<'_>, service: &Service, id: WorkloadId, workload: &Workload) -> Option<Finding> {
    let is_unlisted = |port: &&WorkloadPort| {
        port.bindings.is_empty()
            && port.service_entries.is_empty()
            && port.capture == PortCapture::Captured
            && port.mode.mode.is(&MtlsMode::Strict)
    };
    let port = workload.ports.iter().filter(|port| port.declared.is_some()).find(is_unlisted)?;
    let outcome = ctx.transport().call(&Call {
        client: Client::Workload(id),
        target: Target::Workload(id),
        port: port.number,
        subset: None,
        speaks: Layer::Tcp,
    });
    let refused = |result: Option<&Delivery>| matches!(result, Some(Delivery::Refused(_)));
    let endpoint = outcome.endpoints.iter().find(|endpoint| refused(endpoint.result.known()))?;
    let name = ctx.resource(service.resource).meta.resource_name();
    let pods = ctx.workload_name(workload);
    let message = format!(
        "who calls a pod of {pods} by its name at port {} is refused: {name} does not list the port, so proxies send plaintext there, and the port is STRICT",
        port.number
    );
    let place = port.declared?;
    let witness = connection(ctx, id, workload, endpoint, Decision::Deny, reasons(&outcome, endpoint));
    let mut finding = Finding::new(
        ID,
        Level::Info,
        Category::Outage,
        message,
        Label::new(place, "not among the ports of the Service"),
    )
    .with_resource(ctx.resource(workload.resource).meta.resource_name())
    .with_confidence(Confidence::Low)
    .with_related(ctx.resource(service.resource).meta.name_span(), "gives the pods their names")
    .with_witness(witness)
    .with_help("list the port in the headless Service, if pods call each other there");
    if let Some(span) = port.mode.mode.span() {
        finding = finding.with_related(span, "STRICT is set here");
    }
    Some(finding)
}
