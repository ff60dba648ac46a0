//! Where exactness ends: a limit was hit, so nothing is said.

use std::fmt;

/// Why a question has no answer. Nothing that depends on it may be reported as certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// The search took too many steps.
    Steps,
    /// Too many values of one variable would have to be tried.
    Values,
    /// Patterns of one variable combine in too many ways.
    Patterns,
    /// A rule has too many alternatives.
    Boxes,
    /// The policies tell too many kinds of requests apart.
    Kinds,
    /// A diagram grew too large.
    Nodes,
    /// The two sides are decided by different engines, or read paths differently.
    Incomparable,
    /// The evaluator did not confirm the request that was found: the policies relate properties that are taken for
    /// independent (`x-forwarded-for` and `remote.ip`).
    Unconfirmed,
}

impl Limit {
    /// One clause for a message, without a final stop.
    pub fn explanation(self) -> &'static str {
        match self {
            Limit::Steps => "the search took too many steps",
            Limit::Values => "too many values would have to be tried",
            Limit::Patterns => "the patterns combine in too many ways",
            Limit::Boxes => "a rule has too many alternatives",
            Limit::Kinds => "the policies tell too many kinds of requests apart",
            Limit::Nodes => "the set is too large to be held",
            Limit::Incomparable => "the two sides read requests differently",
            Limit::Unconfirmed => "the policies relate properties that are taken for independent",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.explanation())
    }
}

impl std::error::Error for Limit {}
