//! Tests that a table spells out: those that an index cannot answer alone, and all tests of names, for the names that
//! are not those of workloads.

use crate::bytes::{Reader, place, position};
use crate::format::{LONGEST, STEP_LITERAL, TEST_REFUSED, TEST_WANTED};
use crate::hash::equals;
use crate::identity::{Identity, SCHEME, belongs_to, has_namespace, lies_in};
use crate::kinds::{Engine, TestKind};
use crate::pieces::Pieces;
use crate::pool::Starts;
use crate::set::{RowSet, Sets};
use crate::template;

/// One test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Test<'t> {
    pub kind: TestKind,
    /// Of a template literal text before all that `first` says, and of a name how it begins; of other tests nothing.
    pub start: &'t [u8],
    pub first: &'t [u8],
    pub second: &'t [u8],
}

/// A test with the rows that look at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed<'t> {
    /// Rows that want it.
    pub wanted: Option<RowSet<'t>>,
    /// Rows that refuse it.
    pub refused: Option<RowSet<'t>>,
    kind: u8,
    /// Stands before its texts.
    reader: Reader<'t>,
}

/// What a test looks at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Value<'v> {
    /// The text; of a token its issuer.
    pub text: Option<&'v [u8]>,
    /// Of a token its subject.
    pub second: Option<&'v [u8]>,
}

impl<'v> Value<'v> {
    pub fn of(text: &'v [u8]) -> Value<'v> {
        Value { text: Some(text), second: None }
    }
}

/// All tests, one behind the other: kind, which sets there are, the sets, then the texts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tests<'t> {
    pub bytes: &'t [u8],
    pub starts: Starts<'t>,
}

impl<'t> Tests<'t> {
    /// The test at a place, its texts not yet read: most tests are of rows that nobody asks about.
    #[inline(always)]
    pub fn get(&self, test: u32, sets: &Sets<'t>) -> Placed<'t> {
        let mut reader = Reader::new(self.bytes, place(test));
        let (kind, flags) = (reader.byte(), reader.byte());
        let wanted = (flags & TEST_WANTED != 0).then(|| sets.read(&mut reader));
        let refused = (flags & TEST_REFUSED != 0).then(|| sets.read(&mut reader));
        Placed { wanted, refused, kind, reader }
    }

    /// What is tested, and the place behind.
    #[inline]
    pub fn texts(&self, placed: &Placed<'t>) -> Option<(Test<'t>, u32)> {
        let mut reader = placed.reader;
        let kind = TestKind::of_code(placed.kind.into())?;
        let test = Test::read(kind, &mut reader, &self.starts)?;
        Some((test, u32::try_from(reader.at).ok()?))
    }

    /// The tests from one place up to another.
    pub fn range(
        self,
        [from, end]: [u32; 2],
        sets: Sets<'t>,
    ) -> impl Iterator<Item = (Placed<'t>, Test<'t>)> {
        let mut at = from;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let placed = self.get(at, &sets);
            let (test, behind) = self.texts(&placed)?;
            at = behind;
            Some((placed, test))
        })
    }
}

/// The path without its query.
#[inline]
pub(crate) fn without_query(path: &[u8]) -> &[u8] {
    position(path, [b'?', b'#']).and_then(|end| path.get(..end)).unwrap_or(path)
}

#[inline(always)]
pub(crate) fn is_line(text: &[u8]) -> bool {
    !text.is_empty() && !text.contains(&b'\n')
}

impl<'t> Test<'t> {
    /// The texts of a test behind its kind; nothing where they are not whole.
    pub fn read(kind: TestKind, reader: &mut Reader<'t>, starts: &Starts<'t>) -> Option<Test<'t>> {
        let start = starts.get(reader.number());
        let length = reader.number();
        let first = reader.take(length);
        let length = reader.number();
        // How a template ends stands at the end of it.
        let second = match kind {
            TestKind::Template => first.get(first.len().checked_sub(place(length))?..)?,
            _ => reader.take(length),
        };
        reader.is_inside().then_some(Test { kind, start, first, second })
    }
}

impl Test<'_> {
    /// Whether the value passes. Numbers never do: their intervals say everything.
    pub fn holds(&self, value: Value<'_>, engine: Engine) -> bool {
        if self.kind == TestKind::Token {
            return self.token(value);
        }
        let Some(text) = value.text else { return false };
        let first = self.first;
        match self.kind {
            TestKind::PrincipalPresent => !text.is_empty(),
            TestKind::PrincipalExact => self.behind_start(text) == Some(first),
            TestKind::PrincipalPrefix => self.behind_start(text).is_some_and(|rest| rest.starts_with(first)),
            TestKind::PrincipalSuffix => text.strip_prefix(SCHEME).is_some_and(|name| name.ends_with(first)),
            TestKind::NamespaceGlob => has_namespace(text, first),
            TestKind::NamespacePresent => Identity::parse(text).is_some(),
            TestKind::NamespaceExact => Identity::parse(text).is_some_and(|peer| peer.namespace == first),
            TestKind::NamespacePrefix => {
                Identity::parse(text).is_some_and(|peer| peer.namespace.starts_with(first))
            }
            TestKind::NamespaceSuffix => {
                Identity::parse(text).is_some_and(|peer| peer.namespace.ends_with(first))
            }
            TestKind::Account if engine == Engine::Ztunnel => Identity::parse(text)
                .is_some_and(|peer| (peer.namespace, peer.account) == (first, self.second)),
            TestKind::Account => belongs_to(text, first, self.second),
            TestKind::TrustDomain => lies_in(text, first),
            TestKind::Exists => true,
            TestKind::Line => is_line(text),
            TestKind::Exact => text == first,
            TestKind::Prefix => text.starts_with(first),
            TestKind::Suffix => text.ends_with(first),
            TestKind::Template => {
                let path = without_query(text);
                path.ends_with(self.second)
                    && path.strip_prefix(self.start).is_some_and(|rest| template::matches(first, rest))
            }
            TestKind::Steps => template::matches_steps(first, self.second, without_query(text)),
            TestKind::PathLine => is_line(without_query(text)),
            TestKind::PathExact => without_query(text) == first,
            TestKind::PathPrefix => without_query(text).starts_with(first),
            TestKind::PathSuffix => without_query(text).ends_with(first),
            TestKind::HostExact => equals(text, first, true),
            TestKind::HostPrefix => text.get(..first.len()).is_some_and(|start| equals(start, first, true)),
            TestKind::HostSuffix => {
                let start = text.len().checked_sub(first.len());
                start.and_then(|start| text.get(start..)).is_some_and(|end| equals(end, first, true))
            }
            TestKind::Token | TestKind::Block | TestKind::Port => false,
        }
    }

    /// What follows the start in a name.
    fn behind_start<'v>(&self, name: &'v [u8]) -> Option<&'v [u8]> {
        name.strip_prefix(SCHEME)?.strip_prefix(self.start)
    }

    /// The text that all values begin with that pass, as far as it is said here.
    pub fn sure(&self) -> Pieces<'_> {
        match self.kind {
            TestKind::Template => Pieces([self.start, literal(self.first), b""]),
            TestKind::PrincipalExact | TestKind::PrincipalPrefix => Pieces([SCHEME, self.start, self.first]),
            _ => Pieces::default(),
        }
    }

    /// The text of the test as if nothing of it was shared.
    pub fn whole_first(&self) -> Vec<u8> {
        if self.start.is_empty() || self.kind != TestKind::Template {
            return [self.start, self.first].concat();
        }
        let length = |text: &[u8]| u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes();
        // A literal at the beginning goes on with the start.
        let (literal, rest): (&[u8], &[u8]) = match self.first {
            [STEP_LITERAL, low, high, rest @ ..] => {
                rest.split_at_checked(u16::from_le_bytes([*low, *high]).into()).unwrap_or_default()
            }
            rest => (&[], rest),
        };
        let literal = [self.start, literal].concat();
        [&[STEP_LITERAL], length(&literal).as_slice(), &literal, rest].concat()
    }

    /// Whether its texts are what its kind needs.
    pub fn is_good(&self) -> bool {
        let is_half = |text: &[u8]| text.first().is_some_and(|letter| b"-*=<>".contains(letter));
        let (first, second) = (self.first, self.second);
        let has_form = match self.kind {
            TestKind::Template => template::is_valid(first),
            TestKind::Steps => template::are_valid_steps(first, second),
            TestKind::Token => is_half(first) && is_half(second),
            TestKind::Block => first.len() == 18,
            TestKind::Port => first.len() == 2,
            _ => true,
        };
        // A start is literal text of a template that is not too long, or of a name.
        let has_good_start = match self.kind {
            TestKind::Template => self.start.is_empty() || self.start.len() + first.len() <= LONGEST,
            TestKind::PrincipalExact | TestKind::PrincipalPrefix => true,
            _ => self.start.is_empty(),
        };
        has_form && has_good_start
    }

    fn token(&self, value: Value<'_>) -> bool {
        demand(self.first, value.text) && demand(self.second, value.second)
    }
}

/// The literal text that a template begins with.
fn literal(template: &[u8]) -> &[u8] {
    match template {
        [STEP_LITERAL, low, high, rest @ ..] => {
            rest.get(..usize::from(u16::from_le_bytes([*low, *high]))).unwrap_or_default()
        }
        _ => &[],
    }
}

/// One half of a token's test.
fn demand(written: &[u8], text: Option<&[u8]>) -> bool {
    let Some((letter, wanted)) = written.split_first() else { return false };
    match (letter, text) {
        (b'-', _) => true,
        (b'*', Some(text)) => is_line(text),
        (b'=', Some(text)) => text == wanted,
        (b'<', Some(text)) => text.starts_with(wanted),
        (b'>', Some(text)) => text.ends_with(wanted),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_without_their_query() {
        for length in 0..52 {
            for mark in [b'?', b'#'] {
                for other in [b'/', b'>', b'"', 0xbf, 0x80, 0] {
                    let path = vec![other; length];
                    assert_eq!(without_query(&path), path);
                    for at in 0..length {
                        let mut path = path.clone();
                        path[at] = mark;
                        path.push(b'?');
                        assert_eq!(without_query(&path), &path[..at], "{path:?}");
                    }
                }
            }
        }
    }
}
