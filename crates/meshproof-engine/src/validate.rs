//! The one look at everything in a table, behind which no place in it lies outside.
//!
//! Parts that others point to are walked from start to end, and where they begin is remembered, so the time is that of
//! the size, whatever points where.

use crate::bytes::{Reader, U32s, U128s, place};
use crate::dimension::Dimension;
use crate::error::OpenError;
use crate::format::{
    self, ALIAS, COMPLETE, COUNTED, DIMENSION, DRIVER, FILTER, INDEX, MARKER, NONE, OF_REQUEST, OWN_REFUSED,
    OWN_WANTED, PARENT, POLICY, SET_COLUMN, SET_GROUPS, SET_LIST, SET_ROWS, SPELLED_PARTS, TEST_REFUSED,
    TEST_WANTED,
};
use crate::kinds::{Attribute, Effect, TestKind, View};
use crate::pool::Pool;
use crate::set::{Group, groups_of};
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
pub(crate) fn segments<'t>(
    sections: &Sections<'t>,
    words: u32,
    is_wide: bool,
) -> Result<Vec<Segment<'t>>, OpenError> {
    let bytes = sections.bytes(format::SEGMENTS);
    let numbers = U32s::new(bytes);
    check(bytes.len().is_multiple_of(12), "half a segment", 0)?;
    // Rows are counted in 32 bits.
    check(words <= NONE / 64, "too many rows", 0)?;
    let rows = sections.bytes(format::ROW_RULES).len();
    let size = if is_wide { 4 } else { 2 };
    check(Some(rows) == place(words).checked_mul(64 * size), "rows and words do not fit", 0)?;
    let mut segments: Vec<Segment<'t>> = Vec::new();
    let pool = Pool(sections.bytes(format::POOL));
    for at in 0..numbers.len() / 3 {
        let number = |place: usize| numbers.at(at * 3 + place);
        let effect = Effect::of_code(number(0)).ok_or(invalid("unknown effect of a segment", at))?;
        let provider = pool.checked(number(2)).ok_or(invalid("the provider of a segment", at))?;
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

/// Runs of one part of a table that overlapped would be looked at again and again, so there is room for each in its own
/// right.
pub(crate) fn runs(sections: &Sections<'_>) -> Checked {
    let length = |section: usize, size: usize| (sections.bytes(section).len() / size) as u64;
    let dimensions = sections.numbers(format::DIMENSIONS);
    let (mut indexes_in_all, mut tests) = (0, 0);
    for at in 0..dimensions.len() / DIMENSION {
        let number = |place: usize| u64::from(dimensions.at(at * DIMENSION + place));
        indexes_in_all += number(6);
        tests += number(8).saturating_sub(number(7));
    }
    check(indexes_in_all <= length(format::INDEXES, INDEX * 4), "the indexes of attributes overlap", 0)?;
    check(tests <= length(format::TESTS, 1), "the tests of attributes overlap", 0)?;
    let indexes = sections.numbers(format::INDEXES);
    let (mut lengths, mut borders, mut wide, mut slots) = (0, 0, 0, 0);
    for at in 0..indexes.len() / INDEX {
        let number = |place: usize| u64::from(indexes.at(at * INDEX + place));
        if number(0) == u64::from(View::Number.code()) {
            borders += number(3) * 2 + number(6);
            wide += number(6);
        } else {
            lengths += number(7) + number(11);
            slots += number(3) + number(5) + number(9);
        }
    }
    check(lengths <= length(format::LENGTHS, 4), "lengths overlap", 0)?;
    check(slots <= length(format::SLOTS, 4), "slots overlap", 0)?;
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
    let store = &table.store;
    let name = store.entries.pool().checked(number(2)).ok_or(invalid("the name of an attribute", at))?;
    let column = |column: u32| {
        let is_one = place(column) < store.sets.stride || store.sets.words == 0;
        if is_one { Ok(place(column)) } else { Err(invalid("the rows of an attribute", at)) }
    };
    check(is_inside(number(5), number(6), store.indexes.len() / INDEX), "the indexes of an attribute", at)?;
    let tests = [number(7), number(8)];
    check(
        tests[0] <= tests[1] && place(tests[1]) <= store.tests.bytes.len(),
        "the tests of an attribute",
        at,
    )?;
    check(number(9) <= SPELLED_PARTS, "the tests of an attribute", at)?;
    let dimension = Dimension {
        attribute,
        is_of_request: asked >= OF_REQUEST,
        name,
        wanting: column(number(3))?,
        refusing: if number(4) == NONE { None } else { Some(column(number(4))?) },
        indexes: (number(5)..number(5) + number(6)).map(|index| table.store.index(index)).collect(),
        tests,
        spelled: number(9),
        indifferent: (number(10) != NONE).then(|| number(10)),
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
        (format::POLICIES, POLICY * 4),
        (format::DIMENSIONS, DIMENSION * 4),
        (format::INDEXES, INDEX * 4),
        (format::COLUMNS, 8),
        (format::SETS, 8),
        (format::SLOTS, 4),
        (format::LENGTHS, 4),
        (format::BORDERS, 4),
        (format::WIDE_BORDERS, 16),
        (format::STARTS, 4),
    ];
    for (section, size) in sizes {
        check(sections.bytes(section).len().is_multiple_of(size), "a section of the wrong length", section)?;
    }
    let sets = &table.store.sets;
    check(sets.columns.len() == sets.stride * sets.words, "columns and words do not fit", 0)?;
    let pool = texts(sections.bytes(format::POOL))?;
    for (at, start) in sections.numbers(format::STARTS).iter().enumerate() {
        check(pool.has(place(start)), "a start that does not exist", at)?;
    }
    let mut starts = Starts {
        sets: groups(table)?,
        lists: lists(table)?,
        tests: Marks::default(),
        entries: Marks::default(),
        table,
    };
    check_rules(table, &pool)?;
    starts.tests()?;
    starts.entries()?;
    starts.code(table.everything, 0)?;
    for (at, dimension) in table.connection.iter().chain(&table.request).enumerate() {
        dimension.indifferent.map_or(Ok(()), |set| starts.code(set, at))?;
        let ends = table.store.tests.bytes.len();
        let is_start = |test: u32| starts.tests.has(place(test)) || place(test) == ends;
        check(dimension.tests.into_iter().all(is_start), "the tests of an attribute", at)?;
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

/// Walks through the texts.
fn texts(bytes: &[u8]) -> Result<Marks, OpenError> {
    let mut starts = Marks::for_places(bytes.len());
    let mut reader = Reader::new(bytes, 0);
    while !reader.is_at_end() {
        let at = reader.at;
        starts.set(at);
        let length = reader.number();
        let text = reader.take(length);
        check(reader.is_inside() && std::str::from_utf8(text).is_ok(), "a text", at)?;
    }
    Ok(starts)
}

/// Walks through the sets of many rows.
fn groups(table: &Table<'_>) -> Result<Marks, OpenError> {
    let sets = &table.store.sets;
    let (numbers, count) = (sets.groups, groups_of(sets.words));
    let mut starts = Marks::for_places(numbers.len());
    check(count > 0 || numbers.len() == 0, "a set without rows", 0)?;
    let mut at = 0;
    while at < numbers.len() {
        starts.set(at);
        check(is_inside(at as u32, count as u32, numbers.len()), "a set lies outside", at)?;
        let mut masks = 0;
        for (place, group) in numbers.range(at, count).iter().map(Group).enumerate() {
            let words = sets.words - place * format::GROUP_WORDS;
            let known = u32::MAX >> (32usize.saturating_sub(words));
            check(
                group.before() == masks && group.bits() & !known == 0,
                "a set has rows that do not exist",
                at,
            )?;
            masks += group.bits().count_ones() as usize;
        }
        at += count + masks;
        check(at <= numbers.len(), "a set lies outside", at)?;
    }
    Ok(starts)
}

/// Walks through the sets of few rows.
fn lists(table: &Table<'_>) -> Result<Marks, OpenError> {
    let bytes = table.store.sets.lists;
    let mut starts = Marks::for_places(bytes.len());
    let mut reader = Reader::new(bytes, 0);
    while !reader.is_at_end() {
        let at = reader.at;
        starts.set(at);
        let length = reader.number();
        let rows = reader.take(length);
        check(reader.is_inside(), "a set lies outside", at)?;
        self::rows(rows, table.store.sets.words, at)?;
    }
    Ok(starts)
}

/// Whether the bytes are rows, and they ascend and exist.
fn rows(bytes: &[u8], words: usize, at: usize) -> Checked {
    let mut reader = Reader::new(bytes, 0);
    let mut row = 0u64;
    let mut is_first = true;
    while !reader.is_at_end() {
        let next = u64::from(reader.number());
        row += next;
        let is_more = is_first || next > 0;
        let exists = row < words as u64 * 64;
        check(is_more && exists && reader.is_inside(), "a set has rows that do not exist", at)?;
        is_first = false;
    }
    Ok(())
}

fn check_rules(table: &Table<'_>, pool: &Marks) -> Checked {
    check(table.rules.len().is_multiple_of(2), "half a rule", 0)?;
    let rules = table.rules.len() / 2;
    for at in 0..table.row_rules.len() {
        let rule = table.row_rules.at(at);
        check(rule == NONE || place(rule) < rules, "a row without its rule", at)?;
    }
    for rule in 0..rules {
        let policy = place(table.rules.at(rule * 2));
        check(policy < table.policies.len() / POLICY, "a rule without its policy", rule)?;
    }
    for (at, name) in table.policies.iter().enumerate() {
        check(pool.has(place(name)), "the name of a policy", at)?;
    }
    Ok(())
}

/// Where sets, tests and entries begin.
struct Starts<'a, 't> {
    sets: Marks,
    lists: Marks,
    tests: Marks,
    entries: Marks,
    table: &'a Table<'t>,
}

impl<'t> Starts<'_, 't> {
    /// A set that stands somewhere else.
    fn code(&self, code: u32, at: usize) -> Checked {
        let sets = &self.table.store.sets;
        let start = place(code >> 2);
        let is_good = match code & 3 {
            SET_COLUMN => start < sets.stride,
            SET_GROUPS => self.sets.has(start),
            SET_LIST => self.lists.has(start),
            _ => code == SET_ROWS,
        };
        check(is_good, "a set that does not exist", at)
    }

    /// The set that a reader stands before.
    fn set(&self, reader: &mut Reader<'t>) -> Checked {
        let at = reader.at;
        let code = reader.number();
        if code & 3 != SET_ROWS {
            return self.code(code, at);
        }
        let bytes = reader.take(code >> 2);
        check(reader.is_inside(), "a set lies outside", at)?;
        rows(bytes, self.table.store.sets.words, at)
    }

    fn start(&self, number: u32, at: usize) -> Checked {
        check(
            place(number) <= self.table.store.entries.starts.places.len(),
            "a start that does not exist",
            at,
        )
    }

    fn entry(&self, entry: u32, at: usize) -> Checked {
        check(entry == NONE || self.entries.has(place(entry)), "an entry that does not exist", at)
    }

    /// Walks through the entries. The first byte belongs to none, so that no entry has the place zero.
    fn entries(&mut self) -> Checked {
        let bytes = self.table.store.entries.bytes;
        self.entries = Marks::for_places(bytes.len());
        let mut reader = Reader::new(bytes, 1);
        while !reader.is_at_end() {
            let at = reader.at;
            self.start(reader.number(), at)?;
            let length = reader.number();
            reader.take(length);
            check(reader.is_inside(), "a text", at)?;
            self.record(&mut reader, at)?;
            check(reader.is_inside(), "an entry lies outside", at)?;
            self.entries.set(at);
        }
        Ok(())
    }

    /// What an entry leads to.
    fn record(&self, reader: &mut Reader<'t>, at: usize) -> Checked {
        let head = reader.byte();
        let known = COMPLETE | OWN_WANTED | OWN_REFUSED | PARENT | COUNTED | ALIAS | MARKER;
        check(head & !known == 0, "an entry of an unknown kind", at)?;
        check(head & ALIAS == 0 || head & !(ALIAS | MARKER) == 0, "an entry of an unknown kind", at)?;
        let counts = match head & (ALIAS | COUNTED) {
            0 => [1, 0, 0],
            COUNTED => [reader.number(), reader.number(), reader.number()],
            _ => [0, 0, 0],
        };
        for _ in 0..u64::from(counts[0]) + u64::from(counts[1]) {
            check(!reader.is_at_end(), "an entry lies outside", at)?;
            self.set(reader)?;
        }
        let mut test = 0u32;
        for _ in 0..counts[2] {
            check(!reader.is_at_end(), "an entry lies outside", at)?;
            test = test.wrapping_add(reader.number());
            check(self.tests.has(place(test)), "an entry has a test that does not exist", at)?;
        }
        if head & (PARENT | ALIAS) != 0 {
            check(!reader.is_at_end(), "an entry lies outside", at)?;
            check(self.entries.has(place(reader.number())), "an entry follows one that does not exist", at)?;
        }
        Ok(())
    }

    /// Walks through the tests.
    fn tests(&mut self) -> Checked {
        let tests = &self.table.store.tests;
        self.tests = Marks::for_places(tests.bytes.len());
        let mut reader = Reader::new(tests.bytes, 0);
        while !reader.is_at_end() {
            let at = reader.at;
            let (_, flags) = (reader.byte(), reader.byte());
            check(flags & !(TEST_WANTED | TEST_REFUSED) == 0, "unknown test", at)?;
            for _ in 0..flags.count_ones() {
                self.set(&mut reader)?;
            }
            self.start(reader.number(), at)?;
            let placed = tests.get(at as u32, &self.table.store.sets);
            let (test, behind) = tests.texts(&placed).ok_or(invalid("unknown test", at))?;
            let is_half = |text: &[u8]| text.first().is_some_and(|letter| b"-*=<>".contains(letter));
            let (first, second) = (test.first, test.second);
            let is_good = match test.kind {
                TestKind::Template => template::is_valid(first),
                TestKind::Steps => template::are_valid_steps(first, second),
                TestKind::Token => is_half(first) && is_half(second),
                TestKind::Block => first.len() == 18,
                TestKind::Port => first.len() == 2,
                _ => true,
            };
            check(is_good && test.has_good_start(), "the text of a test", at)?;
            self.tests.set(at);
            reader.at = place(behind);
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
                let is_good = is_inside(number(run), number(run + 1), store.slots.len());
                check(is_good, "slots lie outside", at)?;
            }
            for run in [6, 10] {
                check(
                    is_inside(number(run), number(run + 1), store.lengths.len()),
                    "lengths lie outside",
                    at,
                )?;
                let lengths = store.lengths.range(place(number(run)), place(number(run + 1)));
                check(lengths.len() == 0 || lengths.len() > FILTER, "a filter without lengths", at)?;
                check(lengths.at(format::BOUNDARY) <= u8::MAX.into(), "an unknown boundary", at)?;
                let real = lengths.range(FILTER, lengths.len().saturating_sub(FILTER));
                check(ascends(real.iter()), "lengths do not ascend", at)?;
            }
            for entry in 12..14 {
                self.entry(number(entry), at)?;
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
                self.entry(record, at)?;
            }
        }
        Ok(())
    }

    fn slots(&self) -> Checked {
        let bits = self.table.store.entries.place_bits;
        let mask = 1u64.checked_shl(bits).unwrap_or_default().wrapping_sub(1) as u32;
        for (at, slot) in self.table.store.slots.iter().enumerate().filter(|(_, slot)| *slot != 0) {
            check(self.entries.has(place(slot & mask)), "a slot without its text", at)?;
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
