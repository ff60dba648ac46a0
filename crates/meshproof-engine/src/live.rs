//! Rows in question: held in few numbers per connection, and narrowed attribute by attribute.

use crate::bytes::place;
use crate::dimension::Dimension;
use crate::format::GROUP_WORDS;
use crate::index::{Gather, Side, Store};
use crate::set::{Group, RowSet, Rows, Sets, bit};
use crate::table::Table;

/// Rows in question: groups of words, and a mask for each word that has some.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live<'c> {
    pub groups: &'c [u64],
    pub masks: &'c [u64],
}

impl Live<'_> {
    /// The place of the mask of a word, if it has one.
    #[inline(always)]
    pub fn place_of(self, word: u32) -> Option<usize> {
        let group = Group(*self.groups.get(place(word) / GROUP_WORDS)?);
        let bit = word % GROUP_WORDS as u32;
        (group.bits() >> bit & 1 != 0).then(|| group.rank(bit))
    }

    /// The words that have rows.
    #[inline(always)]
    pub fn words(self) -> impl Iterator<Item = u32> {
        self.groups.iter().enumerate().flat_map(|(at, group)| Bits(Group(*group).bits(), at))
    }
}

/// The words of a group.
struct Bits(u32, usize);

impl Iterator for Bits {
    type Item = u32;

    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        Some((self.1 * GROUP_WORDS) as u32 + bit)
    }
}

/// Where values come from.
pub(crate) trait Source {
    /// Visits the sets that the value of the attribute leads to.
    fn visit<'t>(&self, dimension: &Dimension<'t>, store: &Store<'t>, to: &mut impl Gather<'t>);
}

/// At most `N` words of the rows in question, on their way through the attributes.
pub(crate) struct Survivors<const N: usize> {
    /// The place of the first one among all.
    start: usize,
    count: usize,
    words: [u32; N],
    masks: [u64; N],
    /// Room for what the sets of a value come to: rows that want it, and that refuse it.
    wanted: [u64; N],
    refused: [u64; N],
}

/// Up to so many words it is worth the while to see first whether a row looks at an attribute at all.
const FEW: usize = 32;

impl<const N: usize> Survivors<N> {
    pub fn new() -> Survivors<N> {
        Survivors { start: 0, count: 0, words: [0; N], masks: [0; N], wanted: [0; N], refused: [0; N] }
    }

    /// Takes the words from the place `start` on.
    #[inline(always)]
    pub fn load(&mut self, live: Live<'_>, start: usize) {
        let masks = live.masks.get(start..).unwrap_or_default();
        (self.start, self.count) = (start, masks.len().min(N));
        self.masks.iter_mut().zip(masks).for_each(|(to, mask)| *to = *mask);
        if start > 0 {
            self.words.iter_mut().zip(live.words().skip(start)).for_each(|(to, word)| *to = word);
            return;
        }
        let mut words = self.words.iter_mut();
        for (at, group) in live.groups.iter().enumerate() {
            for word in Bits(Group(*group).bits(), at) {
                match words.next() {
                    Some(to) => *to = word,
                    None => return,
                }
            }
        }
    }

    /// Every word with the rows that are left of it; none where nothing is left.
    #[inline(always)]
    pub fn left(&self) -> impl Iterator<Item = (u32, u64)> {
        self.words.iter().copied().zip(self.masks.iter().copied()).take(self.count)
    }

    /// Leaves only words from `from` up to `end`.
    pub fn keep(&mut self, from: u32, end: u32) {
        for (word, mask) in self.words.iter().zip(&mut self.masks) {
            if *word < from || *word >= end {
                *mask = 0;
            }
        }
    }

    /// The words that are there, to be narrowed: code that is the same however many there may be.
    pub fn room(&mut self) -> Room<'_> {
        let Survivors { start, count, words, masks, wanted, refused } = self;
        Room {
            start: *start,
            words: words.get(..*count).unwrap_or_default(),
            masks: masks.get_mut(..*count).unwrap_or_default(),
            wanted: wanted.get_mut(..*count).unwrap_or_default(),
            refused: refused.get_mut(..*count).unwrap_or_default(),
        }
    }
}

/// The words of [`Survivors`].
pub(crate) struct Room<'a> {
    start: usize,
    words: &'a [u32],
    masks: &'a mut [u64],
    wanted: &'a mut [u64],
    refused: &'a mut [u64],
}

impl Room<'_> {
    /// Keeps the rows that the attribute satisfies, and tells whether any is left. Where words are few, nothing is looked
    /// up when no row looks at it; `is_sure`: some row does.
    pub fn narrow(
        &mut self,
        table: &Table<'_>,
        live: Live<'_>,
        dimension: &Dimension<'_>,
        source: &impl Source,
        is_sure: bool,
    ) -> bool {
        let Room { start, words, masks, wanted, refused } = self;
        let sets = &table.store.sets;
        let (columns, stride) = (sets.columns, sets.stride);
        let of_word =
            |word: u32, column: usize| columns.at(place(word).wrapping_mul(stride).wrapping_add(column));
        let wanting = |word: u32| of_word(word, dimension.wanting);
        if !is_sure && words.len() <= FEW {
            let refusing = |word: u32| dimension.refusing.map_or(0, |column| of_word(word, column));
            let (mut any, mut looking) = (0, 0);
            for (word, mask) in words.iter().zip(masks.iter()).filter(|(_, mask)| **mask != 0) {
                any |= mask;
                looking |= mask & (wanting(*word) | refusing(*word));
            }
            if looking == 0 {
                return any != 0;
            }
        }
        let is_all = words.len() == sets.words;
        let (wanted, refused) = (Sum { rows: wanted, is_any: false }, Sum { rows: refused, is_any: false });
        let mut sums = Sums { live, start: *start, words, is_all, masks, sets, wanted, refused };
        source.visit(dimension, &table.store, &mut sums);
        let Sums { wanted, refused, .. } = sums;
        if refused.is_any {
            masks.iter_mut().zip(refused.rows.iter()).for_each(|(mask, refused)| *mask &= !refused);
        }
        match (is_all, wanted.is_any) {
            (true, true) => {
                keep(masks, columns.column(stride, dimension.wanting), wanted.rows.iter().copied())
            }
            (true, false) => keep(masks, columns.column(stride, dimension.wanting), std::iter::repeat(0)),
            (false, true) => {
                keep(masks, words.iter().map(|word| wanting(*word)), wanted.rows.iter().copied())
            }
            (false, false) => keep(masks, words.iter().map(|word| wanting(*word)), std::iter::repeat(0)),
        }
    }
}

/// Keeps of each word the rows that want nothing, and those that want what the value is; tells whether any is left.
#[inline(always)]
fn keep(masks: &mut [u64], wanting: impl Iterator<Item = u64>, wanted: impl Iterator<Item = u64>) -> bool {
    let mut left = 0;
    for ((mask, wanting), wanted) in masks.iter_mut().zip(wanting).zip(wanted) {
        *mask &= wanted | !wanting;
        left |= *mask;
    }
    left != 0
}

/// Rows of the words in question that sets come to; nothing was written before there are any.
struct Sum<'a> {
    rows: &'a mut [u64],
    is_any: bool,
}

impl Sum<'_> {
    #[inline(always)]
    fn begin(&mut self) {
        if !self.is_any {
            self.rows.fill(0);
            self.is_any = true;
        }
    }
}

/// What the sets of a value come to, for the words in question.
struct Sums<'a, 's, 't> {
    live: Live<'a>,
    start: usize,
    words: &'a [u32],
    /// These are all words that there are.
    is_all: bool,
    masks: &'a [u64],
    sets: &'a Sets<'t>,
    wanted: Sum<'s>,
    refused: Sum<'s>,
}

impl Sums<'_, '_, '_> {
    /// The place of a word here.
    #[inline(always)]
    fn place_of(&self, word: u32) -> Option<usize> {
        self.live.place_of(word).map(|at| at.wrapping_sub(self.start))
    }
}

impl<'t> Gather<'t> for Sums<'_, '_, 't> {
    fn add(&mut self, side: Side, set: RowSet<'t>) {
        let Sums { live, start, words, is_all, masks, sets, wanted, refused } = self;
        let sum = if side == Side::Wanted { wanted } else { refused };
        sum.begin();
        let sums = &mut *sum.rows;
        match set {
            RowSet::Rows(bytes) => {
                for row in Rows::of(bytes) {
                    if let Some(at) = live.place_of(row / 64) {
                        let at = at.wrapping_sub(*start);
                        sums.get_mut(at).into_iter().for_each(|sum| *sum |= bit(row));
                    }
                }
            }
            RowSet::Column(column) if *is_all => {
                let rows = sets.columns.column(sets.stride, column);
                sums.iter_mut().zip(rows).for_each(|(sum, rows)| *sum |= rows);
            }
            RowSet::Column(column) => {
                let (columns, stride) = (sets.columns, sets.stride);
                for (word, sum) in words.iter().zip(sums) {
                    *sum |= columns.at(place(*word).wrapping_mul(stride).wrapping_add(column));
                }
            }
            RowSet::Groups(groups, rows) => {
                for ((word, mask), sum) in words.iter().zip(*masks).zip(sums) {
                    let group = Group(groups.at(place(*word) / GROUP_WORDS));
                    let bit = word % GROUP_WORDS as u32;
                    if *mask != 0 && group.bits() >> bit & 1 != 0 {
                        *sum |= rows.at(group.rank(bit));
                    }
                }
            }
        }
    }

    fn cares(&self, set: RowSet<'t>) -> bool {
        match set {
            RowSet::Rows(bytes) => Rows::of(bytes).any(|row| {
                self.place_of(row / 64)
                    .is_some_and(|at| self.masks.get(at).is_some_and(|mask| mask & bit(row) != 0))
            }),
            _ => true,
        }
    }
}
