//! Tests as scripts have them.

use std::net::IpAddr;

use meshproof_engine::format::{
    BLOCK_WIDE, MOST_DEMANDS, STEP_LITERAL, TEXT_EXACT, TEXT_LONG, TEXT_OTHER, TEXT_PREFIX, TEXT_SUFFIX,
    text_form,
};
use meshproof_engine::{TestKind, mark};
use meshproof_grammar::pattern::Pattern;
use meshproof_space::{Test, Variable};

use super::Uncompiled;
use super::dimension::Parts;
use super::numbers::put_number;
use super::pool::{Learned, Shared};
use super::scripts::Templates;
use super::test::{Normal, Spelled, normal, spelled};
use super::tests::{put_texts, split_template};

/// Demands one after the other.
#[derive(Default)]
pub(super) struct Lists {
    pub bytes: Vec<u8>,
    pub count: usize,
    /// More than a script can hold.
    pub is_too_much: bool,
}

impl Lists {
    /// Adds a demand if there are tests.
    ///
    /// # Errors
    /// A template cannot be told.
    pub fn demand<'t>(
        &mut self,
        head: u32,
        variable: &Variable,
        tests: impl ExactSizeIterator<Item = (&'t Test, Learned)>,
        (parts, templates): (&Parts, &Templates),
    ) -> Result<(), Uncompiled> {
        let count = tests.len();
        if count == 0 {
            return Ok(());
        }
        let to = &mut self.bytes;
        self.count += 1;
        to.extend([head as u8, count as u8]);
        self.is_too_much |= count > MOST_DEMANDS;
        for (test, learned) in tests {
            match test {
                Test::Port(port) => to.extend(port.to_le_bytes()),
                Test::Block(block) => {
                    let wide = if block.network().is_ipv6() { BLOCK_WIDE } else { 0 };
                    to.push(wide + block.prefix_len());
                    match block.network() {
                        IpAddr::V4(address) => to.extend(address.octets()),
                        IpAddr::V6(address) => to.extend(address.octets()),
                    }
                }
                test => self.is_too_much |= !text(to, variable, (test, learned), (parts, templates))?,
            }
        }
        Ok(())
    }
}

/// Writes a test of a text; tells whether that can be done.
fn text(
    to: &mut Vec<u8>,
    variable: &Variable,
    (test, learned): (&Test, Learned),
    (parts, templates): (&Parts, &Templates),
) -> Result<bool, Uncompiled> {
    if matches!(test, Test::Template(_))
        && let Some(template) = templates.get(&std::ptr::from_ref(test))
    {
        return Ok(other(to, template, parts));
    }
    let test = normal(test);
    // Nothing was learned from what it becomes in small letters.
    let learned = if matches!(test, Normal::Small(_)) { Learned::Nothing } else { learned };
    let test = &*test;
    let pattern = match (variable, test) {
        // Scripts see paths without their query.
        (Variable::Path, Test::Path(pattern)) => pattern,
        (Variable::Path, _) => return Ok(false),
        // All texts of hosts are looked at in small letters.
        (Variable::Authority, Test::Host(pattern)) => pattern,
        (Variable::Authority | Variable::Peer | Variable::Token, _) => &Pattern::Present,
        (_, Test::Text(pattern) | Test::Header(pattern)) => pattern,
        _ => &Pattern::Present,
    };
    match pattern {
        Pattern::Exact(text) => Ok(literal(to, TEXT_EXACT, (text.as_bytes(), learned), parts)),
        Pattern::Prefix(text) => Ok(literal(to, TEXT_PREFIX, (text.as_bytes(), learned), parts)),
        Pattern::Suffix(text) => Ok(literal(to, TEXT_SUFFIX, (text.as_bytes(), learned), parts)),
        Pattern::Present => Ok(other(to, &spelled(variable, test)?, parts)),
    }
}

/// Writes a text that values have to be, to begin or to end with; tells whether it is short enough.
fn literal(to: &mut Vec<u8>, way: u8, (text, learned): (&[u8], Learned), parts: &Parts) -> bool {
    let Shared { number, is_end, rest } = parts.entries.starts.share_learned(text, learned);
    let size = rest.len() + if number < 0x80 { 1 } else { 2 };
    let fits =
        number < 0x4000 && head(to, (way, is_end), text.len(), mark(text, way == TEXT_SUFFIX, false), size);
    put_number(to, number);
    to.extend_from_slice(rest);
    fits
}

/// The literal text that a template begins with.
pub(super) fn stem(template: &[u8]) -> &[u8] {
    match template {
        [STEP_LITERAL, low, high, rest @ ..] => &rest[..u16::from_le_bytes([*low, *high]).into()],
        _ => &[],
    }
}

/// Writes what stands before a text; tells whether lengths are short enough.
fn head(to: &mut Vec<u8>, (way, is_end): (u8, bool), length: usize, mark: u8, size: usize) -> bool {
    let form = text_form(way, is_end, length, size);
    if form & TEXT_LONG == 0 {
        to.extend([form, length as u8, mark, size as u8]);
    } else {
        to.extend([form, 0, mark, 0]);
        [length, size].iter().for_each(|length| to.extend((*length as u16).to_le_bytes()));
    }
    length.max(size) <= usize::from(u16::MAX)
}

/// Writes a test that is more than one text; tells whether it is short enough.
fn other(to: &mut Vec<u8>, test: &Spelled, parts: &Parts) -> bool {
    let Spelled { kind, first, second } = test;
    let starts = &parts.entries.starts;
    let (sure, (start, rest)) = match kind {
        TestKind::Template => (stem(first).to_vec(), split_template(first, starts)),
        TestKind::PrincipalExact | TestKind::PrincipalPrefix => {
            let (start, rest) = starts.split(first);
            ([b"spiffe://", first.as_slice()].concat(), (start, rest.to_vec()))
        }
        _ => (Vec::new(), (0, first.clone())),
    };
    let mut body = vec![kind.code() as u8];
    put_texts(&mut body, *kind, (start, &rest), second);
    let fits = head(to, (TEXT_OTHER, false), sure.len(), mark(&sure, false, false), body.len());
    to.append(&mut body);
    fits
}
