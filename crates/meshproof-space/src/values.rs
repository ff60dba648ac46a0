//! Which values of a variable a search has to try: those that a box takes and that no other value beats.
//!
//! A value beats another when every living box that accepts it accepts the other too: fewer accepting boxes are never
//! harder to escape. Wanted tests of living boxes therefore need no values of their own; only what the target asks and
//! what living boxes refuse leads to candidates, and numbers, of which there are finitely many, to all their borders.

use crate::bits::Bits;
use crate::index::Index;
use crate::kind::{Kind, Shape};
use crate::limit::Limit;
use crate::value::{Number, Value};
use crate::vocabulary::{Column, TestId, Vocabulary};

mod lines;
mod parts;
mod words;

pub(crate) use words::language as language_of_test;

/// More values than this are not tried at one place.
const MOST_VALUES: usize = 4096;

/// What stands against a target at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Against<'a> {
    pub vocabulary: &'a Vocabulary,
    pub index: &'a Index,
    pub alive: &'a Bits,
}

/// Candidates, and texts that were found before.
#[derive(Debug, Default)]
pub(crate) struct Values {
    /// Texts by what was asked of them.
    texts: words::Memo,
}

impl Values {
    /// The languages of all searches through texts so far, which each search reads side by side.
    #[cfg(test)]
    pub fn languages(&self) -> usize {
        self.texts.keys().map(|(_, chosen, apart)| chosen.len() + apart.len()).sum()
    }

    /// The values to try, none at all when the column takes none.
    ///
    /// # Errors
    /// A limit was hit.
    pub fn of(&mut self, column: &Column, against: Against<'_>) -> Result<Vec<Value>, Limit> {
        let Against { vocabulary, index, alive } = against;
        let refused = index.live_refused(column.variable, alive, vocabulary);
        match &vocabulary.kinds[column.variable] {
            Kind::Numbers(ranges) => Ok(numbers(ranges, column, against)),
            Kind::Words(words) => words::values(words, column, &refused, against, &mut self.texts),
            Kind::Parts { domains, together } => {
                parts::values(domains, *together, column, &refused, vocabulary)
            }
            Kind::Lines(domain) => lines::values(domain, column, &refused, against),
        }
    }
}

/// Ports that read well.
const PORTS: &[u128] = &[8080, 443];
/// Addresses that read well.
const ADDRESSES: &[u128] = &[0x0a00_0001, 0xc000_0201, 0xcb00_7101, 0x0102_0304, 0x2001_0db8 << 96 | 1];

/// A number from the border on and before the next one, one that reads well if there is one.
pub(crate) fn familiar(border: Number, behind: Option<&Number>, domain: &[(Number, Number)]) -> Number {
    let within = |number: &Number| domain.iter().any(|(from, to)| from <= number && number <= to);
    let is_port = domain.iter().all(|(_, to)| to.value <= u128::from(u16::MAX));
    let inside = if is_port { PORTS } else { ADDRESSES }
        .iter()
        .map(|value| Number { value: *value, ..border })
        .find(|number| border <= *number && behind.is_none_or(|behind| number < behind) && within(number));
    inside.unwrap_or(border)
}

/// Borders of all boxes are tried up to so many, those of the living boxes beyond.
const FEW_BORDERS: usize = 64;

/// One number for each interval between the borders of what is tested.
fn numbers(domain: &[(Number, Number)], column: &Column, against: Against<'_>) -> Vec<Value> {
    let Against { vocabulary, index, alive } = against;
    let range = |test: &TestId| match vocabulary.shape(*test) {
        Shape::Range(from, to) => Some((*from, *to)),
        _ => None,
    };
    // Every number lies in one of these.
    let own: Vec<(Number, Number)> = match column.any_of.first() {
        Some(list) => list.iter().filter_map(range).collect(),
        None => domain.to_vec(),
    };
    let mut borders: Vec<Number> = domain.iter().map(|(from, _)| *from).collect();
    let more = column.any_of.iter().skip(1).flatten().chain(&column.none_of);
    for (from, to) in own.iter().copied().chain(more.filter_map(range)) {
        borders.push(from);
        borders.extend(to.next());
    }
    let inside = || own.iter().map(|(from, to)| index.borders(column.variable, *from, *to));
    if inside().map(<[Number]>::len).sum::<usize>() <= FEW_BORDERS {
        borders.extend(inside().flatten());
    } else {
        for (from, to) in index.live_tests(column.variable, alive, vocabulary).iter().filter_map(range) {
            borders.push(from);
            borders.extend(to.next());
        }
    }
    borders.sort_unstable();
    borders.dedup();
    let within = |number: &Number| domain.iter().any(|(from, to)| from <= number && number <= to);
    let takes = |number: &Number| vocabulary.takes(column, &Value::Number(*number));
    let each = borders.iter().enumerate().filter(|(_, border)| within(border) && takes(border));
    let chosen = each.map(|(at, border)| familiar(*border, borders.get(at + 1), domain));
    chosen.map(Value::Number).collect()
}
