//! Texts of a table.

use crate::bytes::{Reader, U32s, place};

/// Texts, each behind its length.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pool<'t>(pub &'t [u8]);

impl<'t> Pool<'t> {
    #[inline(always)]
    pub fn text(self, at: u32) -> &'t [u8] {
        let mut reader = Reader::new(self.0, place(at));
        let length = reader.number();
        reader.take(length)
    }

    /// The text at a place, if a whole one in UTF-8 stands there.
    pub fn checked(self, at: u32) -> Option<&'t str> {
        let mut reader = Reader::new(self.0, place(at));
        if reader.is_at_end() {
            return None;
        }
        let length = reader.number();
        let text = reader.take(length);
        if !reader.is_inside() {
            return None;
        }
        std::str::from_utf8(text).ok()
    }
}

/// Starts that texts share. The first one, number zero, is empty and not stored.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Starts<'t> {
    pub places: U32s<'t>,
    pub pool: Pool<'t>,
}

impl<'t> Starts<'t> {
    /// Whether there is one with the number.
    pub fn has(&self, number: u32) -> bool {
        place(number) <= self.places.len()
    }

    #[inline(always)]
    pub fn get(&self, number: u32) -> &'t [u8] {
        match place(number).checked_sub(1) {
            Some(at) if at < self.places.len() => self.pool.text(self.places.at(at)),
            _ => &[],
        }
    }
}
