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

/// Room for [`narrow`], as long as the words: rows that look at the attribute, and rows that its value satisfies and that
/// refuse it.
pub(crate) struct Scratch<'s> {
    pub looking: &'s mut [u64],
    pub wanted: &'s mut [u64],
    pub refused: &'s mut [u64],
}

/// Keeps of the rows (`masks`, one per word) those that the attribute satisfies. Nothing is looked up when no row looks
/// at it, and no set is asked about words that have no such row. `only_refusing`: what the rows want is known to be
/// there.
#[inline(always)]
pub(crate) fn narrow(
    table: &Table<'_>,
    dimension: &Dimension<'_>,
    source: &impl Source,
    only_refusing: bool,
    words: &[u32],
    masks: &mut [u64],
    scratch: &mut Scratch<'_>,
) {
    let Scratch { looking, wanted, refused } = scratch;
    let mut any = 0;
    for ((word, mask), looking) in words.iter().zip(masks.iter()).zip(looking.iter_mut()) {
        let wanting = if only_refusing { 0 } else { dimension.wanting.at(place(*word)) };
        let refusing = dimension.refusing.map_or(0, |refusing| refusing.at(place(*word)));
        *looking = mask & (wanting | refusing);
        any |= *looking;
    }
    if any == 0 {
        return;
    }
    wanted.fill(0);
    refused.fill(0);
    let sets = &table.sets;
    {
        let looking = &**looking;
        source.visit(dimension, &table.store, &mut |side, set| {
            let set = sets.get(set);
            let sum = if side == Side::Wanted { &mut **wanted } else { &mut **refused };
            for ((word, looking), sum) in words.iter().zip(looking).zip(sum) {
                if *looking != 0 {
                    *sum |= set.at(place(*word));
                }
            }
        });
    }
    for (((word, mask), looking), (wanted, refused)) in
        words.iter().zip(masks).zip(looking.iter()).zip(wanted.iter().zip(refused.iter()))
    {
        if *looking != 0 {
            let wanting = if only_refusing { 0 } else { dimension.wanting.at(place(*word)) };
            *mask &= (*wanted | !wanting) & !*refused;
        }
    }
}
