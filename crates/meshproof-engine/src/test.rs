//! Tests that a table spells out: those that an index cannot answer alone, and all tests of names, for the names that
//! are not those of workloads.

use crate::bytes::{U32s, place};
use crate::format::TEST;
use crate::hash::equals;
use crate::identity::{Identity, SCHEME, belongs_to, has_namespace, lies_in};
use crate::kinds::{Engine, TestKind};
use crate::set::SetRef;
use crate::template;

/// Texts of a table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pool<'t>(pub &'t [u8]);

impl<'t> Pool<'t> {
    #[inline(always)]
    pub fn text(self, at: u32, length: u32) -> &'t [u8] {
        let (at, length) = (place(at), place(length));
        self.0.get(at..at.saturating_add(length)).unwrap_or_default()
    }
}

/// One test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Test<'t> {
    pub kind: TestKind,
    pub first: &'t [u8],
    pub second: &'t [u8],
    /// Rows that want it.
    pub wanted: Option<SetRef>,
    /// Rows that refuse it.
    pub refused: Option<SetRef>,
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

/// All tests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tests<'t> {
    pub numbers: U32s<'t>,
    pub pool: Pool<'t>,
}

impl<'t> Tests<'t> {
    #[inline]
    pub fn get(&self, test: u32) -> Option<Test<'t>> {
        let at = place(test).checked_mul(TEST)?;
        let number = |place: usize| self.numbers.at(at + place);
        let set = |number: u32| (number != crate::format::NONE).then_some(SetRef(number));
        Some(Test {
            kind: TestKind::of_code(number(0))?,
            first: self.pool.text(number(1), number(2)),
            second: self.pool.text(number(3), number(4)),
            wanted: set(number(5)),
            refused: set(number(6)),
        })
    }
}

/// The path without its query.
#[inline(always)]
pub(crate) fn without_query(path: &[u8]) -> &[u8] {
    match path.iter().position(|byte| matches!(byte, b'?' | b'#')) {
        Some(end) => path.get(..end).unwrap_or_default(),
        None => path,
    }
}

#[inline(always)]
pub(crate) fn is_line(text: &[u8]) -> bool {
    !text.is_empty() && !text.contains(&b'\n')
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
            TestKind::PrincipalExact => text.strip_prefix(SCHEME) == Some(first),
            TestKind::PrincipalPrefix => {
                text.strip_prefix(SCHEME).is_some_and(|name| name.starts_with(first))
            }
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
                path.ends_with(self.second) && template::matches(first, path)
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

    fn token(&self, value: Value<'_>) -> bool {
        demand(self.first, value.text) && demand(self.second, value.second)
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
