//! ALLOW rules of which a DENY takes back every request.

use std::collections::BTreeMap;

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::{Capture, NamespaceId};
use meshproof_resources::{Action, Rule};

use super::{ID, revision};
use crate::Context;
use crate::cover::covers;
use crate::policies::Policy;

/// Pairs of rules compared per namespace; beyond it nothing more is claimed.
const COMPARED: usize = 20_000;

pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let mut denies: BTreeMap<NamespaceId, Vec<&Policy<'_>>> = BTreeMap::new();
    for policy in ctx.policies.iter().filter(|policy| policy.enforces(Action::Deny)) {
        if let Some(namespace) = policy.namespace {
            denies.entry(namespace).or_default().push(policy);
        }
    }
    if denies.is_empty() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut compared: BTreeMap<NamespaceId, usize> = BTreeMap::new();
    for allow in ctx.policies.iter().filter(|policy| policy.enforces(Action::Allow)) {
        let Some(namespace) = allow.namespace else { continue };
        let Some(denies) = denies.get(&namespace) else { continue };
        let spent = compared.entry(namespace).or_default();
        for (at, rule) in allow.rules.iter().enumerate().filter(|(_, rule)| rule.dead.is_empty()) {
            let mut candidates = denies.iter().filter(|deny| reaches(deny, allow));
            let found = candidates.find_map(|deny| {
                let number = deny.rules.iter().position(|other| {
                    *spent += 1;
                    *spent <= COMPARED && !other.denies_everything(None) && covers(other.rule, rule.rule)
                })?;
                Some((deny, number))
            });
            if let Some((deny, number)) = found {
                findings.extend(finding(ctx, namespace, allow, at, deny, number));
            }
        }
    }
    findings
}

/// Wherever the ALLOW applies, the DENY does too.
fn reaches(deny: &Policy<'_>, allow: &Policy<'_>) -> bool {
    if revision(deny.meta) != revision(allow.meta) {
        return false;
    }
    if !deny.spec.target_refs.is_empty() || !allow.spec.target_refs.is_empty() {
        return false;
    }
    match (&deny.spec.selector, &allow.spec.selector) {
        (None, _) => true,
        (Some(deny), Some(allow)) => deny.match_labels.is_subset_of(&allow.match_labels),
        (Some(deny), None) => deny.match_labels.is_empty(),
    }
}

fn finding(
    ctx: &Context<'_>,
    namespace: NamespaceId,
    allow: &Policy<'_>,
    at: usize,
    deny: &Policy<'_>,
    number: usize,
) -> Option<Finding> {
    // At ztunnel a DENY with HTTP fields may never fire.
    let workloads = ctx.mesh.namespaces[namespace.index()].workloads.iter();
    let sidecars = workloads
        .map(|id| &ctx.mesh.workloads[id.index()])
        .all(|workload| !workload.capture.is(&Capture::Ambient));
    let rule = allow.rules.get(at)?.rule;
    let other = deny.rules.get(number)?;
    if !sidecars && other.http_field().is_some() {
        return None;
    }
    let message = format!(
        "rule {} of {} lets nobody in: {} denies every request that it allows",
        at + 1,
        allow.name(),
        deny.name()
    );
    let place = |rule: &Rule| rule.from.key.or(rule.to.key).or(rule.when.key).unwrap_or(rule.span);
    Some(
        Finding::new(
            ID,
            Level::Warning,
            Category::Conflict,
            message,
            Label::new(place(rule), "DENY comes first, so this never lets anybody in"),
        )
        .with_resource(allow.meta.resource_name())
        .with_related(place(other.rule), "this rule denies the same requests and maybe more")
        .with_confidence(Confidence::Medium)
        .with_help("narrow the DENY, or remove the ALLOW rule"),
    )
}
