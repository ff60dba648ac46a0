//! Values of texts whose tests are languages: templates, paths with queries, hosts in any case, names of any peer.
//!
//! First the least text of what the target asks is tried as it stands. When a living box wants a test of it that the
//! demand does not imply, or refuses one, the texts are searched with the languages side by side; tests that the texts
//! found happen to pass join until none is left over.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::HashMap;

use super::lines::{self, combined};
use super::parts::texts as simple_texts;
use super::{Against, MOST_VALUES};
use crate::alphabet::{Bytes, TextDomain};
use crate::kind::{Shape, Words, language_of};
use crate::language::{Language, Reading, texts};
use crate::limit::Limit;
use crate::part::{Demand, Part};
use crate::value::Value;
use crate::vocabulary::{Column, TestId, VariableId, Vocabulary};

/// Texts by variable, the tests wanted, and the tests told apart.
pub(super) type Memo = HashMap<(VariableId, Vec<TestId>, Vec<TestId>), Arc<[Arc<str>]>>;

/// States that a search through texts may look at.
const MOST_STATES: usize = 20_000;
/// How often tests may join.
const MOST_ROUNDS: usize = 40;

pub(super) fn values(
    words: &Words,
    column: &Column,
    refused: &[TestId],
    against: Against<'_>,
    memo: &mut Memo,
) -> Result<Vec<Value>, Limit> {
    // What the target refuses has to be told apart too, or a text that it refuses may stand for one that it takes.
    let mut refused = refused.to_vec();
    refused.extend(&column.none_of);
    let refused = refused.as_slice();
    let mut search = Search { words, variable: column.variable, against, memo };
    if words.several { search.several(column, refused) } else { search.single(column, refused) }
}

struct Search<'a> {
    words: &'a Words,
    variable: usize,
    against: Against<'a>,
    memo: &'a mut Memo,
}

impl Search<'_> {
    fn single(&mut self, column: &Column, refused: &[TestId]) -> Result<Vec<Value>, Limit> {
        let vocabulary = self.against.vocabulary;
        let mut found: Vec<Value> = Vec::new();
        let absent = Value::text(None);
        if self.words.domain.absent && vocabulary.takes(column, &absent) {
            found.push(absent);
            if refused.is_empty() && column.any_of.is_empty() && !self.words.domain.absent_matters {
                return Ok(found);
            }
        }
        for chosen in choices(&column.any_of)? {
            for text in self.texts(&chosen, refused)?.iter() {
                let value = Value::text(Some(text));
                if vocabulary.takes(column, &value) && !found.contains(&value) {
                    found.push(value);
                }
            }
        }
        Ok(found)
    }

    /// Several texts: from a pool of all texts that can matter.
    fn several(&mut self, column: &Column, refused: &[TestId]) -> Result<Vec<Value>, Limit> {
        let vocabulary = self.against.vocabulary;
        let alone = |text: &Arc<str>| Value::Lines(Arc::from([Arc::clone(text)]));
        let variable = self.variable;
        let mut alternatives = Vec::new();
        for list in &column.any_of {
            let mut of_list: Vec<lines::Lines> = Vec::new();
            for test in list {
                match vocabulary.shape(*test) {
                    Shape::Simple(Part::Absent) => of_list.push(Vec::new()),
                    _ => of_list.extend(self.texts(&[*test], refused)?.iter().map(|text| vec![text.clone()])),
                }
            }
            alternatives.push(of_list);
        }
        let mut hitting = Vec::new();
        for test in refused {
            let texts = self.texts(&[*test], refused)?;
            hitting.extend(texts.iter().cloned());
        }
        hitting.retain(|text| {
            let passed = vocabulary.passed(variable, &alone(text));
            passed.iter().any(|test| refused.contains(test))
        });
        if self.words.domain.absent_matters {
            hitting.extend(self.texts(&[], refused)?.iter().cloned());
        }
        let mut found = combined(alternatives, hitting, column, self.against)?;
        if column.any_of.is_empty() && !self.words.domain.absent {
            found.retain(|value| !matches!(value, Value::Lines(lines) if lines.is_empty()));
            for text in self.texts(&[], refused)?.iter() {
                let value = alone(text);
                if vocabulary.takes(column, &value) && !found.contains(&value) {
                    found.push(value);
                }
            }
        }
        Ok(found)
    }

    /// The texts that pass the chosen tests, one for each way in which they can meet what is refused and wanted.
    fn texts(&mut self, chosen: &[TestId], refused: &[TestId]) -> Result<Arc<[Arc<str>]>, Limit> {
        let vocabulary = self.against.vocabulary;
        let demand = demand(chosen, vocabulary);
        let Some(demand) = demand else { return Ok(Arc::from([])) };
        let refused: Vec<TestId> =
            refused.iter().copied().filter(|test| may_meet(&demand, *test, vocabulary)).collect();
        let is_simple = chosen.iter().all(|test| matches!(vocabulary.shape(*test), Shape::Simple(_)));
        if is_simple && refused.is_empty() && self.words.domain.crowded.is_none() {
            let parts: Vec<Part> = chosen.iter().map(|test| part_of(*test, vocabulary)).collect();
            let there = TextDomain { absent: false, ..self.words.domain.clone() };
            let least = simple_texts(&parts, &there)?;
            let legal = least.iter().all(|text| self.is_legal(text));
            if legal && !least.is_empty() && self.left_over(&least, &demand, &BTreeSet::new()).is_empty() {
                return Ok(least.into());
            }
        }
        self.explored(chosen, &demand, refused)
    }

    fn is_legal(&self, text: &str) -> bool {
        self.words.legal.matches(text) && !self.words.illegal.iter().any(|language| language.matches(text))
    }

    fn explored(
        &mut self,
        chosen: &[TestId],
        demand: &Demand,
        refused: Vec<TestId>,
    ) -> Result<Arc<[Arc<str>]>, Limit> {
        let mut told_apart: BTreeSet<TestId> = refused.into_iter().collect();
        for _ in 0..MOST_ROUNDS {
            let tests: Vec<TestId> = told_apart.iter().copied().collect();
            let key = (self.variable, chosen.to_vec(), tests);
            let found = match self.memo.get(&key) {
                Some(known) => Arc::clone(known),
                None => {
                    let found = self.search(chosen, &key.2)?;
                    self.memo.insert(key, Arc::clone(&found));
                    found
                }
            };
            let more = self.left_over(&found, demand, &told_apart);
            if more.is_empty() {
                return Ok(found);
            }
            told_apart.extend(more);
        }
        Err(Limit::Patterns)
    }

    fn search(&self, chosen: &[TestId], told_apart: &[TestId]) -> Result<Arc<[Arc<str>]>, Limit> {
        let vocabulary = self.against.vocabulary;
        let bytes = self.words.legal_bytes();
        let own: Vec<Language> =
            chosen.iter().chain(told_apart).map(|test| language(*test, vocabulary, bytes)).collect();
        let mut languages: Vec<&Language> = vec![&self.words.legal];
        languages.extend(&self.words.illegal);
        let illegal: Vec<usize> = (1..languages.len()).collect();
        let first = languages.len();
        languages.extend(&own);
        let wanted: Vec<Vec<usize>> =
            std::iter::once(vec![0]).chain((first..first + chosen.len()).map(|at| vec![at])).collect();
        let reading = Reading {
            languages: &languages,
            wanted: &wanted,
            refused: &illegal,
            alphabet: bytes,
            filler: self.words.domain.filler.bytes().next().unwrap_or(b'x'),
            limit: MOST_STATES,
        };
        let found = texts(&reading).ok_or(Limit::Patterns)?;
        if found.len() > MOST_VALUES {
            return Err(Limit::Values);
        }
        Ok(found.into_iter().map(Arc::from).collect())
    }

    /// Tests that a text passes, that a living box wants, and that neither the demand implies nor the search knew.
    fn left_over(&self, found: &[Arc<str>], demand: &Demand, known: &BTreeSet<TestId>) -> Vec<TestId> {
        let Against { vocabulary, index, alive } = self.against;
        let mut left = Vec::new();
        for text in found {
            let value = if self.words.several {
                Value::Lines(Arc::from([Arc::clone(text)]))
            } else {
                Value::text(Some(text))
            };
            for test in vocabulary.passed(self.variable, &value) {
                if !known.contains(&test)
                    && !is_implied(demand, test, vocabulary)
                    && index.wants(self.variable, test, alive, vocabulary)
                {
                    left.push(test);
                }
            }
        }
        left
    }
}

/// One test of each list, in every way.
fn choices(lists: &[Vec<TestId>]) -> Result<Vec<Vec<TestId>>, Limit> {
    let mut chosen: Vec<Vec<TestId>> = vec![Vec::new()];
    for list in lists {
        let longer = chosen.iter().flat_map(|start| {
            list.iter().map(move |test| {
                let mut tests = start.clone();
                tests.push(*test);
                tests
            })
        });
        chosen = longer.collect();
        if chosen.len() > MOST_VALUES {
            return Err(Limit::Values);
        }
    }
    for tests in &mut chosen {
        tests.sort_unstable();
        tests.dedup();
    }
    Ok(chosen)
}

/// What the simple ones among the tests, and the starts of the others, ask together.
fn demand(tests: &[TestId], vocabulary: &Vocabulary) -> Option<Demand> {
    let there = Demand::Free.and(&Part::Exists)?;
    tests.iter().try_fold(there, |demand, test| demand.and(&part_of(*test, vocabulary)))
}

/// The simple test, or one that the language implies.
fn part_of(test: TestId, vocabulary: &Vocabulary) -> Part {
    match vocabulary.shape(test) {
        Shape::Simple(part) => part.clone(),
        Shape::Language(language) => {
            let start: Vec<u8> = language.start().iter().map_while(Bytes::only).collect();
            match String::from_utf8(start) {
                Ok(text) if !text.is_empty() => Part::Prefix(Arc::from(text)),
                _ => Part::Exists,
            }
        }
        _ => Part::Exists,
    }
}

/// Whether a text can meet both.
fn may_meet(demand: &Demand, test: TestId, vocabulary: &Vocabulary) -> bool {
    demand.and(&part_of(test, vocabulary)).is_some()
}

/// Whether every text that meets the demand passes the test.
fn is_implied(demand: &Demand, test: TestId, vocabulary: &Vocabulary) -> bool {
    match (demand, vocabulary.shape(test)) {
        (Demand::Exact(_), _) | (_, Shape::Simple(Part::Any | Part::Exists)) => true,
        (Demand::Affixes { prefix, .. }, Shape::Simple(Part::Prefix(text))) => prefix.starts_with(&**text),
        (Demand::Affixes { suffix, .. }, Shape::Simple(Part::Suffix(text))) => suffix.ends_with(&**text),
        (Demand::Affixes { prefix, suffix, non_empty }, Shape::Simple(Part::NonEmpty)) => {
            *non_empty || !prefix.is_empty() || !suffix.is_empty()
        }
        _ => false,
    }
}

/// The texts that pass the test.
pub(crate) fn language(test: TestId, vocabulary: &Vocabulary, bytes: Bytes) -> Language {
    match vocabulary.shape(test) {
        Shape::Simple(part) => language_of(part, bytes),
        Shape::Language(language) => Language::clone(language),
        _ => Language::default(),
    }
}
