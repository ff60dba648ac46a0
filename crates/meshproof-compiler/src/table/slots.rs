//! Look-up tables of texts.

use meshproof_engine::format::{MARKER, MOST_PROBES, NONE};
use meshproof_engine::{hash, start, tag};

use super::pool::Text;

/// A text with its record, on its way into a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub hash: u64,
    pub text: Text,
    pub record: u32,
    pub is_marker: bool,
}

impl Entry {
    pub fn new(bytes: &[u8], text: Text, record: u32) -> Entry {
        Entry { hash: hash(bytes, false), text, record, is_marker: false }
    }
}

/// A slot: head, text, record.
pub(super) type Slot = Option<(u32, Text, u32)>;

/// Puts the entries where their hashes say, or not far behind. About a fifth of the slots stays free.
pub(super) fn lay_out(entries: &[Entry]) -> Vec<Slot> {
    if entries.is_empty() {
        return Vec::new();
    }
    let mut count = entries.len() + entries.len() / 4 + 1;
    loop {
        if let Some(slots) = try_lay_out(entries, count) {
            return slots;
        }
        count += count / 4 + 1;
    }
}

fn try_lay_out(entries: &[Entry], count: usize) -> Option<Vec<Slot>> {
    let mut slots: Vec<Slot> = vec![None; count];
    for entry in entries {
        let mut at = start(entry.hash, count as u32) as usize;
        let mut probes = 0;
        while slots[at].is_some() {
            at = if at + 1 == count { 0 } else { at + 1 };
            probes += 1;
            // One more look finds the free slot that ends a search.
            if probes + 1 >= MOST_PROBES as usize {
                return None;
            }
        }
        let marker = if entry.is_marker { MARKER } else { 0 };
        let head = tag(entry.hash) | (entry.text.length as u32 | marker) << 16;
        slots[at] = Some((head, entry.text, entry.record));
    }
    Some(slots)
}

/// What stands for a free slot.
pub(super) const FREE: [u32; 3] = [NONE, 0, NONE];
