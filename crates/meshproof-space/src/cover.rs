//! Cover search: is a box inside of a union of boxes, and if not, which request escapes?
//!
//! Variable by variable a value is chosen that the target takes; the boxes that accept it stay alive. When no box is
//! left, the values are a request that escapes. When a living box asks nothing of the variables that remain, the branch
//! is covered.

use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};

use crate::bits::Bits;
use crate::index::Index;
use crate::limit::Limit;
use crate::value::Value;
use crate::values::{Against, Values};
use crate::vocabulary::{Column, VariableId, Vocabulary};

/// A request as values, the rest of it at will.
pub(crate) type Point = HashMap<VariableId, Value>;

/// Steps that one question may take; ordinary ones take as many as there are variables.
const MOST_STEPS: usize = 20_000;
/// How deep choices may stand in each other.
const MOST_DEPTH: usize = 200;

/// Answers questions about one union of boxes.
pub(crate) struct Cover<'a> {
    vocabulary: &'a Vocabulary,
    index: Index,
    values: Values,
    /// Boxes that covered the last target, each needed for some branch.
    pub touched: Vec<usize>,
}

impl<'a> Cover<'a> {
    pub fn new(index: Index, vocabulary: &'a Vocabulary) -> Cover<'a> {
        Cover { vocabulary, index, values: Values::new(), touched: Vec::new() }
    }

    /// A request of the target that none of the living boxes holds; nothing when they cover it. The boxes that covered
    /// it are left in `touched`.
    ///
    /// # Errors
    /// A limit was hit.
    pub fn escape(&mut self, target: &[Column], alive: Bits) -> Result<Option<Point>, Limit> {
        self.touched.clear();
        if self.is_empty(target)? {
            return Ok(None);
        }
        let mut columns: HashMap<VariableId, &Column> = HashMap::new();
        columns.extend(target.iter().map(|column| (column.variable, column)));
        let mut todo: Vec<VariableId> = columns.keys().copied().collect();
        todo.extend(self.index.variables().filter(|variable| !columns.contains_key(variable)));
        todo.sort_unstable();
        let mut search = Search { cover: self, columns, steps: 0, dead: HashSet::new(), chosen: Vec::new() };
        let escaped = search.go(todo, alive, 0)?;
        Ok(escaped.then(|| search.chosen.into_iter().collect()))
    }

    /// Whether no request is in the target.
    fn is_empty(&mut self, target: &[Column]) -> Result<bool, Limit> {
        let nothing = Bits::none(self.index.cubes.len());
        for column in target {
            let against = Against { vocabulary: self.vocabulary, index: &self.index, alive: &nothing };
            if self.values.of(column, against)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

struct Search<'s, 'a> {
    cover: &'s mut Cover<'a>,
    columns: HashMap<VariableId, &'s Column>,
    steps: usize,
    /// Situations that are known to be covered.
    dead: HashSet<(Vec<VariableId>, Bits)>,
    /// The values on the way to here.
    chosen: Vec<(VariableId, Value)>,
}

/// A value with the boxes that it leaves alive.
type Choice = (Value, Bits);

impl Search<'_, '_> {
    fn go(&mut self, mut todo: Vec<VariableId>, mut alive: Bits, depth: usize) -> Result<bool, Limit> {
        let start = self.chosen.len();
        loop {
            if self.is_covered(&todo, &alive) {
                self.chosen.truncate(start);
                return Ok(false);
            }
            let Some((at, mut choices)) = self.next(&todo, &alive)? else { return Ok(true) };
            let variable = todo.swap_remove(at);
            if choices.len() == 1
                && let Some((value, left)) = choices.pop()
            {
                self.chosen.push((variable, value));
                alive = left;
                continue;
            }
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

    /// Whether a living box asks nothing more.
    fn is_covered(&mut self, todo: &[VariableId], alive: &Bits) -> bool {
        let mut free = alive.clone();
        for variable in todo {
            if let Some(of_variable) = self.cover.index.free(*variable) {
                free.keep(of_variable);
            }
        }
        let Some(first) = free.iter().next() else { return false };
        if !self.cover.touched.iter().any(|at| free.contains(*at)) {
            self.cover.touched.push(first);
        }
        true
    }

    /// The variable to choose next, with its choices, the most promising first: one without refused tests has a single
    /// choice and goes first. Nothing when no variable is left.
    fn next(&mut self, todo: &[VariableId], alive: &Bits) -> Result<Option<(usize, Vec<Choice>)>, Limit> {
        let index = &self.cover.index;
        let cost = |variable: &VariableId| {
            let column = self.columns.get(variable);
            let own: usize = column.map_or(1, |column| column.any_of.iter().map(Vec::len).product());
            let refused = if index.refuses(*variable, alive) {
                1 + index.live_refused(*variable, alive, self.cover.vocabulary).len()
            } else {
                1
            };
            own.saturating_mul(refused).saturating_add(column_weight(self.cover.vocabulary, *variable))
        };
        let Some((at, variable)) = todo.iter().enumerate().min_by_key(|(_, variable)| cost(variable)) else {
            return Ok(None);
        };
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err(Limit::Steps);
        }
        Ok(Some((at, self.choices(*variable, alive)?)))
    }

    fn choices(&mut self, variable: VariableId, alive: &Bits) -> Result<Vec<Choice>, Limit> {
        let free = Column::free(variable);
        let column = self.columns.get(&variable).copied().unwrap_or(&free);
        let vocabulary = self.cover.vocabulary;
        let against = Against { vocabulary, index: &self.cover.index, alive };
        let values = self.cover.values.of(column, against)?;
        let floor = self.cover.index.free(variable).map(|free| alive.and(free));
        let mut choices: Vec<Choice> = Vec::new();
        for value in values {
            let left = match self.cover.index.accepting(variable, &value, vocabulary) {
                Some(accepting) => alive.and(accepting),
                None => alive.clone(),
            };
            // Boxes that ask nothing of the variable stay whatever the value.
            if floor.as_ref().is_none_or(|floor| left == *floor) {
                return Ok(vec![(value, left)]);
            }
            choices.push((value, left));
        }
        Ok(minimal(choices))
    }
}

/// Numbers have a choice for every border, so they come late.
fn column_weight(vocabulary: &Vocabulary, variable: VariableId) -> usize {
    match vocabulary.kinds[variable] {
        crate::kind::Kind::Numbers(_) | crate::kind::Kind::Words(_) => 2,
        _ => 0,
    }
}

/// Choices that no other one beats, those with the fewest boxes first.
fn minimal(mut choices: Vec<Choice>) -> Vec<Choice> {
    choices.sort_by_key(|(_, left)| left.len());
    let mut kept: Vec<Choice> = Vec::new();
    for (value, left) in choices {
        if !kept.iter().any(|(_, smaller)| smaller.is_subset(&left)) {
            kept.push((value, left));
        }
    }
    kept
}
