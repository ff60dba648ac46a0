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
    let sorted = sorted(texts);
    let mut count = texts.len() + texts.len() / 3 + 1;
    while count < texts.len() * 64 + 1024 {
        if let Some(slots) = try_lay_out(&sorted, count) {
            return Ok(slots);
        }
        count += count / 4 + 1;
    }
    Err(Uncompiled::TooLarge)
}

/// The texts by the lower halves of their hashes. These are spread evenly, so that putting each text near its place first
/// leaves little to sort.
fn sorted(texts: &[(u64, u32)]) -> Vec<(u64, u32)> {
    let near = |hash: u64| start(hash << 32, texts.len() as u32) as usize;
    let mut ends = vec![0u32; texts.len()];
    for (hash, _) in texts {
        ends[near(*hash)] += 1;
    }
    let mut end = 0;
    for place in &mut ends {
        end += *place;
        *place = end;
    }
    let mut sorted = vec![(0, 0); texts.len()];
    for text in texts {
        let end = &mut ends[near(text.0)];
        *end -= 1;
        sorted[*end as usize] = *text;
    }
    // By now these are the starts.
    for (at, start) in ends.iter().enumerate() {
        let end = ends.get(at + 1).map_or(sorted.len(), |end| *end as usize);
        let same = &mut sorted[*start as usize..end];
        if same.len() > 1 {
            same.sort_unstable_by_key(|(hash, entry)| (*hash as u32, *hash, *entry));
        }
    }
    sorted
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_sorted_by_the_lower_halves_of_their_hashes() {
        let mut rng = fastrand::Rng::with_seed(11);
        for count in 0..200 {
            // Few lower halves, so that some are equal, and both ends of them.
            let mut hash = || rng.u64(..) & !u64::from(u32::MAX) | u64::from(rng.u32(..) >> 26 << 26);
            let mut texts: Vec<(u64, u32)> = (0..count).map(|entry| (hash(), entry)).collect();
            texts.extend((count > 0).then_some((u64::MAX, count)));
            let mut expected = texts.clone();
            expected.sort_by_key(|(hash, entry)| (*hash as u32, *hash, *entry));
            assert_eq!(sorted(&texts), expected);
        }
    }
}
