//! From a text to the row sets that it leads to.

use crate::bytes::{Reader, U32s, U128s, place};
use crate::format::{ALIAS, COMPLETE, COUNTED, INDEX, MANY_COUNTS, NONE, PARENT};
use crate::kinds::{Engine, View};
use crate::lookup::{Affixes, Entries, Slots};
use crate::number::Intervals;
use crate::set::{RowSet, Sets};
use crate::test::{Tests, Value, is_line};

/// What a set is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Rows that want what the value is.
    Wanted,
    /// Rows that refuse it.
    Refused,
}

/// Takes the sets that a value leads to.
pub(crate) trait Gather<'t> {
    /// One set.
    fn add(&mut self, side: Side, set: RowSet<'t>);

    /// Whether any row of the set is of interest, so that a test of it is worth the while.
    fn cares(&self, set: RowSet<'t>) -> bool {
        let _ = set;
        true
    }
}

/// The parts of a table that look-ups need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Store<'t> {
    pub engine: Engine,
    pub indexes: U32s<'t>,
    pub sets: Sets<'t>,
    pub entries: Entries<'t>,
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
    /// Entries of texts that are there, and of those that are not empty and have no line break; or [`NONE`].
    pub there: u32,
    pub line: u32,
    /// Of numbers instead of all that.
    pub intervals: Intervals<'t>,
}

/// How many wanting sets, refusing sets and tests follow.
#[inline(always)]
pub(crate) fn counts(reader: &mut Reader<'_>) -> [u32; 3] {
    let few = reader.byte();
    match few {
        MANY_COUNTS => [reader.number(), reader.number(), reader.number()],
        _ => [few & 15, few >> 4 & 3, few >> 6].map(u32::from),
    }
}

impl<'t> Store<'t> {
    pub fn index(&self, index: u32) -> Index<'t> {
        let at = place(index) * INDEX;
        let number = |place: usize| self.indexes.at(at + place);
        let view = View::of_code(number(0)).unwrap_or(View::Whole);
        if view == View::Number {
            return self.numbers(number);
        }
        let fold = number(1) != 0;
        let slots =
            |at: usize| Slots { slots: self.slots.range(place(number(at)), place(number(at + 1))), fold };
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
            there: number(12),
            line: number(13),
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
            there: NONE,
            line: NONE,
            intervals: Intervals {
                borders: self.borders.range(number(2), number(3)),
                records: self.borders.range(number(4), number(3)),
                wide_borders: self.wide_borders.range(number(5), number(6)),
                wide_records: self.borders.range(number(7), number(6)),
            },
        }
    }

    /// Visits the sets that a text of the view leads to. `value` is what its tests look at.
    pub fn look_up(&self, index: &Index<'t>, text: &[u8], value: Value<'_>, to: &mut impl Gather<'t>) {
        if !self.look_up_whole(index, text, value, to) {
            self.look_beside(index, text, value, to);
        }
    }

    /// Visits the sets that the text as a whole leads to. Tells whether nothing else of the view can match.
    pub fn look_up_whole(
        &self,
        index: &Index<'t>,
        text: &[u8],
        value: Value<'_>,
        to: &mut impl Gather<'t>,
    ) -> bool {
        match index.exact.find(text, &self.entries) {
            Some(record) => self.visit(record, value, to),
            None => false,
        }
    }

    /// Visits the sets that the text leads to by how it begins and ends, and by being there.
    pub fn look_beside(&self, index: &Index<'t>, text: &[u8], value: Value<'_>, to: &mut impl Gather<'t>) {
        for affixes in [&index.prefixes, &index.suffixes] {
            if let Some(record) = affixes.longest(text, &self.entries) {
                self.visit(record, value, to);
            }
        }
        if index.there != NONE {
            self.entry(index.there, value, to);
        }
        if index.line != NONE && is_line(text) {
            self.entry(index.line, value, to);
        }
    }

    /// Visits the sets of an entry.
    pub fn entry(&self, entry: u32, value: Value<'_>, to: &mut impl Gather<'t>) {
        let (_, record) = self.entries.text(entry);
        self.visit(record, value, to);
    }

    /// Visits the sets that stand behind the text of an entry, and tells whether they are complete.
    pub fn visit(&self, record: usize, value: Value<'_>, to: &mut impl Gather<'t>) -> bool {
        let mut reader = Reader::new(self.entries.bytes, record);
        loop {
            let here = reader.at;
            let head = reader.byte();
            let mut next = None;
            if head & ALIAS != 0 {
                next = Some(reader.number());
            } else if head & COUNTED == 0 {
                let set = self.sets.read(&mut reader);
                to.add(Side::Wanted, set);
            } else {
                let counts = counts(&mut reader);
                self.visit_counted(&mut reader, counts, value, to);
            }
            if head & PARENT != 0 {
                next = Some(reader.number());
            }
            let Some(next) = next else { return head & COMPLETE != 0 };
            // Validation saw that it stands before this one, so the chain ends.
            let (_, at) = self.entries.text(next);
            if at >= here {
                return false;
            }
            reader.at = at;
        }
    }

    fn visit_counted(
        &self,
        reader: &mut Reader<'t>,
        [wanted, refused, tests]: [u32; 3],
        value: Value<'_>,
        to: &mut impl Gather<'t>,
    ) {
        for (count, side) in [(wanted, Side::Wanted), (refused, Side::Refused)] {
            for _ in 0..count {
                if reader.is_at_end() {
                    return;
                }
                let set = self.sets.read(reader);
                to.add(side, set);
            }
        }
        let mut test = 0u32;
        for _ in 0..tests {
            if reader.is_at_end() {
                return;
            }
            test = test.wrapping_add(reader.number());
            self.test(test, value, to);
        }
    }

    /// Visits the sets of a test if the value passes it.
    pub fn test(&self, test: u32, value: Value<'_>, to: &mut impl Gather<'t>) {
        let placed = self.tests.get(test, &self.sets);
        let sets = [placed.wanted, placed.refused];
        if !sets.iter().flatten().any(|set| to.cares(*set)) {
            return;
        }
        let holds = self.tests.texts(&placed).is_some_and(|(test, _)| test.holds(value, self.engine));
        if holds {
            placed.wanted.into_iter().for_each(|set| to.add(Side::Wanted, set));
            placed.refused.into_iter().for_each(|set| to.add(Side::Refused, set));
        }
    }
}
