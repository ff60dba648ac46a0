//! A union of boxes, indexed so that a value tells at once which of them still can hold.

use std::borrow::Cow;
use std::rc::Rc;

use foldhash::{HashMap, HashMapExt};

use crate::bits::Bits;
use crate::kind::Shape;
use crate::value::{Number, Value};
use crate::vocabulary::{CubeId, TestId, VariableId, Vocabulary};

/// Of so few boxes it is found as fast as it would be remembered which of them accept a value.
const FEW: usize = 64;
/// Bytes that remembered answers may take.
const ROOM: usize = 64 << 20;

/// The boxes of a union by number.
#[derive(Debug)]
pub(crate) struct Index {
    pub cubes: Vec<CubeId>,
    /// All boxes alive.
    pub all: Bits,
    /// By the place of the variable; nothing of those that no box looks at.
    variables: Vec<Option<Box<Lists>>>,
    /// Boxes that ask nothing of several variables, by those variables.
    free_of: HashMap<u64, Bits>,
    /// Bytes that remembered answers may take.
    room: usize,
}

/// What the boxes ask of one variable.
#[derive(Debug)]
struct Lists {
    /// Boxes that ask nothing of it.
    free: Bits,
    /// Boxes without a wanted test of it.
    unwanted: Bits,
    /// Boxes that refuse a test of it; nothing when none does.
    refusing: Option<Bits>,
    /// Boxes that want one of this test's list, and have no other list.
    wanting: HashMap<TestId, Vec<u32>>,
    /// Boxes with several lists, which are asked one by one.
    several: Vec<u32>,
    /// Where ranges that are tested begin, and where the numbers behind them do; ordered.
    borders: Vec<Number>,
    /// Boxes that refuse the test.
    refused: HashMap<TestId, Vec<u32>>,
    memo: HashMap<Value, Rc<Bits>>,
}

impl Index {
    pub fn new(cubes: Vec<CubeId>, vocabulary: &Vocabulary) -> Index {
        let bound = cubes.len();
        let mut variables: Vec<Option<Box<Lists>>> = Vec::new();
        variables.resize_with(vocabulary.variables.len(), || None);
        for (at, cube) in cubes.iter().enumerate() {
            let number = u32::try_from(at).unwrap_or(u32::MAX);
            for column in vocabulary.columns_of(*cube) {
                let lists = variables[column.variable].get_or_insert_with(|| Box::new(Lists::new(bound)));
                lists.free.remove(at);
                match column.any_of.as_slice() {
                    [] => {}
                    [tests] => {
                        lists.unwanted.remove(at);
                        tests.iter().for_each(|test| lists.wanting.entry(*test).or_default().push(number));
                    }
                    _ => {
                        lists.unwanted.remove(at);
                        lists.several.push(number);
                    }
                }
                if !column.none_of.is_empty() {
                    lists.refusing.get_or_insert_with(|| Bits::none(bound)).insert(at);
                }
                for test in column.any_of.iter().flatten().chain(&column.none_of) {
                    if let Shape::Range(from, to) = vocabulary.shape(*test) {
                        lists.borders.extend([Some(*from), to.next()].into_iter().flatten());
                    }
                }
                let refused = &mut lists.refused;
                column.none_of.iter().for_each(|test| refused.entry(*test).or_default().push(number));
            }
        }
        for lists in variables.iter_mut().flatten() {
            lists.borders.sort_unstable();
            lists.borders.dedup();
        }
        Index { all: Bits::all(bound), cubes, variables, free_of: HashMap::new(), room: ROOM }
    }

    /// The variables that the boxes look at, ordered.
    pub fn variables(&self) -> impl Iterator<Item = VariableId> + '_ {
        self.variables.iter().enumerate().filter(|(_, lists)| lists.is_some()).map(|(at, _)| at)
    }

    fn lists(&self, variable: VariableId) -> Option<&Lists> {
        self.variables.get(variable)?.as_deref()
    }

    /// The boxes that ask nothing of the variable; nothing when none of them does.
    pub fn free(&self, variable: VariableId) -> Option<&Bits> {
        self.lists(variable).map(|lists| &lists.free)
    }

    /// The tests that living boxes refuse.
    pub fn live_refused(&self, variable: VariableId, alive: &Bits, vocabulary: &Vocabulary) -> Vec<TestId> {
        let refusing = self.refusing_boxes(variable).filter(|refusing| refusing.meets(alive));
        let Some(refusing) = refusing else { return Vec::new() };
        let mut tests: Vec<TestId> = alive
            .and(refusing)
            .iter()
            .flat_map(|at| vocabulary.columns_of(self.cubes[at]).filter(|column| column.variable == variable))
            .flat_map(|column| column.none_of.iter().copied())
            .collect();
        tests.sort_unstable();
        tests.dedup();
        tests
    }

    fn refusing_boxes(&self, variable: VariableId) -> Option<&Bits> {
        self.lists(variable)?.refusing.as_ref()
    }

    /// Whether a living box refuses a test of the variable.
    pub fn refuses(&self, variable: VariableId, alive: &Bits) -> bool {
        self.refusing_boxes(variable).is_some_and(|refusing| refusing.meets(alive))
    }

    /// How many living boxes refuse a test of the variable.
    pub fn refusing(&self, variable: VariableId, alive: &Bits) -> usize {
        self.refusing_boxes(variable).map_or(0, |refusing| refusing.shared(alive))
    }

    /// The boxes that ask nothing of any of the variables.
    pub fn free_of_all(&mut self, variables: impl Iterator<Item = VariableId> + Clone) -> Cow<'_, Bits> {
        let key = variables
            .clone()
            .try_fold(0u64, |key, at| Some(key | 1u64.checked_shl(u32::try_from(at).ok()?)?));
        let free = |index: &Index| {
            let mut free = index.all.clone();
            variables.filter_map(|variable| index.free(variable)).for_each(|of_one| free.keep(of_one));
            free
        };
        let Some(key) = key else { return Cow::Owned(free(self)) };
        if !self.free_of.contains_key(&key) {
            let found = free(self);
            self.make_room(found_size(self.cubes.len()));
            self.free_of.insert(key, found);
        }
        self.free_of.get(&key).map_or_else(|| Cow::Owned(self.all.clone()), Cow::Borrowed)
    }

    /// Forgets what is remembered when that takes too many bytes.
    fn make_room(&mut self, size: usize) {
        if self.room < size {
            self.variables.iter_mut().flatten().for_each(|lists| lists.memo.clear());
            self.free_of.clear();
            self.room = ROOM;
        }
        self.room = self.room.saturating_sub(size);
    }

    /// How many tests of the variable the boxes have.
    pub fn tests_of(&self, variable: VariableId) -> usize {
        let lists = self.lists(variable);
        lists.map_or(0, |lists| lists.wanting.len() + lists.refused.len() + lists.several.len())
    }

    /// Whether a living box wants the test.
    pub fn wants(&self, variable: VariableId, test: TestId, alive: &Bits, vocabulary: &Vocabulary) -> bool {
        let Some(lists) = self.lists(variable) else { return false };
        let contains = |at: &u32| alive.contains(*at as usize);
        lists.wanting.get(&test).is_some_and(|cubes| cubes.iter().any(contains))
            || lists.several.iter().filter(|at| contains(at)).any(|at| {
                let mut columns = vocabulary.columns_of(self.cubes[*at as usize]);
                columns.any(|column| column.any_of.iter().any(|list| list.contains(&test)))
            })
    }

    /// The borders of tested ranges behind `from` and up to `to`.
    pub fn borders(&self, variable: VariableId, from: Number, to: Number) -> &[Number] {
        let Some(lists) = self.lists(variable) else { return &[] };
        let start = lists.borders.partition_point(|border| *border <= from);
        let end = lists.borders.partition_point(|border| *border <= to);
        &lists.borders[start..end.max(start)]
    }

    /// The boxes that living ones compare the variable with at all: their tests.
    pub fn live_tests(&self, variable: VariableId, alive: &Bits, vocabulary: &Vocabulary) -> Vec<TestId> {
        let Some(lists) = self.lists(variable) else { return Vec::new() };
        let mut tests: Vec<TestId> = alive
            .without(&lists.free)
            .iter()
            .flat_map(|at| vocabulary.columns_of(self.cubes[at]).filter(|column| column.variable == variable))
            .flat_map(|column| column.any_of.iter().flatten().chain(&column.none_of).copied())
            .collect();
        tests.sort_unstable();
        tests.dedup();
        tests
    }

    /// The boxes that hold as far as the variable goes, if it has the value. Nothing when no box looks at it.
    pub fn accepting(
        &mut self,
        variable: VariableId,
        value: &Value,
        vocabulary: &Vocabulary,
    ) -> Option<Rc<Bits>> {
        let lists = self.lists(variable)?;
        if self.cubes.len() <= FEW {
            return Some(Rc::new(lists.accepting(variable, value, vocabulary, &self.cubes)));
        }
        if let Some(known) = lists.memo.get(value) {
            return Some(Rc::clone(known));
        }
        let found = Rc::new(lists.accepting(variable, value, vocabulary, &self.cubes));
        self.make_room(found_size(self.cubes.len()));
        let lists = self.variables.get_mut(variable)?.as_mut()?;
        lists.memo.insert(value.clone(), Rc::clone(&found));
        Some(found)
    }
}

/// Bytes that a remembered set of so many boxes takes, about.
fn found_size(boxes: usize) -> usize {
    boxes / 8 + 64
}

impl Lists {
    fn new(bound: usize) -> Lists {
        Lists {
            free: Bits::all(bound),
            unwanted: Bits::all(bound),
            refusing: None,
            wanting: HashMap::new(),
            several: Vec::new(),
            borders: Vec::new(),
            refused: HashMap::new(),
            memo: HashMap::new(),
        }
    }

    fn accepting(
        &self,
        variable: VariableId,
        value: &Value,
        vocabulary: &Vocabulary,
        cubes: &[CubeId],
    ) -> Bits {
        let mut found = self.unwanted.clone();
        let passed = vocabulary.passed(variable, value);
        for at in passed.iter().filter_map(|test| self.wanting.get(test)).flatten() {
            found.insert(*at as usize);
        }
        for at in &self.several {
            let mut columns =
                vocabulary.columns_of(cubes[*at as usize]).filter(|column| column.variable == variable);
            let all = columns.all(|column| {
                let has = |test: &TestId| passed.binary_search(test).is_ok();
                column.any_of.iter().all(|list| list.iter().any(has))
            });
            if all {
                found.insert(*at as usize);
            }
        }
        for at in passed.iter().filter_map(|test| self.refused.get(test)).flatten() {
            found.remove(*at as usize);
        }
        found
    }
}
