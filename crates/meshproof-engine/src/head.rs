//! What stands before the sections of a table.

use crate::bytes::{U32s, U64s, place};
use crate::error::OpenError;
use crate::format::{self, HASH_AT, HEAD, MAGIC, SECTIONS, VERSION};
use crate::kinds::Engine;

/// The sections of a table, as bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sections<'t>([&'t [u8]; SECTIONS]);

impl<'t> Sections<'t> {
    pub fn bytes(&self, section: usize) -> &'t [u8] {
        self.0.get(section).copied().unwrap_or_default()
    }

    pub fn numbers(&self, section: usize) -> U32s<'t> {
        U32s::new(self.bytes(section))
    }
}

/// The hash that a table carries: BLAKE3 of everything but the place where it stands.
pub fn content_hash(bytes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(bytes.get(..HASH_AT).unwrap_or_default());
    hasher.update(bytes.get(HASH_AT + 32..).unwrap_or_default());
    *hasher.finalize().as_bytes()
}

/// What stands before the sections.
pub(crate) struct Head<'t> {
    pub engine: Engine,
    pub settings: u8,
    pub hash: [u8; 32],
    pub words: u32,
    pub everything: u32,
    pub sections: Sections<'t>,
}

impl<'t> Head<'t> {
    pub fn read(bytes: &'t [u8]) -> Result<Head<'t>, OpenError> {
        let found = bytes.len() as u64;
        let is_start = bytes.iter().zip(MAGIC).all(|(byte, magic)| *byte == magic);
        if !is_start || bytes.is_empty() {
            return Err(OpenError::Foreign);
        }
        let start = HEAD + SECTIONS * 8;
        let numbers = U32s::new(bytes);
        if bytes.len() >= 12 && numbers.at(2) != VERSION {
            return Err(OpenError::Version(numbers.at(2)));
        }
        if bytes.len() < start {
            return Err(OpenError::Truncated { expected: start as u64, found });
        }
        let expected = U64s::new(bytes).at(2);
        if found != expected {
            let is_short = found < expected;
            return Err(match is_short {
                true => OpenError::Truncated { expected, found },
                false => OpenError::TooLong { expected, found },
            });
        }
        let kinds = numbers.at(3).to_le_bytes();
        let engine =
            Engine::of_code(kinds[0].into()).ok_or(OpenError::Invalid { what: "unknown engine", at: 12 })?;
        let known = format::HEADERS_JOINED
            | format::POLICY_ORDER
            | format::NEEDS_ALLOW
            | format::HAS_DRY_ALLOW
            | format::WIDE_RULES
            | format::BY_ROWS
            | format::WIDE_NAMES;
        if kinds[1] & !known != 0 || kinds[2] != 0 || kinds[3] != 0 {
            return Err(OpenError::Invalid { what: "unknown settings", at: 13 });
        }
        let mut hash = [0; 32];
        let written = bytes.get(HASH_AT..HASH_AT + 32).unwrap_or_default();
        hash.iter_mut().zip(written).for_each(|(to, from)| *to = *from);
        let mut sections = Sections([&[]; SECTIONS]);
        let mut behind = start;
        for (at, section) in sections.0.iter_mut().enumerate() {
            let entry = HEAD / 4 + at * 2;
            let (offset, length) = (place(numbers.at(entry)), place(numbers.at(entry + 1)));
            let invalid = OpenError::Invalid { what: "a section lies outside", at: at as u32 };
            if offset % 8 != 0 || offset < behind {
                return Err(invalid);
            }
            behind = offset.checked_add(length).ok_or(invalid)?;
            *section = bytes.get(offset..behind).ok_or(invalid)?;
        }
        Ok(Head {
            engine,
            settings: kinds[1],
            hash,
            words: numbers.at(14),
            everything: numbers.at(15),
            sections,
        })
    }

    pub fn stamp(&self) -> u64 {
        U64s::new(&self.hash).at(0).max(1)
    }
}
