//! The classes of a port or an address, on one level: from each border of what is tested to the next.

use super::number_of;
use crate::kind::Shape;
use crate::limit::Limit;
use crate::nodes::{ALL, NodeId, Nodes};
use crate::value::{Number, Value};
use crate::values::familiar;

/// Intervals that follow each other.
#[derive(Debug)]
pub(super) struct NumberClasses {
    /// The first number of each, ordered.
    borders: Vec<Number>,
    /// The numbers that there are.
    legal: Vec<(Number, Number)>,
}

impl NumberClasses {
    pub fn new<'a>(legal: &[(Number, Number)], shapes: impl Iterator<Item = &'a Shape>) -> NumberClasses {
        let ranges = shapes.filter_map(|shape| match shape {
            Shape::Range(from, to) => Some((*from, *to)),
            _ => None,
        });
        let mut borders = vec![Number { is_v6: false, value: 0 }];
        for (from, to) in legal.iter().copied().chain(ranges) {
            borders.push(from);
            borders.extend(to.next());
        }
        borders.sort_unstable();
        borders.dedup();
        NumberClasses { borders, legal: legal.to_vec() }
    }

    pub fn legal(&self, level: u32, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        let stretches: Vec<(u32, u32)> =
            self.legal.iter().map(|(from, to)| self.stretch(*from, *to)).collect();
        nodes.stretches(level, &stretches, ALL)
    }

    /// The numbers of a range, both ends included.
    pub fn passing(&self, from: Number, to: Number, level: u32, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        nodes.stretches(level, &[self.stretch(from, to)], ALL)
    }

    fn stretch(&self, from: Number, to: Number) -> (u32, u32) {
        let start = self.borders.partition_point(|border| *border < from);
        let end = self.borders.partition_point(|border| *border <= to);
        (number_of(start), number_of(end))
    }

    /// A number of the class, one that reads well if there is one.
    pub fn value(&self, class: u32) -> Option<Value> {
        let at = class as usize;
        let border = self.borders.get(at)?;
        Some(Value::Number(familiar(*border, self.borders.get(at + 1), &self.legal)))
    }
}
