//! What rows ask, row by row, as it stands in a table.

use std::net::IpAddr;

use crate::bytes::{Reader, U64s};
use crate::format::{BLOCK_WIDE, TEXT_ENDS, TEXT_EXACT, TEXT_LONG, TEXT_OTHER, TEXT_SUFFIX, text_form};
use crate::hash::equals;
use crate::kinds::{Attribute, TestKind};
use crate::layout::RowLayout;
use crate::mark::{mark, path_bit};
use crate::named::{Methods, Ports};
use crate::pieces::Pieces;
use crate::pool::Starts;
use crate::test::Test;

/// The rows, and the scripts with what they ask.
#[derive(Clone, Debug)]
pub(crate) struct Scripts<'t> {
    /// What is told of each row in a few bits.
    pub rows: U64s<'t>,
    pub layout: RowLayout,
    pub bytes: &'t [u8],
    pub starts: Starts<'t>,
    /// Where the scripts begin.
    pub from: usize,
    /// The most rows that one name of a peer leaves.
    pub most: usize,
    /// The dimension that is looked up instead.
    pub leading_dimension: Option<usize>,
    /// The dimension of which ports have a bit.
    pub port_dimension: Option<usize>,
    pub ports: Ports,
    /// The dimension of which methods have a bit.
    pub method_dimension: Option<usize>,
    pub methods: Methods,
    /// From this place on four bytes of paths have bits.
    pub path_bits_at: Option<usize>,
}

/// How the tests of an attribute are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    Port,
    Address,
}

impl Shape {
    #[inline(always)]
    pub fn of(attribute: Attribute) -> Shape {
        match attribute {
            Attribute::Port => Shape::Port,
            Attribute::SourceIp | Attribute::RemoteIp | Attribute::DestinationIp => Shape::Address,
            _ => Shape::Text,
        }
    }
}

/// What a row asks of one dimension; its tests follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DemandHead {
    pub dimension: usize,
    /// None of the tests may hold; else one has to.
    pub refuses: bool,
    pub tests: u8,
}

impl DemandHead {
    /// The head of a demand, and its tests.
    #[inline(always)]
    pub fn read(script: &[u8]) -> Option<(DemandHead, &[u8])> {
        let ([head, tests], rest) = script.split_first_chunk::<2>()?;
        let head = DemandHead { dimension: usize::from(head >> 1), refuses: head & 1 != 0, tests: *tests };
        Some((head, rest))
    }
}

/// A test of a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextTest<'t> {
    form: u8,
    mark: u8,
    length: usize,
    /// Everything from what follows its head on, and how much of that is its own.
    behind: Reader<'t>,
    size: usize,
}

impl<'t> TextTest<'t> {
    #[inline(always)]
    pub fn read(reader: &mut Reader<'t>) -> TextTest<'t> {
        let [form, length, mark, size] = reader.chunk();
        let (mut length, mut size) = (usize::from(length), usize::from(size));
        if form & TEXT_LONG != 0 {
            let [a, b, c, d] = reader.chunk();
            (length, size) = (u16::from_le_bytes([a, b]).into(), u16::from_le_bytes([c, d]).into());
        }
        let behind = *reader;
        reader.at = reader.at.wrapping_add(size);
        TextTest { form, mark, length, behind, size }
    }

    /// How it looks at its text.
    #[inline(always)]
    pub fn way(&self) -> u8 {
        self.form & 3
    }

    /// Whether it is more than one text.
    #[inline(always)]
    pub fn is_other(&self) -> bool {
        self.way() == TEXT_OTHER
    }

    fn body(&self) -> &'t [u8] {
        let Reader { bytes, at } = self.behind;
        bytes.get(at..at.saturating_add(self.size)).unwrap_or_default()
    }

    /// Whether the value begins as every value does that passes, by the mark.
    pub fn begins<const FOLD: bool>(&self, value: &[u8]) -> bool {
        self.part(value).is_some_and(|part| mark(part, false, FOLD) == self.mark)
    }

    /// The part of a value that would have to be the text of the test.
    fn part<'v>(&self, value: &'v [u8]) -> Option<&'v [u8]> {
        match self.way() {
            TEXT_EXACT => (value.len() == self.length).then_some(value),
            TEXT_SUFFIX => value.get(value.len().checked_sub(self.length)?..),
            _ => value.get(..self.length),
        }
    }

    /// Whether it is the text of the test that the value is, begins or ends with.
    pub fn is<const FOLD: bool>(&self, value: &[u8], starts: &Starts<'_>) -> bool {
        let [start, end] = self.text(starts);
        let Some((head, tail)) = self.part(value).and_then(|part| part.split_at_checked(start.len())) else {
            return false;
        };
        equals(tail, end, FOLD) && equals(head, start, FOLD)
    }

    /// Its text in two pieces.
    pub fn text(&self, starts: &Starts<'t>) -> [&'t [u8]; 2] {
        let mut reader = Reader::new(self.body(), 0);
        let shared = starts.get(reader.number());
        let own = reader.rest();
        if self.form & TEXT_ENDS != 0 { [own, shared] } else { [shared, own] }
    }

    /// A test that is more than one text.
    pub fn other(&self, starts: &Starts<'t>) -> Option<Test<'t>> {
        let mut reader = Reader::new(self.body(), 0);
        let kind = TestKind::of_code(reader.byte().into())?;
        Test::read(kind, &mut reader, starts).filter(|_| reader.at == reader.bytes.len())
    }

    /// What is tested of an attribute, with its texts; nothing for what is no test.
    pub fn spelled(&self, attribute: Attribute, starts: &Starts<'t>) -> Option<(TestKind, Vec<u8>, Vec<u8>)> {
        use TestKind as Kind;
        if self.is_other() {
            let test = self.other(starts)?;
            return Some((test.kind, test.whole_first(), test.second.to_vec()));
        }
        let kinds = match attribute {
            Attribute::Path => [Kind::PathExact, Kind::PathPrefix, Kind::PathSuffix],
            Attribute::Authority | Attribute::Sni => [Kind::HostExact, Kind::HostPrefix, Kind::HostSuffix],
            _ => [Kind::Exact, Kind::Prefix, Kind::Suffix],
        };
        Some((*kinds.get(usize::from(self.way()))?, self.text(starts).concat(), Vec::new()))
    }

    /// Which of so many bits the paths have that pass, if four bytes of them are known; nothing where they may be any.
    pub fn path_bit(&self, at: usize, bits: u32, starts: &Starts<'t>) -> Option<u32> {
        let end = at.checked_add(4)?;
        let four = match self.way() {
            TEXT_SUFFIX => None,
            TEXT_OTHER => self.other(starts)?.sure().some(at, end).filter(|_| end <= self.length),
            _ => self.pieces(starts).some(at, end),
        };
        let (four, count) = four?;
        path_bit(four.get(..count)?, 0, bits)
    }

    fn pieces(&self, starts: &Starts<'t>) -> Pieces<'t> {
        let [start, end] = self.text(starts);
        Pieces([start, end, b""])
    }

    /// Whether length, mark and form are those of its text: otherwise it would say something else than it spells out.
    pub fn is_sound(&self, attribute: Attribute, starts: &Starts<'t>) -> bool {
        let form = text_form(self.way(), self.form & TEXT_ENDS != 0, self.length, self.size);
        // Issuer and subject are two texts, and tests of names look behind their scheme.
        let is_plain = !matches!(attribute, Attribute::Token | Attribute::Peer);
        let start = Reader::new(self.body(), usize::from(self.is_other())).number();
        if self.form != form || !(is_plain || self.is_other()) || !starts.has(start) {
            return false;
        }
        if self.is_other() {
            let test = self.other(starts).filter(Test::is_good);
            return test.is_some_and(|test| self.has_mark(test.sure(), false));
        }
        let text = self.pieces(starts);
        text.len() == self.length && self.has_mark(text, self.way() == TEXT_SUFFIX)
    }

    /// Whether its mark is that of the text, as far as its length reaches.
    fn has_mark(&self, text: Pieces<'_>, is_suffix: bool) -> bool {
        let part = match is_suffix {
            true => text.some(0, self.length.min(8)),
            false => text.some(self.length.saturating_sub(8), self.length),
        };
        part.is_some_and(|(bytes, count)| {
            bytes.get(..count).is_some_and(|bytes| mark(bytes, is_suffix, false) == self.mark)
        })
    }
}

/// A block of addresses: the length of its prefix, its network in as many bytes as an address has, and what stands behind.
#[inline(always)]
pub(crate) fn block(tests: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, rest) = tests.split_first()?;
    let (network, behind) = rest.split_at_checked(if *head >= BLOCK_WIDE { 16 } else { 4 })?;
    Some((*head, network, behind))
}

/// Whether the address begins as the network does. IPv4 and IPv6 never meet, mapped addresses included.
#[inline]
pub(crate) fn is_within(address: IpAddr, network: &[u8], head: u8) -> bool {
    match address {
        IpAddr::V4(address) => {
            network.first_chunk::<4>().filter(|_| head < BLOCK_WIDE).is_some_and(|network| {
                let differing = u32::from(address) ^ u32::from_be_bytes(*network);
                differing.checked_shr(32u32.saturating_sub(head.into())).unwrap_or_default() == 0
            })
        }
        IpAddr::V6(address) => {
            network.first_chunk::<16>().zip(head.checked_sub(BLOCK_WIDE)).is_some_and(|(network, length)| {
                let differing = u128::from(address) ^ u128::from_be_bytes(*network);
                differing.checked_shr(128u32.saturating_sub(length.into())).unwrap_or_default() == 0
            })
        }
    }
}

impl<'t> Scripts<'t> {
    /// A byte of a script. Whoever looks at several of them before reading any lets memory bring them at once.
    #[inline(always)]
    pub fn touch(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or_default()
    }

    /// What stands behind so many tests.
    pub fn behind(tests: &'t [u8], shape: Shape, count: u8) -> &'t [u8] {
        let mut reader = Reader::new(tests, 0);
        for _ in 0..count {
            match shape {
                Shape::Text => {
                    TextTest::read(&mut reader);
                }
                Shape::Port => {
                    reader.take(2);
                }
                Shape::Address => {
                    let behind = block(reader.rest()).map_or(&[][..], |(.., behind)| behind);
                    reader.at = reader.bytes.len() - behind.len();
                }
            }
        }
        reader.rest()
    }

    /// What a row asks of connections: how many demands that are, and a reader before them. Behind them stands what it
    /// asks of requests, or where that is.
    #[inline(always)]
    pub fn of_connection(&self, row: u64) -> (u8, bool, Reader<'t>) {
        let mut reader = Reader::new(self.bytes, self.layout.place(row));
        let head = reader.byte();
        (head >> 1, head & 1 != 0, reader)
    }
}
