//! `client-tls-mismatch`: connections of mesh clients that the server loses, although no rule means to keep them out.
//!
//! DISABLE against STRICT and ISTIO_MUTUAL against DISABLE, where two objects contradict each other in so many words,
//! are told by `conflicting-rules`; this is about what follows less plainly.

mod api_server;
mod automatic;
mod by_rule;
mod external;
mod unopened;

use meshproof_diagnostics::Finding;

use crate::Context;

const ID: &str = "client-tls-mismatch";

/// Runs the lint.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = by_rule::findings(ctx);
    findings.extend(automatic::findings(ctx));
    findings.extend(unopened::findings(ctx));
    findings.extend(api_server::findings(ctx));
    findings.extend(external::findings(ctx));
    findings
}
