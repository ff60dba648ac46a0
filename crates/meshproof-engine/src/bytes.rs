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

/// A number as a place. Tables are smaller than 4 GiB, and 16-bit machines cannot hold one.
#[inline(always)]
pub(crate) fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
