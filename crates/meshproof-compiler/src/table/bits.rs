//! Rows in 64 bits: of most requests these say which rows they do not meet.

use meshproof_engine::format::{METHOD_BYTES, METHODS, PATH_BITS, PORTS};
use meshproof_engine::{Field, RowLayout, TestKind, path_bit};
use meshproof_grammar::pattern::Pattern;
use meshproof_space::{Test, Variable};

use super::demand::Demand;
use super::numbers::put_number;
use super::row::Rows;
use super::script_tests::stem;
use super::scripts::Templates;

/// What bits of rows stand for.
#[derive(Default)]
pub(super) struct Bits<'b> {
    ports: Vec<u16>,
    methods: Vec<&'b str>,
    /// From this place on four bytes of paths have bits.
    paths_at: Option<usize>,
}

impl<'b> Bits<'b> {
    pub fn new(rows: &'b Rows<'_>, templates: &Templates) -> Bits<'b> {
        let [of_ports, of_methods, of_paths] = wanted(rows);
        Bits {
            ports: ports(&of_ports).unwrap_or_default(),
            methods: methods(&of_methods).unwrap_or_default(),
            paths_at: path_bits_at(&of_paths, templates),
        }
    }

    /// Writes what the bits stand for; the last byte, of how many paths have, is not known yet. `number_of` gives the number
    /// of the dimension of a variable, and one.
    pub fn put(&self, bytes: &mut Vec<u8>, number_of: impl Fn(Variable) -> u32) {
        put_number(bytes, if self.ports.is_empty() { 0 } else { number_of(Variable::DestinationPort) });
        put_number(bytes, self.ports.len() as u32);
        self.ports.iter().for_each(|port| put_number(bytes, (*port).into()));
        put_number(bytes, if self.methods.is_empty() { 0 } else { number_of(Variable::Method) });
        put_number(bytes, self.methods.len() as u32);
        for method in &self.methods {
            put_number(bytes, method.len() as u32);
            bytes.extend_from_slice(method.as_bytes());
        }
        put_number(bytes, self.paths_at.map_or(0, |at| at as u32 + 1));
        bytes.push(0);
    }

    /// How rows are told where scripts have so many bytes: what is left of their bits is of paths.
    pub fn layout(&self, scripts: usize, rules: usize) -> Option<RowLayout> {
        let (ports, methods) = (self.ports.len() as u32, self.methods.len() as u32);
        let left = RowLayout::left_for_paths(scripts, rules, ports, methods);
        // One bit stands for paths that are too short.
        let paths = self.paths_at.map_or(0, |_| left.saturating_sub(1).min(PATH_BITS));
        RowLayout::new(scripts, rules, [ports, methods, paths])
    }

    /// Whether they tell all that is wanted.
    pub fn tell(&self, demand: &Demand<'_>) -> bool {
        let has_bits = match demand.variable {
            Variable::DestinationPort => !self.ports.is_empty(),
            Variable::Method => !self.methods.is_empty(),
            _ => false,
        };
        has_bits && demand.number == 0
    }

    /// The values that a demand lets pass, as far as bits tell, and of what.
    pub fn of_demand(
        &self,
        demand: &Demand<'_>,
        layout: RowLayout,
        templates: &Templates,
    ) -> Option<(Field, u64)> {
        let field = match demand.variable {
            Variable::DestinationPort => layout.ports,
            Variable::Method => layout.methods,
            Variable::Path => layout.paths,
            _ => return None,
        };
        if demand.number > 0 || demand.any_of.is_empty() {
            return None;
        }
        let mut values = demand.any_of.iter().map(|test| self.value(test, field, templates));
        // Where one of the tests says nothing, any value may pass.
        let bits = values.try_fold(0, |all, value| Some(all | field.bit(Some(value?))))?;
        Some((field, bits))
    }

    /// The number of the values in their field that pass a test of a port, a method or a path.
    fn value(&self, test: &Test, field: Field, templates: &Templates) -> Option<u32> {
        let at = match test {
            Test::Port(port) => self.ports.iter().position(|known| known == port),
            Test::Path(_) | Test::Template(_) => {
                return path_bit(sure(test, templates)?, self.paths_at?, field.values());
            }
            test => self.methods.iter().position(|method| exact(test) == Some(method)),
        };
        at.map(|at| at as u32)
    }
}

/// The tests that the first demands of ports, of methods and of paths want.
fn wanted<'b>(rows: &'b Rows<'_>) -> [Vec<&'b [Test]>; 3] {
    let mut wanted = [const { Vec::new() }; 3];
    for demand in rows.demands.iter().filter(|demand| demand.number == 0) {
        let at = match demand.variable {
            Variable::DestinationPort => 0,
            Variable::Method => 1,
            Variable::Path => 2,
            _ => continue,
        };
        wanted[at].push(demand.any_of);
    }
    wanted
}

fn exact(test: &Test) -> Option<&str> {
    match test {
        Test::Text(Pattern::Exact(text)) | Test::Header(Pattern::Exact(text)) => Some(text),
        _ => None,
    }
}

/// The ports that rows name, if they are few.
fn ports(wanted: &[&[Test]]) -> Option<Vec<u16>> {
    let mut all: Vec<u16> = Vec::new();
    for test in wanted.iter().copied().flatten() {
        let Test::Port(port) = test else { return None };
        if !all.contains(port) {
            all.push(*port);
            (all.len() <= PORTS).then_some(())?;
        }
    }
    Some(all)
}

/// The methods that rows name, if they are few and all are written out.
fn methods<'b>(wanted: &[&'b [Test]]) -> Option<Vec<&'b str>> {
    let mut all: Vec<&str> = Vec::new();
    for test in wanted.iter().copied().flatten() {
        let method = exact(test).filter(|method| (1..=METHOD_BYTES).contains(&method.len()))?;
        if !all.contains(&method) {
            all.push(method);
            (all.len() <= METHODS).then_some(())?;
        }
    }
    Some(all)
}

/// The text that every path begins with that passes the test.
fn sure<'t>(test: &'t Test, templates: &'t Templates) -> Option<&'t [u8]> {
    match test {
        Test::Path(Pattern::Exact(text) | Pattern::Prefix(text)) => Some(text.as_bytes()),
        Test::Template(_) => {
            let spelled = templates.get(&std::ptr::from_ref(test))?;
            (spelled.kind == TestKind::Template).then(|| stem(&spelled.first))
        }
        _ => None,
    }
}

/// Where four bytes tell the paths of the rows apart best; nothing where they say little.
fn path_bits_at(wanted: &[&[Test]], templates: &Templates) -> Option<usize> {
    let tests = wanted.iter().copied().flatten();
    let step = wanted.iter().map(|tests| tests.len()).sum::<usize>() / SAMPLE + 1;
    let tests: Vec<Option<&[u8]>> = tests.step_by(step).map(|test| sure(test, templates)).collect();
    let left = |at: usize| {
        let mut counts = [0usize; 9];
        for test in &tests {
            let bit = test.and_then(|text| path_bit(text, at, 8));
            counts[bit.map_or(8, |bit| bit as usize)] += 1;
        }
        // Of a path that some test lets pass, how many tests have its bit, or none.
        let squares: usize = counts[..8].iter().map(|count| count * count).sum();
        counts[8] + squares / tests.len().max(1)
    };
    let at = (0..FARTHEST).min_by_key(|at| left(*at))?;
    (left(at) * 4 < tests.len() * 3).then_some(at)
}

/// About so many tests say where paths differ, and so far from their start it is looked for.
const SAMPLE: usize = 1024;
const FARTHEST: usize = 48;
