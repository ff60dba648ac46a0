//! The hash of texts in look-up tables.
//!
//! It is fixed, not seeded: requests cannot put anything into a table, so all that a chosen text can do is to make one
//! look-up walk along the longest run of its table, which compilation bounds ([`MOST_PROBES`](crate::format::MOST_PROBES)).

const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
pub(crate) const SECOND: u64 = 0xd6e8_feb8_6659_fd93;

#[inline(always)]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// The hash of a text; with `fold`, of the text with its ASCII capitals as small letters.
///
/// Sixteen bytes at a time, and the last sixteen once more where they do not end together, so that no byte is copied.
#[inline(always)]
pub fn hash(text: &[u8], fold: bool) -> u64 {
    let eight = |bytes: Option<&[u8; 8]>| read(bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes)), fold);
    let four =
        |bytes: Option<&[u8; 4]>| read(bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes).into()), fold);
    let mut state = (text.len() as u64).wrapping_mul(SECOND) ^ FIRST;
    let mut rest = text;
    while rest.len() > 16 {
        let Some((chunk, behind)) = rest.split_first_chunk::<16>() else { break };
        state = mix(eight(chunk.first_chunk()) ^ FIRST, eight(chunk.last_chunk()) ^ state);
        rest = behind;
    }
    // From here on the last sixteen bytes of a long text, or all of a short one.
    let (low, high) = match text.len() {
        16.. => {
            let last = text.last_chunk::<16>();
            (eight(last.and_then(|last| last.first_chunk())), eight(text.last_chunk()))
        }
        8.. => (eight(text.first_chunk()), eight(text.last_chunk())),
        4.. => (four(text.first_chunk()), four(text.last_chunk())),
        _ => {
            let one = |byte: Option<&u8>| byte.map_or(0, |byte| u64::from(*byte));
            let three = one(text.first()) | one(text.get(text.len() / 2)) << 8 | one(text.last()) << 16;
            (read(three, fold), 0)
        }
    };
    mix(mix(low ^ FIRST, high ^ state), SECOND)
}

#[inline(always)]
pub(crate) fn read(word: u64, fold: bool) -> u64 {
    if fold { lower(word) } else { word }
}

/// The ASCII capitals among eight bytes as small letters.
#[inline(always)]
fn lower(word: u64) -> u64 {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const LOW: u64 = 0x0101_0101_0101_0101;
    let seven = word & !HIGH;
    // The high bit of each byte tells `>= 'A'`, and `> 'Z'`.
    let from_a = seven + LOW * (0x80 - 0x41);
    let behind_z = seven + LOW * (0x80 - 0x5b);
    let capitals = from_a & !behind_z & !word & HIGH;
    word | (capitals >> 2)
}

/// Whether the text is the literal; with `fold`, with its capitals as small letters. The literal stays as it is.
#[inline(always)]
pub(crate) fn equals(text: &[u8], literal: &[u8], fold: bool) -> bool {
    if fold {
        text.len() == literal.len() && text.iter().zip(literal).all(|(a, b)| a.to_ascii_lowercase() == *b)
    } else {
        text == literal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_is_that_of_ascii() {
        for byte in 0..=255u8 {
            let folded = lower(u64::from_le_bytes([byte; 8]));
            assert_eq!(folded, u64::from_le_bytes([byte.to_ascii_lowercase(); 8]), "{byte}");
        }
    }

    #[test]
    fn folded_texts_share_a_hash() {
        for text in ["", "A", "Example.COM:8080", "a\u{e9}B[@`{"] {
            let small = text.to_ascii_lowercase();
            assert_eq!(hash(text.as_bytes(), true), hash(small.as_bytes(), false), "{text}");
        }
        assert_ne!(hash(b"a", false), hash(b"a\0", false));
    }
}
