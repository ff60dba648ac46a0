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
    /// The words from the place `start` on.
    #[inline(always)]
    pub fn load(live: Live<'_>, start: usize) -> Survivors<N> {
        let mut loaded =
            Survivors { start, count: 0, words: [0; N], masks: [0; N], wanted: [0; N], refused: [0; N] };
        let masks = live.masks.get(start..).unwrap_or_default();
        loaded.count = masks.len().min(N);
        loaded.masks.iter_mut().zip(masks).for_each(|(to, mask)| *to = *mask);
        if start > 0 {
            loaded.words.iter_mut().zip(live.words().skip(start)).for_each(|(to, word)| *to = word);
            return loaded;
        }
        let mut words = loaded.words.iter_mut();
        for (at, group) in live.groups.iter().enumerate() {
            for word in Bits(Group(*group).bits(), at) {
                match words.next() {
                    Some(to) => *to = word,
                    None => return loaded,
                }
            }
        }
        loaded
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
        let wanting =
            |word: u32| columns.at(place(word).wrapping_mul(stride).wrapping_add(dimension.wanting));
        let refusing = |word: u32| {
            let at = |column: usize| columns.at(place(word).wrapping_mul(stride).wrapping_add(column));
            dimension.refusing.map_or(0, at)
        };
        if !is_sure && words.len() <= FEW {
            let (mut any, mut looking) = (0, 0);
            for (word, mask) in words.iter().zip(masks.iter()).filter(|(_, mask)| **mask != 0) {
                any |= mask;
                looking |= mask & (wanting(*word) | refusing(*word));
            }
            if looking == 0 {
                return any != 0;
            }
        }
        wanted.fill(0);
        if dimension.refusing.is_some() {
            refused.fill(0);
        }
        let mut sums = Sums { live, start: *start, words, masks, sets, wanted, refused };
        source.visit(dimension, &table.store, &mut sums);
        let mut left = 0;
        if dimension.refusing.is_some() {
            for (mask, refused) in masks.iter_mut().zip(refused.iter()) {
                *mask &= !refused;
            }
        }
        for ((word, mask), wanted) in words.iter().zip(masks.iter_mut()).zip(wanted.iter()) {
            if *mask != 0 {
                *mask &= wanted | !wanting(*word);
                left |= *mask;
            }
        }
        left != 0
    }
}

/// What the sets of a value come to, for the words in question.
struct Sums<'a, 't> {
    live: Live<'a>,
    start: usize,
    words: &'a [u32],
    masks: &'a [u64],
    sets: &'a Sets<'t>,
    wanted: &'a mut [u64],
    refused: &'a mut [u64],
}

impl Sums<'_, '_> {
    /// The place of a word here.
    #[inline(always)]
    fn place_of(&self, word: u32) -> Option<usize> {
        self.live.place_of(word).map(|at| at.wrapping_sub(self.start))
    }
}

impl<'t> Gather<'t> for Sums<'_, 't> {
    fn add(&mut self, side: Side, set: RowSet<'t>) {
        match set {
            RowSet::Rows(bytes) => {
                for row in Rows::of(bytes) {
                    if let Some(at) = self.place_of(row / 64) {
                        let sums = if side == Side::Wanted { &mut *self.wanted } else { &mut *self.refused };
                        sums.get_mut(at).into_iter().for_each(|sum| *sum |= bit(row));
                    }
                }
            }
            RowSet::Column(column) => {
                let sums = if side == Side::Wanted { &mut *self.wanted } else { &mut *self.refused };
                let (columns, stride) = (self.sets.columns, self.sets.stride);
                for (word, sum) in self.words.iter().zip(sums) {
                    *sum |= columns.at(place(*word).wrapping_mul(stride).wrapping_add(column));
                }
            }
            RowSet::Groups(groups, rows) => {
                let sums = if side == Side::Wanted { &mut *self.wanted } else { &mut *self.refused };
                for ((word, mask), sum) in self.words.iter().zip(self.masks).zip(sums) {
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
