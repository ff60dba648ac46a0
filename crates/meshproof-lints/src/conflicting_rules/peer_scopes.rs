//! PeerAuthentications that meet in one scope: of a mesh, of a namespace, or of one workload that several select. Only
//! the oldest counts, whole, and nothing is merged (mutual-TLS reference §1.3, PA03, PA17; Istio 1.32,
//! pilot/pkg/model/authentication.go).

use meshproof_diagnostics::{Category, Finding, Label, Level};
use meshproof_ir::{NamespaceId, ResourceId, Workload};
use meshproof_resources::{PeerAuthentication, Spec};

use super::duplicates::groups;
use super::{ID, revision, together};
use crate::Context;
use crate::hash::{Map, Set};
use crate::peers::{effect, is_empty, is_protected, peer_authentications, selector_pairs};

/// Objects of a namespace compared with a loser to find who wins over it; beyond it the pair is not told.
const COMPARED: usize = 1_000;

pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = of_one_scope(ctx);
    findings.extend(of_one_workload(ctx));
    findings
}

/// Two objects for a namespace or the mesh, or with one selector.
fn of_one_scope(ctx: &Context<'_>) -> Vec<Finding> {
    let key = |id: ResourceId| {
        let resource = ctx.resource(id);
        let Spec::PeerAuthentication(policy) = &resource.spec else { return None };
        let namespace = ctx.namespace_of(id)?;
        let selects = policy.selects_workloads();
        // Selectors in the root namespace are ignored.
        if selects && ctx.is_root(namespace) {
            return None;
        }
        let labels = if selects { selector_pairs(policy) } else { Vec::new() };
        Some((namespace, revision(&resource.meta), labels))
    };
    let mut findings = Vec::new();
    for group in groups(ctx, key) {
        let Some((first, rest)) = group.split_first() else { continue };
        findings.extend(rest.iter().filter_map(|other| pair(ctx, *first, *other, None)));
    }
    findings
}

/// Two objects with different selectors that both find the pods of one workload. Each loser is told once.
fn of_one_workload(ctx: &Context<'_>) -> Vec<Finding> {
    let mut selecting: Map<NamespaceId, Vec<ResourceId>> = Map::default();
    let all = peer_authentications(ctx).filter(|(_, policy)| policy.selects_workloads());
    for (id, _) in all {
        if let Some(namespace) = ctx.namespace_of(id) {
            selecting.entry(namespace).or_default().push(id);
        }
    }
    let mut told: Set<ResourceId> = Set::default();
    let mut findings = Vec::new();
    // Who loses is known from the workload; objects that lose as one of a scope select nothing.
    let meeting = ctx.mesh.workloads.iter().filter(|workload| is_protected(workload));
    for workload in meeting.filter(|workload| !workload.mode.shadowed.is_empty()) {
        let Some(candidates) = selecting.get(&workload.namespace) else { continue };
        for loser in workload.mode.shadowed.iter().copied() {
            let selects =
                ctx.mesh.peer_authentication(loser).is_some_and(PeerAuthentication::selects_workloads);
            if !selects || !told.insert(loser) {
                continue;
            }
            let winner = candidates.iter().take(COMPARED).copied().find(|id| wins(ctx, *id, workload));
            findings.extend(winner.and_then(|winner| pair(ctx, winner, loser, Some(workload))));
        }
    }
    findings
}

/// Whether an object selects the pods and is not among those that lose there.
fn wins(ctx: &Context<'_>, id: ResourceId, workload: &Workload) -> bool {
    let policy = ctx.mesh.peer_authentication(id);
    let selector = policy.and_then(|policy| policy.selector.as_ref());
    selector.is_some_and(|selector| selector.match_labels.is_subset_of(&workload.labels))
        && !workload.mode.shadowed.contains(&id)
}

/// Two objects of one scope; with `at` they meet at the pods of that workload, by different selectors.
fn pair(ctx: &Context<'_>, first: ResourceId, other: ResourceId, at: Option<&Workload>) -> Option<Finding> {
    let (one, two) = (ctx.resource(first), ctx.resource(other));
    let (left, right) = (ctx.mesh.peer_authentication(first)?, ctx.mesh.peer_authentication(other)?);
    // Equal names, and equal selectors, are told of as such.
    if one.meta.name() == two.meta.name() || (at.is_some() && selector_pairs(left) == selector_pairs(right)) {
        return None;
    }
    // The one that would lose something is pointed at.
    if is_empty(right) && !is_empty(left) {
        return pair(ctx, other, first, at);
    }
    let same = effect(left) == effect(right);
    let placed = one.meta.namespace.is_some() && two.meta.namespace.is_some();
    let most = if placed { Level::Error } else { Level::Warning };
    let level = if same { Level::Info } else { together(ctx, first, other).min(most) };
    let (name, older) = (two.meta.resource_name(), one.meta.resource_name());
    let message = match at {
        None => format!("{name} and {older} have one scope, and only the older one counts"),
        Some(workload) => format!(
            "{name} and {older} both select {}, where only the older one counts",
            ctx.workload_name(workload)
        ),
    };
    let place = right.mode.as_ref().map_or(two.meta.name_span(), |mode| mode.span);
    let before = left.mode.as_ref().map_or(one.meta.name_span(), |mode| mode.span);
    let label = match is_empty(left) {
        true => "has no effect if the other one, which sets nothing, is older",
        false => "nothing is merged: one of the two has no effect",
    };
    let mut finding = Finding::new(ID, level, Category::Conflict, message, Label::new(place, label))
        .with_resource(name)
        .with_related(before, "the other one")
        .with_help("keep one object per scope; which is older is decided by creation time, and by name when both are created in one second");
    if let Some(workload) = at {
        finding = finding.with_related(ctx.workload_span(workload), "selected by both");
    }
    Some(finding)
}
