//! Look-up tables of texts: a whole text, the longest known prefix, the longest known suffix.

use crate::bytes::{Reader, U32s, place};
use crate::format::{BOUNDARY, FILTER, LONGEST, MARKER, MOST_PROBES, filter_bit, place_mask, slot};
use crate::hash::{equals, hash};
use crate::pool::{Pool, Starts};

/// Texts with what they lead to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Entries<'t> {
    pub bytes: &'t [u8],
    pub starts: Starts<'t>,
    /// How many bits of a slot are a place here.
    pub place_bits: u32,
}

/// The text of an entry: what it shares with others, and the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryText<'t> {
    pub start: &'t [u8],
    pub rest: &'t [u8],
}

impl EntryText<'_> {
    #[inline(always)]
    fn is(&self, text: &[u8], fold: bool) -> bool {
        match text.split_at_checked(self.start.len()) {
            Some((start, rest)) => {
                equals(rest, self.rest, fold) && (start.is_empty() || equals(start, self.start, fold))
            }
            None => false,
        }
    }

    pub fn whole(&self) -> Vec<u8> {
        [self.start, self.rest].concat()
    }
}

impl<'t> Entries<'t> {
    /// The text of an entry, and the place of what it leads to.
    #[inline(always)]
    pub fn text(&self, entry: u32) -> (EntryText<'t>, usize) {
        let mut reader = Reader::new(self.bytes, place(entry));
        let start = self.starts.get(reader.number());
        let length = reader.number();
        let rest = reader.take(length);
        (EntryText { start, rest }, reader.at)
    }

    /// Whether the entry only leads on to longer ones.
    pub fn is_marker(&self, entry: u32) -> bool {
        let (_, at) = self.text(entry);
        self.bytes.get(at).is_some_and(|head| head & MARKER != 0)
    }

    pub fn pool(&self) -> Pool<'t> {
        self.starts.pool
    }
}

/// A run of slots; a text stands at the place of its hash, or not far behind it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slots<'t> {
    pub slots: U32s<'t>,
    pub fold: bool,
}

/// The place at which the search for a hash starts.
#[inline(always)]
pub fn start(hash: u64, count: u32) -> u32 {
    (((hash >> 32) * u64::from(count)) >> 32) as u32
}

impl<'t> Slots<'t> {
    /// The entry of the text, by the place of what it leads to.
    pub fn find(&self, text: &[u8], entries: &Entries<'t>) -> Option<usize> {
        if self.fold { self.find_folded(text, entries) } else { self.find_as::<false>(text, entries) }
    }

    #[inline(never)]
    fn find_folded(&self, text: &[u8], entries: &Entries<'t>) -> Option<usize> {
        self.find_as::<true>(text, entries)
    }

    #[inline(always)]
    fn find_as<const FOLD: bool>(&self, text: &[u8], entries: &Entries<'t>) -> Option<usize> {
        let count = self.slots.len();
        if count == 0 || text.len() > LONGEST {
            return None;
        }
        let hash = hash(text, FOLD);
        let mask = place_mask(entries.place_bits);
        let wanted = slot(hash, 0, entries.place_bits);
        let mut at = place(start(hash, count as u32));
        for _ in 0..MOST_PROBES {
            let found = self.slots.at(at);
            // Parts of hashes ascend from where a search begins, so a text that is not there is soon known not to be.
            if found == 0 || found & !mask > wanted {
                return None;
            }
            if found & !mask == wanted {
                let (known, record) = entries.text(found & mask);
                if known.is(text, FOLD) {
                    return Some(record);
                }
            }
            at += 1;
            if at == count {
                at = 0;
            }
        }
        None
    }

    /// The entries of all slots.
    pub fn entries(self, place_bits: u32) -> impl Iterator<Item = u32> + 't {
        let mask = place_mask(place_bits);
        self.slots.iter().filter(|slot| *slot != 0).map(move |slot| slot & mask)
    }
}

/// Prefixes or suffixes. Their lengths are searched by halves (Waldvogel and others, 1997): where a text of the middle
/// length is known, only longer ones can be better, and each text is announced at the lengths that lead to it. A filter
/// of the bytes at the end that they all have says of most texts that none is known. Where all of them end (or begin) with
/// the same byte, as paths do with a slash, only places with that byte are tried, from the longest on, and nothing is
/// announced.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Affixes<'t> {
    pub slots: Slots<'t>,
    /// The filter, then the lengths.
    pub lengths: U32s<'t>,
    pub is_suffix: bool,
}

impl<'t> Affixes<'t> {
    #[inline(always)]
    fn part<'x>(&self, text: &'x [u8], length: usize) -> Option<&'x [u8]> {
        let rest = text.len().checked_sub(length)?;
        if self.is_suffix { text.get(rest..) } else { text.get(..length) }
    }

    /// The longest known affix of the text, by the place of what it leads to.
    #[inline(always)]
    pub fn longest(&self, text: &[u8], entries: &Entries<'t>) -> Option<usize> {
        if self.lengths.len() <= FILTER { None } else { self.longest_of_some(text, entries) }
    }

    fn longest_of_some(&self, text: &[u8], entries: &Entries<'t>) -> Option<usize> {
        let reach = self.part(text, place(self.lengths.at(0)))?;
        let (number, bit) = filter_bit(hash(reach, self.slots.fold));
        if self.lengths.at(1 + number) >> bit & 1 == 0 {
            return None;
        }
        if let Some(boundary) = u8::try_from(self.lengths.at(BOUNDARY)).ok().filter(|byte| *byte != 0) {
            return self.longest_at(boundary, text, entries);
        }
        let (mut low, mut high) = (FILTER, self.lengths.len());
        let mut best = None;
        while low < high {
            let middle = (low + high) / 2;
            let affix = self.part(text, place(self.lengths.at(middle)));
            match affix.and_then(|affix| self.slots.find(affix, entries)) {
                Some(record) => (best, low) = (Some(record), middle + 1),
                None => high = middle,
            }
        }
        best
    }

    /// Tries the places of a byte that every affix has at its inner end.
    fn longest_at(&self, boundary: u8, text: &[u8], entries: &Entries<'t>) -> Option<usize> {
        let mut last = self.lengths.len();
        while last > FILTER {
            // The longest length left, and the longest part of the text that is not longer.
            last -= 1;
            let length = place(self.lengths.at(last));
            let Some(part) = self.part(text, length) else { continue };
            let inner = if self.is_suffix { part.first() } else { part.last() };
            if inner == Some(&boundary)
                && let Some(record) = self.slots.find(part, entries)
            {
                return Some(record);
            }
        }
        None
    }
}
