//! `permissive-mtls`: ports that take plaintext although rules about identities, or a STRICT nearby, say otherwise.

mod evaded;
mod loosened;

use meshproof_diagnostics::Finding;

use crate::Context;

const ID: &str = "permissive-mtls";

/// Runs the lint.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = evaded::findings(ctx);
    findings.extend(loosened::findings(ctx));
    findings
}
