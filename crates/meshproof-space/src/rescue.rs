//! Which of the two engines answers. Searching comes first, since it needs no room; where it gives up and the boxes are
//! few, the sets are held instead, and what they say counts as much.

use std::sync::{Mutex, PoisonError};

use crate::bits::Bits;
use crate::comparison::Comparison;
use crate::cover::{Cover, Point};
use crate::held::{Diagram, Made};
use crate::limit::Limit;
use crate::nodes::NONE;
use crate::space::Outcome;
use crate::universe::Universe;
use crate::vocabulary::CubeId;

/// With more boxes than this, sets outgrow every budget.
const MOST_BOXES: usize = 200;

/// What was made for questions that the search gave up.
#[derive(Debug, Default)]
pub(crate) struct Rescue(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Untried,
    Made(Made),
    /// The sets cannot be held, so nothing is tried again.
    TooLarge,
}

impl Universe {
    /// What a search that hit the limit could not tell: a request of all the boxes that none of the living boxes of the
    /// cover holds. The boxes that hold some of the target are left in `touched`.
    ///
    /// # Errors
    /// The limit, when the sets cannot be held either.
    pub(crate) fn rescued(
        &self,
        cubes: &[CubeId],
        cover: &mut Cover<'_>,
        alive: &Bits,
        limit: Limit,
    ) -> Result<Option<Point>, Limit> {
        let places: Vec<usize> = alive.iter().collect();
        let can_help = matches!(limit, Limit::Steps | Limit::Values | Limit::Patterns);
        if !can_help || places.len() + cubes.len() > MOST_BOXES {
            return Err(limit);
        }
        let boxes: Vec<CubeId> = places.iter().map(|place| cover.prepared.index.cubes[*place]).collect();
        let mut state = self.rescue.0.lock().unwrap_or_else(PoisonError::into_inner);
        let made = match std::mem::take(&mut *state) {
            State::Untried => Diagram::new(self).ok(),
            State::Made(made) => Some(Diagram::with(self, made)),
            State::TooLarge => None,
        };
        *state = State::TooLarge;
        let mut diagram = made.ok_or(limit)?;
        let (point, touched) = outside(&mut diagram, cubes, &boxes).map_err(|_| limit)?;
        *state = State::Made(diagram.into_made());
        cover.touched = touched.into_iter().map(|at| places[at]).collect();
        Ok(point)
    }
}

/// Boxes that fit into a diagram for certain.
const FEW_BOXES: usize = 64;

impl Comparison<'_> {
    /// Whether the same requests pass on both sides: by the sets themselves where the boxes are few, else by a search for a
    /// request each way.
    ///
    /// # Errors
    /// The sides read requests differently, a rule has too many alternatives, or neither engine knows.
    pub fn is_same(&self) -> Result<bool, Limit> {
        let points = self.universe.iter().flat_map(|universe| &universe.points);
        let boxes: usize = points.flat_map(|point| point.cubes.iter().flatten()).map(Vec::len).sum();
        if boxes <= FEW_BOXES
            && let Ok(same) = self.is_held_same()
        {
            return Ok(same);
        }
        Ok(self.gained()?.is_none() && self.lost()?.is_none())
    }

    fn is_held_same(&self) -> Result<bool, Limit> {
        let mut diagram = self.diagram()?;
        let old = diagram.of_outcome_at(0, Outcome::Allowed)?;
        Ok(old == diagram.of_outcome_at(1, Outcome::Allowed)?)
    }
}

/// A point of all the boxes and of none of the others, and the others that hold some point of them all.
fn outside(
    diagram: &mut Diagram<'_>,
    cubes: &[CubeId],
    others: &[CubeId],
) -> Result<(Option<Point>, Vec<usize>), Limit> {
    let mut target = diagram.everything().0;
    for cube in cubes {
        let own = diagram.cubes(&[*cube])?;
        target = diagram.nodes.both(target, own)?;
    }
    let (mut held, mut touched) = (Vec::new(), Vec::new());
    for (at, other) in others.iter().enumerate() {
        let own = diagram.cubes(&[*other])?;
        let own = diagram.nodes.both(own, target)?;
        if own != NONE {
            held.push(own);
            touched.push(at);
        }
    }
    let held = diagram.nodes.any(held)?;
    let left = diagram.nodes.without(target, held)?;
    let point = if left == NONE { None } else { Some(diagram.point(left)?) };
    Ok((point, touched))
}

#[cfg(test)]
mod tests {
    use biodivine_lib_bdd::BddVariableSet;
    use fastrand::Rng;
    use meshproof_authz::{Context, Engine};
    use meshproof_grammar::pattern::Pattern;

    use super::*;
    use crate::boxes::{Clause, RequestBox};
    use crate::domain::Domain;
    use crate::test::Test;
    use crate::variable::Variable;

    const HEADERS: u16 = 24;

    /// Boxes that each ask whether three of the headers are there with a value or not, so that little follows from any
    /// of them alone; and whether they hold every request, by the diagrams of others.
    fn entangled(boxes: usize, seed: u64) -> (Vec<RequestBox>, bool) {
        let mut rng = Rng::with_seed(seed);
        let set = BddVariableSet::new_anonymous(HEADERS);
        let variables = set.variables();
        let mut any = set.mk_false();
        let mut made = Vec::new();
        for _ in 0..boxes {
            let mut all = set.mk_true();
            let mut clauses = Vec::new();
            for at in rng.choose_multiple(0..usize::from(HEADERS), 3) {
                let (variable, is_wanted) = (Variable::Header(format!("h{at}")), rng.bool());
                let tests = vec![Test::Header(Pattern::Exact("1".to_owned()))];
                clauses.push(if is_wanted {
                    Clause::any(variable, tests)
                } else {
                    Clause::none(variable, tests)
                });
                all = all.and(&set.mk_literal(variables[at], is_wanted));
            }
            any = any.or(&all);
            made.push(RequestBox::of(clauses));
        }
        (made, any.is_true())
    }

    #[test]
    fn where_searching_gives_up_holding_answers() {
        let (probes, is_covered) = entangled(120, 4);
        let context = Context::new(Engine::EnvoyHttp);
        let universe = Universe::new(Vec::new(), &context, &Domain::default(), &probes);
        let mut cover = universe.cover(universe.probes.clone());
        let alive = Bits::all(cover.len());
        let target = universe.target(&[universe.all], 0, &mut cover);
        let searched = cover.escape(&target, alive.clone());
        assert_eq!(searched, Err(Limit::Steps));
        let found = universe.escape(&[universe.all], &mut cover, &alive);
        assert_eq!(found.map(|found| found.is_none()), Ok(is_covered));
    }
}
