//! What a row asks, attribute by attribute.

use std::borrow::Cow;

use foldhash::HashMap;
use meshproof_authz::{Context, Engine};
use meshproof_space::{RequestBox, Test, Variable};

/// An attribute, or one of several demands that rows make of it.
pub(super) type Dimension<'b> = (&'b Variable, usize);

/// What a row asks of one attribute: of the list one test, and none of those refused. A second list of the same
/// attribute has a demand of its own, with the next number.
pub(super) struct Demand<'b> {
    /// The same place in memory for all demands of the attribute.
    pub variable: &'b Variable,
    pub number: usize,
    /// The place of these two among the dimensions of the rows.
    pub dimension: usize,
    pub any_of: &'b [Test],
    pub none_of: Vec<&'b Test>,
}

/// What rows make demands of, in the order in which it was met.
#[derive(Default)]
pub(super) struct Dimensions<'b> {
    pub list: Vec<Dimension<'b>>,
    /// The places of the first demands of attributes that have no name.
    plain: [Option<usize>; 10],
    others: HashMap<Dimension<'b>, usize>,
}

impl<'b> Dimensions<'b> {
    /// The place of a dimension, which is a new one if it was never met.
    fn place(&mut self, dimension: Dimension<'b>) -> usize {
        let next = self.list.len();
        let place = match dimension {
            (variable, 0) if let Some(at) = without_name(variable) => *self.plain[at].get_or_insert(next),
            _ => *self.others.entry(dimension).or_insert(next),
        };
        if place == next {
            self.list.push(dimension);
        }
        place
    }

    /// Adds what the box asks, attribute by attribute.
    pub fn add_demands(&mut self, to: &mut Vec<Demand<'b>>, of: &'b RequestBox, context: &Context) {
        let start = to.len();
        for clause in of.clauses.iter().map(|clause| &**clause) {
            if clause.any_of.is_empty() && clause.none_of.is_empty() {
                continue;
            }
            let first = self.place((read(&clause.variable, context), 0));
            let variable = self.list[first].0;
            let mut any_of = clause.any_of.as_slice();
            let same = to[start..].iter_mut().filter(|demand| std::ptr::eq(demand.variable, variable));
            let mut number = 0;
            for demand in same {
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
                to.push(Demand { variable, number, dimension: first, any_of, none_of });
            } else if !any_of.is_empty() {
                let dimension = self.place((variable, number));
                to.push(Demand { variable, number, dimension, any_of, none_of: Vec::new() });
            }
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

/// Where a row stands among those of its segment: by namespace and account of the first source that it names.
pub(super) fn place_of<'b>(demands: &[Demand<'b>]) -> Cow<'b, [u8]> {
    let nowhere = Cow::Borrowed(&b""[..]);
    let first = demands.iter().find(|demand| *demand.variable == Variable::Peer && demand.number == 0);
    let Some(test) = first.and_then(|demand| demand.any_of.first()) else { return nowhere };
    match test {
        Test::Principal(pattern) => {
            let text = pattern.literal().as_bytes();
            let namespace = text.windows(4).position(|four| four == b"/ns/").map_or(0, |at| at + 4);
            Cow::Borrowed(&text[namespace..])
        }
        Test::Namespace(pattern) => Cow::Owned([pattern.text.as_bytes(), b"/"].concat()),
        Test::NamespaceName(pattern) => Cow::Owned([pattern.literal().as_bytes(), b"/"].concat()),
        Test::ServiceAccount { namespace, name } => Cow::Owned(format!("{namespace}/sa/{name}").into_bytes()),
        Test::TrustDomain(domain) => Cow::Borrowed(domain.as_bytes()),
        _ => nowhere,
    }
}
