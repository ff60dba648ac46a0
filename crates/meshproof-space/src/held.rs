//! Sets that are held: joined, compared, projected. For points with few rules; large ones grow beyond any budget, and are
//! asked by search ([`Space`]) instead.

use foldhash::{HashMap, HashMapExt};
use meshproof_authz::Request;

use crate::boxes::RequestBox;
use crate::comparison::Comparison;
use crate::cover::Point;
use crate::levels::Levels;
use crate::limit::Limit;
use crate::lower::RuleId;
use crate::nodes::{ALL, NONE, NodeId, Nodes};
use crate::space::{Outcome, Space, regions};
use crate::universe::Universe;
use crate::variable::Variable;
use crate::vocabulary::{Column, CubeId, TestId, VariableId};

/// Sets of the requests of one domain, over everything that the policies at hand tell apart. Equal sets are equal values.
#[derive(Debug)]
pub struct Diagram<'a> {
    pub(crate) universe: &'a Universe,
    pub(crate) nodes: Nodes,
    /// By variable.
    pub(crate) levels: Vec<Levels>,
    tests: HashMap<TestId, NodeId>,
    everything: NodeId,
}

/// All of a diagram but what it is about.
#[derive(Debug)]
pub(crate) struct Made {
    nodes: Nodes,
    levels: Vec<Levels>,
    tests: HashMap<TestId, NodeId>,
    everything: NodeId,
}

/// A set of requests in a [`Diagram`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held(pub(crate) NodeId);

impl Space<'_> {
    /// The sets of this point, and of the probes.
    ///
    /// # Errors
    /// They cannot be held: what they are made of is too much, or cannot be told apart class by class.
    pub fn diagram(&self) -> Result<Diagram<'_>, Limit> {
        Diagram::new(&self.universe)
    }
}

impl Comparison<'_> {
    /// The sets of both sides.
    ///
    /// # Errors
    /// As [`Space::diagram`], or the sides cannot be compared.
    pub fn diagram(&self) -> Result<Diagram<'_>, Limit> {
        Diagram::new(self.universe.as_ref().ok_or(Limit::Incomparable)?)
    }
}

impl<'a> Diagram<'a> {
    /// The sets of a universe.
    ///
    /// # Errors
    /// They cannot be held.
    pub(crate) fn new(universe: &'a Universe) -> Result<Diagram<'a>, Limit> {
        let variables = &universe.vocabulary.variables;
        if !universe.is_exact {
            return Err(Limit::Unconfirmed);
        }
        let mut levels: Vec<Option<Levels>> = variables.iter().map(|_| None).collect();
        let mut first = 0;
        for variable in order(universe) {
            let own = Levels::new(variable, &universe.vocabulary, first)?;
            first += own.len();
            if first > MOST_LEVELS {
                return Err(Limit::Patterns);
            }
            levels[variable] = Some(own);
        }
        let mut diagram = Diagram {
            universe,
            nodes: Nodes::new(),
            levels: levels.into_iter().flatten().collect(),
            tests: HashMap::new(),
            everything: ALL,
        };
        let mut legal = ALL;
        for variable in diagram.upwards() {
            let own = diagram.levels[variable].legal(&mut diagram.nodes)?;
            legal = diagram.nodes.both(own, legal)?;
        }
        let mut kinds = Vec::new();
        for kind in universe.kinds.as_ref().map_err(|limit| *limit)? {
            kinds.push(diagram.columns(kind)?);
        }
        let kinds = diagram.nodes.any(kinds)?;
        diagram.everything = diagram.nodes.both(legal, kinds)?;
        Ok(diagram)
    }

    /// Goes on with what was made of the same universe.
    pub(crate) fn with(universe: &'a Universe, made: Made) -> Diagram<'a> {
        let Made { nodes, levels, tests, everything } = made;
        Diagram { universe, nodes, levels, tests, everything }
    }

    /// To go on later.
    pub(crate) fn into_made(self) -> Made {
        let Diagram { nodes, levels, tests, everything, .. } = self;
        Made { nodes, levels, tests, everything }
    }

    /// All requests of the domain.
    pub fn everything(&self) -> Held {
        Held(self.everything)
    }

    /// No request.
    pub fn nothing(&self) -> Held {
        Held(NONE)
    }

    /// The requests with this outcome.
    ///
    /// # Errors
    /// The set is too large, or a rule has too many alternatives.
    pub fn of_outcome(&mut self, outcome: Outcome) -> Result<Held, Limit> {
        self.of_outcome_at(0, outcome)
    }

    /// As [`Diagram::of_outcome`]; `side` 0 is what was before a change, 1 what is behind it.
    ///
    /// # Errors
    /// The set is too large, or a rule has too many alternatives.
    pub fn of_outcome_at(&mut self, side: usize, outcome: Outcome) -> Result<Held, Limit> {
        let Some(point) = self.universe.points.get(side) else { return Ok(self.nothing()) };
        if point.cubes.iter().any(Option::is_none) {
            return Err(Limit::Boxes);
        }
        let mut union = Vec::new();
        for region in regions(point, outcome, self.universe.all) {
            let within: Vec<CubeId> = region.within.into_iter().flatten().collect();
            let within = self.cubes(&within)?;
            let except = self.cubes(&region.except)?;
            union.push(self.nodes.without(within, except)?);
        }
        let union = self.nodes.any(union)?;
        self.nodes.both(union, self.everything).map(Held)
    }

    /// The requests that the rule matches.
    ///
    /// # Errors
    /// The set is too large, or the rule has too many alternatives.
    pub fn of_rule(&mut self, rule: RuleId) -> Result<Held, Limit> {
        let point = &self.universe.points[0];
        let own = point.rules.iter().zip(&point.cubes).find(|(known, _)| known.id == rule);
        let Some((_, cubes)) = own else { return Ok(self.nothing()) };
        let cubes = self.cubes(cubes.as_ref().ok_or(Limit::Boxes)?)?;
        self.nodes.both(cubes, self.everything).map(Held)
    }

    /// The requests of the probe, given by its place.
    ///
    /// # Errors
    /// The set is too large.
    pub fn of_probe(&mut self, probe: usize) -> Result<Held, Limit> {
        let Some(cube) = self.universe.probes.get(probe) else { return Ok(self.nothing()) };
        let cube = self.cubes(&[*cube])?;
        self.nodes.both(cube, self.everything).map(Held)
    }

    /// Requests of one or the other.
    ///
    /// # Errors
    /// The set is too large.
    pub fn union(&mut self, a: Held, b: Held) -> Result<Held, Limit> {
        self.nodes.either(a.0, b.0).map(Held)
    }

    /// Requests of both.
    ///
    /// # Errors
    /// The set is too large.
    pub fn intersection(&mut self, a: Held, b: Held) -> Result<Held, Limit> {
        self.nodes.both(a.0, b.0).map(Held)
    }

    /// Requests of the first alone.
    ///
    /// # Errors
    /// The set is too large.
    pub fn difference(&mut self, a: Held, b: Held) -> Result<Held, Limit> {
        self.nodes.without(a.0, b.0).map(Held)
    }

    /// All other requests.
    ///
    /// # Errors
    /// The set is too large.
    pub fn complement(&mut self, of: Held) -> Result<Held, Limit> {
        self.difference(self.everything(), of)
    }

    /// Whether there is no request in it.
    pub fn is_empty(&self, set: Held) -> bool {
        set.0 == NONE
    }

    /// Whether every request of `inner` is one of `outer`.
    pub fn includes(&self, outer: Held, inner: Held) -> bool {
        self.nodes.is_subset(inner.0, outer.0)
    }

    /// A request of the set. Before it is shown as the proof of something, [`meshproof_authz::evaluate`] has to say so
    /// too; [`Space::find`] does that by itself.
    ///
    /// # Errors
    /// None can be written down, or the set is empty.
    pub fn example(&self, set: Held) -> Result<Request, Limit> {
        self.point(set.0).map(|point| self.universe.request(&point))
    }

    /// The values of a request of the set.
    ///
    /// # Errors
    /// None can be written down, or the set is empty.
    pub(crate) fn point(&self, set: NodeId) -> Result<Point, Limit> {
        let classes = self.nodes.point(set).ok_or(Limit::Values)?;
        let mut point = Vec::new();
        for (variable, levels) in self.levels.iter().enumerate() {
            let value = levels.value(|level| classes.get(&level).copied())?;
            point.extend(value.map(|value| (variable, value)));
        }
        Ok(point.into_iter().collect())
    }

    /// How many nodes all sets together took.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// The variables that the policies look at.
    pub fn variables(&self) -> &[Variable] {
        &self.universe.vocabulary.variables
    }

    /// The variables, those furthest down first: sets are joined from there.
    fn upwards(&self) -> Vec<VariableId> {
        let mut variables: Vec<VariableId> = (0..self.levels.len()).collect();
        variables.sort_by_key(|variable| std::cmp::Reverse(self.levels[*variable].first));
        variables
    }

    /// The points of some of the boxes.
    pub(crate) fn cubes(&mut self, cubes: &[CubeId]) -> Result<NodeId, Limit> {
        let mut each = Vec::with_capacity(cubes.len());
        for cube in cubes {
            let columns: Vec<Column> = self.universe.vocabulary.columns_of(*cube).cloned().collect();
            each.push(self.columns(&columns)?);
        }
        self.nodes.any(each)
    }

    fn columns(&mut self, columns: &[Column]) -> Result<NodeId, Limit> {
        let mut columns: Vec<&Column> = columns.iter().collect();
        columns.sort_by_key(|column| std::cmp::Reverse(self.levels[column.variable].first));
        let mut all = ALL;
        for column in columns {
            let own = self.column(column)?;
            all = self.nodes.both(own, all)?;
        }
        Ok(all)
    }

    fn column(&mut self, column: &Column) -> Result<NodeId, Limit> {
        let mut all = ALL;
        for list in &column.any_of {
            let own = self.any_test(column.variable, list)?;
            all = self.nodes.both(all, own)?;
        }
        let refused = self.any_test(column.variable, &column.none_of)?;
        self.nodes.without(all, refused)
    }

    fn any_test(&mut self, variable: VariableId, tests: &[TestId]) -> Result<NodeId, Limit> {
        let mut passing = Vec::with_capacity(tests.len());
        for test in tests {
            passing.push(self.test(variable, *test)?);
        }
        self.nodes.any(passing)
    }

    /// The values that pass the test.
    pub(crate) fn test(&mut self, variable: VariableId, test: TestId) -> Result<NodeId, Limit> {
        if let Some(known) = self.tests.get(&test) {
            return Ok(*known);
        }
        let vocabulary = &self.universe.vocabulary;
        let made = self.levels[variable].passing(test, variable, vocabulary, &mut self.nodes)?;
        self.tests.insert(test, made);
        Ok(made)
    }
}

/// More levels than this are not held: operations go down level by level.
const MOST_LEVELS: u32 = 500;

/// The variables from top to bottom: those that most boxes look at first, of equal ones those with more tests, those with
/// several values at a time last, where they multiply nothing.
fn order(universe: &Universe) -> Vec<VariableId> {
    let vocabulary = &universe.vocabulary;
    let mut used = vec![0usize; vocabulary.variables.len()];
    let mut boxes = 0;
    for cube in universe.points.iter().flat_map(|point| point.cubes.iter().flatten().flatten()) {
        boxes += 1;
        vocabulary.columns_of(*cube).for_each(|column| used[column.variable] += 1);
    }
    let mut variables: Vec<VariableId> = (0..used.len()).collect();
    variables.sort_by_key(|variable| {
        let free = (boxes - used[*variable]) * 8 / boxes.max(1);
        let several = vocabulary.kinds[*variable].holds_several();
        (several, free, std::cmp::Reverse(vocabulary.tests_of(*variable).count()), *variable)
    });
    variables
}

impl Diagram<'_> {
    /// The box in the diagram. What it tests has to be known from the policies or the probes.
    ///
    /// # Errors
    /// The set is too large, or a test of it is not known here.
    pub fn of_box(&mut self, of: &RequestBox) -> Result<Held, Limit> {
        let mut all = self.everything;
        for clause in &of.clauses {
            let Some(variable) = self.universe.vocabulary.place_of(&clause.variable) else {
                return Err(Limit::Patterns);
            };
            let mut sets = [NONE, NONE];
            for (set, tests) in sets.iter_mut().zip([&clause.any_of, &clause.none_of]) {
                let known = |test| self.universe.vocabulary.test(variable, test).ok_or(Limit::Patterns);
                let tests: Result<Vec<TestId>, Limit> = tests.iter().map(known).collect();
                *set = self.any_test(variable, &tests?)?;
            }
            let any_of = if clause.any_of.is_empty() { ALL } else { sets[0] };
            all = self.nodes.both(all, any_of)?;
            all = self.nodes.without(all, sets[1])?;
        }
        Ok(Held(all))
    }
}
