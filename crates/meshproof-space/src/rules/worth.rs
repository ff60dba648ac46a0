//! What each rule is worth: which rules can be left out, all of them at once, without a change of any answer.

use meshproof_authz::{Context, Policy};

use crate::bits::Bits;
use crate::domain::Domain;
use crate::limit::Limit;
use crate::lower::{Effect, LoweredRule, RuleBoxes, RuleId, lower};
use crate::plain;
use crate::space::Space;

use super::{Among, Group};

/// What a rule is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Worth {
    /// The engine does not have the rule.
    Dropped,
    /// Some request is decided by it.
    Adds,
    /// No request can match it.
    NeverMatches,
    /// An ALLOW rule of which these refuse every request.
    Refused(Vec<RuleId>),
    /// Whatever it matches, one of these matches as well, or refuses it. None of them is superfluous itself.
    Superfluous(Vec<RuleId>),
    /// A limit was hit.
    Unknown(Limit),
}

/// With more covering rules than this, not each is tried on its own.
const TRIED: usize = 24;

/// What each rule is worth among the policies, without those that the engine does not have: as [`Space::worths`] over the
/// requests of the default domain, but where that is plain without any search. What takes a search to its limits may be
/// plain.
pub fn rule_worths(policies: &[Policy<'_>], context: &Context) -> Vec<(RuleId, Worth)> {
    let lowered = lower(policies, context);
    let ids: Vec<RuleId> = lowered.rules.iter().map(|rule| rule.id).collect();
    let worths = plain::worths(&lowered, context)
        .unwrap_or_else(|| Space::of(lowered, policies, context, &Domain::default()).worths());
    ids.into_iter().zip(worths).filter(|(_, worth)| *worth != Worth::Dropped).collect()
}

impl Space<'_> {
    /// What each rule is worth, in the order of [`Space::rules`]. Of rules that cover each other the first stays: all
    /// superfluous rules, together with those that never match or are refused, can be removed at once, and every answer
    /// stays what it is as long as a policy of each action is left.
    pub fn worths(&self) -> Vec<Worth> {
        let rules = self.rules();
        let mut worths = vec![Worth::Adds; rules.len()];
        let mut effects: Vec<&Effect> = Vec::new();
        for rule in rules {
            if !effects.contains(&&rule.effect) {
                effects.push(&rule.effect);
            }
        }
        for effect in effects {
            self.judge(effect, &mut worths);
        }
        worths
    }

    /// Of each of these ALLOW rules, the rules that refuse whatever it matches, as few as can be had; nothing of one that
    /// lets somebody in or never matches, and where that is not known. What other ALLOW rules let in is not asked.
    pub fn refusals(&self, rules: &[RuleId]) -> Vec<Option<Vec<RuleId>>> {
        let mut group = self.group(&Effect::Allow, Among::Refusing);
        let all = Bits::all(group.owners.len());
        let refusal = |id: &RuleId| {
            let is_own = |rule: &LoweredRule| rule.id == *id && rule.effect == Effect::Allow;
            let at = self.rules().iter().position(is_own)?;
            let places = self.covering(at, &mut group, &all).ok()??;
            let by = owners(&group, &places, |_| true);
            (!by.is_empty()).then(|| self.fewest(at, &mut group, by))
        };
        rules.iter().map(refusal).collect()
    }

    /// Judges the rules of an effect, from the last to the first.
    fn judge(&self, effect: &Effect, worths: &mut [Worth]) {
        let is_allow = *effect == Effect::Allow;
        let mut refusing = is_allow.then(|| self.group(effect, Among::Refusing));
        if refusing.as_ref().is_some_and(|group| group.owners.is_empty()) {
            refusing = None;
        }
        let among = if refusing.is_some() { Among::Both } else { Among::SameEffect };
        let mut group = self.group(effect, among);
        // How many rules that stay each box belongs to.
        let mut holders: Vec<usize> = group.owners.iter().map(Vec::len).collect();
        let mut alive = Bits::all(holders.len());
        for at in (0..worths.len()).rev() {
            let rule = &self.rules()[at];
            if rule.effect != *effect {
                continue;
            }
            if matches!(*rule.boxes, RuleBoxes::Dropped(_)) {
                worths[at] = Worth::Dropped;
                continue;
            }
            let own: Vec<usize> = group.places.get(&at).cloned().unwrap_or_default();
            for place in &own {
                holders[*place] -= 1;
                if holders[*place] == 0 {
                    alive.remove(*place);
                }
            }
            let worth = self.worth(at, refusing.as_mut(), &mut group, &alive, worths);
            if matches!(worth, Worth::Adds | Worth::Unknown(_)) {
                for place in own {
                    holders[place] += 1;
                    alive.insert(place);
                }
            }
            worths[at] = worth;
        }
    }

    fn worth(
        &self,
        at: usize,
        refusing: Option<&mut Group<'_>>,
        group: &mut Group<'_>,
        alive: &Bits,
        worths: &[Worth],
    ) -> Worth {
        let covering = match self.covering(at, group, alive) {
            Err(limit) => return Worth::Unknown(limit),
            Ok(None) => return Worth::Adds,
            Ok(Some(covering)) if covering.is_empty() => return Worth::NeverMatches,
            Ok(Some(covering)) => covering,
        };
        if let Some(refusing) = refusing {
            let all = Bits::all(refusing.owners.len());
            match self.covering(at, refusing, &all) {
                Ok(Some(places)) => {
                    let by = owners(refusing, &places, |_| true);
                    return Worth::Refused(self.fewest(at, refusing, by));
                }
                Ok(None) => {}
                Err(limit) => return Worth::Unknown(limit),
            }
        }
        let effect = &self.rules()[at].effect;
        let stays = |other: usize| {
            let is_left = matches!(worths[other], Worth::Adds | Worth::Unknown(_));
            other != at && (is_left || self.rules()[other].effect != *effect)
        };
        let by = owners(group, &covering, stays);
        Worth::Superfluous(self.fewest(at, group, by))
    }

    /// Of rules that cover the rule, as few as can be had by leaving out one after the other; one alone where that is
    /// enough.
    fn fewest(&self, at: usize, group: &mut Group<'_>, mut by: Vec<usize>) -> Vec<RuleId> {
        let covers = |rules: &[usize], group: &mut Group<'_>| {
            let alive = group.only(rules);
            matches!(self.covering(at, group, &alive), Ok(Some(_)))
        };
        if by.len() > 1 && by.len() <= TRIED {
            if let Some(one) = by.iter().copied().find(|one| covers(&[*one], group)) {
                by = vec![one];
            }
            for other in by.clone() {
                let fewer: Vec<usize> = by.iter().copied().filter(|known| *known != other).collect();
                if !fewer.is_empty() && covers(&fewer, group) {
                    by = fewer;
                }
            }
        }
        by.into_iter().map(|at| self.rules()[at].id).collect()
    }
}

/// The first rule of each box that the choice takes, sorted.
fn owners(group: &Group<'_>, places: &[usize], takes: impl Fn(usize) -> bool) -> Vec<usize> {
    let first = |place: &usize| group.owners[*place].iter().copied().find(|other| takes(*other));
    let mut owners: Vec<usize> = places.iter().filter_map(first).collect();
    owners.sort_unstable();
    owners.dedup();
    owners
}
