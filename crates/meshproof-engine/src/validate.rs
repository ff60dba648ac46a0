//! The one look at everything in a table, behind which no place in it lies outside.
//!
//! Parts that others point to are walked from start to end, and where they begin is remembered, so the time is that of
//! the size, whatever points where.

use crate::bytes::{U32s, U64s, U128s, place};
use crate::dimension::Dimension;
use crate::error::OpenError;
use crate::format::{
    self, BLOCKS, DIMENSION, DIRECT, DRIVER, INDEX, MARKER, NONE, OF_REQUEST, PARENT, POLICY, SET_BITS,
    SET_BLOCKS, SET_COUNT, SET_KIND_SHIFT, SET_PLACE, SET_ROW, SET_ROWS, TEST,
};
use crate::kinds::{Attribute, Effect, TestKind, View};
use crate::set::SetRef;
use crate::table::{Sections, Segment, Table};
use crate::template;

type Checked = Result<(), OpenError>;

fn invalid(what: &'static str, at: usize) -> OpenError {
    OpenError::Invalid { what, at: u32::try_from(at).unwrap_or(u32::MAX) }
}

fn check(holds: bool, what: &'static str, at: usize) -> Checked {
    if holds { Ok(()) } else { Err(invalid(what, at)) }
}

/// Whether a range lies inside.
fn is_inside(start: u32, count: u32, length: usize) -> bool {
    place(start).checked_add(place(count)).is_some_and(|end| end <= length)
}

/// The segments: they begin with the first word, follow each other, and stand in the order of effects and of providers.
pub(crate) fn segments<'t>(sections: &Sections<'t>, words: u32) -> Result<Vec<Segment<'t>>, OpenError> {
    let bytes = sections.bytes(format::SEGMENTS);
    let numbers = U32s::new(bytes);
    check(bytes.len().is_multiple_of(16), "half a segment", 0)?;
    // Rows have 29 bits in references of sets.
    check(words <= SET_PLACE / 64, "too many rows", 0)?;
    let rows = sections.bytes(format::ROW_RULES).len();
    check(rows == place(words) * 64 * 4, "rows and words do not fit", 0)?;
    let mut segments: Vec<Segment<'t>> = Vec::new();
    for at in 0..numbers.len() / 4 {
        let number = |place: usize| numbers.at(at * 4 + place);
        let effect = Effect::of_code(number(0)).ok_or(invalid("unknown effect of a segment", at))?;
        let provider =
            text(sections, number(2), number(3)).ok_or(invalid("the provider of a segment", at))?;
        let segment = Segment { effect, first_word: number(1), provider };
        let follows = match segments.last() {
            None => segment.first_word == 0,
            Some(last) => {
                let order = (last.effect, last.provider) < (effect, provider);
                order && last.first_word < segment.first_word
            }
        };
        check(follows && segment.first_word < words, "segments do not follow each other", at)?;
        segments.push(segment);
    }
    check((words == 0) == segments.is_empty(), "rows without a segment", 0)?;
    Ok(segments)
}

fn text<'t>(sections: &Sections<'t>, at: u32, length: u32) -> Option<&'t str> {
    let pool = sections.bytes(format::POOL);
    let bytes =
        is_inside(at, length, pool.len()).then(|| pool.get(place(at)..place(at) + place(length)))??;
    std::str::from_utf8(bytes).ok()
}

/// Runs of one part of a table that overlapped would be looked at again and again, so there is room for each in its own
/// right.
pub(crate) fn runs(sections: &Sections<'_>, words: u32) -> Checked {
    let length = |section: usize, size: usize| (sections.bytes(section).len() / size) as u64;
    let dimensions = sections.numbers(format::DIMENSIONS);
    let count = dimensions.len() / DIMENSION;
    let in_all =
        |at: usize| (0..count).map(|one| u64::from(dimensions.at(one * DIMENSION + at))).sum::<u64>();
    let rows = (count as u64).checked_mul(u64::from(words));
    check(rows.is_some_and(|rows| rows <= length(format::BITS, 8)), "the rows of attributes overlap", 0)?;
    check(in_all(7) <= length(format::INDEXES, INDEX * 4), "the indexes of attributes overlap", 0)?;
    let indexes = sections.numbers(format::INDEXES);
    let (mut lengths, mut borders, mut wide) = (0, 0, 0);
    for at in 0..indexes.len() / INDEX {
        let number = |place: usize| u64::from(indexes.at(at * INDEX + place));
        if number(0) == u64::from(View::Number.code()) {
            borders += number(3) * 2 + number(6);
            wide += number(6);
        } else {
            lengths += number(7) + number(11);
        }
    }
    check(lengths <= length(format::LENGTHS, 4), "lengths overlap", 0)?;
    check(borders <= length(format::BORDERS, 4), "borders overlap", 0)?;
    check(wide <= length(format::WIDE_BORDERS, 16), "borders overlap", 0)
}

/// Reads one dimension; its sets and records are looked at later.
pub(crate) fn dimension<'t>(
    table: &Table<'t>,
    numbers: U32s<'t>,
    at: usize,
) -> Result<(Dimension<'t>, u32), OpenError> {
    let number = |place: usize| numbers.at(at * DIMENSION + place);
    let attribute = Attribute::of_code(number(0)).ok_or(invalid("unknown attribute", at))?;
    let asked = number(1);
    check(asked <= DRIVER, "how an attribute is asked", at)?;
    check(asked != DRIVER || table.driver.is_none(), "two attributes lead", at)?;
    let always = matches!(
        attribute,
        Attribute::Peer | Attribute::Port | Attribute::Sni | Attribute::SourceIp | Attribute::DestinationIp
    );
    let may_be_either = attribute == Attribute::RemoteIp;
    check(may_be_either || always == (asked < OF_REQUEST), "how an attribute is asked", at)?;
    let pool = table.store.tests.pool;
    check(is_inside(number(2), number(3), pool.0.len()), "the name of an attribute", at)?;
    let name = std::str::from_utf8(pool.text(number(2), number(3)));
    let bits = |start: u32| -> Result<U64s<'t>, OpenError> {
        let words = u32::try_from(table.words).unwrap_or(NONE);
        check(is_inside(start, words, table.sets.bits.len()), "the rows of an attribute", at)?;
        Ok(table.sets.bits.range(place(start), table.words))
    };
    check(
        is_inside(number(6), number(7), table.store.indexes.len() / INDEX),
        "the indexes of an attribute",
        at,
    )?;
    check(
        is_inside(number(8), number(9), table.store.tests.numbers.len() / TEST),
        "the tests of an attribute",
        at,
    )?;
    let dimension = Dimension {
        attribute,
        is_of_request: asked >= OF_REQUEST,
        name: name.map_err(|_| invalid("the name of an attribute", at))?,
        wanting: bits(number(4))?,
        refusing: if number(5) == NONE { None } else { Some(bits(number(5))?) },
        indexes: (number(6)..number(6) + number(7)).map(|index| table.store.index(index)).collect(),
        tests: (number(8), number(9)),
        has_all_tests: number(10) == 1,
        indifferent: SetRef(number(11)),
    };
    let has_numbers = dimension.indexes.iter().any(|index| index.view == View::Number);
    let is_number = matches!(
        attribute,
        Attribute::Port | Attribute::SourceIp | Attribute::RemoteIp | Attribute::DestinationIp
    );
    check(
        has_numbers == is_number && (!is_number || dimension.indexes.len() == 1),
        "the indexes of an attribute",
        at,
    )?;
    Ok((dimension, asked))
}

/// Looks at everything that the table is made of.
pub(crate) fn table(table: &Table<'_>, sections: &Sections<'_>) -> Checked {
    let sizes = [
        (format::RULES, 8),
        (format::POLICIES, POLICY * 4),
        (format::DIMENSIONS, DIMENSION * 4),
        (format::INDEXES, INDEX * 4),
        (format::BITS, 8),
        (format::SETS, 4),
        (format::RECORDS, 4),
        (format::SLOTS, 12),
        (format::LENGTHS, 4),
        (format::TESTS, TEST * 4),
        (format::BORDERS, 4),
        (format::WIDE_BORDERS, 16),
    ];
    for (section, size) in sizes {
        check(sections.bytes(section).len().is_multiple_of(size), "a section of the wrong length", section)?;
    }
    let starts = Starts { sets: sets(table)?, records: Marks::default(), table };
    check_rules(table, sections)?;
    starts.tests()?;
    let starts = starts.with_records()?;
    starts.set(table.everything, 0)?;
    for (at, dimension) in table.connection.iter().chain(&table.request).enumerate() {
        starts.set(dimension.indifferent, at)?;
    }
    starts.indexes(sections)?;
    starts.slots()
}

/// Places at which something begins, a bit each.
#[derive(Default)]
struct Marks(Vec<u64>);

impl Marks {
    fn for_places(count: usize) -> Marks {
        Marks(vec![0; count.div_ceil(64)])
    }

    fn set(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    fn has(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word & (1 << (place % 64)) != 0)
    }
}

/// Walks through the sets.
fn sets(table: &Table<'_>) -> Result<Marks, OpenError> {
    let numbers = table.sets.sets;
    let mut starts = Marks::for_places(numbers.len());
    let mut at = 0;
    while at < numbers.len() {
        starts.set(at);
        let head = numbers.at(at);
        let count = place(head & SET_COUNT);
        let is_blocks = head & BLOCKS != 0;
        let size = count.checked_mul(if is_blocks { 3 } else { 1 }).filter(|size| *size < numbers.len() - at);
        let Some(size) = size else { return Err(invalid("a set lies outside", at)) };
        let limit = table.words.saturating_mul(if is_blocks { 1 } else { 64 });
        let mut least = 0;
        for number in numbers.range(at + 1, count).iter() {
            check(place(number) >= least && place(number) < limit, "a set has rows that do not exist", at)?;
            least = place(number) + 1;
        }
        at += 1 + size;
    }
    Ok(starts)
}

fn check_rules(table: &Table<'_>, sections: &Sections<'_>) -> Checked {
    let rules = table.rules.len() / 2;
    for (at, rule) in table.row_rules.iter().enumerate() {
        check(rule == NONE || place(rule) < rules, "a row without its rule", at)?;
    }
    for rule in 0..rules {
        check(
            place(table.rules.at(rule * 2)) < table.policies.len() / POLICY,
            "a rule without its policy",
            rule,
        )?;
    }
    for policy in 0..table.policies.len() / POLICY {
        for half in [0, 2, 4, 6] {
            let at = policy * POLICY + half;
            let (at, length) = (table.policies.at(at), table.policies.at(at + 1));
            text(sections, at, length).ok_or(invalid("the name of a policy", policy))?;
        }
    }
    Ok(())
}

/// Where sets and records begin.
struct Starts<'a, 't> {
    sets: Marks,
    records: Marks,
    table: &'a Table<'t>,
}

impl Starts<'_, '_> {
    fn set(&self, set: SetRef, at: usize) -> Checked {
        let start = place(set.0 & SET_PLACE);
        let is_blocks = self.table.sets.sets.at(start) & BLOCKS != 0;
        let is_good = match set.0 >> SET_KIND_SHIFT {
            SET_ROW => start < self.table.words.saturating_mul(64),
            SET_ROWS => self.sets.has(start) && !is_blocks,
            SET_BLOCKS => self.sets.has(start) && is_blocks,
            SET_BITS => {
                start.checked_add(self.table.words).is_some_and(|end| end <= self.table.sets.bits.len())
            }
            _ => false,
        };
        check(is_good, "a set that does not exist", at)
    }

    fn optional(&self, set: u32, at: usize) -> Checked {
        if set == NONE { Ok(()) } else { self.set(SetRef(set), at) }
    }

    fn record(&self, record: u32, at: usize) -> Checked {
        if record == NONE {
            return Ok(());
        }
        if record & DIRECT != 0 {
            return self.set(SetRef(record & !DIRECT), at);
        }
        check(self.records.has(place(record)), "a record that does not exist", at)
    }

    /// Walks through the records.
    fn with_records(mut self) -> Result<Self, OpenError> {
        let numbers = self.table.store.records;
        let tests = self.table.store.tests.numbers.len() / TEST;
        self.records = Marks::for_places(numbers.len());
        let mut at = 0;
        while at < numbers.len() {
            let head = numbers.at(at);
            let [sets, more, asked] = [head & 0xff, (head >> 8) & 0xff, (head >> 16) & 0xff].map(place);
            let sets = sets + more;
            let end = at + 1 + sets + asked + usize::from(head & PARENT != 0);
            check(end <= numbers.len(), "a record lies outside", at)?;
            for set in numbers.range(at + 1, sets).iter() {
                self.set(SetRef(set), at)?;
            }
            for test in numbers.range(at + 1 + sets, asked).iter() {
                check(place(test) < tests, "a record has a test that does not exist", at)?;
            }
            if head & PARENT != 0 {
                let parent = place(numbers.at(end - 1));
                check(
                    parent < at && self.records.has(parent),
                    "a record follows one that does not exist",
                    at,
                )?;
            }
            self.records.set(at);
            at = end;
        }
        Ok(self)
    }

    fn tests(&self) -> Checked {
        let tests = &self.table.store.tests;
        for at in 0..tests.numbers.len() / TEST {
            let number = |place: usize| tests.numbers.at(at * TEST + place);
            let is_text = |place: usize| is_inside(number(place), number(place + 1), tests.pool.0.len());
            check(is_text(1) && is_text(3), "the text of a test", at)?;
            let kind = TestKind::of_code(number(0)).ok_or(invalid("unknown test", at))?;
            let (first, second) =
                (tests.pool.text(number(1), number(2)), tests.pool.text(number(3), number(4)));
            let is_half = |text: &[u8]| text.first().is_some_and(|letter| b"-*=<>".contains(letter));
            let is_good = match kind {
                TestKind::Template => template::is_valid(first),
                TestKind::Steps => template::are_valid_steps(first, second),
                TestKind::Token => is_half(first) && is_half(second),
                TestKind::Block => first.len() == 18,
                TestKind::Port => first.len() == 2,
                _ => true,
            };
            check(is_good, "the text of a test", at)?;
            self.optional(number(5), at)?;
            self.optional(number(6), at)?;
        }
        Ok(())
    }

    fn indexes(&self, sections: &Sections<'_>) -> Checked {
        let numbers = sections.numbers(format::INDEXES);
        let store = &self.table.store;
        for at in 0..numbers.len() / INDEX {
            let number = |place: usize| numbers.at(at * INDEX + place);
            let view = View::of_code(number(0)).ok_or(invalid("unknown view", at))?;
            check(number(1) <= 1, "unknown view", at)?;
            if view == View::Number {
                self.borders([number(2), number(3), number(4)], [number(5), number(6), number(7)], at)?;
                continue;
            }
            for run in [2, 4, 8] {
                let is_good = is_inside(number(run), number(run + 1), store.slots.len() / 3);
                check(is_good, "slots lie outside", at)?;
            }
            for run in [6, 10] {
                check(
                    is_inside(number(run), number(run + 1), store.lengths.len()),
                    "lengths lie outside",
                    at,
                )?;
                let lengths = store.lengths.range(place(number(run)), place(number(run + 1)));
                check(ascends(lengths.iter()), "lengths do not ascend", at)?;
            }
            for record in 12..15 {
                self.record(number(record), at)?;
            }
        }
        Ok(())
    }

    fn borders(&self, narrow: [u32; 3], wide: [u32; 3], at: usize) -> Checked {
        let (borders, wide_borders): (U32s<'_>, U128s<'_>) =
            (self.table.store.borders, self.table.store.wide_borders);
        let good = is_inside(narrow[0], narrow[1], borders.len())
            && is_inside(narrow[2], narrow[1], borders.len())
            && is_inside(wide[0], wide[1], wide_borders.len())
            && is_inside(wide[2], wide[1], borders.len());
        check(good, "borders lie outside", at)?;
        check(
            ascends(borders.range(place(narrow[0]), place(narrow[1])).iter()),
            "borders do not ascend",
            at,
        )?;
        check(
            ascends(wide_borders.range(place(wide[0]), place(wide[1])).iter()),
            "borders do not ascend",
            at,
        )?;
        for (start, count) in [(narrow[2], narrow[1]), (wide[2], wide[1])] {
            for record in borders.range(place(start), place(count)).iter() {
                self.record(record, at)?;
            }
        }
        Ok(())
    }

    fn slots(&self) -> Checked {
        let numbers = self.table.store.slots;
        for at in 0..numbers.len() / 3 {
            let head = numbers.at(at * 3);
            if head == NONE {
                continue;
            }
            let length = (head >> 16) & (MARKER - 1);
            check(
                is_inside(numbers.at(at * 3 + 1), length, self.table.store.tests.pool.0.len()),
                "the text of a slot",
                at,
            )?;
            self.record(numbers.at(at * 3 + 2), at)?;
        }
        Ok(())
    }
}

fn ascends<T: PartialOrd>(mut numbers: impl Iterator<Item = T>) -> bool {
    let Some(mut last) = numbers.next() else { return true };
    numbers.all(|number| {
        let is_more = last < number;
        last = number;
        is_more
    })
}
