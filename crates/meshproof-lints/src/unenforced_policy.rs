//! `unenforced-policy`: policies for pods whose traffic meets nothing that could enforce them.

mod namespace;
mod selector;
mod tcp;

use meshproof_diagnostics::Finding;

use crate::Context;

const ID: &str = "unenforced-policy";

/// Runs the lint.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = selector::findings(ctx);
    findings.extend(namespace::findings(ctx));
    findings.extend(tcp::findings(ctx));
    findings
}
