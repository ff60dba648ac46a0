//! What each rule adds: rules that never match, rules that others make superfluous, rules inside of rules.

use foldhash::{HashMap, HashMapExt};

use crate::bits::Bits;
use crate::cover::Cover;
use crate::limit::Limit;
use crate::lower::{Effect, RuleId};
use crate::space::Space;
use crate::vocabulary::CubeId;

mod worth;

pub use worth::{Worth, rule_worths};

/// What a rule is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Among {
    /// The other rules of its effect.
    SameEffect,
    /// The rules that refuse requests; asked about ALLOW rules.
    Refusing,
    /// Both together: what is left is what the rule alone lets through.
    Both,
}

/// What a rule adds to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleState {
    /// Some request that it matches is matched by none of the others. [`Space::find_decided_by`] and its neighbours show
    /// one.
    Adds,
    /// No request can match it.
    NeverMatches,
    /// Whatever it matches, one of these matches too. Not all of them need be necessary, see
    /// [`Space::necessary_cover`].
    CoveredBy(Vec<RuleId>),
    /// A limit was hit.
    Unknown(Limit),
}

/// Which rule lies in which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Containment {
    /// The inner rule and the outer one, both of one effect. Rules that match the same requests stand here both ways;
    /// rules that never match are left out.
    pub pairs: Vec<(RuleId, RuleId)>,
    /// Rules of which it is not known.
    pub unknown: Vec<(RuleId, Limit)>,
}

/// A union of boxes with the rules that they belong to.
struct Group<'a> {
    cover: Cover<'a>,
    /// The rules of every box in the cover.
    owners: Vec<Vec<usize>>,
    /// The boxes of every rule.
    places: HashMap<usize, Vec<usize>>,
}

impl Space<'_> {
    /// What each rule adds, in the order of [`Space::rules`].
    pub fn rule_states(&self, among: Among) -> Vec<(RuleId, RuleState)> {
        let mut groups: Vec<(Effect, Group<'_>)> = Vec::new();
        let rules = self.rules();
        let mut states = Vec::with_capacity(rules.len());
        for (at, rule) in rules.iter().enumerate() {
            let known = groups.iter().position(|(effect, _)| *effect == rule.effect);
            let place = known.unwrap_or_else(|| {
                groups.push((rule.effect.clone(), self.group(&rule.effect, among)));
                groups.len() - 1
            });
            let group = &mut groups[place].1;
            let alive = group.without(at);
            states.push((rule.id, self.state(at, group, &alive)));
        }
        states
    }

    /// Of the rules that cover this one as few as can be had by leaving out one after the other; nothing when it is not
    /// covered.
    ///
    /// # Errors
    /// A limit was hit.
    pub fn necessary_cover(&self, rule: RuleId, among: Among) -> Result<Option<Vec<RuleId>>, Limit> {
        let rules = self.rules();
        let Some(at) = rules.iter().position(|known| known.id == rule) else { return Ok(None) };
        let mut group = self.group(&rules[at].effect, among);
        let alive = group.without(at);
        let covering = match self.state(at, &mut group, &alive) {
            RuleState::CoveredBy(covering) => covering,
            RuleState::Unknown(limit) => return Err(limit),
            RuleState::Adds | RuleState::NeverMatches => return Ok(None),
        };
        let mut needed: Vec<usize> =
            (0..rules.len()).filter(|other| *other != at && covering.contains(&rules[*other].id)).collect();
        // One that is enough says most.
        for other in &needed {
            let alive = group.only(&[*other]);
            if matches!(self.state(at, &mut group, &alive), RuleState::CoveredBy(_)) {
                return Ok(Some(vec![rules[*other].id]));
            }
        }
        for other in needed.clone() {
            let fewer: Vec<usize> = needed.iter().copied().filter(|known| *known != other).collect();
            let alive = group.only(&fewer);
            if matches!(self.state(at, &mut group, &alive), RuleState::CoveredBy(_)) {
                needed = fewer;
            }
        }
        Ok(Some(needed.into_iter().map(|at| rules[at].id).collect()))
    }

    /// Every pair of rules of one effect of which one lies in the other.
    pub fn contained_rules(&self) -> Containment {
        let mut found = Containment::default();
        let mut effects: Vec<&Effect> = Vec::new();
        for rule in self.rules() {
            if !effects.contains(&&rule.effect) {
                effects.push(&rule.effect);
            }
        }
        for effect in effects {
            let mut group = self.group(effect, Among::SameEffect);
            for (at, rule) in self.rules().iter().enumerate().filter(|(_, rule)| rule.effect == *effect) {
                match self.outer(at, &mut group) {
                    Ok(outer) => {
                        found.pairs.extend(outer.into_iter().map(|at| (rule.id, self.rules()[at].id)));
                    }
                    Err(limit) => found.unknown.push((rule.id, limit)),
                }
            }
        }
        found
    }

    /// The rules that contain the rule.
    fn outer(&self, at: usize, group: &mut Group<'_>) -> Result<Vec<usize>, Limit> {
        let Some(cubes) = &self.point().cubes[at] else { return Err(Limit::Boxes) };
        let mut candidates: Option<Vec<usize>> = None;
        for cube in cubes {
            let holding = match self.universe.holding(*cube, &mut group.cover) {
                Ok(Some(holding)) => holding,
                Ok(None) => continue,
                // Each box may be the one; whether it is will be asked.
                Err(_) => Bits::all(group.owners.len()),
            };
            let mut owners: Vec<usize> =
                holding.iter().flat_map(|place| group.owners[place].iter().copied()).collect();
            owners.sort_unstable();
            owners.dedup();
            candidates = Some(match candidates {
                None => owners,
                Some(known) => known.into_iter().filter(|at| owners.binary_search(at).is_ok()).collect(),
            });
        }
        let mut outer = Vec::new();
        for other in candidates.unwrap_or_default().into_iter().filter(|other| *other != at) {
            let alive = group.only(&[other]);
            match self.state(at, group, &alive) {
                RuleState::CoveredBy(_) => outer.push(other),
                RuleState::Unknown(limit) => return Err(limit),
                RuleState::Adds | RuleState::NeverMatches => {}
            }
        }
        Ok(outer)
    }

    fn group(&self, effect: &Effect, among: Among) -> Group<'_> {
        let takes_part = |other: &Effect| {
            let refuses = matches!(other, Effect::Deny | Effect::Refuse);
            match among {
                Among::SameEffect => other == effect,
                Among::Refusing => refuses,
                Among::Both => refuses || other == effect,
            }
        };
        let point = self.point();
        let mut places_of: HashMap<CubeId, usize> = HashMap::new();
        let mut list: Vec<CubeId> = Vec::new();
        let mut owners: Vec<Vec<usize>> = Vec::new();
        let mut places: HashMap<usize, Vec<usize>> = HashMap::new();
        let chosen = point.rules.iter().zip(&point.cubes).enumerate();
        for (at, (_, cubes)) in chosen.filter(|(_, (rule, _))| takes_part(&rule.effect)) {
            for cube in cubes.iter().flatten() {
                let place = *places_of.entry(*cube).or_insert_with(|| {
                    list.push(*cube);
                    owners.push(Vec::new());
                    list.len() - 1
                });
                if owners[place].last() != Some(&at) {
                    owners[place].push(at);
                    places.entry(at).or_default().push(place);
                }
            }
        }
        Group { cover: self.universe.cover(list), owners, places }
    }

    /// What the rule adds to the living boxes.
    fn state(&self, at: usize, group: &mut Group<'_>, alive: &Bits) -> RuleState {
        let covering = match self.covering(at, group, alive) {
            Err(limit) => return RuleState::Unknown(limit),
            Ok(None) => return RuleState::Adds,
            Ok(Some(covering)) => covering,
        };
        let owners =
            covering.iter().filter_map(|place| group.owners[*place].iter().find(|other| **other != at));
        let mut by: Vec<RuleId> = owners.map(|owner| self.rules()[*owner].id).collect();
        by.sort_unstable();
        by.dedup();
        if by.is_empty() { RuleState::NeverMatches } else { RuleState::CoveredBy(by) }
    }

    /// The living boxes that together hold every request of the rule, none at all when it has none; nothing when some
    /// request escapes them.
    fn covering(&self, at: usize, group: &mut Group<'_>, alive: &Bits) -> Result<Option<Vec<usize>>, Limit> {
        let cubes = self.point().cubes[at].as_ref().ok_or(Limit::Boxes)?;
        let mut covering: Vec<usize> = Vec::new();
        let mut limit = None;
        for cube in cubes {
            match self.universe.escape(&[*cube], &mut group.cover, alive) {
                Ok(Some(_)) => return Ok(None),
                Ok(None) => covering.extend(&group.cover.touched),
                Err(hit) => limit = Some(hit),
            }
        }
        limit.map_or(Ok(Some(covering)), Err)
    }
}

impl Group<'_> {
    /// All boxes but those that belong to the rule alone.
    fn without(&self, rule: usize) -> Bits {
        let mut alive = Bits::all(self.owners.len());
        for place in self.places.get(&rule).into_iter().flatten() {
            if self.owners[*place].len() == 1 {
                alive.remove(*place);
            }
        }
        alive
    }

    /// The boxes of these rules.
    fn only(&self, rules: &[usize]) -> Bits {
        let mut alive = Bits::none(self.owners.len());
        for place in rules.iter().filter_map(|rule| self.places.get(rule)).flatten() {
            alive.insert(*place);
        }
        alive
    }
}
