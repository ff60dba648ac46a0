//! Look-up tables of texts.

use meshproof_engine::format::{BOUNDARY, FILTER, MOST_PROBES, filter_bit};
use meshproof_engine::{hash, start};

use super::Uncompiled;

/// A text by its hash, with its entry; nothing for a free slot.
pub(super) type Slot = Option<(u64, u32)>;

/// A text on its way into a table. Texts are in small letters where the look-up folds.
pub(super) fn slot(text: &[u8], entry: u32) -> (u64, u32) {
    (hash(text, false), entry)
}

/// Puts the texts where their hashes say, or not far behind, and those with smaller hashes first: so a search passes smaller
/// ones only (Amble and Knuth, 1974). A quarter of the slots stays free, and a text that nobody wrote is told from all others
/// by looking at three slots on the average, of sixteen in a line of memory.
///
/// # Errors
/// Too many texts have one hash.
pub(super) fn lay_out(texts: &[(u64, u32)]) -> Result<Vec<Slot>, Uncompiled> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let mut sorted = texts.to_vec();
    sorted.sort_unstable_by_key(|(hash, entry)| (*hash as u32, *hash, *entry));
    let mut count = texts.len() + texts.len() / 3 + 1;
    while count < texts.len() * 64 + 1024 {
        if let Some(slots) = try_lay_out(&sorted, count) {
            return Ok(slots);
        }
        count += count / 4 + 1;
    }
    Err(Uncompiled::TooLarge)
}

fn try_lay_out(texts: &[(u64, u32)], count: usize) -> Option<Vec<Slot>> {
    let mut slots: Vec<Slot> = vec![None; count];
    for text in texts {
        let mut at = start(text.0, count as u32) as usize;
        let mut probes = 0;
        while slots[at].is_some() {
            at = if at + 1 == count { 0 } else { at + 1 };
            probes += 1;
            // One more look finds the free slot that ends a search.
            if probes + 1 >= MOST_PROBES as usize {
                return None;
            }
        }
        slots[at] = Some(*text);
    }
    Some(slots)
}

/// The filter of prefixes or suffixes, and their lengths, which ascend. The filter looks at as many bytes as all of them
/// have, eight at most.
pub(super) fn filter<'t>(
    texts: impl Iterator<Item = &'t [u8]>,
    lengths: &[usize],
    is_suffix: bool,
    boundary: Option<u8>,
) -> Vec<u32> {
    let Some(shortest) = lengths.first() else { return Vec::new() };
    let reach = (*shortest).min(8);
    let mut numbers = vec![0; FILTER];
    numbers[0] = reach as u32;
    numbers[BOUNDARY] = boundary.map_or(0, u32::from);
    for text in texts {
        let part = if is_suffix { &text[text.len() - reach..] } else { &text[..reach] };
        let (number, bit) = filter_bit(hash(part, false));
        numbers[1 + number] |= 1 << bit;
    }
    numbers.extend(lengths.iter().map(|length| *length as u32));
    numbers
}

/// The byte with which all prefixes end, or all suffixes begin, if it is one that parts texts.
pub(super) fn boundary<'t>(texts: impl Iterator<Item = &'t [u8]>, is_suffix: bool) -> Option<u8> {
    let mut inner = texts.map(|text| if is_suffix { text.first() } else { text.last() });
    let first = *inner.next()??;
    (b"/.:-".contains(&first) && inner.all(|byte| byte == Some(&first))).then_some(first)
}
