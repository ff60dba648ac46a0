//! `closed-gateway`: policies for the pods of a namespace that hold for the ingress gateway beside them too, and keep
//! everybody outside from it (waypoint reference, G2 and behaviours 11 and 13).

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_ir::{Workload, WorkloadId};
use meshproof_resources::{Action, Rule};

use crate::Context;
use crate::hash::Set;
use crate::ingress_routes::{FromOutside, from_outside};
use crate::peers::is_protected;
use crate::policies::Policy;
use crate::proof::{cluster_of, enforced_at, fate_at, fate_of, is_settled};
use crate::witnesses::request;

const ID: &str = "closed-gateway";

/// Runs the lint: one finding per gateway.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut seen: Set<WorkloadId> = Set::default();
    let mut findings = Vec::new();
    for way in from_outside(ctx) {
        // What holds at a gateway is the same for all of its routes.
        if seen.insert(way.proxy) {
            findings.extend(at_gateway(ctx, &way));
        }
    }
    findings
}

fn at_gateway(ctx: &Context<'_>, way: &FromOutside) -> Option<Finding> {
    let proxy = ctx.mesh.workload(way.proxy);
    // Where somebody outside may get in with a token, a path or an address, the gateway is as open as it is meant to be.
    let allows = || enforced_at(ctx, proxy).filter(|policy| policy.action == Action::Allow);
    let wants_mesh = |policy: &Policy<'_>| {
        policy.rules.iter().all(|facts| !facts.dead.is_empty() || facts.wants_identity.is_some())
    };
    let all_closed = allows().next().is_some() && allows().all(wants_mesh);
    let closes = |policy: &&Policy<'_>| match policy.action {
        Action::Allow => all_closed,
        _ => policy.rules.iter().any(|facts| denies_strangers(facts.rule)),
    };
    let policy = enforced_at(ctx, proxy).filter(closes).find(|policy| is_for_others(ctx, policy, proxy))?;
    let because = vec![
        "callers from outside have no identity of the mesh".to_owned(),
        format!("{} holds at the gateway too, and does not let them in", policy.name()),
    ];
    let witness = request(ctx, "plaintext".to_owned(), proxy, None, None, Decision::Deny, because);
    let alone =
        fate_of(ctx, &[policy.id], meshproof_authz::Engine::EnvoyHttp, cluster_of(ctx, proxy), &witness);
    if alone != Some(Decision::Deny) || fate_at(ctx, proxy, None, &witness) != Some(Decision::Deny) {
        return None;
    }
    Some(finding(ctx, way, policy, proxy, witness))
}

/// A DENY rule that meets every request without an identity.
fn denies_strangers(rule: &Rule) -> bool {
    rule.to.is_empty() && rule.when.is_empty()
}

/// Whether a policy is meant for other pods: for a namespace with some, or by a label that others have as well.
fn is_for_others(ctx: &Context<'_>, policy: &Policy<'_>, proxy: &Workload) -> bool {
    if !policy.spec.target_refs.is_empty() || policy.namespace != Some(proxy.namespace) {
        return false;
    }
    let is_other = |id: &WorkloadId| is_protected(ctx.mesh.workload(*id));
    match &policy.spec.selector {
        Some(selector) if policy.has_selector() => {
            ctx.labels.find(ctx.mesh, proxy.namespace, &selector.match_labels).iter().any(is_other)
        }
        _ => ctx.mesh.namespace(proxy.namespace).workloads.iter().any(is_other),
    }
}

fn finding(
    ctx: &Context<'_>,
    way: &FromOutside,
    policy: &Policy<'_>,
    proxy: &Workload,
    witness: Witness,
) -> Finding {
    let name = policy.meta.resource_name();
    let gateway = ctx.resource(way.gateway).meta.resource_name();
    let why = match policy.has_selector() {
        true => "the pods of the gateway have the labels that it selects",
        false => "it is for every pod of the namespace, and the gateway is one",
    };
    let message = format!("{name} keeps everybody outside from {gateway}: {why}");
    let help = match policy.action {
        Action::Allow => {
            "select the pods that the policy is for by a label that the gateway does not have, or add an ALLOW policy for the gateway"
        }
        _ => "select the pods that the policy is for by a label that the gateway does not have",
    };
    let sure = is_settled(ctx, proxy) && !ctx.is_incomplete(proxy.namespace);
    Finding::new(
        ID,
        if sure { Level::Error } else { Level::Warning },
        Category::Outage,
        message,
        Label::new(policy.meta.name_span(), "holds for the gateway as well"),
    )
    .with_resource(name)
    .with_confidence(if sure { Confidence::High } else { Confidence::Medium })
    .with_related(ctx.resource(way.gateway).meta.name_span(), "the gateway")
    .with_related(ctx.resource(way.route).meta.name_span(), "routes requests from outside")
    .with_witness(witness)
    .with_help(help)
}
