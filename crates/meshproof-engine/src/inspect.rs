//! What is inside of a table, for people and for proofs. Nothing here is quick, and it allocates.

use std::net::IpAddr;

use crate::attributes::{ClaimPath, Connection, RequestAttributes};
use crate::bytes::place;
use crate::dimension::Dimension;
use crate::format::{DIRECT, NONE, OWN_REFUSED, OWN_WANTED};
use crate::index::{Index, Side};
use crate::kinds::{Attribute, Effect, TestKind, View};
use crate::rule::RuleRef;
use crate::set::SetRef;
use crate::table::Table;

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
    /// It is asked first, and leads to rows.
    pub is_driver: bool,
    /// Rows that want something of it.
    pub wanting: Vec<u32>,
    /// Rows that refuse something of it.
    pub refusing: Vec<u32>,
    /// Rows that want nothing of it.
    pub indifferent: Vec<u32>,
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

/// A value to try on an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe<'p> {
    /// A name of a peer, or a text.
    Text(&'p [u8]),
    /// Several names or texts.
    Texts(&'p [&'p [u8]]),
    /// Issuer and subject of a token.
    Token(Option<&'p [u8]>, Option<&'p [u8]>),
    /// An address.
    Address(IpAddr),
    /// A port.
    Port(u16),
}

impl<'t> Table<'t> {
    /// The rows, in order.
    pub fn stored_rows(&self) -> impl Iterator<Item = StoredRow<'t>> + '_ {
        let rows = self.row_rules.iter().enumerate().filter(|(_, rule)| *rule != NONE);
        rows.filter_map(|(row, rule)| {
            let segment = self.segments.get(place(*self.segment_of.get(row / 64)?))?;
            let row = u32::try_from(row).ok()?;
            Some(StoredRow { row, rule: RuleRef(rule), effect: segment.effect, provider: segment.provider })
        })
    }

    fn dimensions(&self) -> impl Iterator<Item = &Dimension<'t>> {
        self.connection.iter().chain(&self.request)
    }

    /// The attributes, each with all that rows ask of it. One that has several demands of one row comes several times.
    pub fn stored_attributes(&self) -> Vec<StoredAttribute> {
        let driver = self.driver.and_then(|at| self.request.get(at)).map(std::ptr::from_ref);
        let stored = |dimension: &Dimension<'t>| StoredAttribute {
            attribute: dimension.attribute,
            name: dimension.name.to_owned(),
            is_of_request: dimension.is_of_request,
            is_driver: driver == Some(std::ptr::from_ref(dimension)),
            wanting: rows_of_bits(dimension.wanting.iter()),
            refusing: rows_of_bits(dimension.refusing.into_iter().flat_map(|bits| bits.iter())),
            indifferent: self.rows(dimension.indifferent),
            tests: self.tests_of(dimension),
        };
        self.dimensions().map(stored).collect()
    }

    fn rows(&self, set: SetRef) -> Vec<u32> {
        let mut rows = Vec::new();
        self.sets.get(set).each(|word, mask| add_bits(word, mask, &mut rows));
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    fn tests_of(&self, dimension: &Dimension<'t>) -> Vec<StoredTest> {
        let rows = |set: Option<SetRef>| set.map(|set| self.rows(set)).unwrap_or_default();
        let (start, count) = dimension.tests;
        let spelled = (start..start.saturating_add(count)).filter_map(|test| self.store.tests.get(test));
        let mut tests: Vec<StoredTest> = spelled
            .map(|test| StoredTest {
                kind: test.kind,
                first: test.first.to_vec(),
                second: test.second.to_vec(),
                wanted: rows(test.wanted),
                refused: rows(test.refused),
            })
            .collect();
        if dimension.has_all_tests {
            return tests;
        }
        for index in &dimension.indexes {
            let mut add = |ways: usize, text: &[u8], record: u32| {
                let [wanted, refused] = self.own_sets(record).map(rows);
                if !wanted.is_empty() || !refused.is_empty() {
                    let (kind, first, second) = spell(index, ways, text);
                    tests.push(StoredTest { kind, first, second, wanted, refused });
                }
            };
            for (ways, slots) in
                [&index.exact, &index.prefixes.slots, &index.suffixes.slots].into_iter().enumerate()
            {
                let real = (0..slots.count).filter_map(|slot| slots.get(slot)).filter(|slot| !slot.is_marker);
                real.for_each(|slot| add(ways, slot.text, slot.record));
            }
            add(3, b"", index.records[0]);
            add(4, b"", index.records[2]);
        }
        tests
    }

    /// The sets of the very text that a record belongs to.
    fn own_sets(&self, record: u32) -> [Option<SetRef>; 2] {
        if record == NONE {
            return [None, None];
        }
        if record & DIRECT != 0 {
            return [Some(SetRef(record & !DIRECT)), None];
        }
        let at = place(record);
        let head = self.store.records.at(at);
        let set = |place: usize| Some(SetRef(self.store.records.at(place)));
        let wanted = if head & OWN_WANTED != 0 { set(at + 1) } else { None };
        let refused = if head & OWN_REFUSED != 0 { set(at + 1 + place(head & 0xff)) } else { None };
        [wanted, refused]
    }

    /// The rows whose wishes a value of the attribute meets, and those that refuse it. `attribute` is its place among
    /// [`Table::stored_attributes`].
    pub fn probe(&self, attribute: usize, probe: Probe<'_>) -> [Vec<u32>; 2] {
        let Some(dimension) = self.dimensions().nth(attribute) else { return [Vec::new(), Vec::new()] };
        let mut found = [Vec::new(), Vec::new()];
        let mut visit = |side, set| {
            let rows = if side == Side::Wanted { &mut found[0] } else { &mut found[1] };
            rows.extend(self.rows(set));
        };
        if dimension.is_of_request {
            dimension.of_request(&self.store, &probe, self.joins_headers, &mut visit);
        } else {
            let mut connection = Connection::default();
            let one;
            match probe {
                Probe::Text(text) => {
                    one = [text];
                    (connection.names, connection.sni) = (&one, Some(text));
                }
                Probe::Texts(texts) => connection.names = texts,
                Probe::Address(address) => {
                    (connection.source, connection.remote, connection.destination) =
                        (address, address, address);
                }
                Probe::Port(port) => connection.port = port,
                Probe::Token(..) => {}
            }
            dimension.of_connection(&self.store, &connection, &mut visit);
        }
        for rows in &mut found {
            rows.sort_unstable();
            rows.dedup();
        }
        found
    }
}

/// How an index spells a test out that it answers alone. `ways`: whole, prefix, suffix, there, line.
fn spell(index: &Index<'_>, ways: usize, text: &[u8]) -> (TestKind, Vec<u8>, Vec<u8>) {
    use TestKind as Kind;
    let letters = [b'=', b'<', b'>', b'-', b'*'];
    let half = |text: &[u8]| [letters.get(ways..=ways).unwrap_or_default(), text].concat();
    let kinds = match (index.view, index.exact.fold) {
        (View::Issuer, _) => return (Kind::Token, half(text), b"-".to_vec()),
        (View::Subject, _) => return (Kind::Token, b"-".to_vec(), half(text)),
        (View::Path, _) => {
            [Kind::PathExact, Kind::PathPrefix, Kind::PathSuffix, Kind::Exists, Kind::PathLine]
        }
        (_, true) => [Kind::HostExact, Kind::HostPrefix, Kind::HostSuffix, Kind::Exists, Kind::Line],
        (_, false) => [Kind::Exact, Kind::Prefix, Kind::Suffix, Kind::Exists, Kind::Line],
    };
    (kinds.get(ways).copied().unwrap_or(Kind::Exists), text.to_vec(), Vec::new())
}

fn add_bits(word: usize, mut mask: u64, rows: &mut Vec<u32>) {
    while mask != 0 {
        rows.push((word as u32) * 64 + mask.trailing_zeros());
        mask &= mask - 1;
    }
}

fn rows_of_bits(words: impl Iterator<Item = u64>) -> Vec<u32> {
    let mut rows = Vec::new();
    words.enumerate().for_each(|(word, mask)| add_bits(word, mask, &mut rows));
    rows
}

impl Probe<'_> {
    fn one(&self) -> Option<&[u8]> {
        match self {
            Probe::Text(text) => Some(text),
            Probe::Texts(texts) => texts.first().copied(),
            _ => None,
        }
    }

    fn all(&self, each: &mut dyn FnMut(&[u8])) {
        match self {
            Probe::Text(text) => each(text),
            Probe::Texts(texts) => texts.iter().for_each(|text| each(text)),
            _ => {}
        }
    }
}

/// Whatever is asked, the value is the answer.
impl RequestAttributes for Probe<'_> {
    fn method(&self) -> Option<&[u8]> {
        self.one()
    }

    fn path(&self) -> Option<&[u8]> {
        self.one()
    }

    fn authority(&self) -> Option<&[u8]> {
        self.one()
    }

    fn header(&self, _: &str, each: &mut dyn FnMut(&[u8])) {
        self.all(each);
    }

    fn remote(&self) -> Option<IpAddr> {
        match self {
            Probe::Address(address) => Some(*address),
            _ => None,
        }
    }

    fn issuer(&self) -> Option<&[u8]> {
        match self {
            Probe::Token(issuer, _) => *issuer,
            _ => None,
        }
    }

    fn subject(&self) -> Option<&[u8]> {
        match self {
            Probe::Token(_, subject) => *subject,
            _ => None,
        }
    }

    fn claim(&self, _: ClaimPath<'_>, each: &mut dyn FnMut(&[u8])) {
        self.all(each);
    }

    fn metadata_text(&self, _: &str, _: &str) -> Option<&[u8]> {
        self.one()
    }

    fn metadata_list(&self, _: &str, _: &str, each: &mut dyn FnMut(&[u8])) {
        self.all(each);
    }
}
