//! What a row asks, attribute by attribute.

use std::borrow::Cow;

use foldhash::HashMap;
use meshproof_authz::{Context, Engine};
use meshproof_space::{RequestBox, Test, Variable};

/// An attribute, or one of several demands that rows make of it.
pub(super) type Dimension<'b> = (&'b Variable, u32);

/// What a row asks of one attribute: of the list one test, and none of those refused. A second list of the same
/// attribute has a demand of its own, with the next number.
pub(super) struct Demand<'b> {
    /// The same place in memory for all demands of the attribute.
    pub variable: &'b Variable,
    pub number: u32,
    /// The place of these two among the dimensions of the rows.
    pub dimension: u32,
    pub any_of: &'b [Test],
    pub none_of: Vec<&'b Test>,
}

impl Demand<'_> {
    /// Whether both are of the same lists, not only of equal ones.
    fn is(&self, other: &Demand<'_>) -> bool {
        std::ptr::eq(self.any_of, other.any_of)
            && self.none_of.len() == other.none_of.len()
            && self.none_of.iter().zip(&other.none_of).all(|(own, other)| std::ptr::eq(*own, *other))
    }

    /// The tests of both lists.
    pub fn tests(&self) -> impl Iterator<Item = &Test> {
        self.any_of.iter().chain(self.none_of.iter().copied())
    }
}

/// All demands, and what they are made of, in the order in which it was met.
#[derive(Default)]
pub(super) struct DemandStore<'b> {
    /// The alternatives of a rule share most of their lists: what follows each other is told once.
    pub demands: Vec<Demand<'b>>,
    pub dimensions: Vec<Dimension<'b>>,
    /// The last demand of each dimension.
    last: Vec<usize>,
    /// What is asked by the box that is looked at.
    open: Vec<Demand<'b>>,
    /// The places of the first demands of attributes that have no name.
    plain: [Option<u32>; 10],
    others: HashMap<Dimension<'b>, u32>,
}

/// Most rules make fewer demands.
pub(super) const DEMANDS: usize = 5;

impl<'b> DemandStore<'b> {
    /// For the demands of so many rules.
    pub fn new(rules: usize) -> DemandStore<'b> {
        DemandStore { demands: Vec::with_capacity(rules * DEMANDS), ..DemandStore::default() }
    }

    /// The place of a dimension, which is a new one if it was never met.
    fn place(&mut self, dimension: Dimension<'b>) -> u32 {
        let next = self.dimensions.len() as u32;
        let place = match dimension {
            (variable, 0) if let Some(at) = without_name(variable) => *self.plain[at].get_or_insert(next),
            _ => *self.others.entry(dimension).or_insert(next),
        };
        if place == next {
            self.dimensions.push(dimension);
            self.last.push(usize::MAX);
        }
        place
    }

    /// Adds what the box asks, attribute by attribute; gives the places of the demands to `asked`.
    pub fn add(&mut self, of: &'b RequestBox, context: &Context, asked: &mut Vec<u32>) {
        self.read(of, context);
        for demand in self.open.drain(..) {
            let last = &mut self.last[demand.dimension as usize];
            if !self.demands.get(*last).is_some_and(|last| last.is(&demand)) {
                *last = self.demands.len();
                self.demands.push(demand);
            }
            asked.push(*last as u32);
        }
    }

    /// Brings together what the clauses of a box ask of one attribute.
    fn read(&mut self, of: &'b RequestBox, context: &Context) {
        for clause in of.clauses.iter().map(|clause| &**clause) {
            if clause.any_of.is_empty() && clause.none_of.is_empty() {
                continue;
            }
            let first = self.place((read(&clause.variable, context), 0));
            let variable = self.dimensions[first as usize].0;
            let mut any_of = clause.any_of.as_slice();
            let mut number = 0;
            for demand in self.open.iter_mut().filter(|demand| std::ptr::eq(demand.variable, variable)) {
                if number == 0 {
                    demand.none_of.extend(&clause.none_of);
                }
                if demand.any_of.is_empty() || demand.any_of == any_of {
                    demand.any_of = if any_of.is_empty() { demand.any_of } else { any_of };
                    any_of = &[];
                }
                number += 1;
            }
            if number == 0 {
                let none_of = clause.none_of.iter().collect();
                self.open.push(Demand { variable, number, dimension: first, any_of, none_of });
            } else if !any_of.is_empty() {
                let dimension = self.place((variable, number));
                self.open.push(Demand { variable, number, dimension, any_of, none_of: Vec::new() });
            }
        }
    }

    /// Where a row stands among those of its segment: by namespace and account of the first source that it names.
    pub fn place_of(&self, asked: &[u32]) -> Cow<'b, [u8]> {
        let nowhere = Cow::Borrowed(&b""[..]);
        let mut demands = asked.iter().map(|at| &self.demands[*at as usize]);
        let first = demands.find(|demand| matches!(demand.variable, Variable::Peer) && demand.number == 0);
        let Some(test) = first.and_then(|demand| demand.any_of.first()) else { return nowhere };
        match test {
            Test::Principal(pattern) => {
                let text = pattern.literal().as_bytes();
                let namespace = text.windows(4).position(|four| four == b"/ns/").map_or(0, |at| at + 4);
                Cow::Borrowed(&text[namespace..])
            }
            Test::Namespace(pattern) => Cow::Owned([pattern.text.as_bytes(), b"/"].concat()),
            Test::NamespaceName(pattern) => Cow::Owned([pattern.literal().as_bytes(), b"/"].concat()),
            Test::ServiceAccount { namespace, name } => {
                Cow::Owned(format!("{namespace}/sa/{name}").into_bytes())
            }
            Test::TrustDomain(domain) => Cow::Borrowed(domain.as_bytes()),
            _ => nowhere,
        }
    }
}

/// The attribute that an engine looks at where policies name this one.
pub(super) fn read<'b>(variable: &'b Variable, context: &Context) -> &'b Variable {
    match variable {
        // A gRPC server only knows who is at the other end.
        Variable::RemoteIp if context.engine == Engine::Grpc => &Variable::SourceIp,
        variable => variable,
    }
}

/// The number of an attribute that there is only one of.
fn without_name(variable: &Variable) -> Option<usize> {
    Some(match variable {
        Variable::Peer => 0,
        Variable::Token => 1,
        Variable::Path => 2,
        Variable::Authority => 3,
        Variable::Method => 4,
        Variable::DestinationPort => 5,
        Variable::Sni => 6,
        Variable::SourceIp => 7,
        Variable::RemoteIp => 8,
        Variable::DestinationIp => 9,
        Variable::Header(_) | Variable::Claim(_) | Variable::Metadata { .. } => return None,
    })
}
