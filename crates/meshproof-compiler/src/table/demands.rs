//! What all rows ask of one attribute.

use std::borrow::Cow;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use foldhash::{HashMap, HashMapExt};
use meshproof_engine::Engine;
use meshproof_space::{Test, Variable};

use super::demand::Demand;
use super::lists::RowLists;
use super::row::Rows;
use super::test::{Placement, normal, placement};

/// What rows ask of an attribute: tests with the rows that want and that refuse them.
pub(super) struct Demands<'b> {
    pub variable: &'b Variable,
    pub number: usize,
    /// In the order in which they were met, each with its number in the lists.
    pub tests: Vec<(Cow<'b, Test>, usize)>,
    /// The rows that want, and that refuse them.
    pub lists: [RowLists; 2],
    ids: TestIds,
    /// The numbers of the tests of each demand that was met.
    met: Vec<usize>,
    /// Rows that want something, and that refuse something.
    pub wanting: Vec<u32>,
    pub refusing: Vec<u32>,
}

/// Collects what all rows ask, attribute by attribute, of those that are wished for.
pub(super) fn collect<'b>(rows: &'b Rows<'_>, wishes: impl Fn(&Demand<'_>) -> bool) -> Vec<Demands<'b>> {
    let mut places: Vec<Option<usize>> = vec![None; rows.dimensions.len()];
    let mut tests = vec![0; rows.dimensions.len()];
    for demand in &rows.demands {
        tests[demand.dimension] += demand.any_of.len() + demand.none_of.len();
    }
    // By demand, where the numbers of its tests stand.
    let mut met: Vec<Option<usize>> = vec![None; rows.demands.len()];
    let mut all: Vec<Demands<'b>> = Vec::new();
    for (row, content) in rows.rows.iter().enumerate() {
        let asked = content.iter().flat_map(|row| rows.asked_of(row)).map(|place| *place as usize);
        for (place, demand) in asked.map(|place| (place, &rows.demands[place])) {
            if !wishes(demand) {
                continue;
            }
            let at = *places[demand.dimension].get_or_insert_with(|| {
                all.push(Demands::new(demand.variable, demand.number, tests[demand.dimension]));
                all.len() - 1
            });
            all[at].add(row as u32, demand, &mut met[place]);
        }
    }
    for demands in &mut all {
        let tests = demands.tests.len();
        demands.lists.iter_mut().for_each(|lists| lists.group(tests));
    }
    all.sort_by(|a, b| (a.variable, a.number).cmp(&(b.variable, b.number)));
    all
}

impl<'b> Demands<'b> {
    /// `tests`: how many there are at most.
    fn new(variable: &'b Variable, number: usize, tests: usize) -> Demands<'b> {
        let (tests, ids) = (Vec::new(), TestIds::new(tests));
        let (wanting, refusing) = (Vec::new(), Vec::new());
        Demands {
            variable,
            number,
            tests,
            lists: Default::default(),
            ids,
            met: Vec::new(),
            wanting,
            refusing,
        }
    }

    /// A row makes a demand. `met` is where the numbers of its tests stand, from the first time on.
    fn add(&mut self, row: u32, demand: &'b Demand<'_>, met: &mut Option<usize>) {
        let wanted = demand.any_of.len();
        self.wanting.extend((wanted > 0).then_some(row));
        self.refusing.extend((!demand.none_of.is_empty()).then_some(row));
        let start = *met.get_or_insert_with(|| {
            let Demands { ids, met, tests, .. } = self;
            let start = met.len();
            met.extend(demand.tests().map(|test| ids.of(normal(test), tests)));
            start
        });
        for (at, id) in self.met[start..][..wanted + demand.none_of.len()].iter().enumerate() {
            self.lists[usize::from(at >= wanted)].add(*id, row);
        }
    }

    /// About how many rows a value leads to: the smaller, the better to begin with.
    pub fn breadth(&self, rows: usize) -> usize {
        let wanted: usize = self.tests.iter().map(|(_, at)| self.lists[0].of(*at).len()).sum();
        rows - self.wanting.len() + wanted / self.tests.len().max(1)
    }

    /// The tests, each with the rows that want and that refuse it.
    pub fn tests(&self) -> impl Iterator<Item = (&Test, [&[u32]; 2])> {
        self.tests.iter().map(|(test, at)| (test.as_ref(), self.lists.each_ref().map(|lists| lists.of(*at))))
    }

    /// Where an index finds the tests.
    pub fn placements(&self, engine: Engine) -> Vec<Option<Placement<'_>>> {
        self.tests.iter().map(|(test, _)| placement(self.variable, test, engine)).collect()
    }

    /// Leaves out what rows refuse.
    pub fn only_wanted(mut self) -> Self {
        self.tests.retain(|(_, at)| !self.lists[0].of(*at).is_empty());
        self.lists[1] = RowLists::default();
        self.refusing.clear();
        self.ids = TestIds::new(0);
        self
    }
}

/// The numbers of tests by their hashes. The tests stand elsewhere, for a map of them would be large.
struct TestIds {
    hasher: RandomState,
    known: HashMap<u64, usize>,
}

impl TestIds {
    /// For so many tests at most.
    fn new(tests: usize) -> TestIds {
        TestIds { hasher: RandomState::default(), known: HashMap::with_capacity(tests) }
    }

    /// The number of a test, which is added to `tests` if it is a new one.
    fn of<'b>(&mut self, test: Cow<'b, Test>, tests: &mut Vec<(Cow<'b, Test>, usize)>) -> usize {
        let mut hash = self.hasher.hash_one(&*test);
        loop {
            let next = tests.len();
            let id = *self.known.entry(hash).or_insert(next);
            if id == next {
                tests.push((test, id));
                return id;
            }
            if tests[id].0 == test {
                return id;
            }
            // Another test has this hash.
            hash = hash.wrapping_add(1);
        }
    }
}
