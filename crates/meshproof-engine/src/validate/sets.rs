//! Sets of rows.

use super::{Marks, ascends, check, is_inside};
use crate::bytes::{Reader, place};
use crate::error::OpenError;
use crate::format;
use crate::set::{Group, groups_of, numbers};
use crate::table::Table;

/// Walks through the sets of many rows.
pub(super) fn groups(table: &Table<'_>) -> Result<Marks, OpenError> {
    let sets = &table.store.sets;
    let (numbers, count) = (sets.groups, groups_of(sets.words));
    let mut starts = Marks::for_places(numbers.len());
    check(count > 0 || numbers.len() == 0, "a set without rows", 0)?;
    let mut at = 0;
    while at < numbers.len() {
        starts.set(at);
        check(is_inside(at as u32, count as u32, numbers.len()), "a set lies outside", at)?;
        let mut masks = 0;
        for (place, group) in numbers.range(at, count).iter().map(Group).enumerate() {
            let words = sets.words - place * format::GROUP_WORDS;
            let known = u32::MAX >> (32usize.saturating_sub(words));
            check(
                group.before() == masks && group.bits() & !known == 0,
                "a set has rows that do not exist",
                at,
            )?;
            masks += group.bits().count_ones() as usize;
        }
        at += count + masks;
        check(at <= numbers.len(), "a set lies outside", at)?;
    }
    Ok(starts)
}

/// Walks through the sets of few rows; gives where they begin, and how many rows they have.
pub(super) fn lists(table: &Table<'_>, known: &Known) -> Result<Vec<(usize, usize)>, OpenError> {
    let bytes = table.store.sets.lists;
    let mut lists = Vec::new();
    let mut reader = Reader::new(bytes, 0);
    while !reader.is_at_end() {
        let at = reader.at;
        let length = reader.number();
        let rows = reader.take(length);
        check(reader.is_inside(), "a set lies outside", at)?;
        lists.push((at, known.rows(rows, at)?));
    }
    Ok(lists)
}

/// How many rows sets may name.
pub(super) enum Known {
    /// Those of so many words.
    Words(usize),
    /// So many with scripts.
    Scripts(usize),
}

impl Known {
    /// How many rows the bytes are; they have to ascend and exist.
    pub fn rows(&self, bytes: &[u8], at: usize) -> Result<usize, OpenError> {
        let what = "a set has rows that do not exist";
        let mut count = 0;
        match self {
            Known::Words(words) => {
                let mut reader = Reader::new(bytes, 0);
                let mut row = 0u64;
                while !reader.is_at_end() {
                    let next = u64::from(reader.number());
                    row += next;
                    let is_more = count == 0 || next > 0;
                    check(is_more && row < *words as u64 * 64 && reader.is_inside(), what, at)?;
                    count += 1;
                }
            }
            Known::Scripts(rows) => {
                let size = if *rows > format::NARROW_ROWS { 4 } else { 2 };
                count = bytes.len() / size;
                let exist = numbers(bytes, *rows).last().is_none_or(|last| place(last) < *rows);
                let is_good = exist && bytes.len().is_multiple_of(size) && ascends(numbers(bytes, *rows));
                check(is_good, what, at)?;
            }
        }
        Ok(count)
    }
}
