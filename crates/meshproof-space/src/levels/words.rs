//! The classes of a text whose tests are languages, on one level: one for each set of tests that some text passes.

use std::sync::Arc;

use super::number_of;
use crate::kind::Words;
use crate::language::{Language, Reading, texts};
use crate::limit::Limit;
use crate::nodes::{ALL, NodeId, Nodes};
use crate::value::Value;
use crate::values::language_of_test;
use crate::vocabulary::{TestId, VariableId, Vocabulary};

/// States that the search for the classes may look at.
const MOST_STATES: usize = 60_000;
/// Texts that may be told apart.
const MOST_TEXTS: usize = 6_000;

/// A value of each class.
#[derive(Debug)]
pub(super) struct WordClasses(Vec<Value>);

impl WordClasses {
    pub fn new(words: &Words, variable: VariableId, vocabulary: &Vocabulary) -> Result<WordClasses, Limit> {
        let absent = words.domain.absent.then(|| Value::text(None));
        let texts = texts_of(words, variable, vocabulary)?.into_iter();
        Ok(WordClasses(absent.into_iter().chain(texts.map(|text| Value::text(Some(&text)))).collect()))
    }

    pub fn legal(&self, level: u32, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        nodes.stretches(level, &[(0, number_of(self.0.len()))], ALL)
    }

    /// The values that pass the test.
    pub fn passing(
        &self,
        test: TestId,
        variable: VariableId,
        vocabulary: &Vocabulary,
        level: u32,
        nodes: &mut Nodes,
    ) -> Result<NodeId, Limit> {
        let passes = |value: &Value| vocabulary.passed(variable, value).binary_search(&test).is_ok();
        let passing = self.0.iter().enumerate().filter(|(_, value)| passes(value));
        let stretches: Vec<(u32, u32)> = passing.map(|(at, _)| (number_of(at), number_of(at) + 1)).collect();
        nodes.stretches(level, &stretches, ALL)
    }

    pub fn absent(&self, level: u32, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        let at = self.0.iter().position(|value| *value == Value::text(None));
        let stretch = at.map(|at| (number_of(at), number_of(at) + 1));
        nodes.stretches(level, stretch.as_slice(), ALL)
    }

    /// The value of the class.
    pub fn value(&self, class: u32) -> Option<Value> {
        self.0.get(class as usize).cloned()
    }
}

/// A text for every set of tests that some text passes together.
///
/// # Errors
/// They are too many.
pub(super) fn texts_of(
    words: &Words,
    variable: VariableId,
    vocabulary: &Vocabulary,
) -> Result<Vec<Arc<str>>, Limit> {
    let bytes = words.legal_bytes();
    let own: Vec<Language> =
        vocabulary.tests_of(variable).map(|test| language_of_test(test, vocabulary, bytes)).collect();
    let mut languages: Vec<&Language> = vec![&words.legal];
    languages.extend(&words.illegal);
    let illegal: Vec<usize> = (1..languages.len()).collect();
    languages.extend(&own);
    let reading = Reading {
        languages: &languages,
        wanted: &[vec![0]],
        refused: &illegal,
        alphabet: bytes,
        filler: words.domain.filler.bytes().next().unwrap_or(b'x'),
        limit: MOST_STATES,
    };
    let found = texts(&reading).ok_or(Limit::Patterns)?;
    if found.len() > MOST_TEXTS {
        return Err(Limit::Patterns);
    }
    Ok(found.into_iter().map(Arc::from).collect())
}
