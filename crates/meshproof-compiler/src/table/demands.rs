//! What all rows ask of one attribute.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use foldhash::{HashMap, HashMapExt};
use meshproof_engine::Engine;
use meshproof_engine::format::NONE;
use meshproof_space::{Test, Variable};

use super::demand::Demand;
use super::lists::RowLists;
use super::row::Rows;
use super::test::{Normal, Placement, normal, placement};

/// What rows ask of an attribute: tests with the rows that want and that refuse them.
pub(super) struct Demands<'b> {
    pub variable: &'b Variable,
    pub number: u32,
    /// In the order of the rows that ask them, each with its number in the lists.
    pub tests: Vec<(Normal<'b>, usize)>,
    /// The rows that want, and that refuse them.
    pub lists: [RowLists; 2],
    /// Rows that want something, and that refuse something.
    pub wanting: Vec<u32>,
    pub refusing: Vec<u32>,
}

/// Collects what all rows ask, attribute by attribute, of those that are wished for.
pub(super) fn collect<'b>(rows: &'b Rows<'_>, wishes: impl Fn(&Demand<'_>) -> bool) -> Vec<Demands<'b>> {
    let mut places: Vec<Option<usize>> = vec![None; rows.dimensions.len()];
    let mut tests = vec![0; rows.dimensions.len()];
    for demand in &rows.demands {
        tests[demand.dimension as usize] += demand.any_of.len() + demand.none_of.len();
    }
    let mut all: Vec<Collected<'b>> = Vec::new();
    // Demands stand in the order of what they point to: so tests are told apart while they are near each other.
    let mut read = |demand: &'b Demand<'_>| {
        let at = *places[demand.dimension as usize].get_or_insert_with(|| {
            all.push(Collected::new(demand, tests[demand.dimension as usize]));
            all.len() - 1
        });
        Read { at: at as u32, ..all[at].read(demand) }
    };
    let read: Vec<Option<Read>> =
        rows.demands.iter().map(|demand| wishes(demand).then(|| read(demand))).collect();
    for (row, content) in rows.rows.iter().enumerate() {
        let asked = content.iter().flat_map(|row| rows.asked_of(row));
        for read in asked.filter_map(|place| read[*place as usize]) {
            all[read.at as usize].add(row as u32, read);
        }
    }
    let mut all: Vec<Demands<'b>> = all.into_iter().map(Collected::group).collect();
    all.sort_by(|a, b| (a.variable, a.number).cmp(&(b.variable, b.number)));
    all
}

/// A demand whose tests are told apart.
#[derive(Clone, Copy)]
struct Read {
    /// The place of what is collected of its attribute.
    at: u32,
    /// Where the tests begin that it asks, those that it wants before those that it refuses.
    start: u32,
    wanted: u32,
    refused: u32,
}

/// What is asked of one attribute, on its way to [`Demands`].
struct Collected<'b> {
    demands: Demands<'b>,
    ids: TestIds,
    /// The tests of each demand, in the order in which they were told apart.
    tests: Vec<Normal<'b>>,
    asked: Vec<u32>,
    /// The numbers of the tests in the order of the rows that ask them.
    numbers: Vec<u32>,
    /// By these numbers, the tests.
    order: Vec<u32>,
}

impl<'b> Collected<'b> {
    /// Of the attribute of the demand; `tests`: how many there are at most.
    fn new(demand: &'b Demand<'_>, tests: usize) -> Collected<'b> {
        let demands = Demands {
            variable: demand.variable,
            number: demand.number,
            tests: Vec::new(),
            lists: Default::default(),
            wanting: Vec::new(),
            refusing: Vec::new(),
        };
        Collected {
            demands,
            ids: TestIds::new(tests),
            tests: Vec::with_capacity(tests),
            asked: Vec::with_capacity(tests),
            numbers: Vec::with_capacity(tests),
            order: Vec::new(),
        }
    }

    /// Tells the tests of a demand apart.
    fn read(&mut self, demand: &'b Demand<'_>) -> Read {
        let start = self.asked.len() as u32;
        let Collected { ids, tests, asked, .. } = self;
        asked.extend(demand.tests().map(|test| ids.of(normal(test), tests)));
        self.numbers.resize(self.tests.len(), NONE);
        Read { at: 0, start, wanted: demand.any_of.len() as u32, refused: demand.none_of.len() as u32 }
    }

    /// A row makes a demand.
    fn add(&mut self, row: u32, read: Read) {
        let Demands { lists, wanting, refusing, .. } = &mut self.demands;
        wanting.extend((read.wanted > 0).then_some(row));
        refusing.extend((read.refused > 0).then_some(row));
        let asked = &self.asked[read.start as usize..][..(read.wanted + read.refused) as usize];
        for (at, test) in (0..).zip(asked) {
            let number = &mut self.numbers[*test as usize];
            if *number == NONE {
                *number = self.order.len() as u32;
                self.order.push(*test);
            }
            lists[usize::from(at >= read.wanted)].add(*number, row);
        }
    }

    /// Brings the tests in their order, and the rows of each together.
    fn group(self) -> Demands<'b> {
        let Collected { mut demands, tests, order, .. } = self;
        let tests = order.iter().map(|test| tests[*test as usize].clone());
        demands.tests = tests.zip(0..).collect();
        demands.lists.iter_mut().for_each(|lists| lists.group(order.len()));
        demands
    }
}

impl<'b> Demands<'b> {
    /// About how many rows a value leads to: the smaller, the better to begin with.
    pub fn breadth(&self, rows: usize) -> usize {
        let wanted: usize = self.tests.iter().map(|(_, at)| self.lists[0].of(*at).len()).sum();
        rows - self.wanting.len() + wanted / self.tests.len().max(1)
    }

    /// The tests, each with the rows that want and that refuse it.
    pub fn tests(&self) -> impl Iterator<Item = (&Test, [&[u32]; 2])> {
        self.tests.iter().map(|(test, at)| (&**test, self.lists.each_ref().map(|lists| lists.of(*at))))
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
        self
    }
}

/// The numbers of tests by their hashes. The tests stand elsewhere, for a map of them would be large.
struct TestIds {
    hasher: RandomState,
    known: HashMap<u64, u32>,
}

impl TestIds {
    /// For so many tests at most.
    fn new(tests: usize) -> TestIds {
        TestIds { hasher: RandomState::default(), known: HashMap::with_capacity(tests) }
    }

    /// The number of a test, which is added to `tests` if it is a new one.
    fn of<'b>(&mut self, test: Normal<'b>, tests: &mut Vec<Normal<'b>>) -> u32 {
        let mut hash = self.hasher.hash_one(&*test);
        loop {
            let next = tests.len() as u32;
            let id = *self.known.entry(hash).or_insert(next);
            if id == next {
                tests.push(test);
                return id;
            }
            if *tests[id as usize] == *test {
                return id;
            }
            // Another test has this hash.
            hash = hash.wrapping_add(1);
        }
    }
}
