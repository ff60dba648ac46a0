//! A union of boxes, indexed so that a value tells at once which of them still can hold.

use foldhash::{HashMap, HashMapExt};

use crate::bits::Bits;
use crate::kind::Shape;
use crate::value::{Number, Value};
use crate::vocabulary::{CubeId, TestId, VariableId, Vocabulary};

/// The boxes of a union by number.
#[derive(Debug)]
pub(crate) struct Index {
    pub cubes: Vec<CubeId>,
    /// All boxes alive.
    pub all: Bits,
    variables: HashMap<VariableId, Lists>,
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
    /// Boxes that refuse a test of it.
    refusing: Bits,
    /// Boxes that want one of this test's list, and have no other list.
    wanting: HashMap<TestId, Vec<u32>>,
    /// Boxes with several lists, which are asked one by one.
    several: Vec<u32>,
    /// Where ranges that are tested begin, and where the numbers behind them do; ordered.
    borders: Vec<Number>,
    /// Boxes that refuse the test.
    refused: HashMap<TestId, Vec<u32>>,
    memo: HashMap<Value, Bits>,
}

impl Index {
    pub fn new(cubes: Vec<CubeId>, vocabulary: &Vocabulary) -> Index {
        let mut variables: HashMap<VariableId, Lists> = HashMap::new();
        let bound = cubes.len();
        for (at, cube) in cubes.iter().enumerate() {
            let number = u32::try_from(at).unwrap_or(u32::MAX);
            for column in vocabulary.columns_of(*cube) {
                let lists = variables.entry(column.variable).or_insert_with(|| Lists::new(bound));
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
                    lists.refusing.insert(at);
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
        for lists in variables.values_mut() {
            lists.borders.sort_unstable();
            lists.borders.dedup();
        }
        Index { all: Bits::all(bound), cubes, variables, room: 64 << 20 }
    }

    /// The variables that the boxes look at.
    pub fn variables(&self) -> impl Iterator<Item = VariableId> + '_ {
        self.variables.keys().copied()
    }

    /// The boxes that ask nothing of the variable; nothing when none of them does.
    pub fn free(&self, variable: VariableId) -> Option<&Bits> {
        self.variables.get(&variable).map(|lists| &lists.free)
    }

    /// The tests that living boxes refuse.
    pub fn live_refused(&self, variable: VariableId, alive: &Bits, vocabulary: &Vocabulary) -> Vec<TestId> {
        let lists = self.variables.get(&variable).filter(|lists| lists.refusing.meets(alive));
        let Some(lists) = lists else { return Vec::new() };
        let mut tests: Vec<TestId> = alive
            .and(&lists.refusing)
            .iter()
            .flat_map(|at| vocabulary.columns_of(self.cubes[at]).filter(|column| column.variable == variable))
            .flat_map(|column| column.none_of.iter().copied())
            .collect();
        tests.sort_unstable();
        tests.dedup();
        tests
    }

    /// Whether a living box refuses a test of the variable.
    pub fn refuses(&self, variable: VariableId, alive: &Bits) -> bool {
        self.variables.get(&variable).is_some_and(|lists| lists.refusing.meets(alive))
    }

    /// How many living boxes refuse a test of the variable.
    pub fn refusing(&self, variable: VariableId, alive: &Bits) -> usize {
        let lists = self.variables.get(&variable);
        lists.map_or(0, |lists| lists.refusing.and(alive).len() as usize)
    }

    /// How many tests of the variable the boxes have.
    pub fn tests_of(&self, variable: VariableId) -> usize {
        let lists = self.variables.get(&variable);
        lists.map_or(0, |lists| lists.wanting.len() + lists.refused.len() + lists.several.len())
    }

    /// Whether a living box wants the test.
    pub fn wants(&self, variable: VariableId, test: TestId, alive: &Bits, vocabulary: &Vocabulary) -> bool {
        let Some(lists) = self.variables.get(&variable) else { return false };
        let contains = |at: &u32| alive.contains(*at as usize);
        lists.wanting.get(&test).is_some_and(|cubes| cubes.iter().any(contains))
            || lists.several.iter().filter(|at| contains(at)).any(|at| {
                let mut columns = vocabulary.columns_of(self.cubes[*at as usize]);
                columns.any(|column| column.any_of.iter().any(|list| list.contains(&test)))
            })
    }

    /// The borders of tested ranges behind `from` and up to `to`.
    pub fn borders(&self, variable: VariableId, from: Number, to: Number) -> &[Number] {
        let Some(lists) = self.variables.get(&variable) else { return &[] };
        let start = lists.borders.partition_point(|border| *border <= from);
        let end = lists.borders.partition_point(|border| *border <= to);
        &lists.borders[start..end.max(start)]
    }

    /// The boxes that living ones compare the variable with at all: their tests.
    pub fn live_tests(&self, variable: VariableId, alive: &Bits, vocabulary: &Vocabulary) -> Vec<TestId> {
        let Some(lists) = self.variables.get(&variable) else { return Vec::new() };
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
    ) -> Option<&Bits> {
        let lists = self.variables.get_mut(&variable)?;
        if !lists.memo.contains_key(value) {
            let found = lists.accepting(variable, value, vocabulary, &self.cubes);
            let size = self.cubes.len() / 8 + 64;
            if self.room < size {
                lists.memo.clear();
                self.room = 64 << 20;
            }
            self.room = self.room.saturating_sub(size);
            lists.memo.insert(value.clone(), found);
        }
        lists.memo.get(value)
    }
}

impl Lists {
    fn new(bound: usize) -> Lists {
        Lists {
            free: Bits::all(bound),
            unwanted: Bits::all(bound),
            refusing: Bits::none(bound),
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
