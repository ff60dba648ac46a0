//! `deny-all-gap`: ports that nobody may reach although somebody is clearly meant to.

pub(crate) mod closed;
mod denied;
mod outsiders;
mod survey;
mod typo;
mod waypoints;

use meshproof_diagnostics::Finding;

use crate::Context;

pub(crate) const ID: &str = "deny-all-gap";

/// Runs the lint: one pass over the workloads, one over the Services behind waypoints, then one finding per policy at
/// fault.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let survey = survey::Survey::new(ctx);
    let mut findings = closed::findings(ctx, &survey);
    findings.extend(denied::findings(ctx, &survey));
    findings.extend(outsiders::findings(ctx, &survey));
    findings.extend(typo::findings(ctx, &survey));
    findings.extend(waypoints::findings(ctx));
    findings
}

/// `a`, `a and b`, `a, b and 3 more`.
fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} more", rest.len()),
    }
}
