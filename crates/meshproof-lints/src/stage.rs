//! A place where rules are shown at work, for all findings about it: its sets and its policies are read once.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use meshproof_authz::{Decider, Seen};
use meshproof_diagnostics::Finding;
use meshproof_space::{Domain, Space};

use crate::Context;
use crate::points::Point;
use crate::rule_worth::{At, Cover, RuleAt};
use crate::shown::named_first;

/// The chain of a point, with what questions about it need.
pub(crate) struct Stage<'s> {
    pub(crate) point: &'s Point,
    pub(crate) at: &'s At<'s>,
    decider: OnceCell<Decider<'s>>,
    /// Over callers with an identity, and over all.
    spaces: [OnceCell<Space<'s>>; 2],
}

impl<'s> Stage<'s> {
    pub(crate) fn new(point: &'s Point, at: &'s At<'s>) -> Stage<'s> {
        Stage { point, at, decider: OnceCell::new(), spaces: [OnceCell::new(), OnceCell::new()] }
    }

    /// Where the policy of a rule stands in the list of this place.
    pub(crate) fn place(&self, rule: RuleAt) -> Option<usize> {
        self.point.policies.iter().position(|id| *id == rule.0)
    }

    /// The first of the rules that matches the request.
    pub(crate) fn first_matching(&self, seen: &Seen<'_, '_>, rules: &[RuleAt]) -> Option<RuleAt> {
        let is_met = |rule: &RuleAt| self.place(*rule).is_some_and(|place| seen.is_matched_by(place, rule.1));
        rules.iter().copied().find(is_met)
    }

    pub(crate) fn decider(&self) -> &Decider<'s> {
        self.decider.get_or_init(|| Decider::new(&self.at.policies, &self.at.chain))
    }

    /// As [`named_first`], in the sets of this place.
    pub(crate) fn find<T>(&self, find: impl Fn(&Space<'s>) -> Option<T>) -> Option<T> {
        let space = |domain: &Domain| {
            let place = &self.spaces[usize::from(domain.plaintext)];
            place.get_or_init(|| Space::new(&self.at.policies, &self.at.chain, domain))
        };
        named_first(|domain| find(space(domain)))
    }
}

/// What is to be said of rules with their covers, in the order given; those of one place share its stage.
pub(crate) fn findings(
    ctx: &Context<'_>,
    rules: &[(RuleAt, &Cover)],
    say: impl Fn(Option<&Stage<'_>>, RuleAt, &Cover) -> Option<Finding>,
) -> Vec<Finding> {
    let mut places: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (at, (_, cover)) in rules.iter().enumerate() {
        places.entry((cover.point, cover.chain)).or_default().push(at);
    }
    let mut findings: Vec<(usize, Finding)> = Vec::new();
    for ((point, chain), found) in places {
        let place = ctx.worths().at(ctx, point, chain);
        let stage = place.as_ref().map(|(point, at)| Stage::new(point, at));
        let said = found.into_iter().filter_map(|at| {
            let (rule, cover) = rules[at];
            Some((at, say(stage.as_ref(), rule, cover)?))
        });
        findings.extend(said);
    }
    findings.sort_by_key(|(at, _)| *at);
    findings.into_iter().map(|(_, finding)| finding).collect()
}
