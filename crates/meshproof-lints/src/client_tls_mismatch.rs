//! `client-tls-mismatch`: connections of mesh clients that the server loses, although no rule means to keep them out.
//!
//! DISABLE against STRICT and ISTIO_MUTUAL against DISABLE, where two objects contradict each other in so many words,
//! are told by `conflicting-rules`; this is about what follows less plainly.

mod automatic;
mod by_rule;

use meshproof_diagnostics::Finding;

use crate::Context;

const ID: &str = "client-tls-mismatch";

/// Runs the lint.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = by_rule::findings(ctx);
    findings.extend(automatic::findings(ctx));
    findings
}
