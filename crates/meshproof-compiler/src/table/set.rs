//! Sets of rows as a table holds them, each once.

use foldhash::{HashMap, HashMapExt};
use meshproof_engine::format::{BLOCKS, SET_BITS, SET_BLOCKS, SET_KIND_SHIFT, SET_PLACE, SET_ROW, SET_ROWS};

use super::Uncompiled;

/// The sets of a table.
pub(super) struct SetStore {
    /// The section of sparse sets.
    pub sets: Vec<u32>,
    /// The section of sets with a bit per row.
    pub bits: Vec<u64>,
    words: usize,
    known: HashMap<Vec<u32>, u32>,
}

impl SetStore {
    pub fn new(words: usize) -> SetStore {
        SetStore { sets: Vec::new(), bits: Vec::new(), words, known: HashMap::new() }
    }

    /// The reference of a set; the rows ascend. It takes the form that is smallest, and a bit per row when that is not
    /// much more, for there a word is found at once.
    ///
    /// # Errors
    /// There is no room for more.
    pub fn add(&mut self, rows: &[u32]) -> Result<u32, Uncompiled> {
        if let [row] = rows {
            return reference(SET_ROW, *row as usize);
        }
        if let Some(known) = self.known.get(rows) {
            return Ok(*known);
        }
        let mut blocks: Vec<(u32, u64)> = Vec::new();
        for row in rows {
            match blocks.last_mut() {
                Some((word, mask)) if *word == row / 64 => *mask |= 1 << (row % 64),
                _ => blocks.push((row / 64, 1 << (row % 64))),
            }
        }
        let sparse = (1 + rows.len()).min(1 + blocks.len() * 3);
        let found = if self.words * 4 <= sparse * 3 {
            let at = self.bits.len();
            self.bits.resize(at + self.words, 0);
            blocks.iter().for_each(|(word, mask)| self.bits[at + *word as usize] = *mask);
            reference(SET_BITS, at)
        } else if rows.len() <= blocks.len() * 3 {
            let at = self.sets.len();
            self.sets.push(rows.len() as u32);
            self.sets.extend(rows);
            reference(SET_ROWS, at)
        } else {
            let at = self.sets.len();
            self.sets.push(blocks.len() as u32 | BLOCKS);
            self.sets.extend(blocks.iter().map(|(word, _)| word));
            self.sets.extend(blocks.iter().flat_map(|(_, mask)| [*mask as u32, (*mask >> 32) as u32]));
            reference(SET_BLOCKS, at)
        }?;
        self.known.insert(rows.to_vec(), found);
        Ok(found)
    }

    /// A bit per row, always in that form; gives its place.
    pub fn bitmap(&mut self, rows: impl Iterator<Item = u32>) -> u32 {
        let at = self.bits.len();
        self.bits.resize(at + self.words, 0);
        rows.for_each(|row| self.bits[at + (row / 64) as usize] |= 1 << (row % 64));
        at as u32
    }
}

fn reference(kind: u32, place: usize) -> Result<u32, Uncompiled> {
    match u32::try_from(place) {
        Ok(place) if place <= SET_PLACE => Ok(kind << SET_KIND_SHIFT | place),
        _ => Err(Uncompiled::TooLarge),
    }
}
