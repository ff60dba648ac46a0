//! What passes, box by box, as a reader wants to see it: what each ALLOW box still asks, a request of it that passes, and
//! what is refused of it.

use std::rc::Rc;

use foldhash::{HashMap, HashMapExt};
use meshproof_authz::Request;

use crate::bits::Bits;
use crate::boxes::RequestBox;
use crate::cover::Cover;
use crate::limit::Limit;
use crate::lower::{Effect, RuleId};
use crate::space::{Answer, Outcome, Space};
use crate::universe::Universe;
use crate::vocabulary::{Column, CubeId};

/// More pairs of an allowing and a refusing box than this are not looked at.
const MOST_PAIRS: usize = 100_000;

/// What passes at an enforcement point: the union of the boxes, each without its exceptions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Allowed {
    /// The boxes of all ALLOW rules, in the order of the rules, equal ones once; the box of every request where no ALLOW
    /// policy applies. Boxes that hold no request of the question are left out; those that are refused altogether are
    /// not.
    pub boxes: Vec<AllowedBox>,
    /// Rules, allowing or refusing, of which is not known what they match. With one that allows, more may pass; with one
    /// that refuses, less.
    pub unknown: Vec<(RuleId, Limit)>,
}

/// Requests that pass unless they are refused.
#[derive(Clone, Debug, PartialEq)]
pub struct AllowedBox {
    /// The ALLOW rules with this box; none where everything passes that nothing refuses.
    pub rules: Vec<RuleId>,
    /// What it asks. What every request of the question has anyway is left out.
    pub asks: RequestBox,
    /// A request of it that passes; nothing when all of it is refused.
    pub passing: Answer,
    /// What is refused of it, in the order of the rules.
    ///
    /// # Errors
    /// Too many boxes meet, or a limit was hit.
    pub except: Result<Vec<Exception>, Limit>,
}

/// Requests of an [`AllowedBox`] that are refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Exception {
    /// The rules that refuse them.
    pub rules: Vec<RuleId>,
    /// What is refused. What every request of the allowed box has anyway is left out, so that a box that is refused
    /// altogether has an exception that asks nothing.
    pub asks: RequestBox,
}

impl Space<'_> {
    /// What passes, box by box. Providers whose answer is not known are taken to say yes.
    pub fn allowed_boxes(&self) -> Allowed {
        self.allowed_among(&[])
    }

    /// As [`Space::allowed_boxes`], for the requests of the probe, given by its place.
    pub fn allowed_boxes_in(&self, probe: usize) -> Allowed {
        match self.universe.probes.get(probe) {
            Some(cube) => self.allowed_among(&[*cube]),
            None => Allowed::default(),
        }
    }

    fn allowed_among(&self, probe: &[CubeId]) -> Allowed {
        let refuses = |effect: &Effect| matches!(effect, Effect::Deny | Effect::Refuse);
        let unknown = self.rules().iter().zip(&self.point().cubes);
        let unknown = unknown.filter(|(rule, cubes)| {
            cubes.is_none() && (rule.effect == Effect::Allow || refuses(&rule.effect))
        });
        let mut allowed = Allowed {
            boxes: Vec::new(),
            unknown: unknown.map(|(rule, _)| (rule.id, Limit::Boxes)).collect(),
        };
        let passing = if self.point().needs_allow {
            self.owned(|effect| *effect == Effect::Allow)
        } else {
            vec![(self.universe.all, Vec::new())]
        };
        let refusing = self.owned(refuses);
        let refusing_cubes: Vec<CubeId> = refusing.iter().map(|(cube, _)| *cube).collect();
        let mut own = self.universe.cover(passing.iter().map(|(cube, _)| *cube).collect());
        let mut against = self.universe.cover(refusing_cubes.clone());
        let mut room = MOST_PAIRS;
        for (place, (cube, rules)) in passing.into_iter().enumerate() {
            let within = [&[cube], probe].concat();
            if self.universe.is_empty(&within, &mut own) == Ok(true) {
                continue;
            }
            let asks = self.universe.asked_beyond(probe, place, &mut own);
            let passes = |request: &Request| self.confirm.has_outcome(request, Outcome::Allowed);
            let passing = self.universe.find_beside(&within, &mut against, passes);
            let except = self.exceptions(&within, &refusing, &mut against, &mut room);
            allowed.boxes.push(AllowedBox {
                rules,
                asks: asks.unwrap_or_else(|_| self.universe.vocabulary.written(cube)),
                passing,
                except,
            });
        }
        allowed
    }

    fn exceptions(
        &self,
        within: &[CubeId],
        refusing: &[(CubeId, Vec<RuleId>)],
        against: &mut Cover<'_>,
        room: &mut usize,
    ) -> Result<Vec<Exception>, Limit> {
        let mut exceptions = Vec::new();
        for (place, (cube, rules)) in refusing.iter().enumerate() {
            *room = room.checked_sub(1).ok_or(Limit::Steps)?;
            if self.universe.is_empty(&[within, &[*cube]].concat(), against)? {
                continue;
            }
            let asks = self.universe.asked_beyond(within, place, against)?;
            exceptions.push(Exception { rules: rules.clone(), asks });
        }
        Ok(exceptions)
    }

    /// The boxes of the rules with such an effect, each once, with its rules.
    fn owned(&self, wanted: impl Fn(&Effect) -> bool) -> Vec<(CubeId, Vec<RuleId>)> {
        let point = self.point();
        let mut places: HashMap<CubeId, usize> = HashMap::new();
        let mut owned: Vec<(CubeId, Vec<RuleId>)> = Vec::new();
        for (rule, cubes) in point.rules.iter().zip(&point.cubes).filter(|(rule, _)| wanted(&rule.effect)) {
            for cube in cubes.iter().flatten() {
                let place = *places.entry(*cube).or_insert(owned.len());
                match owned.get_mut(place) {
                    Some((_, rules)) if rules.contains(&rule.id) => {}
                    Some((_, rules)) => rules.push(rule.id),
                    None => owned.push((*cube, vec![rule.id])),
                }
            }
        }
        owned
    }
}

impl Universe {
    /// Whether no request, of any kind, lies in all the boxes.
    fn is_empty(&self, cubes: &[CubeId], cover: &mut Cover<'_>) -> Result<bool, Limit> {
        for kind in 0..self.kinds.as_ref().map_err(|limit| *limit)?.len() {
            let mut takes_nothing = false;
            for column in self.target(cubes, kind, cover) {
                takes_nothing |= cover.prepared.takes_nothing(column)?;
            }
            if !takes_nothing {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What the box at the place in the cover asks beyond what every request of the given boxes has, variable by
    /// variable.
    fn asked_beyond(
        &self,
        given: &[CubeId],
        place: usize,
        cover: &mut Cover<'_>,
    ) -> Result<RequestBox, Limit> {
        let mut alive = Bits::none(cover.len());
        alive.insert(place);
        let given = self.joined(given);
        let mut asks = RequestBox::all();
        for id in self.vocabulary.cube(cover.prepared.index.cubes[place]) {
            let column = self.vocabulary.column(*id);
            let own = given.iter().find(|given| given.variable == column.variable);
            let own = own.cloned().unwrap_or_else(|| Column::free(column.variable));
            let own = cover.prepared.add(own);
            let values = cover.prepared.against(own, &alive)?;
            let accepted =
                |accepting: &Option<Rc<Bits>>| accepting.as_ref().is_none_or(|it| it.contains(place));
            if !values.iter().all(|(_, accepting)| accepted(accepting)) {
                asks.clauses.extend(self.vocabulary.clauses(column));
            }
        }
        Ok(asks)
    }
}
