//! Look-up tables of texts: a whole text, the longest known prefix, the longest known suffix.

use crate::bytes::{U32s, place};
use crate::format::{MARKER, MOST_PROBES, NONE};
use crate::hash::{equals, hash};
use crate::test::Pool;

/// A run of slots; a text stands at the place of its hash, or not far behind it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slots<'t> {
    /// Three numbers per slot: tag and length, text, record.
    pub slots: U32s<'t>,
    /// How many slots there are.
    pub count: u32,
    pub fold: bool,
    pub pool: Pool<'t>,
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot<'t> {
    pub text: &'t [u8],
    /// Its record, or [`NONE`]: of a prefix or suffix that of the longest real one in it.
    pub record: u32,
    /// It only leads on.
    pub is_marker: bool,
}

/// The place at which the search for a hash starts.
#[inline(always)]
pub fn start(hash: u64, count: u32) -> u32 {
    (((hash >> 32) * u64::from(count)) >> 32) as u32
}

/// The part of a hash that is kept beside the text.
#[inline(always)]
pub fn tag(hash: u64) -> u32 {
    (hash as u32) & 0xffff
}

impl<'t> Slots<'t> {
    /// What is known of the text.
    #[inline(always)]
    pub fn find(&self, text: &[u8]) -> Option<(u32, bool)> {
        if self.count == 0 || text.len() >= MARKER as usize {
            return None;
        }
        let hash = hash(text, self.fold);
        let wanted = tag(hash) | (text.len() as u32) << 16;
        let mut at = start(hash, self.count);
        for _ in 0..MOST_PROBES {
            let here = place(at) * 3;
            let (head, record) = (self.slots.at(here), self.slots.at(here + 2));
            if head == NONE {
                return None;
            }
            if head & !(MARKER << 16) == wanted {
                let literal = self.pool.text(self.slots.at(here + 1), text.len() as u32);
                if equals(text, literal, self.fold) {
                    return Some((record, head & (MARKER << 16) != 0));
                }
            }
            at += 1;
            if at == self.count {
                at = 0;
            }
        }
        None
    }

    /// What stands in a slot; nothing when it is free.
    pub fn get(&self, slot: u32) -> Option<Slot<'t>> {
        let at = place(slot) * 3;
        let head = self.slots.at(at);
        (head != NONE && slot < self.count).then(|| Slot {
            text: self.pool.text(self.slots.at(at + 1), (head >> 16) & (MARKER - 1)),
            record: self.slots.at(at + 2),
            is_marker: head & (MARKER << 16) != 0,
        })
    }
}

/// Prefixes or suffixes. Their lengths are searched by halves (Waldvogel and others, 1997): where a text of the middle
/// length is known, only longer ones can be better, and each text is announced at the lengths that lead to it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Affixes<'t> {
    pub slots: Slots<'t>,
    pub lengths: U32s<'t>,
    pub is_suffix: bool,
}

impl Affixes<'_> {
    /// The record of the longest known affix of the text.
    #[inline(always)]
    pub fn longest(&self, text: &[u8]) -> Option<u32> {
        let (mut low, mut high) = (0, self.lengths.len());
        let mut best = NONE;
        while low < high {
            let middle = (low + high) / 2;
            let length = place(self.lengths.at(middle));
            let affix = match text.len().checked_sub(length) {
                Some(rest) if self.is_suffix => text.get(rest..),
                Some(_) => text.get(..length),
                None => None,
            };
            match affix.and_then(|affix| self.slots.find(affix)) {
                Some((record, _)) => (best, low) = (record, middle + 1),
                None => high = middle,
            }
        }
        (best != NONE).then_some(best)
    }
}
