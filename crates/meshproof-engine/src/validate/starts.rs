//! Entries, tests, indexes and slots: whatever they name has to begin there.

use super::sets::Known;
use super::{Checked, Marks, ascends, check, found, invalid, is_inside};
use crate::bytes::{Reader, U32s, U128s, place};
use crate::error::OpenError;
use crate::format::{
    self, ALIAS, COMPLETE, COUNTED, FILTER, INDEX, MARKER, NONE, OWN_REFUSED, OWN_WANTED, PARENT, SET_COLUMN,
    SET_GROUPS, SET_LIST, SET_ROWS, TEST_REFUSED, TEST_WANTED,
};
use crate::head::Sections;
use crate::index::counts;
use crate::kinds::View;
use crate::table::Table;

/// Where sets, tests and entries begin.
pub(super) struct Starts<'a, 't> {
    pub sets: Marks,
    /// With how many rows each has.
    pub lists: Vec<(usize, usize)>,
    pub tests: Marks,
    pub entries: Marks,
    /// How many rows each entry leads to, in their order; with scripts.
    pub rows: Vec<(usize, usize)>,
    pub known: Known,
    pub table: &'a Table<'t>,
}

impl<'t> Starts<'_, 't> {
    /// A set that stands somewhere else.
    ///
    /// Gives how many rows it has, where these are told one by one.
    pub fn code(&self, code: u32, at: usize) -> Result<usize, OpenError> {
        let sets = &self.table.store.sets;
        let start = place(code >> 2);
        let list = if code & 3 == SET_LIST { found(&self.lists, start) } else { None };
        let is_good = match code & 3 {
            // Scripts are told one by one.
            SET_COLUMN | SET_GROUPS if self.table.has_scripts => false,
            SET_COLUMN => start < sets.stride,
            SET_GROUPS => self.sets.has(start),
            SET_LIST => list.is_some(),
            _ => code == SET_ROWS,
        };
        check(is_good, "a set that does not exist", at)?;
        self.few(list.map_or(0, |(_, rows)| rows), at)
    }

    /// The set that a reader stands before.
    fn set(&self, reader: &mut Reader<'t>) -> Result<usize, OpenError> {
        let at = reader.at;
        let code = reader.number();
        if code & 3 != SET_ROWS {
            return self.code(code, at);
        }
        let bytes = reader.take(code >> 2);
        check(reader.is_inside(), "a set lies outside", at)?;
        self.few(self.known.rows(bytes, at)?, at)
    }

    /// With scripts nothing leads to more rows than a name may.
    fn few(&self, rows: usize, at: usize) -> Result<usize, OpenError> {
        let most = self.table.by_rows.as_ref().map_or(usize::MAX, |by_rows| by_rows.scripts.most);
        check(rows <= most, "more rows than a name may lead to", at)?;
        Ok(rows)
    }

    fn start(&self, number: u32, at: usize) -> Checked {
        check(
            place(number) <= self.table.store.entries.starts.places.len(),
            "a start that does not exist",
            at,
        )
    }

    fn entry(&self, entry: u32, at: usize) -> Checked {
        check(entry == NONE || self.entries.has(place(entry)), "an entry that does not exist", at)
    }

    /// Walks through the entries. The first byte belongs to none, so that no entry has the place zero.
    pub fn entries(&mut self) -> Checked {
        let bytes = self.table.store.entries.bytes;
        self.entries = Marks::for_places(bytes.len());
        let mut reader = Reader::new(bytes, 1);
        while !reader.is_at_end() {
            let at = reader.at;
            self.start(reader.number(), at)?;
            let length = reader.number();
            reader.take(length);
            check(reader.is_inside(), "a text", at)?;
            let rows = self.record(&mut reader, at)?;
            if self.table.has_scripts {
                self.rows.push((at, self.few(rows, at)?));
            }
            check(reader.is_inside(), "an entry lies outside", at)?;
            self.entries.set(at);
        }
        Ok(())
    }

    /// What an entry leads to; gives how many rows, with those of earlier ones that it follows.
    fn record(&self, reader: &mut Reader<'t>, at: usize) -> Result<usize, OpenError> {
        let head = reader.byte();
        let known = COMPLETE | OWN_WANTED | OWN_REFUSED | PARENT | COUNTED | ALIAS | MARKER;
        check(head & !known == 0, "an entry of an unknown kind", at)?;
        check(head & ALIAS == 0 || head & !(ALIAS | MARKER) == 0, "an entry of an unknown kind", at)?;
        let counts = match head & (ALIAS | COUNTED) {
            0 => [1, 0, 0],
            COUNTED => counts(reader),
            _ => [0, 0, 0],
        };
        let mut rows = 0;
        for _ in 0..u64::from(counts[0]) + u64::from(counts[1]) {
            check(!reader.is_at_end(), "an entry lies outside", at)?;
            rows += self.set(reader)?;
        }
        let mut test = 0u32;
        for _ in 0..counts[2] {
            check(!reader.is_at_end(), "an entry lies outside", at)?;
            test = test.wrapping_add(reader.number());
            check(self.tests.has(place(test)), "an entry has a test that does not exist", at)?;
        }
        if head & (PARENT | ALIAS) != 0 {
            check(!reader.is_at_end(), "an entry lies outside", at)?;
            let other = place(reader.number());
            check(self.entries.has(other), "an entry follows one that does not exist", at)?;
            rows += found(&self.rows, other).map_or(0, |(_, rows)| rows);
        }
        Ok(rows)
    }

    /// Walks through the tests.
    pub fn tests(&mut self) -> Checked {
        let tests = &self.table.store.tests;
        self.tests = Marks::for_places(tests.bytes.len());
        let mut reader = Reader::new(tests.bytes, 0);
        while !reader.is_at_end() {
            let at = reader.at;
            let (_, flags) = (reader.byte(), reader.byte());
            check(flags & !(TEST_WANTED | TEST_REFUSED) == 0, "unknown test", at)?;
            for _ in 0..flags.count_ones() {
                self.set(&mut reader)?;
            }
            self.start(reader.number(), at)?;
            let placed = tests.get(at as u32, &self.table.store.sets);
            let (test, behind) = tests.texts(&placed).ok_or(invalid("unknown test", at))?;
            check(test.is_good(), "the text of a test", at)?;
            self.tests.set(at);
            reader.at = place(behind);
        }
        Ok(())
    }

    pub fn indexes(&self, sections: &Sections<'_>) -> Checked {
        let numbers = sections.numbers(format::INDEXES);
        let store = &self.table.store;
        for at in 0..numbers.len() / INDEX {
            let number = |place: usize| numbers.at(at * INDEX + place);
            let view = View::of_code(number(0)).ok_or(invalid("unknown view", at))?;
            check(number(1) <= 1, "unknown view", at)?;
            if view == View::Number {
                self.borders([number(2), number(3), number(4)], [number(5), number(6), number(7)], at)?;
                continue;
            }
            for run in [2, 4, 8] {
                let is_good = is_inside(number(run), number(run + 1), store.slots.len());
                check(is_good, "slots lie outside", at)?;
            }
            for run in [6, 10] {
                check(
                    is_inside(number(run), number(run + 1), store.lengths.len()),
                    "lengths lie outside",
                    at,
                )?;
                let lengths = store.lengths.range(place(number(run)), place(number(run + 1)));
                check(lengths.len() == 0 || lengths.len() > FILTER, "a filter without lengths", at)?;
                check(lengths.at(format::BOUNDARY) <= u8::MAX.into(), "an unknown boundary", at)?;
                let real = lengths.range(FILTER, lengths.len().saturating_sub(FILTER));
                check(ascends(real.iter()), "lengths do not ascend", at)?;
            }
            for entry in 12..14 {
                self.entry(number(entry), at)?;
            }
        }
        Ok(())
    }

    fn borders(&self, narrow: [u32; 3], wide: [u32; 3], at: usize) -> Checked {
        let (borders, wide_borders): (U32s<'_>, U128s<'_>) =
            (self.table.store.borders, self.table.store.wide_borders);
        let good = is_inside(narrow[0], narrow[1], borders.len())
            && is_inside(narrow[2], narrow[1], borders.len())
            && is_inside(wide[0], wide[1], wide_borders.len())
            && is_inside(wide[2], wide[1], borders.len());
        check(good, "borders lie outside", at)?;
        check(
            ascends(borders.range(place(narrow[0]), place(narrow[1])).iter()),
            "borders do not ascend",
            at,
        )?;
        check(
            ascends(wide_borders.range(place(wide[0]), place(wide[1])).iter()),
            "borders do not ascend",
            at,
        )?;
        for (start, count) in [(narrow[2], narrow[1]), (wide[2], wide[1])] {
            for record in borders.range(place(start), place(count)).iter() {
                self.entry(record, at)?;
            }
        }
        Ok(())
    }

    pub fn slots(&self) -> Checked {
        let mask = format::place_mask(self.table.store.entries.place_bits);
        for (at, slot) in self.table.store.slots.iter().enumerate().filter(|(_, slot)| *slot != 0) {
            check(self.entries.has(place(slot & mask)), "a slot without its text", at)?;
        }
        Ok(())
    }
}
