//! What a change of policies does: requests that pass on one side only.

use std::sync::Arc;

use meshproof_authz::{Context, Policy, Request};

use crate::confirm::Confirm;
use crate::domain::Domain;
use crate::limit::Limit;
use crate::lower::{LoweredRule, RuleBoxes, RuleId, lower};
use crate::space::{Answer, Outcome};
use crate::universe::{Found, Region, Rules, Universe, are_comparable};
use crate::vocabulary::CubeId;

/// The policies of one enforcement point before and after a change.
#[derive(Debug)]
pub struct Comparison<'a> {
    pub(crate) universe: Option<Universe>,
    sides: [Confirm<'a>; 2],
}

/// Policies and where they apply.
pub type Side<'a> = (&'a [Policy<'a>], &'a Context);

/// A request that passes on one side only.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Why.
    pub cause: Cause,
    /// The request, confirmed on both sides.
    pub request: Box<Request>,
}

/// Why a request passes on one side only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// This ALLOW rule of the side where it passes; the other side has none that matches.
    Allowed(RuleId),
    /// The side where it passes has no ALLOW policy, the other has.
    NoAllowPolicy,
    /// This rule of the side where it is refused.
    Refused(RuleId),
}

/// Changes, and why there may be more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// One for each pair of boxes that differ.
    pub changes: Vec<Change>,
    /// The limit that was hit.
    pub limit: Option<Limit>,
}

impl<'a> Comparison<'a> {
    /// Both sides over the requests of the domain.
    pub fn new(old: Side<'a>, new: Side<'a>, domain: &Domain) -> Comparison<'a> {
        let universe = are_comparable(old.1, new.1).then(|| {
            let lowered = [old, new].map(|(policies, context)| lower(policies, context));
            Universe::new(lowered.into(), old.1, domain, &[])
        });
        let sides = [old, new].map(|(policies, context)| Confirm::new(policies, context));
        Comparison { universe, sides }
    }

    /// Whether both sides let the same requests of the domain pass, as [`Comparison::is_same`]. Where they say the same in
    /// the same order nothing is built.
    ///
    /// # Errors
    /// A limit was hit.
    pub fn are_same(old: Side<'a>, new: Side<'a>, domain: &Domain) -> Result<bool, Limit> {
        if are_comparable(old.1, new.1) {
            let (old, new) = (lower(old.0, old.1), lower(new.0, new.1));
            let is_known = |rule: &LoweredRule| !matches!(*rule.boxes, RuleBoxes::Unknown(_));
            let is_kept = |rule: &&LoweredRule| !matches!(*rule.boxes, RuleBoxes::Dropped(_));
            let what = |rule: &LoweredRule| (rule.effect.clone(), Arc::clone(&rule.boxes));
            let (of_old, of_new) = (old.rules.iter().filter(is_kept), new.rules.iter().filter(is_kept));
            if old.needs_allow == new.needs_allow
                && old.rules.iter().all(is_known)
                && of_old.map(what).eq(of_new.map(what))
            {
                return Ok(true);
            }
        }
        Comparison::new(old, new, domain).is_same()
    }

    /// A request that passes now and did not before.
    pub fn gained(&self) -> Answer {
        first(self.gained_each(1))
    }

    /// A request that passed before and does not now.
    pub fn lost(&self) -> Answer {
        first(self.lost_each(1))
    }

    /// Requests that pass now and did not before, up to so many, one for each box that lets some through.
    pub fn gained_each(&self, most: usize) -> Changes {
        self.passing_only(1, most)
    }

    /// Requests that passed before and do not now.
    pub fn lost_each(&self, most: usize) -> Changes {
        self.passing_only(0, most)
    }

    /// Requests that pass on this side only: what its rules let through and the other's do not, and what they let through
    /// and only the other refuses.
    fn passing_only(&self, side: usize, most: usize) -> Changes {
        let Some(universe) = &self.universe else {
            return Changes { changes: Vec::new(), limit: Some(Limit::Incomparable) };
        };
        let (own, other) = (&universe.points[side], &universe.points[1 - side]);
        let passing = own.passing(universe.all);
        let refusing = own.refusing();
        let confirm = |request: &Request| {
            let passes = |side: usize| self.sides[side].has_outcome(request, Outcome::Allowed);
            passes(side) && !passes(1 - side)
        };
        let mut changes = Changes::default();
        let mut except = refusing.clone();
        except.extend(other.passing(universe.all).within.into_iter().flatten());
        let region = Region { except, ..passing.clone() };
        let found = universe.find_each(&region, most, confirm);
        changes.add(found, |cubes| own.owner(cubes[0]).map_or(Cause::NoAllowPolicy, Cause::Allowed));
        let (newly, is_partial) = other.newly_refusing(&refusing);
        let pairs = newly
            .iter()
            .flat_map(|cube| passing.within.iter().map(|own| [own.as_slice(), &[*cube]].concat()));
        let region = Region {
            within: pairs.collect(),
            except: refusing,
            is_partial: is_partial || passing.is_partial,
        };
        let found = universe.find_each(&region, most.saturating_sub(changes.changes.len()).max(1), confirm);
        changes.add(found, |cubes| {
            let refused = cubes.last().and_then(|cube| other.owner(*cube));
            refused.map_or(Cause::NoAllowPolicy, Cause::Refused)
        });
        changes.changes.truncate(most);
        changes
    }
}

impl Changes {
    fn add(&mut self, found: Found, cause: impl Fn(&[CubeId]) -> Cause) {
        self.limit = self.limit.or(found.limit);
        let changes = found.requests.into_iter();
        self.changes.extend(changes.map(|(cubes, request)| Change { cause: cause(&cubes), request }));
    }
}

fn first(mut changes: Changes) -> Answer {
    match changes.changes.pop() {
        Some(change) => Ok(Some(change.request)),
        None => changes.limit.map_or(Ok(None), Err),
    }
}

impl Rules {
    /// The first rule with the box.
    pub(crate) fn owner(&self, cube: CubeId) -> Option<RuleId> {
        let mut rules = self.rules.iter().zip(&self.cubes);
        let owns = |cubes: &Option<Vec<CubeId>>| cubes.as_ref().is_some_and(|cubes| cubes.contains(&cube));
        rules.find(|(_, cubes)| owns(cubes)).map(|(rule, _)| rule.id)
    }

    /// The refusing boxes that are not among these, and whether some are not known.
    fn newly_refusing(&self, known: &[CubeId]) -> (Vec<CubeId>, bool) {
        let (mut cubes, is_partial) = self.refusing_or_partial();
        cubes.retain(|cube| known.binary_search(cube).is_err());
        (cubes, is_partial)
    }
}
