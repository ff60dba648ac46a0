//! The classes of several texts, on one level for each test: whether some text passes it.

use std::sync::Arc;

use super::number_of;
use crate::alphabet::TextDomain;
use crate::kind::Shape;
use crate::limit::Limit;
use crate::nodes::{ALL, NONE, NodeId, Nodes};
use crate::part::{Demand, Part};
use crate::value::Value;

/// Tests of a variable with several texts: each is compared with each.
const MOST_TESTS: usize = 64;

/// The tests, the first of which is that there is a text at all.
#[derive(Debug)]
pub(super) struct LineClasses {
    domain: TextDomain,
    parts: Vec<Part>,
}

impl LineClasses {
    pub fn new<'a>(
        domain: &TextDomain,
        shapes: impl Iterator<Item = &'a Shape>,
    ) -> Result<LineClasses, Limit> {
        Ok(LineClasses { domain: domain.clone(), parts: line_tests(domain, shapes)? })
    }

    pub fn len(&self) -> u32 {
        number_of(self.parts.len())
    }

    /// What the tests imply: some text passes both, or none passes the first.
    pub fn legal(&self, first: u32, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        let LineClasses { domain, parts } = self;
        let passes = |at: usize, nodes: &mut Nodes| nodes.stretches(first + number_of(at), &[(1, 2)], ALL);
        let mut legal = ALL;
        for (at, part) in parts.iter().enumerate() {
            let own = passes(at, nodes)?;
            let least = Demand::Free.and(part).map_or(Ok(Vec::new()), |demand| demand.least(domain))?;
            let mut least = least.into_iter().flatten();
            let implied = match (part, least.next()) {
                (_, None) => NONE,
                // A text that is there is empty or not.
                (Part::Exists, _) => {
                    let known = [Part::NonEmpty, Part::Exact(Arc::from(""))];
                    let mut either = NONE;
                    for kind in known {
                        if let Some(place) = parts.iter().position(|part| *part == kind) {
                            let passed = passes(place, nodes)?;
                            either = nodes.either(either, passed)?;
                        }
                    }
                    if either == NONE { ALL } else { either }
                }
                (_, Some(text)) => {
                    let mut all = ALL;
                    for (place, _) in parts.iter().enumerate().filter(|(_, other)| other.matches(Some(&text)))
                    {
                        let passed = passes(place, nodes)?;
                        all = nodes.both(all, passed)?;
                    }
                    all
                }
            };
            let missed = nodes.without(ALL, own)?;
            let holds = nodes.either(missed, implied)?;
            legal = nodes.both(legal, holds)?;
        }
        Ok(legal)
    }

    /// The values that pass the simple test.
    pub fn passing(&self, part: &Part, first: u32, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        if *part == Part::Absent {
            return LineClasses::absent(first, nodes);
        }
        match self.parts.iter().position(|known| known == part) {
            Some(at) => nodes.stretches(first + number_of(at), &[(1, 2)], ALL),
            None => Ok(NONE),
        }
    }

    /// No text at all.
    pub fn absent(first: u32, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        nodes.stretches(first, &[(0, 1)], ALL)
    }

    /// Texts that together pass the tests that are said to be passed, by their levels from the first on.
    pub fn value(&self, is_passed: impl Fn(u32) -> bool) -> Result<Value, Limit> {
        let passed = self.parts.iter().enumerate().filter(|(at, _)| is_passed(number_of(*at)));
        let passed: Vec<&Part> = passed.map(|(_, part)| part).collect();
        let mut lines: Vec<Arc<str>> = Vec::new();
        // The text of a test for presence is needed only where no other one is there.
        for part in passed.into_iter().rev() {
            if !lines.iter().any(|line| part.matches(Some(line))) {
                let least = Demand::Free.and(part).map_or(Ok(Vec::new()), |part| part.least(&self.domain))?;
                lines.extend(least.into_iter().flatten().next());
            }
        }
        lines.sort();
        lines.dedup();
        Ok(Value::Lines(lines.into()))
    }
}

/// The tests of several texts, each once: presence first, prefixes before what goes on from them.
fn line_tests<'a>(domain: &TextDomain, shapes: impl Iterator<Item = &'a Shape>) -> Result<Vec<Part>, Limit> {
    if domain.crowded.is_some() && domain.has_letters() {
        return Err(Limit::Values);
    }
    let mut parts: Vec<Part> = shapes
        .filter_map(|shape| match shape {
            Shape::Simple(Part::Absent | Part::Any) => None,
            Shape::Simple(part) => Some(part.clone()),
            _ => None,
        })
        .collect();
    parts.push(Part::Exists);
    let empty = Part::Exact(Arc::from(""));
    if parts.contains(&Part::NonEmpty) || parts.contains(&empty) {
        parts.extend([Part::NonEmpty, empty]);
    }
    let rank = |part: &Part| match part {
        Part::Exists => 0,
        Part::NonEmpty => 1,
        Part::Prefix(_) => 2,
        Part::Suffix(_) => 3,
        _ => 4,
    };
    parts.sort_by(|a, b| (rank(a), a.literal()).cmp(&(rank(b), b.literal())));
    parts.dedup();
    if parts.len() > MOST_TESTS { Err(Limit::Patterns) } else { Ok(parts) }
}
