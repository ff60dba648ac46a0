//! `plaintext-grpc`: servers of proxyless gRPC where PERMISSIVE means plaintext (mutual-TLS reference §1.6, §11.3 ST28;
//! Istio 1.32, networking/grpcgen/lds.go).

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_ir::{Capture, Workload, WorkloadId, WorkloadPort};
use meshproof_resources::MtlsMode;
use meshproof_source::Span;
use meshproof_transport::{ServerMode, server_side};

use crate::Context;
use crate::context::captured_ports;
use crate::policies::Policy;
use crate::proof::{enforced_at, fate_at};
use crate::witnesses::request;

const ID: &str = "plaintext-grpc";

/// Runs the lint: one finding per server.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let servers = ctx.mesh.workloads_with_ids();
    servers
        .filter(|(_, workload)| workload.capture.is(&Capture::ProxylessGrpc))
        .filter_map(|(id, workload)| {
            let port = captured_ports(workload).find(|port| is_plaintext(ctx, id, port))?;
            Some(finding(ctx, workload, port))
        })
        .collect()
}

/// PERMISSIVE that comes out as plaintext.
fn is_plaintext(ctx: &Context<'_>, id: WorkloadId, port: &WorkloadPort) -> bool {
    port.mode.mode.is(&MtlsMode::Permissive)
        && server_side(ctx.mesh, id, port.number).mode == ServerMode::Mutual(MtlsMode::Disable)
}

/// A policy that asks callers of the port for an identity, which none of them has.
fn asking<'c>(
    ctx: &'c Context<'_>,
    workload: &'c Workload,
    port: &WorkloadPort,
) -> Option<(&'c Policy<'c>, Span)> {
    enforced_at(ctx, workload).find_map(|policy| {
        let rules = policy.rules.iter().filter(|rule| rule.is_about(port));
        Some((policy, rules.filter_map(|rule| rule.wants_identity).next()?))
    })
}

fn finding(ctx: &Context<'_>, workload: &Workload, port: &WorkloadPort) -> Finding {
    let name = format!("{}:{}", ctx.workload_name(workload), port.number);
    let message = format!(
        "{name} takes plaintext only: gRPC without a proxy knows no PERMISSIVE, and turns it into DISABLE for pods that do not say security.istio.io/tlsMode: istio"
    );
    let asking = asking(ctx, workload, port);
    // Without a policy about identities it is a matter of encryption.
    let level = if asking.is_some() { Level::Warning } else { Level::Info };
    let label = Label::new(ctx.workload_span(workload), "no caller of these pods has an identity");
    let mut finding = Finding::new(ID, level, Category::Hole, message, label)
        .with_resource(ctx.resource(workload.resource).meta.resource_name())
        .with_confidence(Confidence::Medium)
        .with_help("set the mode to STRICT, or label the pods with security.istio.io/tlsMode: istio");
    if let Some(span) = port.mode.mode.span() {
        finding = finding.with_related(span, "PERMISSIVE is set here");
    }
    let Some((policy, span)) = asking else { return finding };
    finding = finding.with_related(span, "asks for an identity");
    let plain = |decision, because| {
        request(ctx, "plaintext".to_owned(), workload, Some(port), None, decision, because)
    };
    match fate_at(ctx, workload, Some(port), &plain(Decision::Allow, Vec::new())) {
        Some(decision) => {
            let because = vec![
                "the server takes plaintext, without an identity".to_owned(),
                format!("{} asks for an identity and does not match", policy.name()),
            ];
            finding.with_witness(plain(decision, because))
        }
        None => finding,
    }
}
