//! Cover search: is a box inside of a union of boxes, and if not, which request escapes?
//!
//! Variable by variable a value is chosen that the target takes; the boxes that accept it stay alive. When no box is
//! left, the values are a request that escapes. When a living box asks nothing of the variables that remain, the branch
//! is covered.

use std::rc::Rc;

use foldhash::{HashMap, HashSet, HashSetExt};

use crate::bits::Bits;
use crate::dodge::Dodges;
use crate::index::Index;
use crate::limit::Limit;
use crate::prepared::{Choices, Prepared, PreparedId};
use crate::value::Value;
use crate::vocabulary::{Column, VariableId, Vocabulary};

/// A request as values, the rest of it at will.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Point {
    chosen: HashMap<VariableId, Value>,
    /// Values of further variables, which many points share. What was chosen comes first.
    shared: Shared,
}

impl Point {
    /// The values, in no order.
    pub fn values(&self) -> impl Iterator<Item = (VariableId, &Value)> {
        let shared = self.shared.iter().filter(|(variable, _)| !self.chosen.contains_key(variable));
        let chosen = self.chosen.iter().map(|(variable, value)| (*variable, value));
        chosen.chain(shared.map(|(variable, value)| (*variable, value)))
    }
}

impl FromIterator<(VariableId, Value)> for Point {
    fn from_iter<I: IntoIterator<Item = (VariableId, Value)>>(values: I) -> Point {
        Point { chosen: values.into_iter().collect(), ..Point::default() }
    }
}

/// Steps that one question may take; ordinary ones take as many as there are variables.
const MOST_STEPS: usize = 20_000;
/// How deep choices may stand in each other.
const MOST_DEPTH: usize = 200;
/// With more variables than this, those that a target asks nothing of are chosen all at once.
const FEW_VARIABLES: usize = 12;

/// Answers questions about one union of boxes.
pub(crate) struct Cover<'a> {
    pub prepared: Prepared<'a>,
    /// Boxes that covered the last target, each needed for some branch.
    pub touched: Vec<usize>,
    /// What all questions so far took.
    #[cfg(test)]
    pub steps: usize,
    vocabulary: &'a Vocabulary,
    /// What is chosen at once where there are many variables, worked out with the first question.
    dodges: Option<Dodges>,
}

impl<'a> Cover<'a> {
    pub fn new(index: Index, vocabulary: &'a Vocabulary) -> Cover<'a> {
        let prepared = Prepared::new(index, vocabulary);
        Cover {
            prepared,
            touched: Vec::new(),
            #[cfg(test)]
            steps: 0,
            vocabulary,
            dodges: None,
        }
    }

    /// How many boxes there are.
    pub fn len(&self) -> usize {
        self.prepared.index.cubes.len()
    }

    /// A request of the target that none of the living boxes holds; nothing when they cover it. The boxes that covered
    /// it are left in `touched`. The target is one prepared column per variable.
    ///
    /// # Errors
    /// A limit was hit.
    pub fn escape(&mut self, target: &[PreparedId], alive: Bits) -> Result<Option<Point>, Limit> {
        self.touched.clear();
        for column in target {
            if self.prepared.takes_nothing(*column)? {
                return Ok(None);
            }
        }
        // What is asked of each variable: by the target, else nothing.
        let (mut todo, alive, shared) = self.beside(target, alive)?;
        for column in target {
            let variable = self.prepared.column(*column).variable;
            match todo.binary_search_by_key(&variable, |known| known.0) {
                Ok(at) => todo[at].1 = *column,
                Err(at) => todo.insert(at, (variable, *column)),
            }
        }
        let mut search = Search { cover: self, steps: 0, dead: HashSet::new(), chosen: Vec::new() };
        let escaped = search.go(todo, alive, 0)?;
        #[cfg(test)]
        {
            search.cover.steps += search.steps;
        }
        Ok(escaped.then(|| Point { shared, ..search.chosen.into_iter().collect() }))
    }

    /// The variables to choose that the target need not ask about, and the boxes that those chosen already leave alive.
    fn beside(&mut self, target: &[PreparedId], alive: Bits) -> Result<(Todo, Bits, Shared), Limit> {
        if self.prepared.free.len() <= FEW_VARIABLES {
            return Ok((self.prepared.free.clone(), alive, Shared::default()));
        }
        let dodges = match self.dodges.take() {
            Some(known) => known,
            None => Dodges::new(&mut self.prepared, self.vocabulary)?,
        };
        let own = target.iter().map(|column| self.prepared.column(*column).variable);
        let left = dodges.left(own, &alive, self.len());
        let beside = (dodges.others.clone(), left, Rc::clone(&dodges.values));
        self.dodges = Some(dodges);
        Ok(beside)
    }

    /// The boxes that hold one request of the target; nothing when the target has none.
    ///
    /// # Errors
    /// A limit was hit.
    pub fn holding(&mut self, target: &[PreparedId]) -> Result<Option<Bits>, Limit> {
        let mut holding = Bits::all(self.len());
        let own: Vec<VariableId> =
            target.iter().map(|column| self.prepared.column(*column).variable).collect();
        let free: Vec<PreparedId> =
            self.prepared.free.iter().filter(|(at, _)| !own.contains(at)).map(|(_, id)| *id).collect();
        for column in target.iter().chain(&free) {
            let Some((_, accepting)) = self.prepared.some(*column)? else { return Ok(None) };
            if let Some(accepting) = accepting {
                holding.keep(&accepting);
            }
        }
        Ok(Some(holding))
    }
}

struct Search<'s, 'a> {
    cover: &'s mut Cover<'a>,
    steps: usize,
    /// Situations that are known to be covered.
    dead: HashSet<(Vec<(VariableId, PreparedId)>, Bits)>,
    /// The values on the way to here.
    chosen: Vec<(VariableId, Value)>,
}

/// A value with the boxes that it leaves alive.
type Choice = (Value, Bits);
/// What can be chosen for a variable.
enum Step {
    /// One value is enough to try.
    Only(Value),
    /// Several, or none at all.
    Choices(Vec<Choice>),
}
/// The variables that are left, with what the target asks of them.
type Todo = Vec<(VariableId, PreparedId)>;
/// Values that points share.
type Shared = Rc<[(VariableId, Value)]>;

impl Search<'_, '_> {
    fn go(&mut self, mut todo: Todo, mut alive: Bits, depth: usize) -> Result<bool, Limit> {
        let start = self.chosen.len();
        loop {
            if alive.is_empty() {
                return self.at_will(&todo, &alive, start);
            }
            if self.is_covered(&todo, &alive) {
                self.chosen.truncate(start);
                return Ok(false);
            }
            let Some(at) = self.next(&todo, &alive)? else { return Ok(true) };
            let (variable, column) = todo.swap_remove(at);
            let choices = match self.choices(variable, column, &mut alive)? {
                Step::Only(value) => {
                    self.chosen.push((variable, value));
                    continue;
                }
                Step::Choices(choices) => choices,
            };
            todo.sort_unstable();
            if choices.is_empty() || self.dead.contains(&(todo.clone(), alive.clone())) {
                self.chosen.truncate(start);
                return Ok(false);
            }
            if depth >= MOST_DEPTH {
                return Err(Limit::Steps);
            }
            let here = self.chosen.len();
            for (value, left) in choices {
                self.chosen.push((variable, value));
                if self.go(todo.clone(), left, depth + 1)? {
                    return Ok(true);
                }
                self.chosen.truncate(here);
            }
            self.dead.insert((todo, alive));
            self.chosen.truncate(start);
            return Ok(false);
        }
    }

    /// No box is left, so any values do. `start` is where the values of this branch begin.
    fn at_will(&mut self, todo: &Todo, nothing: &Bits, start: usize) -> Result<bool, Limit> {
        for (variable, column) in todo {
            match self.cover.prepared.against(*column, nothing)?.first() {
                Some((value, _)) => self.chosen.push((*variable, value.clone())),
                None => {
                    self.chosen.truncate(start);
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Whether a living box asks nothing more.
    fn is_covered(&mut self, todo: &Todo, alive: &Bits) -> bool {
        let cover = &mut *self.cover;
        let free = cover.prepared.index.free_of_all(todo.iter().map(|(variable, _)| *variable));
        if !free.meets(alive) {
            return false;
        }
        if !cover.touched.iter().any(|at| alive.contains(*at) && free.contains(*at)) {
            cover.touched.extend(alive.first_shared(&free));
        }
        true
    }

    /// The place in `todo` of the variable to choose next: one without refused tests and with a single value goes first.
    /// Nothing when no variable is left.
    fn next(&mut self, todo: &Todo, alive: &Bits) -> Result<Option<usize>, Limit> {
        let mut best: Option<(usize, usize)> = None;
        for (at, (variable, column)) in todo.iter().enumerate() {
            let prepared = &mut self.cover.prepared;
            let refuses = prepared.index.refuses(*variable, alive);
            let own = prepared.width(*column)?;
            // One value, whatever is alive: nothing can be better.
            let cost = match refuses {
                false => own,
                true => own.saturating_mul(2 + prepared.index.refusing(*variable, alive)),
            };
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, at));
            }
            if cost <= 1 {
                break;
            }
        }
        let Some((_, at)) = best else { return Ok(None) };
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err(Limit::Steps);
        }
        Ok(Some(at))
    }

    /// The values to choose from, the most promising first. Where there is no choice, `alive` is what the value leaves.
    fn choices(&mut self, variable: VariableId, column: PreparedId, alive: &mut Bits) -> Result<Step, Limit> {
        let prepared = &mut self.cover.prepared;
        let candidates: Rc<Choices> = prepared.against(column, alive)?;
        if let [(value, accepting)] = candidates.as_slice() {
            if let Some(accepting) = accepting {
                alive.keep(accepting);
            }
            return Ok(Step::Only(value.clone()));
        }
        let floor = prepared.index.free(variable).map(|free| alive.and(free));
        let mut choices: Vec<Choice> = Vec::with_capacity(candidates.len());
        for (value, accepting) in candidates.iter() {
            let left = match accepting {
                Some(accepting) => alive.and(accepting),
                None => alive.clone(),
            };
            // Boxes that ask nothing of the variable stay whatever the value.
            if floor.as_ref().is_none_or(|floor| left == *floor) {
                *alive = left;
                return Ok(Step::Only(value.clone()));
            }
            choices.push((value.clone(), left));
        }
        let mut choices = minimal(choices);
        if choices.len() == 1
            && let Some((value, left)) = choices.pop()
        {
            *alive = left;
            return Ok(Step::Only(value));
        }
        Ok(Step::Choices(choices))
    }
}

/// Choices that no other one beats, those with the fewest boxes first.
fn minimal(mut choices: Vec<Choice>) -> Vec<Choice> {
    if choices.len() > 1 {
        choices.sort_by_cached_key(|(_, left)| left.len());
    }
    let mut kept: Vec<Choice> = Vec::new();
    for (value, left) in choices {
        if !kept.iter().any(|(_, smaller)| smaller.is_subset(&left)) {
            kept.push((value, left));
        }
    }
    kept
}

impl Column {
    /// What both ask, variable by variable.
    pub fn merged(own: &[Column], other: &[Column]) -> Vec<Column> {
        let mut columns = own.to_vec();
        for more in other {
            match columns.iter_mut().find(|column| column.variable == more.variable) {
                Some(column) => *column = column.and(more),
                None => columns.push(more.clone()),
            }
        }
        columns
    }
}
