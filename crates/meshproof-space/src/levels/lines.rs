//! The classes of several texts, on one level for each test: whether some text passes it.
//!
//! Texts together pass what any of them passes, so the sets of tests that occur are the unions of those that single texts
//! pass. Of these only the least count: a test is passed when one of its least texts is there, with all that it passes.

use std::sync::Arc;

use super::number_of;
use super::words::texts_of;
use crate::alphabet::TextDomain;
use crate::kind::{Shape, Words};
use crate::limit::Limit;
use crate::nodes::{ALL, NONE, NodeId, Nodes};
use crate::part::{Demand, Part};
use crate::value::Value;
use crate::vocabulary::{VariableId, Vocabulary};

/// Tests of a variable with several texts: each is a level and a bit.
const MOST_TESTS: usize = 64;

/// The tests, the first of which is that there is a text at all.
#[derive(Debug)]
pub(super) struct LineClasses {
    tests: Vec<Shape>,
    /// For each test the texts of which one is there when it is passed.
    least: Vec<Vec<Line>>,
}

/// A text with the tests that it passes, one bit for each.
#[derive(Clone, Debug)]
struct Line {
    text: Arc<str>,
    passed: u64,
}

impl LineClasses {
    /// Texts with simple tests.
    pub fn new<'a>(
        domain: &TextDomain,
        shapes: impl Iterator<Item = &'a Shape>,
    ) -> Result<LineClasses, Limit> {
        let parts = line_tests(domain, shapes)?;
        let tests: Vec<Shape> = parts.iter().cloned().map(Shape::Simple).collect();
        let mut least = Vec::with_capacity(parts.len());
        for part in &parts {
            let texts = Demand::Free.and(part).map_or(Ok(Vec::new()), |demand| demand.least(domain))?;
            least.push(texts.into_iter().flatten().map(|text| Line::new(text, &tests)).collect());
        }
        Ok(LineClasses { tests, least })
    }

    /// Texts whose tests are languages.
    pub fn of_words(
        words: &Words,
        variable: VariableId,
        vocabulary: &Vocabulary,
    ) -> Result<LineClasses, Limit> {
        let mut tests = vec![Shape::Simple(Part::Exists)];
        for shape in vocabulary.tests_of(variable).map(|test| vocabulary.shape(test)) {
            if !shape.is_absence() && !tests.contains(shape) {
                tests.push(shape.clone());
            }
        }
        if tests.len() > MOST_TESTS {
            return Err(Limit::Patterns);
        }
        let texts = texts_of(words, variable, vocabulary)?;
        let lines: Vec<Line> = texts.into_iter().map(|text| Line::new(text, &tests)).collect();
        let least =
            (0..tests.len()).map(|at| least_of(lines.iter().filter(|line| line.passes(at)))).collect();
        Ok(LineClasses { tests, least })
    }

    pub fn len(&self) -> u32 {
        number_of(self.tests.len())
    }

    /// What the tests imply: one of the least texts is there with all that it passes, or the test is not passed.
    pub fn legal(&self, first: u32, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        let mut levels = Vec::with_capacity(self.tests.len());
        for at in 0..self.tests.len() {
            levels.push(nodes.stretches(first + number_of(at), &[(1, 2)], ALL)?);
        }
        let mut legal = ALL;
        for (at, least) in self.least.iter().enumerate() {
            let mut implied = NONE;
            for line in least {
                let mut all = ALL;
                for (other, passed) in levels.iter().enumerate().rev() {
                    if other != at && line.passes(other) {
                        all = nodes.both(*passed, all)?;
                    }
                }
                implied = nodes.either(implied, all)?;
            }
            let missed = nodes.without(ALL, levels[at])?;
            let holds = nodes.either(missed, implied)?;
            legal = nodes.both(legal, holds)?;
        }
        Ok(legal)
    }

    /// The values that pass the test.
    pub fn passing(&self, test: &Shape, first: u32, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        if test.is_absence() {
            return LineClasses::absent(first, nodes);
        }
        match self.tests.iter().position(|known| known == test) {
            Some(at) => nodes.stretches(first + number_of(at), &[(1, 2)], ALL),
            None => Ok(NONE),
        }
    }

    /// No text at all.
    pub fn absent(first: u32, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        nodes.stretches(first, &[(0, 1)], ALL)
    }

    /// Texts that together pass the tests that are said to be passed, by their levels from the first on, and no others.
    pub fn value(&self, is_passed: impl Fn(u32) -> bool) -> Value {
        let passed: Vec<usize> = (0..self.tests.len()).filter(|at| is_passed(number_of(*at))).collect();
        let all = bits(passed.iter().copied());
        let mut lines: Vec<&Line> = Vec::new();
        // The text of a test for presence is needed only where no other one is there.
        for at in passed.into_iter().rev() {
            if !lines.iter().any(|line| line.passes(at)) {
                lines.extend(self.least[at].iter().find(|line| line.passed & !all == 0));
            }
        }
        let mut texts: Vec<Arc<str>> = lines.into_iter().map(|line| Arc::clone(&line.text)).collect();
        texts.sort();
        texts.dedup();
        Value::Lines(texts.into())
    }
}

impl Line {
    fn new(text: Arc<str>, tests: &[Shape]) -> Line {
        let value = Value::Lines(Arc::from([Arc::clone(&text)]));
        let passed = tests.iter().enumerate().filter(|(_, test)| test.matches(&value));
        Line { passed: bits(passed.map(|(at, _)| at)), text }
    }

    fn passes(&self, at: usize) -> bool {
        self.passed & (1 << at) != 0
    }
}

fn bits(places: impl Iterator<Item = usize>) -> u64 {
    places.fold(0, |all, at| all | (1 << at))
}

/// The texts that pass no more than they have to.
fn least_of<'a>(lines: impl Iterator<Item = &'a Line>) -> Vec<Line> {
    let mut kept: Vec<Line> = Vec::new();
    for line in lines {
        if !kept.iter().any(|known| known.passed & !line.passed == 0) {
            kept.retain(|known| line.passed & !known.passed != 0);
            kept.push(line.clone());
        }
    }
    kept
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
