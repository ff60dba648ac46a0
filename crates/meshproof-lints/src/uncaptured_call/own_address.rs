//! DENY rules against the pods that they guard: what a pod sends to its own address is not redirected, so nobody asks
//! (mutual-TLS reference §1.8, §11.3 ST36).

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::{Capture, WorkloadId};
use meshproof_resources::Action;

use super::ID;
use crate::Context;
use crate::accounts::place_of_account;

/// Workloads looked at per policy.
const TRIED: usize = 8;

/// One finding per policy.
pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let denying = ctx.policies.iter().filter(|policy| policy.enforces(Action::Deny));
    denying
        .filter_map(|policy| {
            let selector = policy.spec.selector.as_ref().filter(|_| policy.has_selector())?;
            let guarded = ctx.labels.find(ctx.mesh, policy.namespace?, &selector.match_labels);
            let is_sidecar = |id: &WorkloadId| {
                matches!(
                    ctx.mesh.workload(*id).capture.known(),
                    Some(Capture::Sidecar | Capture::SidecarHbone)
                )
            };
            let (workload, span) = guarded.into_iter().take(TRIED).filter(is_sidecar).find_map(|id| {
                let identity = ctx.mesh.identity_of(id)?;
                let account = format!("{}/{}", identity.namespace.as_ref()?, identity.account);
                let mut sources = policy.spec.rules.iter().flat_map(|rule| rule.from.iter());
                Some((ctx.mesh.workload(id), sources.find_map(|source| place_of_account(source, &account))?))
            })?;
            let name = policy.meta.resource_name();
            let message = format!(
                "{name} does not keep a pod of {} from itself: what it sends to its own address does not meet the proxy",
                ctx.workload_name(workload)
            );
            Some(
                Finding::new(
                    ID,
                    Level::Info,
                    Category::Hole,
                    message,
                    Label::new(span, "the account of the guarded pods themselves"),
                )
                .with_resource(name)
                .with_confidence(Confidence::Low)
                .with_related(ctx.workload_span(workload), "runs under this account")
                .with_help("nothing outside of a pod can keep its containers from each other; pods of the same workload are kept apart"),
            )
        })
        .collect()
}
