//! The one look at everything in a table, behind which no place in it lies outside.
//!
//! Parts that others point to are walked from start to end, and where they begin is remembered, so the time is that of
//! the size, whatever points where.

mod dimensions;
mod scripts;
mod sets;
mod starts;

pub(crate) use dimensions::{dimension, runs, segments};
pub(crate) use scripts::scripts;

use self::sets::{Known, groups, lists};
use self::starts::Starts;
use crate::bytes::{Reader, place};
use crate::error::OpenError;
use crate::format::{self, DIMENSION, INDEX, NONE, POLICY};
use crate::head::Sections;
use crate::table::Table;

type Checked = Result<(), OpenError>;

fn invalid(what: &'static str, at: usize) -> OpenError {
    OpenError::Invalid { what, at: u32::try_from(at).unwrap_or(u32::MAX) }
}

fn check(holds: bool, what: &'static str, at: usize) -> Checked {
    if holds { Ok(()) } else { Err(invalid(what, at)) }
}

/// Whether a range lies inside.
fn is_inside(start: u32, count: u32, length: usize) -> bool {
    place(start).checked_add(place(count)).is_some_and(|end| end <= length)
}

/// Looks at everything that the table is made of.
pub(crate) fn table(table: &Table<'_>, sections: &Sections<'_>) -> Checked {
    let sizes = [
        (format::DIMENSIONS, DIMENSION * 4),
        (format::INDEXES, INDEX * 4),
        (format::COLUMNS, 8),
        (format::SETS, 8),
        (format::SLOTS, 4),
        (format::LENGTHS, 4),
        (format::BORDERS, 4),
        (format::WIDE_BORDERS, 16),
        (format::STARTS, 4),
    ];
    for (section, size) in sizes {
        check(sections.bytes(section).len().is_multiple_of(size), "a section of the wrong length", section)?;
    }
    let sets = &table.store.sets;
    check(sets.columns.len() == sets.stride * sets.words, "columns and words do not fit", 0)?;
    let pool = texts(sections.bytes(format::POOL))?;
    for (at, start) in sections.numbers(format::STARTS).iter().enumerate() {
        check(pool.has(place(start)), "a start that does not exist", at)?;
    }
    check_rules(table, &pool)?;
    let known = match &table.by_rows {
        Some(by_rows) => {
            scripts::check_all(table, by_rows)?;
            Known::Scripts(by_rows.scripts.rows.len())
        }
        None => Known::Words(sets.words),
    };
    let mut starts = Starts {
        sets: groups(table)?,
        lists: lists(table, &known)?,
        tests: Marks::default(),
        entries: Marks::default(),
        rows: Vec::new(),
        known,
        table,
    };
    starts.tests()?;
    starts.entries()?;
    starts.code(table.everything, 0)?;
    for (at, dimension) in table.connection.iter().chain(&table.request).enumerate() {
        dimension.indifferent.map_or(Ok(0), |set| starts.code(set, at))?;
        let ends = table.store.tests.bytes.len();
        let is_start = |test: u32| starts.tests.has(place(test)) || place(test) == ends;
        check(dimension.tests.into_iter().all(is_start), "the tests of an attribute", at)?;
    }
    starts.indexes(sections)?;
    starts.slots()
}

/// Places at which something begins, a bit each.
#[derive(Default)]
struct Marks(Vec<u64>);

impl Marks {
    fn for_places(count: usize) -> Marks {
        Marks(vec![0; count.div_ceil(64)])
    }

    fn set(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    fn has(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word & (1 << (place % 64)) != 0)
    }
}

/// What begins at a place, of parts in the order in which they stand.
fn found<T: Copy>(parts: &[(usize, T)], at: usize) -> Option<(usize, T)> {
    let place = parts.binary_search_by_key(&at, |(place, _)| *place).ok()?;
    parts.get(place).copied()
}

/// Walks through the texts.
fn texts(bytes: &[u8]) -> Result<Marks, OpenError> {
    let mut starts = Marks::for_places(bytes.len());
    let mut reader = Reader::new(bytes, 0);
    while !reader.is_at_end() {
        let at = reader.at;
        starts.set(at);
        let length = reader.number();
        let text = reader.take(length);
        check(reader.is_inside() && std::str::from_utf8(text).is_ok(), "a text", at)?;
    }
    Ok(starts)
}

fn check_rules(table: &Table<'_>, pool: &Marks) -> Checked {
    let rules = table.rule_policies.len();
    for at in 0..table.row_rules.len() {
        let rule = table.row_rules.at(at);
        check(rule == NONE || place(rule) < rules, "a row without its rule", at)?;
    }
    for rule in 0..rules {
        let policy = place(table.rule_policies.at(rule));
        check(policy < table.policies.len() / POLICY, "a rule without its policy", rule)?;
    }
    check(table.policies.len().is_multiple_of(POLICY), "half a policy", 0)?;
    for at in 0..table.policies.len() {
        check(pool.has(place(table.policies.at(at))), "the name of a policy", at)?;
    }
    Ok(())
}

fn ascends<T: PartialOrd>(mut numbers: impl Iterator<Item = T>) -> bool {
    let Some(mut last) = numbers.next() else { return true };
    numbers.all(|number| {
        let is_more = last < number;
        last = number;
        is_more
    })
}
