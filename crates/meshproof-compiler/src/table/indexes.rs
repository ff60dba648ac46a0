//! The sections by which values are looked up: attributes, their indexes, and what these point to.

use meshproof_engine::View;
use meshproof_engine::format::{self, DIMENSION, INDEX};

use super::dimension::DimensionParts;
use super::slots::Slot;

/// The sections that indexes fill.
#[derive(Default)]
pub(super) struct Indexes {
    place_bits: u32,
    pub numbers: Vec<u32>,
    pub slots: Vec<u32>,
    pub lengths: Vec<u32>,
    pub borders: Vec<u32>,
    pub wide: Vec<u128>,
}

impl Indexes {
    /// For entries of so many bytes.
    pub fn new(entries: usize) -> Indexes {
        Indexes { place_bits: format::place_bits(entries), ..Indexes::default() }
    }

    /// Adds the indexes of an attribute; gives the numbers of the attribute itself.
    pub fn dimension(&mut self, parts: &DimensionParts) -> [u32; DIMENSION] {
        let first = (self.numbers.len() / INDEX) as u32;
        for index in &parts.indexes {
            let exact = self.slots(&index.exact);
            let prefixes = [self.slots(&index.prefixes.0), self.lengths(&index.prefixes.1)];
            let suffixes = [self.slots(&index.suffixes.0), self.lengths(&index.suffixes.1)];
            self.numbers.extend([index.view.code(), u32::from(index.fold)]);
            self.numbers.extend([exact, prefixes[0], prefixes[1], suffixes[0], suffixes[1]].concat());
            self.numbers.extend([index.there, index.line, 0, 0]);
        }
        if let Some(intervals) = &parts.intervals {
            let start = self.borders.len() as u32;
            let (narrow, wide) = (intervals.narrow.len() as u32, intervals.wide.len() as u32);
            let wide_start = self.wide.len() as u32;
            self.borders.extend(intervals.narrow.iter().map(|(border, _)| border));
            self.borders.extend(intervals.narrow.iter().map(|(_, record)| record));
            self.borders.extend(intervals.wide.iter().map(|(_, record)| record));
            self.wide.extend(intervals.wide.iter().map(|(border, _)| border));
            let mut numbers = [0; INDEX];
            numbers[..8].copy_from_slice(&[
                View::Number.code(),
                0,
                start,
                narrow,
                start + narrow,
                wide_start,
                wide,
                start + narrow * 2,
            ]);
            self.numbers.extend(numbers);
        }
        let count = (self.numbers.len() / INDEX) as u32 - first;
        [
            parts.attribute.code(),
            parts.asked,
            parts.name,
            parts.wanting,
            parts.refusing,
            first,
            count,
            parts.tests[0],
            parts.tests[1],
            parts.spelled,
            parts.indifferent,
            0,
        ]
    }

    fn slots(&mut self, slots: &[Slot]) -> [u32; 2] {
        let start = self.slots.len() as u32;
        let bits = self.place_bits;
        self.slots
            .extend(slots.iter().map(|slot| slot.map_or(0, |(hash, entry)| format::slot(hash, entry, bits))));
        [start, slots.len() as u32]
    }

    fn lengths(&mut self, lengths: &[u32]) -> [u32; 2] {
        let start = self.lengths.len() as u32;
        self.lengths.extend(lengths);
        [start, lengths.len() as u32]
    }
}
