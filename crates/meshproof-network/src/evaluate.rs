//! The policies of one end in their order.

use std::cmp::Ordering;

use crate::flow::Direction;
use crate::holds::Holds;
use crate::matching::{Packet, Surroundings};
use crate::outcome::{By, Cause, Doubt, Outcomes};
use crate::policy::{Action, Policy};
use crate::tiers::Tiers;

/// A policy that selects the pods, or may, with rules for the direction that is asked.
pub(crate) struct Applying<'n> {
    pub(crate) policy: &'n Policy,
    /// Whether it is in force; never `No`.
    pub(crate) in_force: Holds,
    /// The name by which equal orders are told apart.
    pub(crate) name: &'n str,
}

/// What the policies make of a packet; whatever is left over at the end is allowed, since Calico's profile of a
/// Kubernetes namespace allows it. `applying` is put in the order of evaluation.
pub(crate) fn evaluate<'m>(
    applying: &mut [Applying<'_>],
    direction: Direction,
    packet: &Packet<'m>,
    around: &Surroundings<'_, 'm>,
    tiers: &Tiers,
) -> Outcomes {
    applying.sort_by(|left, right| compare(left, right, tiers));
    let mut known = Outcomes::start();
    let mut anywhere = Outcomes::start();
    for in_tier in applying.chunk_by(|left, right| left.policy.tier == right.policy.tier) {
        let tier = tiers.get(in_tier[0].policy.tier);
        let mut outcomes = Outcomes::start();
        for tied in in_tier.chunk_by(|left, right| left.policy.order == right.policy.order) {
            if !outcomes.is_open() {
                break;
            }
            outcomes = outcomes.then(of_tied(tied, direction, packet, around));
        }
        let outcomes = end_of_tier(outcomes, in_tier[0].policy.tier, tiers);
        if tier.order.is_some() {
            known = known.then(outcomes);
        } else {
            let doubt = format!("the place of tier {} is not known: the Tier is not in the input", tier.name);
            anywhere = anywhere.in_any_order(outcomes, &doubt);
        }
    }
    known.in_any_order(anywhere, "the place of a tier is not known: the Tier is not in the input")
}

fn compare(left: &Applying<'_>, right: &Applying<'_>, tiers: &Tiers) -> Ordering {
    tiers
        .compare(left.policy.tier, right.policy.tier)
        .then(left.policy.order.total_cmp(&right.policy.order))
        .then_with(|| left.policy.origin.cmp(&right.policy.origin))
        .then_with(|| left.name.cmp(right.name))
}

/// Policies of one order go by name. How names of different kinds compare has changed between versions of Calico
/// (felix, `PolKVLess`: with or without the namespace in front), so nothing is claimed about that.
fn of_tied<'m>(
    tied: &[Applying<'_>],
    direction: Direction,
    packet: &Packet<'m>,
    around: &Surroundings<'_, 'm>,
) -> Outcomes {
    let mut all: Option<Outcomes> = None;
    for of_kind in tied.chunk_by(|left, right| left.policy.origin == right.policy.origin) {
        let mut outcomes = Outcomes::start();
        for one in of_kind {
            if !outcomes.is_open() {
                break;
            }
            outcomes = outcomes.then(of_policy(one, direction, packet, around));
        }
        all = Some(match all {
            None => outcomes,
            Some(before) => before.in_any_order(
                outcomes,
                "policies of different kinds have the same order, and which comes first depends on Calico's version",
            ),
        });
    }
    all.unwrap_or_else(Outcomes::start)
}

fn of_policy<'m>(
    one: &Applying<'_>,
    direction: Direction,
    packet: &Packet<'m>,
    around: &Surroundings<'_, 'm>,
) -> Outcomes {
    let id = one.policy.id;
    let mut outcomes =
        Outcomes { undecided: Some(Cause { by: By::Policy(id), doubt: None }), ..Outcomes::default() };
    // Why an earlier rule may have matched instead.
    let mut doubt: Option<Doubt> = None;
    let about = |reason: &str| Doubt { policy: Some(id), reason: reason.to_owned() };
    for rule in one.policy.rules(direction).unwrap_or_default() {
        let cause = |doubt: Option<Doubt>| Some(Cause { by: By::Rule(id, rule.span), doubt });
        let end = match rule.action {
            Action::Allow => &mut outcomes.allow,
            Action::Deny => &mut outcomes.deny,
            Action::Pass => &mut outcomes.pass,
        };
        match rule.matches(packet, around) {
            Holds::No => {}
            Holds::Yes => {
                if end.is_none() {
                    *end = cause(doubt.take());
                }
                outcomes.undecided = None;
                break;
            }
            Holds::Maybe(reason) => {
                if end.is_none() {
                    *end = cause(Some(about(&reason)));
                }
                doubt.get_or_insert_with(|| about(&reason));
            }
        }
    }
    if let (Some(cause), Some(doubt)) = (&mut outcomes.undecided, doubt) {
        cause.doubt = Some(doubt);
    }
    match &one.in_force {
        Holds::Maybe(reason) => outcomes.doubted(&about(reason)),
        _ => outcomes,
    }
}

/// Behind the last policy of a tier: pods that one selects meet the default action, others go on.
fn end_of_tier(outcomes: Outcomes, at: usize, tiers: &Tiers) -> Outcomes {
    let tier = tiers.get(at);
    let Outcomes { allow, deny, pass, undecided, unselected } = outcomes;
    let mut end = Outcomes { allow, deny, unselected: unselected || pass.is_some(), pass, undecided: None };
    let Some(cause) = undecided else { return end };
    let denied = Cause { by: By::Tier(at), doubt: cause.doubt };
    match tier.default_action {
        Some(Action::Pass) => end.unselected = true,
        Some(_) => end.deny = end.deny.or(Some(denied)),
        None => {
            let reason =
                format!("what tier {} does by default is not known: the Tier is not in the input", tier.name);
            let doubt = Some(Doubt { policy: None, reason });
            end.deny = end.deny.or(Some(Cause { doubt, ..denied }));
            end.unselected = true;
        }
    }
    end
}
