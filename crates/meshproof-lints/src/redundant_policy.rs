//! `redundant-policy`: a policy of which every rule adds nothing.
//!
//! A policy without rules (`spec: {}`) is a default deny and never redundant, and neither is the only ALLOW policy of some
//! proxy: without it everything would be allowed there.

use meshproof_authz::{Context as Chain, Policy as Read, policy_of};
use meshproof_diagnostics::{Category, Confidence, Finding, Label};
use meshproof_ir::ResourceId;
use meshproof_resources::Action;
use meshproof_space::{Comparison, Domain};
use rayon::prelude::*;

use crate::Context;
use crate::hash::Map;
use crate::policies::Policy;
use crate::restriction_without_effect::defeated;
use crate::rule_worth::{Cover, RuleAt, Verdict};
use crate::shadowed_rule::{level, shown_on, verb};
use crate::stage::Stage;

const ID: &str = "redundant-policy";
/// At more places than this two policies are not compared with each other.
const COMPARED: usize = 16;

/// Runs the lint. Policies that are shown to be redundant at one place share its stage.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let policies: Vec<&Policy<'_>> = ctx.policies.iter().collect();
    let redundant: Vec<(usize, Redundant<'_>)> = policies
        .par_iter()
        .enumerate()
        .filter(|(_, policy)| is_redundant(ctx, policy))
        .filter_map(|(at, policy)| Some((at, Redundant::new(ctx, policy)?)))
        .collect();
    let mut places: Map<(usize, usize), Vec<&(usize, Redundant<'_>)>> = Map::default();
    for found in &redundant {
        places.entry((found.1.cover.point, found.1.cover.chain)).or_default().push(found);
    }
    let mut findings: Vec<(usize, Finding)> = places
        .par_iter()
        .flat_map_iter(|((point, chain), found)| {
            let place = ctx.worths().at(ctx, *point, *chain);
            let stage = place.as_ref().map(|(point, at)| Stage::new(point, at));
            let each = found.iter().map(|(at, redundant)| (*at, redundant.finding(ctx, stage.as_ref())));
            each.collect::<Vec<(usize, Finding)>>()
        })
        .collect();
    findings.sort_by_key(|(at, _)| *at);
    findings.into_iter().map(|(_, finding)| finding).collect()
}

/// Whether the policy could go as a whole, and nothing graver is to be said of it.
pub(crate) fn is_redundant(ctx: &Context<'_>, policy: &Policy<'_>) -> bool {
    let worths = ctx.worths();
    if policy.dry_run || policy.rules.is_empty() || worths.is_sole(policy.id) {
        return false;
    }
    let mut superfluous = 0;
    for at in 0..policy.rules.len() {
        let rule = (policy.id, at);
        match worths.verdict(rule) {
            Verdict::Superfluous(cover) if defeated(ctx, rule, cover).is_none() => superfluous += 1,
            Verdict::Never(..) | Verdict::Refused(_) => {}
            _ => return false,
        }
    }
    superfluous > 0
}

/// A policy that could go.
struct Redundant<'c> {
    policy: &'c Policy<'c>,
    /// Its first rule that others make superfluous, with those that do.
    rule: RuleAt,
    cover: &'c Cover,
    /// All rules that make its rules superfluous.
    by: Vec<RuleAt>,
    /// Their policies.
    others: Vec<ResourceId>,
}

impl<'c> Redundant<'c> {
    /// Nothing when only its own rules make it so.
    fn new(ctx: &'c Context<'_>, policy: &'c Policy<'c>) -> Option<Redundant<'c>> {
        let covers: Vec<(RuleAt, &Cover)> = (0..policy.rules.len())
            .filter_map(|at| match ctx.worths().verdict((policy.id, at)) {
                Verdict::Superfluous(cover) => Some(((policy.id, at), cover)),
                _ => None,
            })
            .collect();
        let mut by: Vec<RuleAt> = covers.iter().flat_map(|(_, cover)| cover.by.iter().copied()).collect();
        by.sort_unstable();
        by.dedup();
        let mut others: Vec<ResourceId> =
            by.iter().map(|rule| rule.0).filter(|id| *id != policy.id).collect();
        others.dedup();
        let (rule, cover) = *covers.first().filter(|_| !others.is_empty())?;
        Some(Redundant { policy, rule, cover, by, others })
    }

    fn finding(&self, ctx: &Context<'_>, stage: Option<&Stage<'_>>) -> Finding {
        let Redundant { policy, others, .. } = self;
        let name = |id: &ResourceId| ctx.policies.get(*id).map(Policy::name).unwrap_or_default();
        let listed = match others.as_slice() {
            [] => String::new(),
            [one] => name(one),
            [one, two] => format!("{} and {}", name(one), name(two)),
            [one, two, rest @ ..] => format!("{}, {} and {} more", name(one), name(two), rest.len()),
        };
        let does = verb(policy.action);
        let compares = matches!(policy.action, Action::Allow | Action::Deny);
        let is_equal = compares && matches!(others.as_slice(), [one] if is_equivalent(ctx, policy, *one));
        let denies =
            |id: &ResourceId| ctx.policies.get(*id).is_some_and(|policy| policy.action == Action::Deny);
        let message = if policy.action == Action::Allow && others.iter().any(denies) {
            format!("{} adds nothing: {listed} decide whatever it allows", policy.name())
        } else if is_equal {
            format!("{} {does} exactly what {listed} {does}", policy.name())
        } else {
            format!("{} adds nothing: {listed} {does} whatever it {does}", policy.name())
        };
        let label = Label::new(policy.meta.name_span(), "without this policy nothing changes");
        let mut finding =
            Finding::new(ID, level(ctx, self.rule, &self.by), Category::Dead, message, label)
                .with_resource(policy.meta.resource_name())
                .with_confidence(Confidence::High)
                .with_help("remove one of them; if this policy was meant to restrict the other, it cannot: ALLOW policies only ever add to each other");
        for other in others.iter().take(3) {
            let same = if is_equal {
                "this policy matches the same requests"
            } else {
                "this policy matches them too"
            };
            finding = finding.with_related(ctx.resource(*other).meta.name_span(), same);
        }
        match stage.and_then(|stage| shown_on(stage, ctx, self.rule, self.cover)) {
            Some(witness) => finding.with_witness(witness),
            None => finding,
        }
    }
}

/// Whether both policies do the same, alone, in every chain of the places that the policy applies at.
fn is_equivalent(ctx: &Context<'_>, policy: &Policy<'_>, other: ResourceId) -> bool {
    let (Some(own), Some(other)) = (policy_of(ctx.mesh, policy.id), policy_of(ctx.mesh, other)) else {
        return false;
    };
    let places = ctx.worths().places(policy.id);
    let mut points = places.iter().filter_map(|at| ctx.worths().points.list.get(*at));
    places.len() <= COMPARED
        && points.all(|point| point.chains(ctx.mesh).iter().all(|chain| is_same(&own, &other, chain)))
}

fn is_same(own: &Read<'_>, other: &Read<'_>, chain: &Chain) -> bool {
    let (own, other) = (std::slice::from_ref(own), std::slice::from_ref(other));
    Comparison::are_same((own, chain), (other, chain), &Domain::default()) == Ok(true)
}
