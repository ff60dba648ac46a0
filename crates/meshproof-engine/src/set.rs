//! Sets of rows. Rows are counted in words of 64, words in groups of 32.

use crate::bytes::{Reader, U32s, U64s, place};
use crate::format::{GROUP_WORDS, NARROW_ROWS, SET_COLUMN, SET_GROUPS, SET_ROWS};

/// Where sets are kept.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sets<'t> {
    pub columns: U64s<'t>,
    /// Columns of a word.
    pub stride: usize,
    pub groups: U64s<'t>,
    pub lists: &'t [u8],
    /// Words of a row set.
    pub words: usize,
}

/// A set, ready to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RowSet<'t> {
    /// The first row, then distances, as numbers of seven bits per byte. With scripts see [`numbers`].
    Rows(&'t [u8]),
    /// A place in the block of each word.
    Column(usize),
    /// Which words have rows, and their masks.
    Groups(U64s<'t>, U64s<'t>),
}

/// Which of 32 words have rows: a bit each, and how many do in the groups before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group(pub u64);

impl Group {
    #[inline(always)]
    pub fn bits(self) -> u32 {
        self.0 as u32
    }

    /// How many words of the groups before have rows.
    #[inline(always)]
    pub fn before(self) -> usize {
        (self.0 >> 32) as usize
    }

    /// The place of the mask of a word that has rows.
    #[inline(always)]
    pub fn rank(self, bit: u32) -> usize {
        self.before() + (self.bits() & ((1u32 << (bit & 31)) - 1)).count_ones() as usize
    }
}

/// How many groups there are of so many words.
#[inline(always)]
pub(crate) fn groups_of(words: usize) -> usize {
    words.div_ceil(GROUP_WORDS)
}

impl<'t> Sets<'t> {
    /// The set that a reader stands before.
    #[inline(always)]
    pub fn read(&self, reader: &mut Reader<'t>) -> RowSet<'t> {
        let code = reader.number();
        if code & 3 == SET_ROWS { RowSet::Rows(reader.take(code >> 2)) } else { self.get(code) }
    }

    /// A set that stands somewhere else.
    #[inline(always)]
    pub fn get(&self, code: u32) -> RowSet<'t> {
        let at = place(code >> 2);
        match code & 3 {
            SET_COLUMN => RowSet::Column(at),
            SET_GROUPS => {
                let count = groups_of(self.words);
                let groups = self.groups.range(at, count);
                let last = Group(groups.at(count.wrapping_sub(1)));
                let masks = last.before() + last.bits().count_ones() as usize;
                RowSet::Groups(groups, self.groups.range(at.saturating_add(count), masks))
            }
            SET_ROWS => RowSet::Rows(&[]),
            _ => {
                let mut reader = Reader::new(self.lists, at);
                let length = reader.number();
                RowSet::Rows(reader.take(length))
            }
        }
    }

    /// All that columns know of a word.
    #[inline(always)]
    pub fn block(&self, word: u32) -> U64s<'t> {
        self.columns.range(place(word).saturating_mul(self.stride), self.stride)
    }

    /// The words from `from` up to `end` that the set reaches, each with its rows; a word may come several times.
    #[inline]
    pub fn each(&self, set: RowSet<'t>, from: usize, end: usize, mut visit: impl FnMut(usize, u64)) {
        match set {
            RowSet::Rows(bytes) => {
                for row in Rows::of(bytes) {
                    let word = place(row / 64);
                    if word >= from && word < end {
                        visit(word, bit(row));
                    }
                }
            }
            RowSet::Column(column) => {
                for word in from..end.min(self.words) {
                    let mask = self.columns.at(word * self.stride + column);
                    if mask != 0 {
                        visit(word, mask);
                    }
                }
            }
            RowSet::Groups(groups, masks) => {
                for at in from / GROUP_WORDS..groups_of(end.min(self.words)) {
                    let group = Group(groups.at(at));
                    let mut bits = group.bits();
                    let mut mask = group.before();
                    while bits != 0 {
                        let word = at * GROUP_WORDS + bits.trailing_zeros() as usize;
                        if word >= from && word < end {
                            visit(word, masks.at(mask));
                        }
                        mask += 1;
                        bits &= bits - 1;
                    }
                }
            }
        }
    }
}

#[inline(always)]
pub(crate) fn bit(row: u32) -> u64 {
    1 << (row & 63)
}

/// The rows of a set of a table with so many rows that have scripts.
pub(crate) fn numbers(bytes: &[u8], rows: usize) -> impl Iterator<Item = u32> {
    let (narrow, wide) = if rows > NARROW_ROWS { (&[][..], bytes) } else { (bytes, &[][..]) };
    let narrow = narrow.as_chunks::<2>().0.iter().map(|row| u16::from_le_bytes(*row).into());
    narrow.chain(U32s::new(wide).iter())
}

/// Rows one by one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'t> {
    reader: Reader<'t>,
    row: u32,
}

impl<'t> Rows<'t> {
    #[inline(always)]
    pub fn of(bytes: &'t [u8]) -> Rows<'t> {
        Rows { reader: Reader::new(bytes, 0), row: 0 }
    }
}

impl Iterator for Rows<'_> {
    type Item = u32;

    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        if self.reader.is_at_end() {
            return None;
        }
        self.row = self.row.wrapping_add(self.reader.number());
        Some(self.row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_scripts_take_two_bytes_or_four() {
        let bytes = [1, 0, 0, 1, 2, 0, 1, 0];
        assert_eq!(numbers(&bytes, NARROW_ROWS).collect::<Vec<u32>>(), [1, 256, 2, 1]);
        assert_eq!(numbers(&bytes, NARROW_ROWS + 1).collect::<Vec<u32>>(), [0x0100_0001, 0x0001_0002]);
    }
}
