//! A byte of a text, by which most texts are seen not to be the wanted one without comparing them.

use crate::hash::{SECOND, read};

/// The mark of a text that is wanted as a whole or as a prefix, by its last eight bytes; of a suffix by its first ones.
/// With `fold` it is that of the text in small letters.
#[inline]
pub fn mark(text: &[u8], is_suffix: bool, fold: bool) -> u8 {
    let eight = if is_suffix { text.first_chunk::<8>() } else { text.last_chunk::<8>() };
    let word = match eight {
        Some(bytes) => u64::from_le_bytes(*bytes),
        // What is missing is in front of a prefix and behind a suffix.
        None if is_suffix => text.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        None => text.iter().fold(0, |word, byte| word >> 8 | u64::from(*byte) << 56),
    };
    of_word(word, fold)
}

#[inline(always)]
fn of_word(word: u64, fold: bool) -> u8 {
    (read(word, fold).wrapping_mul(SECOND) >> 56) as u8
}

/// The mark of eight bytes of a value, from `start` on, or from where there are just eight left. `missing` tells how many
/// bits of them are not of the part that is looked for.
#[inline(always)]
pub(crate) fn mark_at(value: &[u8], start: usize, missing: u32, fold: bool) -> u8 {
    // Always inside, so that no branch depends on lengths, which vary from test to test.
    let start = start.min(value.len().saturating_sub(8));
    let bytes = value.get(start..start + 8).and_then(|bytes| bytes.first_chunk::<8>());
    let word = bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    of_word(word.wrapping_shl(missing), fold)
}

/// Which of so many bits four bytes of a path have; nothing where it is shorter.
#[inline(always)]
pub fn path_bit(path: &[u8], at: usize, bits: u32) -> Option<u32> {
    let four = path.get(at..).and_then(|rest| rest.first_chunk::<4>())?;
    let hash = u32::from_le_bytes(*four).wrapping_mul(SECOND as u32);
    Some(((u64::from(hash) * u64::from(bits)) >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_of_what_texts_share() {
        for (text, part) in [("/api/v1/orders", "/api/v1/"), ("/a/b", "/a"), ("x", "")] {
            let start = text.get(..part.len()).expect("a prefix");
            assert_eq!(mark(start.as_bytes(), false, false), mark(part.as_bytes(), false, false));
        }
        assert_eq!(mark(b"Shop.Example.COM", true, true), mark(b"shop.example.com", true, false));
        assert_eq!(mark(b"", false, false), 0);
        assert_ne!(mark(b"/orders", false, false), mark(b"/orderz", false, false));
    }

    #[test]
    fn of_a_value_it_is_that_of_the_part() {
        let value = b"/Api/v1/orders/12";
        for length in 1..=value.len() {
            for fold in [false, true] {
                let (prefix, suffix) = (&value[..length], &value[value.len() - length..]);
                let missing = 8 * 8u32.saturating_sub(length as u32);
                let found = mark_at(value, length.saturating_sub(8), missing, fold);
                assert_eq!(found, mark(prefix, false, fold), "{length}");
                if length >= 8 {
                    assert_eq!(
                        mark_at(value, value.len() - length, 0, fold),
                        mark(suffix, true, fold),
                        "{length}"
                    );
                }
            }
        }
        // Places outside and short values do no harm.
        mark_at(value, 40, 0, false);
        mark_at(b"abc", 0, 40, false);
    }
}
