//! `conflicting-rules`: two objects that cannot both have their way, where one silently loses.

mod client_tls;
mod duplicates;
mod peer_scopes;

use meshproof_diagnostics::{Finding, Level};
use meshproof_ir::{ResourceId, Workload, WorkloadPort};
use meshproof_resources::{ClientTlsMode, Meta};

use crate::Context;

const ID: &str = "conflicting-rules";

/// Runs the lint.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = duplicates::findings(ctx);
    findings.extend(peer_scopes::findings(ctx));
    findings.extend(client_tls::findings(ctx));
    findings
}

/// How sure it is that two objects are applied together: one file for certain, one folder probably; different folders
/// often hold variants of which one is applied.
pub(crate) fn together(ctx: &Context<'_>, one: ResourceId, other: ResourceId) -> Level {
    let source = |id: ResourceId| ctx.resource(id).meta.span.source;
    let (one, other) = (source(one), source(other));
    let folder = |id| {
        let name = &ctx.sources.get(id).name;
        name.rsplit_once('/').map_or("", |(folder, _)| folder)
    };
    if one == other {
        Level::Error
    } else if folder(one) == folder(other) {
        Level::Warning
    } else {
        Level::Info
    }
}

/// The revision whose control planes alone read an object (Istio 1.32, pkg/config/labels `ObjectInRevision`). Objects
/// of different revisions never meet.
pub(crate) fn revision(meta: &Meta) -> Option<&str> {
    meta.labels.get("istio.io/rev").map(|label| label.value.as_str())
}

/// Whether a mode of clients and what is written of the server contradict each other in so many words, which this lint
/// tells.
pub(crate) fn is_contradiction(server: &Workload, port: &WorkloadPort, sent: ClientTlsMode) -> bool {
    client_tls::refusal(server, port, sent).is_some()
}
