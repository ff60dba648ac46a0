//! `default-open`: workloads without any policy beside locked ones.

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_ir::{Capture, NamespaceId, Workload};
use meshproof_resources::Action;

use crate::Context;
use crate::context::{captured_ports, knows_ports};
use crate::proof::{confirmed, fate_at};
use crate::witnesses::request;

const ID: &str = "default-open";

/// Runs the lint: one finding per open workload of a namespace that locks others.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let namespaces = 0..ctx.mesh.namespaces.len() as u32;
    namespaces.flat_map(|at| in_namespace(ctx, NamespaceId(at))).collect()
}

fn in_namespace(ctx: &Context<'_>, namespace: NamespaceId) -> Vec<Finding> {
    let members = &ctx.mesh.namespaces[namespace.index()].workloads;
    let workloads = || {
        members
            .iter()
            .map(|id| &ctx.mesh.workloads[id.index()])
            .filter(|workload| workload.enforcement_point().is_some_and(knows_ports))
    };
    let Some(locked) = workloads().find(|workload| is_locked(ctx, workload)) else { return Vec::new() };
    // Policies that name Services or Gateways are enforced at waypoints, in front of ztunnel.
    let at_waypoints = ctx.mesh.namespaces[namespace.index()]
        .policies
        .iter()
        .any(|id| ctx.policies.get(*id).is_some_and(|policy| !policy.spec.target_refs.is_empty()));
    if ctx.has_external_policies(namespace) {
        return Vec::new();
    }
    workloads()
        .filter(|workload| !is_judged(ctx, workload))
        .filter(|workload| !(at_waypoints && workload.capture.is(&Capture::Ambient)))
        // Where nothing listens, nothing is open.
        .filter_map(|workload| captured_ports(workload).next().map(|port| (workload, port)))
        .map(|(workload, port)| {
            let name = ctx.workload_name(workload);
            let message = format!(
                "{name} is open to everybody: no ALLOW policy applies to it, while {} is locked",
                ctx.workload_name(locked)
            );
            // Policies of an overlay or a chart may close it.
            let level = if ctx.is_incomplete(namespace) { Level::Info } else { Level::Warning };
            let because = vec!["no AuthorizationPolicy applies, and then everything is allowed".to_owned()];
            let from = "elsewhere/anybody".to_owned();
            let witness = request(ctx, from, workload, Some(port), None, Decision::Allow, because);
            let finding = Finding::new(ID, level, Category::Hole, message, Label::new(ctx.workload_span(workload), "no policy selects these pods"))
                .with_resource(ctx.resource(workload.resource).meta.resource_name())
                .with_related(ctx.workload_span(locked), "this workload of the namespace is locked")
                .with_confidence(Confidence::Low)
                .with_help("close the namespace with an ALLOW policy without rules (`spec: {}`), and add one for the callers of this workload");
            confirmed(finding, fate_at(ctx, workload, Some(port), &witness), witness)
        })
        .collect()
}

/// An enforced ALLOW policy applies: whoever is not named stays out.
fn is_locked(ctx: &Context<'_>, workload: &Workload) -> bool {
    workload.policies.iter().any(|attachment| {
        let policy = ctx.policies.get(attachment.policy);
        attachment.certain.is_ok() && policy.is_some_and(|policy| policy.enforces(Action::Allow))
    })
}

/// Some enforced policy decides about requests to it, or may.
fn is_judged(ctx: &Context<'_>, workload: &Workload) -> bool {
    workload.policies.iter().any(|attachment| {
        ctx.policies
            .get(attachment.policy)
            .is_some_and(|policy| !policy.dry_run && policy.action != Action::Audit)
    })
}
