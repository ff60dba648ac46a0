//! Values of several texts, where a test asks whether one of them passes.
//!
//! One least text for each wanted test is less than any text that passes several of them. Further texts only serve to
//! hit what living boxes refuse; those that no living box wants are always taken, the others are a choice.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};

use super::Against;
use crate::alphabet::TextDomain;
use crate::bits::Bits;
use crate::kind::Shape;
use crate::limit::Limit;
use crate::part::{Demand, Part};
use crate::value::Value;
use crate::vocabulary::{Column, TestId};

/// Texts, ordered.
pub(super) type Lines = Vec<Arc<str>>;

pub(super) fn values(
    domain: &TextDomain,
    column: &Column,
    refused: &[TestId],
    against: Against<'_>,
) -> Result<Vec<Value>, Limit> {
    let vocabulary = against.vocabulary;
    let least = |test: &TestId| -> Result<Vec<Arc<str>>, Limit> {
        let Shape::Simple(part) = vocabulary.shape(*test) else { return Ok(Vec::new()) };
        let demand = Demand::Free.and(part);
        let texts = demand.map_or(Ok(Vec::new()), |demand| match part {
            Part::Absent => Ok(Vec::new()),
            _ => demand.least(domain),
        })?;
        Ok(texts.into_iter().flatten().collect())
    };
    let mut choices: Vec<Vec<Lines>> = Vec::new();
    for list in &column.any_of {
        let mut alternatives = Vec::new();
        for test in list {
            match vocabulary.shape(*test) {
                Shape::Simple(Part::Absent) => alternatives.push(Vec::new()),
                _ => alternatives.extend(least(test)?.into_iter().map(|text| vec![text])),
            }
        }
        choices.push(alternatives);
    }
    let mut hitting = Vec::new();
    for test in refused {
        hitting.extend(least(test)?);
    }
    if domain.absent_matters {
        hitting.extend(super::parts::texts(&[Part::Exists], domain)?);
    }
    combined(choices, hitting, column, against)
}

/// Sets with one alternative of each choice, and the texts that hit what is refused as far as they may help.
pub(super) fn combined(
    choices: Vec<Vec<Lines>>,
    mut hitting: Lines,
    column: &Column,
    against: Against<'_>,
) -> Result<Vec<Value>, Limit> {
    hitting.sort();
    hitting.dedup();
    let texts = choices.iter().flatten().flatten().chain(&hitting);
    let weights = Weights::new(texts, column, against);
    let takes = |set: &Set| against.vocabulary.takes(column, &Value::Lines(set.lines.as_slice().into()));
    let mut sets = vec![weights.of(Vec::new())];
    for alternatives in choices {
        let alternatives = unbeaten(alternatives.into_iter().map(|lines| weights.of(lines)).collect());
        let longer = sets.iter().flat_map(|set| alternatives.iter().map(move |more| set.and(more)));
        sets = unbeaten(longer.collect());
        if sets.len() > MOST_SETS {
            return Err(Limit::Values);
        }
    }
    sets.retain(takes);
    let hitting = unbeaten(hitting.into_iter().map(|text| weights.of(vec![text])).collect());
    for text in hitting {
        let longer: Vec<Set> = sets.iter().map(|set| set.and(&text)).filter(takes).collect();
        sets.extend(longer);
        sets = unbeaten(sets);
        if sets.len() > MOST_SETS {
            return Err(Limit::Values);
        }
    }
    Ok(sets.into_iter().map(|set| Value::Lines(set.lines.into())).collect())
}

/// More sets than this are not kept beside each other; each is compared with each.
const MOST_SETS: usize = 512;

/// Texts with what they do to the living boxes.
#[derive(Clone)]
struct Set {
    lines: Lines,
    /// Refused tests that they pass: the more the better.
    hits: Bits,
    /// Wanted tests that they pass: the fewer the better.
    wants: Bits,
}

impl Set {
    fn and(&self, other: &Set) -> Set {
        // Texts that are there leave nothing of what their absence passes.
        if self.lines.is_empty() || other.lines.is_empty() {
            return if self.lines.is_empty() { other.clone() } else { self.clone() };
        }
        let mut lines: Lines = self.lines.iter().chain(&other.lines).cloned().collect();
        lines.sort();
        lines.dedup();
        Set { lines, hits: self.hits.or(&other.hits), wants: self.wants.or(&other.wants) }
    }

    fn beats(&self, other: &Set) -> bool {
        other.hits.is_subset(&self.hits) && self.wants.is_subset(&other.wants)
    }
}

/// The sets that no other one beats.
fn unbeaten(sets: Vec<Set>) -> Vec<Set> {
    let mut kept: Vec<Set> = Vec::new();
    for set in sets {
        if !kept.iter().any(|known| known.beats(&set)) {
            kept.retain(|known| !set.beats(known));
            kept.push(set);
        }
    }
    kept
}

/// The tests that matter for some texts, numbered.
struct Weights {
    passed: HashMap<Arc<str>, (Vec<usize>, Vec<usize>)>,
    /// The same for no text at all.
    empty: (Vec<usize>, Vec<usize>),
    bound: usize,
}

impl Weights {
    fn new<'a>(texts: impl Iterator<Item = &'a Arc<str>>, column: &Column, against: Against<'_>) -> Weights {
        let Against { vocabulary, index, alive } = against;
        let refused = index.live_refused(column.variable, alive, vocabulary);
        // Without refused tests the outcome is remembered for whatever boxes are alive later.
        let alive = if refused.is_empty() { &index.all } else { alive };
        let mut numbers: HashMap<TestId, usize> = HashMap::new();
        let mut passed = HashMap::new();
        for text in texts {
            let alone = Value::Lines(Arc::from([Arc::clone(text)]));
            let (mut hits, mut wants) = (Vec::new(), Vec::new());
            for test in vocabulary.passed(column.variable, &alone) {
                let next = numbers.len();
                let number = *numbers.entry(test).or_insert(next);
                if refused.binary_search(&test).is_ok() {
                    hits.push(number);
                }
                // What the target refuses is as bad as what is wanted: such a text must not beat one that is taken.
                if index.wants(column.variable, test, alive, vocabulary) || column.none_of.contains(&test) {
                    wants.push(number);
                }
            }
            passed.insert(Arc::clone(text), (hits, wants));
        }
        let mut empty = (Vec::new(), Vec::new());
        if vocabulary.kinds[column.variable].absent_matters() {
            for test in vocabulary.passed(column.variable, &Value::Lines(Arc::from([]))) {
                let next = numbers.len();
                let number = *numbers.entry(test).or_insert(next);
                if refused.binary_search(&test).is_ok() {
                    empty.0.push(number);
                }
                empty.1.push(number);
            }
        }
        Weights { passed, empty, bound: numbers.len() }
    }

    fn of(&self, lines: Lines) -> Set {
        let mut set = Set { hits: Bits::none(self.bound), wants: Bits::none(self.bound), lines };
        let none = set.lines.is_empty().then_some(&self.empty);
        for (hits, wants) in set.lines.iter().filter_map(|line| self.passed.get(line)).chain(none) {
            hits.iter().for_each(|at| set.hits.insert(*at));
            wants.iter().for_each(|at| set.wants.insert(*at));
        }
        set
    }
}
