//! `client-tls-mismatch`: connections of mesh clients that the server loses, although no rule means to keep them out.
//!
//! DISABLE against STRICT and ISTIO_MUTUAL against DISABLE, where two objects contradict each other in so many words,
//! are told by `conflicting-rules`; this is about what follows less plainly.

mod automatic;
mod by_rule;

use meshproof_diagnostics::Finding;
use meshproof_ir::{Capture, Fact, Origin};
use meshproof_transport::EndpointOutcome;

use crate::Context;
use crate::calls::{port_of, workload_of};
use crate::proof::is_settled;

const ID: &str = "client-tls-mismatch";

/// Runs the lint.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = by_rule::findings(ctx);
    findings.extend(automatic::findings(ctx));
    findings
}

/// Whether what the server does is written down; without `mode_matters` whatever its mode may be.
fn is_server_written(ctx: &Context<'_>, endpoint: &EndpointOutcome, mode_matters: bool) -> bool {
    let Some(server) = workload_of(endpoint).map(|id| ctx.mesh.workload(id)) else { return false };
    let mode = port_of(server, endpoint.port).map_or(&server.mode, |port| &port.mode);
    let is_mode_written = matches!(mode.mode, Fact::Known(_, Origin::Written(_) | Origin::Inherited(_)))
        && mode.shadowed.is_empty();
    is_settled(ctx, server)
        && server.envoy_filters.is_empty()
        && (is_mode_written || !mode_matters || server.capture.is(&Capture::None))
}
