//! What each rule of each AuthorizationPolicy is worth wherever it applies, computed once for all lints.
//!
//! A rule counts as superfluous, refused or impossible only if it is so in every chain of every proxy that has it.

use meshproof_authz::{Context as Chain, Engine, Policy};
use meshproof_resources::{Action, Rule};
use meshproof_space::{Limit, Worth, rule_worths};
use rayon::prelude::*;

use crate::Context;
use crate::hash::{Map, Set};
use crate::points::{Point, Points};
use meshproof_ir::ResourceId;

/// A rule of a policy.
pub(crate) type RuleAt = (ResourceId, usize);

/// What makes a rule worthless, where it was seen first.
#[derive(Clone, Debug)]
pub(crate) struct Cover {
    /// Index of the point.
    pub(crate) point: usize,
    /// Index of the chain.
    pub(crate) chain: usize,
    /// The rules that match or refuse the same requests.
    pub(crate) by: Vec<RuleAt>,
}

/// One rule, everywhere.
#[derive(Clone, Debug, Default)]
struct Summary {
    /// Chains that have it.
    seen: u32,
    adds: bool,
    unknown: Option<Limit>,
    never: u32,
    refused: u32,
    superfluous: u32,
    refused_by: Option<Cover>,
    covered_by: Option<Cover>,
    first: Option<(usize, usize)>,
}

/// The verdict on one rule.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict<'w> {
    /// It decides something somewhere, or nothing is known of it.
    Fine,
    /// No request can match it. The place is one of a chain that has it.
    Never(usize, usize),
    /// An ALLOW rule of which DENY takes back everything.
    Refused(&'w Cover),
    /// Other rules do the same.
    Superfluous(&'w Cover),
    /// A limit was hit.
    Unknown(Limit),
}

/// All rules.
#[derive(Debug, Default)]
pub(crate) struct RuleWorths {
    pub(crate) points: Points,
    rules: Map<RuleAt, Summary>,
    /// The points of each policy.
    places: Map<ResourceId, Vec<usize>>,
    /// ALLOW policies that are the only one somewhere: without them everything would be allowed.
    sole: Set<ResourceId>,
}

impl RuleWorths {
    /// Asks point by point, or all threads at once. The latter is not for code that others wait for: a thread that waits
    /// for its share of the points may be handed other work meanwhile, and that may wait for this.
    pub(crate) fn new(ctx: &Context<'_>, by_all_threads: bool) -> RuleWorths {
        let points = Points::new(ctx);
        let each: Vec<Vec<(RuleAt, usize, Found)>> = match by_all_threads {
            true => points.list.par_iter().map(|point| at_point(ctx, point)).collect(),
            false => points.list.iter().map(|point| at_point(ctx, point)).collect(),
        };
        let mut worths = RuleWorths { points, ..RuleWorths::default() };
        for (at, found) in each.into_iter().enumerate() {
            worths.note_sole(ctx, at);
            for id in &worths.points.list[at].policies {
                worths.places.entry(*id).or_default().push(at);
            }
            for (rule, chain, found) in found {
                worths.rules.entry(rule).or_default().add(at, chain, found);
            }
        }
        worths
    }

    /// The verdict on a rule.
    pub(crate) fn verdict(&self, rule: RuleAt) -> Verdict<'_> {
        let Some(summary) = self.rules.get(&rule) else { return Verdict::Fine };
        if summary.adds || summary.seen == 0 || self.points.left_out.contains(&rule.0) {
            return Verdict::Fine;
        }
        if let Some(limit) = summary.unknown {
            return Verdict::Unknown(limit);
        }
        match (&summary.covered_by, &summary.refused_by, summary.first) {
            (Some(cover), ..) => Verdict::Superfluous(cover),
            (None, Some(cover), _) => Verdict::Refused(cover),
            (None, None, Some((point, chain))) => Verdict::Never(point, chain),
            (None, None, None) => Verdict::Fine,
        }
    }

    /// The points that a policy applies at.
    pub(crate) fn places(&self, policy: ResourceId) -> &[usize] {
        self.places.get(&policy).map_or(&[], Vec::as_slice)
    }

    /// Whether a policy is the only ALLOW policy somewhere.
    pub(crate) fn is_sole(&self, policy: ResourceId) -> bool {
        self.sole.contains(&policy)
    }

    fn note_sole(&mut self, ctx: &Context<'_>, at: usize) {
        let point = &self.points.list[at];
        let allows =
            |id: &ResourceId| ctx.policies.get(*id).is_some_and(|policy| policy.enforces(Action::Allow));
        let mut allowing = point.policies.iter().copied().filter(allows);
        if let (Some(one), None) = (allowing.next(), allowing.next()) {
            self.sole.insert(one);
        }
    }
}

/// What is found of a rule in a chain.
enum Found {
    Adds,
    Unknown(Limit),
    Never,
    Refused(Vec<RuleAt>),
    Superfluous(Vec<RuleAt>),
}

impl Summary {
    fn add(&mut self, point: usize, chain: usize, found: Found) {
        self.seen += 1;
        self.first.get_or_insert((point, chain));
        match found {
            Found::Adds => self.adds = true,
            Found::Unknown(limit) => self.unknown = Some(limit),
            Found::Never => self.never += 1,
            Found::Refused(by) => {
                self.refused += 1;
                self.refused_by.get_or_insert(Cover { point, chain, by });
            }
            Found::Superfluous(by) => {
                self.superfluous += 1;
                self.covered_by.get_or_insert(Cover { point, chain, by });
            }
        }
    }
}

/// Asks about the rules of one point, chain by chain.
fn at_point(ctx: &Context<'_>, point: &Point) -> Vec<(RuleAt, usize, Found)> {
    let mut found: Vec<(RuleAt, usize, Found)> = Vec::new();
    let policies = point.read(ctx.mesh);
    if policies.len() != point.policies.len() || point.is_unsettled(ctx.mesh) {
        let all = point.policies.iter().filter_map(|id| ctx.policies.get(*id));
        found.extend(
            all.flat_map(|policy| (0..policy.rules.len()).map(|rule| ((policy.id, rule), 0, Found::Adds))),
        );
        return found;
    }
    let ask = if is_worth_asking(&policies) { in_chain } else { alone };
    let rules: usize = policies.iter().map(|policy| policy.spec.rules.len()).sum();
    for (at, chain) in point.chains(ctx.mesh).iter().enumerate() {
        let told = ask(&point.policies, &policies, chain);
        let adding = told.iter().filter(|(_, found)| matches!(found, Found::Adds)).count();
        found.extend(told.into_iter().map(|(rule, it)| (rule, at, it)));
        // A rule that adds something somewhere is of use, whatever it is elsewhere.
        if adding == rules {
            break;
        }
    }
    found
}

/// Whether rules can be in each other's way at all.
fn is_worth_asking(policies: &[Policy<'_>]) -> bool {
    let count = |action: Action| -> usize {
        let acting = policies.iter().filter(|policy| policy.action() == action && !policy.is_dry_run());
        acting.map(|policy| policy.spec.rules.len()).sum()
    };
    let [allow, deny, audit, custom] =
        [Action::Allow, Action::Deny, Action::Audit, Action::Custom].map(count);
    allow > 1 || deny > 1 || audit > 1 || custom > 1 || (allow > 0 && deny + custom > 0)
}

fn in_chain(ids: &[ResourceId], policies: &[Policy<'_>], chain: &Chain) -> Vec<(RuleAt, Found)> {
    let rules = |rules: Vec<meshproof_space::RuleId>| {
        rules.into_iter().map(|rule| (ids[rule.policy], rule.rule)).collect()
    };
    let found = rule_worths(policies, chain).into_iter().filter_map(|(id, worth)| {
        let found = match worth {
            Worth::Dropped => return None,
            Worth::Adds => Found::Adds,
            // ztunnel leaves out what it cannot test, which is told as such.
            Worth::NeverMatches if chain.engine == Engine::Ztunnel => Found::Adds,
            Worth::NeverMatches => Found::Never,
            Worth::Refused(by) => Found::Refused(rules(by)),
            Worth::Superfluous(by) => Found::Superfluous(rules(by)),
            Worth::Unknown(limit) => Found::Unknown(limit),
        };
        Some(((ids[id.policy], id.rule), found))
    });
    found.collect()
}

/// Rules that stand alone add something unless no request can match them.
fn alone(ids: &[ResourceId], policies: &[Policy<'_>], chain: &Chain) -> Vec<(RuleAt, Found)> {
    let may_contradict = policies.iter().flat_map(|policy| policy.spec.rules.iter()).any(may_contradict);
    if may_contradict {
        return in_chain(ids, policies, chain);
    }
    let rules = ids.iter().zip(policies);
    let rules = rules.flat_map(|(id, policy)| (0..policy.spec.rules.len()).map(move |rule| (*id, rule)));
    rules.map(|rule| (rule, Found::Adds)).collect()
}

/// Whether two tests of a rule may look at one property: then no request may pass both.
fn may_contradict(rule: &Rule) -> bool {
    let sources = rule.from.iter().any(|source| {
        let tests = source.fields();
        let positive = tests.iter().filter(|(_, test)| !test.values.is_empty()).count();
        positive > 1 || tests.iter().any(|(_, test)| !test.not_values.is_empty())
    });
    let operations = || rule.to.iter().flat_map(|operation| operation.fields());
    sources || !rule.when.is_empty() || operations().any(|(_, test)| !test.not_values.is_empty())
}

/// The space of a point's chain, with what it is made of.
pub(crate) struct At<'m> {
    pub(crate) policies: Vec<Policy<'m>>,
    pub(crate) chain: Chain,
}

impl RuleWorths {
    /// The policies and the chain at a place.
    pub(crate) fn at<'m>(&self, ctx: &Context<'m>, point: usize, chain: usize) -> Option<(&Point, At<'m>)> {
        let point = self.points.list.get(point)?;
        let chain = point.chains(ctx.mesh).into_iter().nth(chain)?;
        Some((point, At { policies: point.read(ctx.mesh), chain }))
    }
}
