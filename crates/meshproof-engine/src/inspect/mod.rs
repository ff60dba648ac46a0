//! What is inside of a table, for people and for proofs. Nothing here is quick, and it allocates.

mod probe;
mod scripts;

pub use probe::Probe;

use crate::bytes::{Reader, place};
use crate::dimension::Dimension;
use crate::format::{ALIAS, COUNTED, MARKER, NONE, OWN_REFUSED, OWN_WANTED, SPELLED_ALL, SPELLED_PARTS};
use crate::index::{Index, counts};
use crate::kinds::{Attribute, Effect, TestKind, View};
use crate::rule::RuleRef;
use crate::set::{RowSet, Sets, numbers};
use crate::table::{Segment, Table};

/// A test as it stands in a table, with the rows that look at it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredTest {
    /// What is tested.
    pub kind: TestKind,
    /// Its text.
    pub first: Vec<u8>,
    /// Its second text, where it has one.
    pub second: Vec<u8>,
    /// Rows that want it.
    pub wanted: Vec<u32>,
    /// Rows that refuse it.
    pub refused: Vec<u32>,
}

/// An attribute as it stands in a table.
#[derive(Clone, Debug)]
pub struct StoredAttribute {
    /// Which.
    pub attribute: Attribute,
    /// Of a header its name, of a claim its path, of metadata filter and key, with zero bytes between them.
    pub name: String,
    /// It is asked of every request, not once per connection.
    pub is_of_request: bool,
    /// It is asked first where many rows are in question.
    pub is_driver: bool,
    /// Rows that want something of it.
    pub wanting: Vec<u32>,
    /// Rows that refuse something of it.
    pub refusing: Vec<u32>,
    /// Rows that want nothing of it, where they are kept: of the attribute that leads at connections.
    pub indifferent: Option<Vec<u32>>,
    /// Everything that rows want or refuse.
    pub tests: Vec<StoredTest>,
}

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredRow<'t> {
    /// Its number.
    pub row: u32,
    /// Its rule.
    pub rule: RuleRef,
    /// What it leads to.
    pub effect: Effect,
    /// The provider that is asked.
    pub provider: &'t str,
}

impl<'t> Table<'t> {
    /// The rows, in order.
    pub fn stored_rows(&self) -> impl Iterator<Item = StoredRow<'t>> + '_ {
        let scripts = self.by_rows.as_ref().map(|by_rows| &by_rows.scripts);
        let told =
            scripts.into_iter().flat_map(|scripts| scripts.rows.iter().map(|row| scripts.layout.rule(row)));
        let told = told.enumerate().map(|(row, rule)| (row, rule, self.segment_of_rule(rule)));
        let words = (0..self.row_rules.len()).map(|row| (row, self.row_rules.at(row), row / 64));
        let words = words.filter(|(_, rule, _)| *rule != NONE);
        let words = words.map(|(row, rule, word)| (row, rule, self.segment_of(word as u32)));
        told.chain(words).filter_map(|(row, rule, segment)| {
            let Segment { effect, provider, .. } = *self.segments.get(place(segment))?;
            Some(StoredRow { row: u32::try_from(row).ok()?, rule: RuleRef(rule), effect, provider })
        })
    }

    /// The rows that are in question where no attribute of the connection is asked.
    pub fn stored_everything(&self) -> Vec<u32> {
        self.rows(self.store.sets.get(self.everything))
    }

    fn dimensions(&self) -> impl Iterator<Item = &Dimension<'t>> {
        self.connection.iter().chain(&self.request)
    }

    /// The attributes, each with all that rows ask of it. One that has several demands of one row comes several times.
    pub fn stored_attributes(&self) -> Vec<StoredAttribute> {
        if let Some(by_rows) = &self.by_rows {
            return self.attributes_of_scripts(by_rows);
        }
        let driver = self.driver.and_then(|at| self.request.get(at)).map(std::ptr::from_ref);
        let stored = |dimension: &Dimension<'t>| StoredAttribute {
            attribute: dimension.attribute,
            name: dimension.name.to_owned(),
            is_of_request: dimension.is_of_request,
            is_driver: driver == Some(std::ptr::from_ref(dimension)),
            wanting: self.rows(RowSet::Column(dimension.wanting)),
            refusing: dimension.refusing.map(|column| self.rows(RowSet::Column(column))).unwrap_or_default(),
            indifferent: dimension.indifferent.map(|set| self.rows(self.store.sets.get(set))),
            tests: self.tests_of(dimension),
        };
        self.dimensions().map(stored).collect()
    }

    fn rows(&self, set: RowSet<'t>) -> Vec<u32> {
        match (set, &self.by_rows) {
            (RowSet::Rows(bytes), Some(by_rows)) => numbers(bytes, by_rows.scripts.rows.len()).collect(),
            _ => rows_of(&self.store.sets, set),
        }
    }

    fn tests_of(&self, dimension: &Dimension<'t>) -> Vec<StoredTest> {
        let rows = |set: Option<RowSet<'t>>| set.map(|set| self.rows(set)).unwrap_or_default();
        let spelled = self.store.tests.range(dimension.tests, self.store.sets);
        let mut tests: Vec<StoredTest> = spelled
            .map(|(placed, test)| StoredTest {
                kind: test.kind,
                first: test.whole_first(),
                second: test.second.to_vec(),
                wanted: rows(placed.wanted),
                refused: rows(placed.refused),
            })
            .collect();
        if dimension.spelled == SPELLED_ALL {
            return tests;
        }
        let is_of_peer = dimension.spelled == SPELLED_PARTS;
        for index in dimension.indexes.iter().filter(|index| !is_of_peer || index.view == View::Whole) {
            let mut add = |ways: usize, text: &[u8], entry: u32| {
                let [wanted, refused] = self.own_sets(entry).map(rows);
                if !wanted.is_empty() || !refused.is_empty() {
                    let (kind, first, second) = spell(index, is_of_peer, ways, text);
                    tests.push(StoredTest { kind, first, second, wanted, refused });
                }
            };
            let entries = &self.store.entries;
            for (ways, slots) in
                [&index.exact, &index.prefixes.slots, &index.suffixes.slots].into_iter().enumerate()
            {
                let real = slots.entries(entries.place_bits).filter(|entry| !entries.is_marker(*entry));
                real.for_each(|entry| add(ways, &entries.text(entry).0.whole(), entry));
            }
            add(3, b"", index.there);
            add(4, b"", index.line);
        }
        tests
    }

    /// The sets of the very text of an entry.
    fn own_sets(&self, entry: u32) -> [Option<RowSet<'t>>; 2] {
        if entry == NONE {
            return [None, None];
        }
        let (_, record) = self.store.entries.text(entry);
        let mut reader = Reader::new(self.store.entries.bytes, record);
        let head = reader.byte();
        if head & (ALIAS | MARKER) != 0 {
            return [None, None];
        }
        let counts = if head & COUNTED != 0 { counts(&mut reader) } else { [1, 0, 0] };
        let mut first = |count: u32| {
            let mut first = None;
            for _ in 0..count {
                if reader.is_at_end() {
                    break;
                }
                let set = self.store.sets.read(&mut reader);
                first = first.or(Some(set));
            }
            first
        };
        let (wanted, refused) = (first(counts[0]), first(counts[1]));
        [wanted.filter(|_| head & OWN_WANTED != 0), refused.filter(|_| head & OWN_REFUSED != 0)]
    }
}

/// The rows of a set, ascending.
fn rows_of<'t>(sets: &Sets<'t>, set: RowSet<'t>) -> Vec<u32> {
    let mut rows = Vec::new();
    sets.each(set, 0, sets.words, |word, mut mask| {
        while mask != 0 {
            rows.push((word as u32) * 64 + mask.trailing_zeros());
            mask &= mask - 1;
        }
    });
    rows
}

/// How an index spells a test out that it answers alone. `ways`: whole, prefix, suffix, there, line.
fn spell(index: &Index<'_>, is_of_peer: bool, ways: usize, text: &[u8]) -> (TestKind, Vec<u8>, Vec<u8>) {
    use TestKind as Kind;
    let letters = [b'=', b'<', b'>', b'-', b'*'];
    let half = |text: &[u8]| [letters.get(ways..=ways).unwrap_or_default(), text].concat();
    let kinds = match (index.view, index.exact.fold) {
        (View::Issuer, _) => return (Kind::Token, half(text), b"-".to_vec()),
        (View::Subject, _) => return (Kind::Token, b"-".to_vec(), half(text)),
        _ if is_of_peer => [
            Kind::PrincipalExact,
            Kind::PrincipalPrefix,
            Kind::PrincipalSuffix,
            Kind::PrincipalPresent,
            Kind::PrincipalPresent,
        ],
        (View::Path, _) => {
            [Kind::PathExact, Kind::PathPrefix, Kind::PathSuffix, Kind::Exists, Kind::PathLine]
        }
        (_, true) => [Kind::HostExact, Kind::HostPrefix, Kind::HostSuffix, Kind::Exists, Kind::Line],
        (_, false) => [Kind::Exact, Kind::Prefix, Kind::Suffix, Kind::Exists, Kind::Line],
    };
    (kinds.get(ways).copied().unwrap_or(Kind::Exists), text.to_vec(), Vec::new())
}
