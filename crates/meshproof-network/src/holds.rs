//! Whether something holds, in the logic of three values.

/// The answer to one question about one flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// The input cannot tell; the text says why, for people.
    Maybe(String),
}

impl Holds {
    /// A doubt.
    pub(crate) fn maybe(reason: impl Into<String>) -> Holds {
        Holds::Maybe(reason.into())
    }

    /// Both hold; the second is asked only when the first does not settle it.
    pub(crate) fn and(self, other: impl FnOnce() -> Holds) -> Holds {
        match self {
            Holds::Yes => other(),
            Holds::No => Holds::No,
            Holds::Maybe(reason) => match other() {
                Holds::No => Holds::No,
                _ => Holds::Maybe(reason),
            },
        }
    }

    /// One of both holds; the second is asked only when the first does not settle it.
    pub(crate) fn or(self, other: impl FnOnce() -> Holds) -> Holds {
        match self {
            Holds::Yes => Holds::Yes,
            Holds::No => other(),
            Holds::Maybe(reason) => match other() {
                Holds::Yes => Holds::Yes,
                _ => Holds::Maybe(reason),
            },
        }
    }

    /// The opposite; a doubt stays one.
    pub(crate) fn negated(self) -> Holds {
        match self {
            Holds::Yes => Holds::No,
            Holds::No => Holds::Yes,
            doubt => doubt,
        }
    }

    /// One of many holds.
    pub(crate) fn any(all: impl IntoIterator<Item = Holds>) -> Holds {
        let mut result = Holds::No;
        for one in all {
            result = result.or(|| one);
            if result == Holds::Yes {
                break;
            }
        }
        result
    }

    /// All of many hold.
    pub(crate) fn all(all: impl IntoIterator<Item = Holds>) -> Holds {
        let mut result = Holds::Yes;
        for one in all {
            result = result.and(|| one);
            if result == Holds::No {
                break;
            }
        }
        result
    }
}

impl From<bool> for Holds {
    fn from(holds: bool) -> Holds {
        if holds { Holds::Yes } else { Holds::No }
    }
}
