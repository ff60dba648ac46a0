//! `uncaptured-call`: calls that leave a pod around its own proxy, without mutual TLS and without an identity
//! (mutual-TLS reference §4.5, §11.3 ST07, ST09, ST10, ST36).

mod direct;
mod excluded;
mod own_address;

use meshproof_diagnostics::Finding;

use crate::Context;

const ID: &str = "uncaptured-call";

/// Runs the lint.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = excluded::findings(ctx);
    findings.extend(direct::findings(ctx));
    findings.extend(own_address::findings(ctx));
    findings
}
