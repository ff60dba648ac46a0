//! Every variable and every test that occurs, by number; boxes in those numbers.

use std::hash::Hash;

use foldhash::HashMap;
use meshproof_authz::Context;

use crate::boxes::{Clause, RequestBox};
use crate::domain::Domain;
use crate::kind::{Kind, Shape, kind_of, shape_of};
use crate::matcher::Matcher;
use crate::test::Test;
use crate::value::Value;
use crate::variable::Variable;

/// The place of a variable.
pub(crate) type VariableId = usize;
/// The place of a test among all tests.
pub(crate) type TestId = u32;
/// The place of a column.
pub(crate) type ColumnId = usize;
/// The place of a cube.
pub(crate) type CubeId = usize;

/// What a box asks of one variable: of each list one test, and none of the refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Column {
    pub variable: VariableId,
    pub any_of: Vec<Vec<TestId>>,
    pub none_of: Vec<TestId>,
}

impl Column {
    pub fn free(variable: VariableId) -> Column {
        Column { variable, any_of: Vec::new(), none_of: Vec::new() }
    }

    /// What both ask. Both are of one variable.
    pub fn and(&self, other: &Column) -> Column {
        let mut both = self.clone();
        both.any_of.extend(other.any_of.iter().cloned());
        both.none_of.extend(&other.none_of);
        both.normalized()
    }

    fn normalized(mut self) -> Column {
        for list in &mut self.any_of {
            list.sort_unstable();
            list.dedup();
        }
        self.any_of.sort();
        self.any_of.dedup();
        self.none_of.sort_unstable();
        self.none_of.dedup();
        self
    }
}

/// A box: its columns, ordered by variable.
pub(crate) type Cube = Vec<ColumnId>;

/// Collects what occurs.
#[derive(Default)]
pub(crate) struct Collector {
    variables: Interned<Variable>,
    tests: Vec<(VariableId, Test)>,
    /// The tests of each variable.
    of_variable: Vec<OfVariable>,
    columns: Interned<Column>,
    cubes: Interned<Cube>,
    /// The original client address is the other end of the connection, so both are one variable.
    remote_is_source: bool,
    /// Tests that boxes of policies and questions make; kinds of requests may make more.
    asked: usize,
}

#[derive(Default)]
struct OfVariable {
    ids: Vec<TestId>,
    /// Filled where they are many.
    by_test: HashMap<Test, TestId>,
}

impl Collector {
    pub fn new(remote_is_source: bool) -> Collector {
        Collector { remote_is_source, ..Collector::default() }
    }

    /// The variables so far.
    pub fn variables(&self) -> &[Variable] {
        &self.variables.list
    }

    fn variable(&mut self, variable: &Variable) -> VariableId {
        let variable = itself(variable, self.remote_is_source);
        self.variables.find(variable).unwrap_or_else(|| {
            self.of_variable.push(OfVariable::default());
            self.variables.push(variable.clone())
        })
    }

    fn test(&mut self, variable: VariableId, test: &Test) -> TestId {
        let known = &mut self.of_variable[variable];
        let found = match known.by_test.is_empty() {
            true => known.ids.iter().copied().find(|id| self.tests[*id as usize].1 == *test),
            false => known.by_test.get(test).copied(),
        };
        if let Some(id) = found {
            return id;
        }
        let id = TestId::try_from(self.tests.len()).unwrap_or(TestId::MAX);
        self.tests.push((variable, test.clone()));
        known.ids.push(id);
        if known.ids.len() > FEW {
            let new = if known.by_test.is_empty() { 0 } else { known.ids.len() - 1 };
            let new = known.ids[new..].iter().map(|id| (self.tests[*id as usize].1.clone(), *id));
            known.by_test.extend(new);
        }
        id
    }

    /// The tests of the variable so far; nothing when no box looks at it.
    pub fn tests_of(&self, variable: &Variable) -> Option<Vec<Test>> {
        let id = self.variables.find(variable)?;
        Some(self.of_variable[id].ids.iter().map(|id| self.tests[*id as usize].1.clone()).collect())
    }

    /// What follows are kinds of requests, which only join what is asked with what there is.
    pub fn only_kinds_follow(&mut self) {
        self.asked = self.tests.len();
    }

    /// The box in numbers.
    pub fn cube(&mut self, of: &RequestBox) -> CubeId {
        let mut columns: Vec<Column> = Vec::new();
        for clause in &of.clauses {
            let variable = self.variable(&clause.variable);
            let mut tests = |tests: &[Test]| -> Vec<TestId> {
                tests.iter().map(|test| self.test(variable, test)).collect()
            };
            let (any_of, none_of) = (tests(&clause.any_of), tests(&clause.none_of));
            let any_of = if any_of.is_empty() { Vec::new() } else { vec![any_of] };
            let column = Column { variable, any_of, none_of }.normalized();
            match columns.iter_mut().find(|known| known.variable == variable) {
                Some(known) => *known = known.and(&column),
                None => columns.push(column),
            }
        }
        columns.retain(|column| !column.any_of.is_empty() || !column.none_of.is_empty());
        columns.sort_by_key(|column| column.variable);
        let cube: Cube = columns.into_iter().map(|column| self.columns.add(column)).collect();
        self.cubes.add(cube)
    }

    /// Everything is known: fixes what values look like.
    pub fn finish(self, context: &Context, domain: &Domain) -> Vocabulary {
        let of_variable: Vec<Vec<TestId>> = self.of_variable.into_iter().map(|known| known.ids).collect();
        let mut shapes: Vec<Shape> = vec![Shape::Forms(Vec::new()); self.tests.len()];
        let mut kinds = Vec::new();
        let mut matchers = Vec::new();
        for (at, variable) in self.variables.list.iter().enumerate() {
            let tests: Vec<&Test> =
                of_variable[at].iter().map(|test| &self.tests[*test as usize].1).collect();
            let mut kind = kind_of(variable, &tests, context, domain);
            for test in &of_variable[at] {
                shapes[*test as usize] = shape_of(variable, &self.tests[*test as usize].1, &kind);
            }
            let own = of_variable[at].iter().map(|test| (*test, &shapes[*test as usize]));
            kind.fill(own.clone().map(|(_, shape)| shape));
            let asked = own.clone().take_while(|(test, _)| (*test as usize) < self.asked);
            if asked.map(|(_, shape)| shape).any(Shape::is_absence) {
                kind.set_absent_matters();
            }
            matchers.push(Matcher::new(own));
            kinds.push(kind);
        }
        Vocabulary {
            variables: self.variables.list,
            of_variable,
            remote_is_source: self.remote_is_source,
            proxy_protocol: domain.proxy_protocol,
            tests: self.tests.into_iter().map(|(_, test)| test).collect(),
            kinds,
            shapes,
            matchers,
            columns: self.columns.list,
            cubes: self.cubes.list,
        }
    }
}

/// The variable that it is.
fn itself(variable: &Variable, remote_is_source: bool) -> &Variable {
    match variable {
        Variable::RemoteIp if remote_is_source => &Variable::SourceIp,
        variable => variable,
    }
}

/// So many things are compared with each other one by one, instead of by hash.
const FEW: usize = 16;

/// Things by number, each once.
#[derive(Debug)]
struct Interned<T> {
    list: Vec<T>,
    /// Filled where they are many.
    ids: HashMap<T, usize>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Interned { list: Vec::new(), ids: HashMap::default() }
    }
}

impl<T: Clone + Eq + Hash> Interned<T> {
    fn find(&self, wanted: &T) -> Option<usize> {
        match self.ids.is_empty() {
            true => self.list.iter().position(|known| known == wanted),
            false => self.ids.get(wanted).copied(),
        }
    }

    fn add(&mut self, new: T) -> usize {
        self.find(&new).unwrap_or_else(|| self.push(new))
    }

    /// Adds what is not there yet.
    fn push(&mut self, new: T) -> usize {
        self.list.push(new);
        if self.list.len() > FEW {
            let start = if self.ids.is_empty() { 0 } else { self.list.len() - 1 };
            self.ids.extend(self.list[start..].iter().cloned().zip(start..));
        }
        self.list.len() - 1
    }
}

/// Everything that occurs, with what values look like.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    pub variables: Vec<Variable>,
    /// The tests of each variable.
    of_variable: Vec<Vec<TestId>>,
    remote_is_source: bool,
    /// Another hop may hand over an address below HTTP.
    pub proxy_protocol: bool,
    /// Every test as it was handed in.
    pub tests: Vec<Test>,
    pub kinds: Vec<Kind>,
    /// Every test.
    pub shapes: Vec<Shape>,
    matchers: Vec<Matcher>,
    columns: Vec<Column>,
    cubes: Vec<Cube>,
}

impl Vocabulary {
    pub fn column(&self, id: ColumnId) -> &Column {
        &self.columns[id]
    }

    /// Every column.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub fn cube(&self, id: CubeId) -> &Cube {
        &self.cubes[id]
    }

    pub fn columns_of(&self, cube: CubeId) -> impl Iterator<Item = &Column> {
        self.cubes[cube].iter().map(|column| &self.columns[*column])
    }

    /// The place of the variable; nothing when no box looks at it.
    pub fn place_of(&self, variable: &Variable) -> Option<VariableId> {
        let variable = itself(variable, self.remote_is_source);
        self.variables.iter().position(|known| known == variable)
    }

    /// The place of the test; nothing when no box makes it.
    pub fn test(&self, variable: VariableId, test: &Test) -> Option<TestId> {
        self.tests_of(variable).find(|known| self.tests[*known as usize] == *test)
    }

    /// The tests of the variable.
    pub fn tests_of(&self, variable: VariableId) -> impl Iterator<Item = TestId> + '_ {
        self.of_variable[variable].iter().copied()
    }

    /// What the column asks.
    pub fn clauses(&self, column: &Column) -> Vec<Clause> {
        let variable = &self.variables[column.variable];
        let tests = |ids: &[TestId]| ids.iter().map(|id| self.tests[*id as usize].clone()).collect();
        let mut clauses: Vec<Clause> =
            column.any_of.iter().map(|list| Clause::any(variable.clone(), tests(list))).collect();
        if !column.none_of.is_empty() {
            clauses.push(Clause::none(variable.clone(), tests(&column.none_of)));
        }
        clauses
    }

    /// The box as it can be read.
    pub fn written(&self, cube: CubeId) -> RequestBox {
        RequestBox::of(self.columns_of(cube).flat_map(|column| self.clauses(column)).collect())
    }

    pub fn shape(&self, test: TestId) -> &Shape {
        &self.shapes[test as usize]
    }

    /// The tests of the variable that the value passes.
    pub fn passed(&self, variable: VariableId, value: &Value) -> Vec<TestId> {
        self.matchers[variable].passed(value, &self.shapes)
    }

    /// Whether the column takes the value.
    pub fn takes(&self, column: &Column, value: &Value) -> bool {
        let passes = |test: &TestId| self.shape(*test).matches(value);
        column.any_of.iter().all(|list| list.iter().any(passes)) && !column.none_of.iter().any(passes)
    }
}
