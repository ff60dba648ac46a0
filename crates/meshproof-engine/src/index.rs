//! From a text to the row sets that it leads to.

use crate::bytes::{U32s, U128s, place};
use crate::format::{COMPLETE, DIRECT, INDEX, NONE, PARENT};
use crate::kinds::{Engine, View};
use crate::lookup::{Affixes, Slots};
use crate::number::Intervals;
use crate::set::SetRef;
use crate::test::{Pool, Tests, Value, is_line};

/// What a set is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Rows that want what the value is.
    Wanted,
    /// Rows that refuse it.
    Refused,
}

/// The parts of a table that look-ups need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Store<'t> {
    pub engine: Engine,
    pub indexes: U32s<'t>,
    pub records: U32s<'t>,
    pub slots: U32s<'t>,
    pub lengths: U32s<'t>,
    pub tests: Tests<'t>,
    pub borders: U32s<'t>,
    pub wide_borders: U128s<'t>,
}

/// One view of an attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Index<'t> {
    pub view: View,
    pub exact: Slots<'t>,
    pub prefixes: Affixes<'t>,
    pub suffixes: Affixes<'t>,
    /// Records of texts that are there, that are not empty, that are not empty and have no line break; or [`NONE`].
    pub records: [u32; 3],
    /// Of numbers instead of all that.
    pub intervals: Intervals<'t>,
}

impl<'t> Store<'t> {
    #[inline(always)]
    pub fn index(&self, index: u32) -> Index<'t> {
        let at = place(index) * INDEX;
        let number = |place: usize| self.indexes.at(at + place);
        let view = View::of_code(number(0)).unwrap_or(View::Whole);
        if view == View::Number {
            return self.numbers(number);
        }
        let fold = number(1) != 0;
        let pool: Pool<'t> = self.tests.pool;
        let slots = |at: usize| {
            let (start, count) = (number(at), number(at + 1));
            let slots = self.slots.range(place(start).saturating_mul(3), place(count).saturating_mul(3));
            Slots { slots, count, fold, pool }
        };
        let affixes = |at: usize, is_suffix| Affixes {
            slots: slots(at),
            lengths: self.lengths.range(place(number(at + 2)), place(number(at + 3))),
            is_suffix,
        };
        Index {
            view,
            exact: slots(2),
            prefixes: affixes(4, false),
            suffixes: affixes(8, true),
            records: [number(12), number(13), number(14)],
            intervals: Intervals::default(),
        }
    }

    fn numbers(&self, number: impl Fn(usize) -> u32) -> Index<'t> {
        let number = |at: usize| place(number(at));
        Index {
            view: View::Number,
            exact: Slots::default(),
            prefixes: Affixes::default(),
            suffixes: Affixes::default(),
            records: [NONE; 3],
            intervals: Intervals {
                borders: self.borders.range(number(2), number(3)),
                records: self.borders.range(number(4), number(3)),
                wide_borders: self.wide_borders.range(number(5), number(6)),
                wide_records: self.borders.range(number(7), number(6)),
            },
        }
    }

    /// Visits the sets that a text of the view leads to. `value` is what its tests look at. Tells whether nothing else of
    /// the view can match.
    #[inline(always)]
    pub fn look_up(
        &self,
        index: &Index<'t>,
        text: &[u8],
        value: Value<'_>,
        visit: &mut impl FnMut(Side, SetRef),
    ) -> bool {
        if let Some((record, _)) = index.exact.find(text)
            && self.visit(record, value, visit)
        {
            return true;
        }
        let affixes = [&index.prefixes, &index.suffixes];
        for affix in affixes.into_iter().filter(|affixes| affixes.slots.count > 0) {
            if let Some(record) = affix.longest(text) {
                self.visit(record, value, visit);
            }
        }
        let [there, some, line] = index.records;
        if there != NONE {
            self.visit(there, value, visit);
        }
        if some != NONE && !text.is_empty() {
            self.visit(some, value, visit);
        }
        if line != NONE && is_line(text) {
            self.visit(line, value, visit);
        }
        false
    }

    /// Visits the sets of a record, and tells whether it is complete.
    #[inline(always)]
    pub fn visit(&self, record: u32, value: Value<'_>, visit: &mut impl FnMut(Side, SetRef)) -> bool {
        if record & DIRECT != 0 {
            visit(Side::Wanted, SetRef(record & !DIRECT));
            return true;
        }
        let mut record = record;
        loop {
            let at = place(record);
            let head = self.records.at(at);
            let counts = [head & 0xff, (head >> 8) & 0xff, (head >> 16) & 0xff].map(place);
            let [wanted, refused, tests] = counts;
            let sets = self.records.range(at + 1, wanted + refused);
            for (place, set) in sets.iter().enumerate() {
                visit(if place < wanted { Side::Wanted } else { Side::Refused }, SetRef(set));
            }
            for test in self.records.range(at + 1 + wanted + refused, tests).iter() {
                self.test(test, value, visit);
            }
            if head & PARENT == 0 {
                return head & COMPLETE != 0;
            }
            // Validation saw that it stands before this one, so the chain ends.
            let parent = self.records.at(at + 1 + wanted + refused + tests);
            if parent >= record {
                return false;
            }
            record = parent;
        }
    }

    /// Visits the sets of a test if the value passes it.
    #[inline]
    pub fn test(&self, test: u32, value: Value<'_>, visit: &mut impl FnMut(Side, SetRef)) {
        let Some(test) = self.tests.get(test).filter(|test| test.holds(value, self.engine)) else { return };
        if let Some(set) = test.wanted {
            visit(Side::Wanted, set);
        }
        if let Some(set) = test.refused {
            visit(Side::Refused, set);
        }
    }
}
