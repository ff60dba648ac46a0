//! Facts, where they come from, and what is not known.

use meshproof_source::Span;

/// Where a fact comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Written for this very thing.
    Written(Span),
    /// Written one or more levels up (namespace, mesh).
    Inherited(Span),
    /// Istio's or Kubernetes' default; nothing in the input says otherwise.
    Default,
    /// Not in the input, and taken to be so since a question wants an answer.
    Assumed,
}

impl Origin {
    /// The deciding text, if there is one.
    pub fn span(self) -> Option<Span> {
        match self {
            Origin::Written(span) | Origin::Inherited(span) => Some(span),
            Origin::Default | Origin::Assumed => None,
        }
    }
}

/// Something the input tells, or does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<T> {
    /// It is so.
    Known(T, Origin),
    /// The input cannot tell; the text says why, for people ("namespace shop is not in the input").
    Unknown(String),
}

impl<T> Fact<T> {
    /// The value, when known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Fact::Known(value, _) => Some(value),
            Fact::Unknown(_) => None,
        }
    }

    /// The deciding text, when known and written.
    pub fn span(&self) -> Option<Span> {
        match self {
            Fact::Known(_, origin) => origin.span(),
            Fact::Unknown(_) => None,
        }
    }
}

impl<T: PartialEq> Fact<T> {
    /// Whether it is known to be `value`.
    pub fn is(&self, value: &T) -> bool {
        self.known() == Some(value)
    }
}
