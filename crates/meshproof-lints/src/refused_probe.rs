//! `refused-probe`: HTTP probes of the kubelet at ports that refuse plaintext (mutual-TLS reference §11.3 ST11).

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_ir::{Capture, Fact, Workload, WorkloadPort};
use meshproof_resources::{Container, MtlsMode, PodTemplate, PortRef, Spec};
use meshproof_source::Span;

use crate::Context;
use crate::context::captured_ports;
use crate::proof::is_settled;
use crate::witnesses::request;

const ID: &str = "refused-probe";
/// Says whether the injector sends probes through the sidecar's own port.
const REWRITE: &str = "sidecar.istio.io/rewriteAppHTTPProbers";

/// Runs the lint: one finding per workload.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let workloads = ctx.mesh.workloads.iter();
    workloads
        .filter(|workload| matches!(workload.capture.known(), Some(Capture::Sidecar | Capture::SidecarHbone)))
        .filter_map(|workload| finding(ctx, workload))
        .collect()
}

/// What leaves the probes as they are, and where it is written.
fn not_rewritten(ctx: &Context<'_>, workload: &Workload, template: &PodTemplate) -> Option<Option<Span>> {
    if let Some(own) = template.annotations.get(REWRITE) {
        return (own.value == "false").then_some(Some(own.span));
    }
    let cluster = ctx.mesh.namespace(workload.namespace).cluster;
    match &ctx.mesh.settings_of(cluster).rewrite_probes {
        Fact::Known(false, origin) => Some(origin.span()),
        _ => None,
    }
}

/// The first HTTP probe at a port that refuses plaintext.
fn refused<'w>(containers: &'w [Container], workload: &'w Workload) -> Option<(Span, &'w WorkloadPort)> {
    let probes = containers.iter().flat_map(|container| &container.probes).filter(|(_, http)| *http);
    probes.into_iter().find_map(|(port, _)| {
        let (span, found) = match port {
            PortRef::Number(number) => {
                (number.span, captured_ports(workload).find(|port| port.number == number.value))
            }
            PortRef::Name(name) => {
                (name.span, captured_ports(workload).find(|port| port.name.as_ref() == Some(&name.value)))
            }
        };
        Some((span, found.filter(|port| port.mode.mode.is(&MtlsMode::Strict))?))
    })
}

fn finding(ctx: &Context<'_>, workload: &Workload) -> Option<Finding> {
    let Spec::Workload(spec) = &ctx.resource(workload.resource).spec else { return None };
    let template = spec.template.as_ref()?;
    let by = not_rewritten(ctx, workload, template)?;
    let (span, port) = refused(&template.containers, workload)?;
    let sure =
        is_settled(ctx, workload) && workload.envoy_filters.is_empty() && port.mode.shadowed.is_empty();
    let level = if sure { Level::Error } else { Level::Warning };
    let message = format!(
        "{} is never ready: port {} is STRICT, and the kubelet probes it in plaintext",
        ctx.workload_name(workload),
        port.number
    );
    let because = vec![
        "the kubelet has no certificate, and the injector does not send its probes through the sidecar"
            .to_owned(),
        format!("port {} takes mTLS only", port.number),
    ];
    let witness = request(ctx, "plaintext".to_owned(), workload, Some(port), None, Decision::Deny, because);
    let label = Label::new(span, "probed by the kubelet, without mTLS");
    let mut finding = Finding::new(ID, level, Category::Outage, message, label)
        .with_resource(ctx.resource(workload.resource).meta.resource_name())
        .with_confidence(Confidence::High)
        .with_witness(witness)
        .with_help("let the injector rewrite probes (its default), probe a port of its own that is PERMISSIVE, or use an exec probe");
    if let Some(span) = by {
        finding = finding.with_related(span, "keeps the probes as they are");
    }
    if let Some(span) = port.mode.mode.span() {
        finding = finding.with_related(span, "STRICT is set here");
    }
    Some(finding)
}
