//! Rules about identities that a caller without one gets around.

use std::collections::BTreeMap;

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_ir::{Capture, Origin, ResourceId, Workload, WorkloadPort};
use meshproof_resources::{Action, Condition, Match, Operation, Rule, Source};
use meshproof_source::Span;

use super::ID;
use crate::Context;
use crate::context::captured_ports;
use crate::network::may_be_shielded;
use crate::never_matches::RuleFacts;
use crate::peers::{is_protected, takes_plaintext};
use crate::policies::Policy;
use crate::proof::fate_at;
use crate::witnesses::request;

/// How plaintext fares at a port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plaintext {
    /// Some request gets through: any, or one that this rule of an ALLOW policy lets in.
    Passes(Option<(ResourceId, usize)>),
    Refused,
    Unknown,
}

/// Places kept per policy, and workloads asked per place: each policy of a namespace may be evaded at every workload.
const KEPT: usize = 256;
const ASKED: usize = 4;

/// One policy and where it is evaded.
struct Place {
    /// Index into the groups of workloads that are alike.
    group: usize,
    port: u16,
    rule: usize,
    passes: Plaintext,
}

pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let mut places: BTreeMap<ResourceId, Vec<Place>> = BTreeMap::new();
    for (at, group) in ctx.alike().iter().enumerate() {
        if let Some(workload) = group.first().map(|id| ctx.mesh.workload(*id)).filter(|one| is_protected(one))
        {
            look_at(ctx, at, workload, &mut places);
        }
    }
    places.iter().filter_map(|(id, places)| finding(ctx, ctx.policies.get(*id)?, places)).collect()
}

fn look_at(
    ctx: &Context<'_>,
    group: usize,
    workload: &Workload,
    places: &mut BTreeMap<ResourceId, Vec<Place>>,
) {
    for port in captured_ports(workload).filter(|port| takes_plaintext(port)) {
        let mut fate = None;
        for policy in attached(ctx, workload) {
            let Some(rule) = policy.rules.iter().position(|rule| is_evaded(policy, rule, port)) else {
                continue;
            };
            let fate = *fate.get_or_insert_with(|| plaintext(ctx, workload, port));
            let passes = policy.rules.get(rule).map_or(fate, |rule| meeting(policy, rule, fate));
            let known = places.entry(policy.id).or_default();
            if passes != Plaintext::Refused && known.len() < KEPT {
                known.push(Place { group, port: port.number, rule, passes });
            }
        }
    }
}

fn attached<'c>(ctx: &'c Context<'_>, workload: &'c Workload) -> impl Iterator<Item = &'c Policy<'c>> {
    workload
        .policies
        .iter()
        .filter_map(|attachment| ctx.policies.get(attachment.policy))
        .filter(|policy| !policy.dry_run)
}

/// A DENY that only callers with an identity can meet, or an ALLOW that asks only what a caller is not.
fn is_evaded(policy: &Policy<'_>, rule: &RuleFacts<'_>, port: &WorkloadPort) -> bool {
    if !rule.dead.is_empty() || !rule.is_about(port) {
        return false;
    }
    match policy.action {
        Action::Deny => rule.wants_identity.is_some(),
        Action::Allow => rule.rule.from.iter().any(|source| negative_identity(source).is_some()),
        Action::Audit | Action::Custom => false,
    }
}

/// A source that tests identities only by what they are not, and tests nothing else.
fn negative_identity(source: &Source) -> Option<Span> {
    let identity = [&source.principals, &source.namespaces, &source.service_accounts, &source.trust_domains];
    let other = [&source.request_principals, &source.ip_blocks, &source.remote_ip_blocks];
    let positive = identity.iter().any(|test| !test.values.is_empty());
    if positive || other.iter().any(|test| !test.is_empty()) {
        return None;
    }
    identity.iter().find_map(|test| test.not_values.first()).map(|value| value.span)
}

/// Asks nothing of the request but its port.
fn is_bare(rule: &Rule) -> bool {
    let bare = |operation: &Operation| {
        operation.hosts.is_empty() && operation.methods.is_empty() && operation.paths.is_empty()
    };
    rule.to.iter().all(bare) && rule.when.is_empty()
}

/// Whether a DENY rule refuses everything that callers without an identity send.
fn refuses_plaintext(rule: &Rule, workload: &Workload) -> bool {
    let anybody = rule.from.is_empty() || rule.from.iter().any(|source| negative_identity(source).is_some());
    let by_absence = |condition: &Condition| {
        matches!(condition.key.value.as_str(), "source.principal" | "source.namespace")
            && condition.values.values.is_empty()
            && !condition.values.not_values.is_empty()
    };
    if !anybody || !rule.when.iter().all(by_absence) {
        return false;
    }
    // Every request has a host, a method and a path; ztunnel sees none of them.
    let http = !workload.capture.is(&Capture::Ambient);
    let any = |test: &Match| {
        let star = test.values.iter().any(|value| value.value == "*");
        test.is_empty() || (http && star && test.not_values.is_empty())
    };
    let bare =
        |operation: &Operation| any(&operation.hosts) && any(&operation.methods) && any(&operation.paths);
    rule.to.iter().all(bare)
}

/// Whether some request without an identity gets through, for certain.
fn plaintext(ctx: &Context<'_>, workload: &Workload, port: &WorkloadPort) -> Plaintext {
    let mut allows = false;
    let mut admitting: Option<(ResourceId, usize, bool)> = None;
    let mut unsure = !workload.envoy_filters.is_empty();
    for policy in attached(ctx, workload) {
        for (at, rule) in policy.rules.iter().enumerate() {
            if !rule.dead.is_empty() || !rule.is_about(port) {
                continue;
            }
            let bare = is_bare(rule.rule);
            let anybody = rule.rule.from.is_empty()
                || rule.rule.from.iter().any(|source| negative_identity(source).is_some());
            match policy.action {
                Action::Deny if refuses_plaintext(rule.rule, workload) => return Plaintext::Refused,
                Action::Deny => unsure |= rule.wants_identity.is_none(),
                Action::Allow if anybody && rule.rule.when.is_empty() => {
                    let better = admitting.is_none_or(|(_, _, before)| bare && !before);
                    if better && rule.may_allow(workload, Some(port)) {
                        admitting = Some((policy.id, at, bare));
                    }
                }
                Action::Allow => unsure |= rule.wants_identity.is_none(),
                Action::Custom => unsure = true,
                Action::Audit => {}
            }
        }
        allows |= policy.action == Action::Allow;
    }
    match (admitting, unsure) {
        (None, false) if allows => Plaintext::Refused,
        (_, true) => Plaintext::Unknown,
        (Some((_, _, true)) | None, false) => Plaintext::Passes(None),
        (Some((policy, rule, false)), false) => Plaintext::Passes(Some((policy, rule))),
    }
}

/// The request that shows the evasion must be one that the DENY means and that an ALLOW lets in; where both ask
/// something of it, nothing is claimed.
fn meeting(policy: &Policy<'_>, rule: &RuleFacts<'_>, passes: Plaintext) -> Plaintext {
    match passes {
        Plaintext::Passes(Some(_)) if policy.action == Action::Deny && !is_bare(rule.rule) => {
            Plaintext::Unknown
        }
        Plaintext::Passes(_) if !rule.rule.when.is_empty() => Plaintext::Unknown,
        other => other,
    }
}

fn finding(ctx: &Context<'_>, policy: &Policy<'_>, places: &[Place]) -> Option<Finding> {
    let members = |place: &Place| {
        let group = ctx.alike().get(place.group).map_or(&[][..], Vec::as_slice);
        group.iter().take(ASKED).map(|id| ctx.mesh.workload(*id))
    };
    let proven = |place: &Place, workload: &Workload| {
        matches!(place.passes, Plaintext::Passes(_))
            && is_explicit(ctx, workload, place.port)
            && !may_be_shielded(ctx, workload)
    };
    let sure = places.iter().find_map(|place| {
        members(place).find(|workload| proven(place, workload)).map(|workload| (place, workload))
    });
    let first = places.first();
    let (place, workload) = sure.or_else(|| Some((first?, members(first?).next()?)))?;
    let port = workload.ports.iter().find(|port| port.number == place.port)?;
    let rule = policy.rules.get(place.rule)?;
    let deny = policy.action == Action::Deny;
    let span = if deny { rule.wants_identity? } else { rule.rule.from.iter().find_map(negative_identity)? };
    let name = ctx.workload_name(workload);
    let mode = port.mode.mode.known().map_or("PERMISSIVE", |mode| mode.as_str());
    let message = if deny {
        format!(
            "plaintext gets around {}: {name}:{} is {mode}, and a caller without mTLS has no identity to deny",
            policy.name(),
            port.number
        )
    } else {
        format!(
            "{} lets plaintext in: {name}:{} is {mode}, and a caller without mTLS is none of those excluded",
            policy.name(),
            port.number
        )
    };
    let label = if deny {
        "only callers with an identity are denied"
    } else {
        "everybody without an identity passes this"
    };
    let because = vec![
        format!("{name}:{} is {mode}, so plaintext is accepted and carries no identity", port.number),
        if deny {
            format!(
                "{} rule {} asks for an identity and does not match; no other policy refuses it",
                policy.name(),
                place.rule + 1
            )
        } else {
            format!(
                "{} rule {} excludes identities only, and matches a caller without one",
                policy.name(),
                place.rule + 1
            )
        },
    ];
    // What the DENY is about, else what the ALLOW takes.
    let admitting = match place.passes {
        Plaintext::Passes(Some((policy, rule))) => {
            ctx.policies.get(policy).and_then(|policy| policy.rules.get(rule))
        }
        _ => None,
    };
    let wanted = Some(admitting.map_or(rule.rule, |admitting| admitting.rule));
    let from = "plaintext".to_owned();
    let witness = request(ctx, from, workload, Some(port), wanted, Decision::Allow, because);
    let is_let_in = || fate_at(ctx, workload, Some(port), &witness) == Some(Decision::Allow);
    let is_sure = sure.is_some() && is_let_in();
    let level = if is_sure { Level::Error } else { Level::Warning };
    let mut finding = Finding::new(ID, level, Category::Hole, message, Label::new(span, label))
        .with_resource(policy.meta.resource_name())
        .with_confidence(if is_sure { Confidence::High } else { Confidence::Low })
        .with_help("set mTLS to STRICT for the workload (PeerAuthentication), or add a DENY rule with notPrincipals: [\"*\"]");
    if let Some(decider) = port.mode.decided_by {
        let span = port.mode.mode.span().unwrap_or_else(|| ctx.resource(decider).meta.name_span());
        finding = finding.with_related(span, format!("{mode} is set here"));
    }
    finding = finding.with_related(ctx.workload_span(workload), "this workload takes plaintext");
    if is_sure {
        finding = finding.with_witness(witness);
    }
    Some(finding)
}

/// Capture and mode are written down, and nothing unseen can change them.
fn is_explicit(ctx: &Context<'_>, workload: &Workload, port: u16) -> bool {
    let captured =
        matches!(&workload.capture, meshproof_ir::Fact::Known(_, Origin::Written(_) | Origin::Inherited(_)));
    let decided = workload.ports.iter().any(|at| at.number == port && at.mode.decided_by.is_some());
    // Asked last: it looks at every policy of the workload.
    let attached = || workload.policies.iter().all(|attachment| attachment.certain.is_ok());
    captured
        && decided
        && !ctx.is_incomplete(workload.namespace)
        && !ctx.has_external_policies(workload.namespace)
        && attached()
}
