//! The classes of a text in parts: those of each part, one after the other.

use std::sync::Arc;

use super::number_of;
use super::text::{LEVELS, TextClasses};
use crate::alphabet::TextDomain;
use crate::kind::Shape;
use crate::limit::Limit;
use crate::nodes::{ALL, NONE, NodeId, Nodes};
use crate::part::Part;
use crate::value::Value;

/// The classes of all parts. Either all are there or none (`together`), or each for itself.
#[derive(Debug)]
pub(super) struct PartClasses {
    parts: Vec<TextClasses>,
    together: bool,
}

impl PartClasses {
    pub fn new<'a>(
        domains: &[TextDomain],
        together: bool,
        shapes: impl Iterator<Item = &'a Shape> + Clone,
    ) -> Result<PartClasses, Limit> {
        let of_part = |(at, domain): (usize, &TextDomain)| {
            let forms = shapes.clone().flat_map(|shape| match shape {
                Shape::Forms(forms) => forms.as_slice(),
                _ => &[],
            });
            TextClasses::new(domain, forms.map(|form| &form[at]))
        };
        let parts: Result<Vec<TextClasses>, Limit> = domains.iter().enumerate().map(of_part).collect();
        Ok(PartClasses { parts: parts?, together })
    }

    pub fn len(&self) -> u32 {
        LEVELS * number_of(self.parts.len())
    }

    pub fn legal(&self, first: u32, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        let (mut there, mut absent, mut each) = (ALL, ALL, ALL);
        for (at, part) in self.parts.iter().enumerate().rev() {
            let level = first + LEVELS * number_of(at);
            let of_there = part.legal(level, nodes)?;
            let of_absent = if part.may_be_absent() { TextClasses::absent(level, nodes)? } else { NONE };
            let of_each = nodes.either(of_there, of_absent)?;
            there = nodes.both(of_there, there)?;
            absent = nodes.both(of_absent, absent)?;
            each = nodes.both(of_each, each)?;
        }
        if self.together { nodes.either(there, absent) } else { Ok(each) }
    }

    /// The values that one of the products takes.
    pub fn passing(&self, forms: &[Vec<Part>], first: u32, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        let mut union = NONE;
        for form in forms {
            let mut product = ALL;
            for (at, (part, classes)) in form.iter().zip(&self.parts).enumerate().rev() {
                let passing = classes.passing(part, first + LEVELS * number_of(at), nodes)?;
                product = nodes.both(passing, product)?;
            }
            union = nodes.either(union, product)?;
        }
        Ok(union)
    }

    pub fn absent(&self, first: u32, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        let mut all = ALL;
        for at in (0..self.parts.len()).rev() {
            let own = TextClasses::absent(first + LEVELS * number_of(at), nodes)?;
            all = nodes.both(own, all)?;
        }
        Ok(all)
    }

    /// A value of the classes, `class` giving them by level from the first on.
    pub fn value(&self, class: impl Fn(u32) -> Option<u32>) -> Result<Value, Limit> {
        let text =
            |(at, part): (usize, &TextClasses)| part.text(|level| class(LEVELS * number_of(at) + level));
        let texts: Result<Vec<Option<Arc<str>>>, Limit> = self.parts.iter().enumerate().map(text).collect();
        Ok(Value::Parts(texts?.into()))
    }
}
