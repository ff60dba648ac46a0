//! One attribute takes away the rows that it does not satisfy.

use crate::bytes::place;
use crate::dimension::Dimension;
use crate::index::{Side, Store};
use crate::set::SetRef;
use crate::table::Table;

/// Where values come from.
pub(crate) trait Source {
    /// Visits the sets that the value of the attribute leads to.
    fn visit<'t>(&self, dimension: &Dimension<'t>, store: &Store<'t>, visit: &mut impl FnMut(Side, SetRef));
}

/// Keeps of the rows (`masks`, one per word) those that the attribute satisfies. Nothing is looked up when no row looks
/// at it. `only_refusing`: what the rows want is known to be there. All slices are of one length.
#[inline(always)]
pub(crate) fn narrow(
    table: &Table<'_>,
    dimension: &Dimension<'_>,
    source: &impl Source,
    only_refusing: bool,
    words: &[u32],
    [masks, wanted, refused]: [&mut [u64]; 3],
) {
    let looks = |word: u32| {
        let wanting = if only_refusing { 0 } else { dimension.wanting.at(place(word)) };
        wanting | dimension.refusing.map_or(0, |refusing| refusing.at(place(word)))
    };
    if !words.iter().zip(masks.iter()).any(|(word, mask)| mask & looks(*word) != 0) {
        return;
    }
    wanted.fill(0);
    refused.fill(0);
    let sets = &table.sets;
    {
        let masks = &*masks;
        source.visit(dimension, &table.store, &mut |side, set| {
            let set = sets.get(set);
            let sum = if side == Side::Wanted { &mut *wanted } else { &mut *refused };
            for ((word, mask), sum) in words.iter().zip(masks).zip(sum) {
                if *mask != 0 {
                    *sum |= set.at(place(*word));
                }
            }
        });
    }
    for ((word, mask), (wanted, refused)) in words.iter().zip(masks).zip(wanted.iter().zip(refused.iter())) {
        let wanting = if only_refusing { 0 } else { dimension.wanting.at(place(*word)) };
        *mask &= (*wanted | !wanting) & !*refused;
    }
}
