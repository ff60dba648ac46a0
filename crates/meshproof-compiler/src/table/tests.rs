//! The section of tests that are spelled out.

use meshproof_engine::TestKind;
use meshproof_engine::format::{STEP_LITERAL, TEST_REFUSED, TEST_WANTED};

use super::Uncompiled;
use super::numbers::put_number;
use super::pool::Starts;
use super::set::{SetId, SetStore};
use super::test::Spelled;

#[derive(Default)]
pub(super) struct TestStore {
    pub bytes: Vec<u8>,
}

impl TestStore {
    /// The place behind the last test.
    ///
    /// # Errors
    /// There is no room for more.
    pub fn end(&self) -> Result<u32, Uncompiled> {
        u32::try_from(self.bytes.len()).map_err(|_| Uncompiled::TooLarge)
    }

    /// Adds a test with the rows that want and that refuse it; gives its place.
    ///
    /// # Errors
    /// There is no room for more.
    pub fn add(
        &mut self,
        test: &Spelled,
        [wanted, refused]: [Option<SetId>; 2],
        sets: &mut SetStore,
        starts: &Starts,
    ) -> Result<u32, Uncompiled> {
        let at = self.end()?;
        let Spelled { kind, first, second } = test;
        let flag = |set: Option<SetId>, flag: u8| if set.is_some() { flag } else { 0 };
        self.bytes.push(kind.code() as u8);
        self.bytes.push(flag(wanted, TEST_WANTED) | flag(refused, TEST_REFUSED));
        for set in [wanted, refused].into_iter().flatten() {
            sets.put(&mut self.bytes, set, false)?;
        }
        let (start, first) = match kind {
            TestKind::Template => split_template(first, starts),
            _ => (0, first.clone()),
        };
        put_texts(&mut self.bytes, *kind, (start, &first), second);
        Ok(at)
    }
}

/// Writes the texts of a test: the number of a shared start with the rest of the first one, and the second one.
pub(super) fn put_texts(to: &mut Vec<u8>, kind: TestKind, (start, rest): (u32, &[u8]), second: &[u8]) {
    put_number(to, start);
    put_number(to, rest.len() as u32);
    to.extend_from_slice(rest);
    put_number(to, second.len() as u32);
    // A template ends with what it ends with.
    if kind != TestKind::Template {
        to.extend_from_slice(second);
    }
}

/// The literal text at the beginning of a template as a start that others share, and the rest.
pub(super) fn split_template(template: &[u8], starts: &Starts) -> (u32, Vec<u8>) {
    let whole = (0, template.to_vec());
    let [STEP_LITERAL, low, high, rest @ ..] = template else { return whole };
    let Some((literal, behind)) = rest.split_at_checked(u16::from_le_bytes([*low, *high]).into()) else {
        return whole;
    };
    let (number, left) = starts.split(literal);
    if number == 0 || behind.is_empty() {
        return whole;
    }
    let length = (left.len() as u16).to_le_bytes();
    let head: &[u8] = &[STEP_LITERAL, length[0], length[1]];
    (number, [if left.is_empty() { &[] } else { head }, left, behind].concat())
}
