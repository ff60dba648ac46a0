//! Numbers in little-endian bytes, read where they stand.
//!
//! A place that is not there reads as zero: after the validation of a table there is none, so nothing depends on it,
//! and a mistake in that could neither stop the process nor reach other memory.

macro_rules! numbers {
    ($name:ident, $number:ty, $size:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, Default)]
        pub(crate) struct $name<'t>(&'t [[u8; $size]]);

        impl<'t> $name<'t> {
            /// The numbers in the bytes; what is left over at the end belongs to none.
            pub fn new(bytes: &'t [u8]) -> Self {
                $name(bytes.as_chunks::<$size>().0)
            }

            pub fn len(self) -> usize {
                self.0.len()
            }

            #[inline(always)]
            pub fn at(self, place: usize) -> $number {
                match self.0.get(place) {
                    Some(bytes) => <$number>::from_le_bytes(*bytes),
                    None => 0,
                }
            }

            /// The numbers of a range; none where it leaves the array.
            #[inline(always)]
            pub fn range(self, start: usize, count: usize) -> Self {
                let end = start.saturating_add(count);
                $name(self.0.get(start..end).unwrap_or_default())
            }

            #[inline(always)]
            pub fn iter(self) -> impl Iterator<Item = $number> + 't {
                self.0.iter().map(|bytes| <$number>::from_le_bytes(*bytes))
            }
        }
    };
}

numbers!(U32s, u32, 4, "An array of 32-bit numbers.");
numbers!(U64s, u64, 8, "An array of 64-bit numbers.");
numbers!(U128s, u128, 16, "An array of 128-bit numbers.");

impl<'t> U64s<'t> {
    /// Of each so many numbers the one at a place, as long as there are so many.
    #[inline(always)]
    pub fn column(self, stride: usize, column: usize) -> impl Iterator<Item = u64> + 't {
        let blocks = self.0.chunks_exact(stride.max(1));
        blocks.map(move |block| block.get(column).map_or(0, |bytes| u64::from_le_bytes(*bytes)))
    }
}

/// Numbers of 16 bits, or of 32 in tables that need them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Numbers<'t> {
    Narrow(&'t [[u8; 2]]),
    Wide(U32s<'t>),
}

impl<'t> Numbers<'t> {
    pub fn new(bytes: &'t [u8], is_wide: bool) -> Numbers<'t> {
        if is_wide { Numbers::Wide(U32s::new(bytes)) } else { Numbers::Narrow(bytes.as_chunks::<2>().0) }
    }

    pub fn len(self) -> usize {
        match self {
            Numbers::Narrow(numbers) => numbers.len(),
            Numbers::Wide(numbers) => numbers.len(),
        }
    }

    /// The number; the largest one of 16 bits stands for that of 32, which is [`NONE`](crate::format::NONE).
    #[inline(always)]
    pub fn at(self, place: usize) -> u32 {
        match self {
            Numbers::Narrow(numbers) => match numbers.get(place).map(|bytes| u16::from_le_bytes(*bytes)) {
                Some(u16::MAX) => u32::MAX,
                number => number.unwrap_or_default().into(),
            },
            Numbers::Wide(numbers) => numbers.at(place),
        }
    }
}

/// A number as a place. Tables are smaller than 4 GiB, and 16-bit machines cannot hold one.
#[inline(always)]
pub(crate) fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Where one of some bytes stands first in a text, eight of which are looked at together.
#[inline(always)]
pub(crate) fn position<const N: usize>(text: &[u8], bytes: [u8; N]) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let Some(last) = text.last_chunk::<8>() else { return text.iter().position(|byte| bytes.contains(byte)) };
    // Of the differences to a byte the first that is zero is where it stands.
    let first = |chunk: &[u8; 8]| {
        let word = u64::from_le_bytes(*chunk);
        let mut zeros = 0;
        for byte in bytes {
            let differences = word ^ (LOW * u64::from(byte));
            zeros |= differences.wrapping_sub(LOW) & !differences & HIGH;
        }
        (zeros != 0).then_some((zeros.trailing_zeros() / 8) as usize)
    };
    for (at, chunk) in text.as_chunks::<8>().0.iter().enumerate() {
        if let Some(found) = first(chunk) {
            return Some(at * 8 + found);
        }
    }
    // Where chunks do not end with the text, the last eight bytes once more.
    first(last).map(|found| text.len() - 8 + found)
}

/// Goes through bytes with numbers of seven bits per byte, the lowest first; a byte from 128 on says that more follow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reader<'t> {
    pub bytes: &'t [u8],
    pub at: usize,
}

impl<'t> Reader<'t> {
    #[inline(always)]
    pub fn new(bytes: &'t [u8], at: usize) -> Reader<'t> {
        Reader { bytes, at }
    }

    #[inline(always)]
    pub fn byte(&mut self) -> u8 {
        let byte = self.bytes.get(self.at).copied().unwrap_or_default();
        self.at = self.at.wrapping_add(1);
        byte
    }

    #[inline(always)]
    pub fn number(&mut self) -> u32 {
        let first = self.byte();
        if first < 0x80 {
            return first.into();
        }
        let second = self.byte();
        let low = u32::from(first & 0x7f) | u32::from(second & 0x7f) << 7;
        if second < 0x80 { low } else { low | self.high_bits() }
    }

    /// The bits from the fourteenth on.
    fn high_bits(&mut self) -> u32 {
        let mut number = 0;
        for shift in [14, 21, 28] {
            let byte = self.byte();
            number |= u32::from(byte & 0x7f).wrapping_shl(shift);
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    /// The next bytes; zeros where they leave the array.
    #[inline(always)]
    pub fn chunk<const N: usize>(&mut self) -> [u8; N] {
        let chunk = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        self.at = self.at.wrapping_add(N);
        chunk.copied().unwrap_or([0; N])
    }

    /// So many bytes; none where they leave the array.
    #[inline(always)]
    pub fn take(&mut self, length: u32) -> &'t [u8] {
        let start = self.at;
        self.at = start.saturating_add(place(length));
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// What is left.
    #[inline(always)]
    pub fn rest(&self) -> &'t [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Whether everything that was read was there.
    pub fn is_inside(&self) -> bool {
        self.at <= self.bytes.len()
    }

    #[inline(always)]
    pub fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_where_they_are() {
        for length in 0..30 {
            for other in [b'.', b'0', 0xaf, 0, 0x2e, 0x30] {
                let mut text = vec![other; length];
                assert_eq!(position(&text, [b'/']), None);
                for at in (0..length).rev() {
                    text[at] = b'/';
                    assert_eq!(position(&text, [b'/']), Some(at), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn numbers_of_seven_bits() {
        for (number, bytes) in [
            (0u32, &[0u8][..]),
            (127, &[127]),
            (128, &[0x80, 1]),
            (16_383, &[0xff, 0x7f]),
            (16_384, &[0x80, 0x80, 1]),
            (u32::MAX, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            let mut reader = Reader::new(bytes, 0);
            assert_eq!((reader.number(), reader.at), (number, bytes.len()));
            assert!(reader.is_inside() && reader.is_at_end());
        }
        let mut reader = Reader::new(&[0x80], 0);
        assert_eq!(reader.number(), 0);
        assert!(!reader.is_inside());
    }
}
