//! Classes of values: values that pass the same tests are one class, and the classes of a variable are the levels of a
//! diagram.
//!
//! A text is a point of its own when a test names it; all others are told apart by their longest prefix and their longest
//! suffix that tests know. Several texts are one yes or no for each test; what tests imply of each other is part of the
//! set of all requests.

use crate::kind::{Kind, Shape};
use crate::limit::Limit;
use crate::nodes::{NONE, NodeId, Nodes};
use crate::value::Value;
use crate::vocabulary::{TestId, VariableId, Vocabulary};

mod lines;
mod numbers;
mod parts;
mod text;
mod words;

use lines::LineClasses;
use numbers::NumberClasses;
use parts::PartClasses;
use words::WordClasses;

/// The levels of one variable.
#[derive(Debug)]
pub(crate) struct Levels {
    /// The first of them.
    pub first: u32,
    classes: Classes,
}

#[derive(Debug)]
enum Classes {
    /// One level.
    Numbers(NumberClasses),
    /// Three levels for each part.
    Parts(PartClasses),
    /// One level.
    Words(WordClasses),
    /// One level for each test.
    Lines(LineClasses),
}

impl Levels {
    /// The levels of the variable from `first` on.
    ///
    /// # Errors
    /// Its values cannot be told apart this way.
    pub fn new(variable: VariableId, vocabulary: &Vocabulary, first: u32) -> Result<Levels, Limit> {
        let shapes = vocabulary.tests_of(variable).map(|test| vocabulary.shape(test));
        let classes = match &vocabulary.kinds[variable] {
            Kind::Numbers(legal) => Classes::Numbers(NumberClasses::new(legal, shapes)),
            Kind::Parts { domains, together } => {
                let shapes: Vec<&Shape> = shapes.collect();
                Classes::Parts(PartClasses::new(domains, *together, shapes.iter().copied())?)
            }
            Kind::Words(words) if words.several => {
                Classes::Lines(LineClasses::of_words(words, variable, vocabulary)?)
            }
            Kind::Words(words) => Classes::Words(WordClasses::new(words, variable, vocabulary)?),
            Kind::Lines(domain) => Classes::Lines(LineClasses::new(domain, shapes)?),
        };
        Ok(Levels { first, classes })
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        match &self.classes {
            Classes::Numbers(_) | Classes::Words(_) => 1,
            Classes::Parts(parts) => parts.len(),
            Classes::Lines(lines) => lines.len(),
        }
    }

    /// The values that there are.
    ///
    /// # Errors
    /// There are too many nodes.
    pub fn legal(&self, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        match &self.classes {
            Classes::Numbers(numbers) => numbers.legal(self.first, nodes),
            Classes::Words(words) => words.legal(self.first, nodes),
            Classes::Parts(parts) => parts.legal(self.first, nodes),
            Classes::Lines(lines) => lines.legal(self.first, nodes),
        }
    }

    /// The values that pass the test.
    ///
    /// # Errors
    /// There are too many nodes.
    pub fn passing(
        &self,
        test: TestId,
        variable: VariableId,
        vocabulary: &Vocabulary,
        nodes: &mut Nodes,
    ) -> Result<NodeId, Limit> {
        match (&self.classes, vocabulary.shape(test)) {
            (Classes::Numbers(numbers), Shape::Range(from, to)) => {
                numbers.passing(*from, *to, self.first, nodes)
            }
            (Classes::Words(words), _) => words.passing(test, variable, vocabulary, self.first, nodes),
            (Classes::Parts(parts), Shape::Forms(forms)) => parts.passing(forms, self.first, nodes),
            (Classes::Lines(lines), shape) => lines.passing(shape, self.first, nodes),
            _ => Ok(NONE),
        }
    }

    /// The value that is missing.
    ///
    /// # Errors
    /// There are too many nodes.
    pub fn absent(&self, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        match &self.classes {
            Classes::Numbers(_) => Ok(NONE),
            Classes::Words(words) => words.absent(self.first, nodes),
            Classes::Parts(parts) => parts.absent(self.first, nodes),
            Classes::Lines(_) => LineClasses::absent(self.first, nodes),
        }
    }

    /// A value of the classes; `class` gives them by level, nothing where it does not matter.
    ///
    /// # Errors
    /// Every character is taken at the place where another one is needed.
    pub fn value(&self, class: impl Fn(u32) -> Option<u32>) -> Result<Option<Value>, Limit> {
        if (self.first..self.first + self.len()).all(|level| class(level).is_none()) {
            return Ok(None);
        }
        let class = |level| class(self.first + level);
        Ok(match &self.classes {
            Classes::Numbers(numbers) => numbers.value(class(0).unwrap_or(0)),
            Classes::Words(words) => words.value(class(0).unwrap_or(0)),
            Classes::Parts(parts) => Some(parts.value(class)?),
            Classes::Lines(lines) => Some(lines.value(|level| class(level) == Some(1))),
        })
    }
}

/// A place as the number of a class or a level.
fn number_of(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
