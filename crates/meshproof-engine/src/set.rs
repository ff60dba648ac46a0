//! Sets of rows.

use crate::bytes::{U32s, U64s, place};
use crate::format::{SET_BITS, SET_BLOCKS, SET_COUNT, SET_KIND_SHIFT, SET_PLACE, SET_ROW, SET_ROWS};

/// Where sets are kept.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sets<'t> {
    pub sets: U32s<'t>,
    pub bits: U64s<'t>,
    /// Words of a set with a bit per row.
    pub words: usize,
}

/// The reference of a set. Rows are counted in words of 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SetRef(pub u32);

/// A set, ready to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RowSet<'t> {
    One(u32),
    Rows(U32s<'t>),
    Blocks { words: U32s<'t>, masks: U32s<'t> },
    Bits(U64s<'t>),
}

impl<'t> Sets<'t> {
    #[inline(always)]
    pub fn get(&self, set: SetRef) -> RowSet<'t> {
        let at = place(set.0 & SET_PLACE);
        match (set.0 >> SET_KIND_SHIFT) & 3 {
            SET_ROW => RowSet::One(set.0 & SET_PLACE),
            SET_ROWS => RowSet::Rows(self.sets.range(at + 1, place(self.sets.at(at) & SET_COUNT))),
            SET_BLOCKS => {
                let count = place(self.sets.at(at) & SET_COUNT);
                let words = self.sets.range(at + 1, count);
                RowSet::Blocks { words, masks: self.sets.range(at + 1 + count, count * 2) }
            }
            SET_BITS => RowSet::Bits(self.bits.range(at, self.words)),
            _ => RowSet::Rows(U32s::default()),
        }
    }
}

#[inline(always)]
fn bit(row: u32) -> u64 {
    1 << (row & 63)
}

/// The mask of a block.
#[inline(always)]
fn mask(masks: U32s<'_>, block: usize) -> u64 {
    u64::from(masks.at(block * 2)) | u64::from(masks.at(block * 2 + 1)) << 32
}

impl RowSet<'_> {
    /// The words that the set reaches, each with its rows; a word may come several times.
    #[inline(always)]
    pub fn each(self, mut visit: impl FnMut(usize, u64)) {
        match self {
            RowSet::One(row) => visit(place(row / 64), bit(row)),
            RowSet::Rows(rows) => rows.iter().for_each(|row| visit(place(row / 64), bit(row))),
            RowSet::Blocks { words, masks } => {
                words.iter().enumerate().for_each(|(at, word)| visit(place(word), mask(masks, at)));
            }
            RowSet::Bits(bits) => bits.iter().enumerate().for_each(|(at, mask)| visit(at, mask)),
        }
    }

    /// The rows of one word.
    #[inline(always)]
    pub fn at(self, word: usize) -> u64 {
        match self {
            RowSet::One(row) if place(row / 64) == word => bit(row),
            RowSet::One(_) => 0,
            RowSet::Rows(rows) => {
                let first = first_from(rows, word as u64 * 64);
                let same =
                    (first..rows.len()).map(|at| rows.at(at)).take_while(|row| place(row / 64) == word);
                same.fold(0, |all, row| all | bit(row))
            }
            RowSet::Blocks { words, masks } => {
                let found = first_from(words, word as u64);
                if found < words.len() && place(words.at(found)) == word { mask(masks, found) } else { 0 }
            }
            RowSet::Bits(bits) => bits.at(word),
        }
    }

    /// About how many steps [`RowSet::each`] takes.
    #[inline(always)]
    pub fn steps(self) -> usize {
        match self {
            RowSet::One(_) => 1,
            RowSet::Rows(rows) => rows.len(),
            RowSet::Blocks { words, .. } => words.len(),
            RowSet::Bits(bits) => bits.len(),
        }
    }
}

/// The place of the first number that is not less than `least`; the numbers ascend.
#[inline(always)]
fn first_from(numbers: U32s<'_>, least: u64) -> usize {
    let (mut low, mut high) = (0, numbers.len());
    while low < high {
        let middle = (low + high) / 2;
        if u64::from(numbers.at(middle)) < least {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
