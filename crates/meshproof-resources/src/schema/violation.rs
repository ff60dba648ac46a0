//! What [`Schema::check`](super::Schema::check) finds.

use meshproof_source::Span;

/// One place where an object does not fit its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field, as `spec.rules[0].to[1]`.
    pub path: String,
    /// The token that is wrong; for a missing field, the key that should hold it.
    pub span: Span,
    /// Which rule is broken.
    pub kind: ViolationKind,
    /// What is wrong, naming the field.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// The kinds of violations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ViolationKind {
    /// The schema has no such field: the API server drops it without refusing the object.
    UnknownField {
        /// The field that was probably meant.
        suggestion: Option<&'static str>,
    },
    /// `null` where the schema wants a value. API servers since 1.20 drop such a field of a mapping before they
    /// look (apiextensions `prunenulls.go`); tools that validate against the bare CRD refuse it.
    Null,
    /// `null` as a list item or map value that nothing drops, or another type than the schema has.
    WrongType,
    /// A number or boolean without quotes where the schema has a string.
    UnquotedScalar,
    /// Not one of the allowed values.
    NotAllowed,
    /// A required field is missing.
    Missing,
    /// Too short or too long; too few or too many entries.
    Length,
    /// Does not match the schema's pattern.
    Pattern,
    /// A number out of range.
    Range,
    /// Fields that exclude each other, or none of which is set.
    Choice,
    /// A CEL rule of the CRD.
    Rule,
}

impl ViolationKind {
    /// Whether the API server takes the object all the same, without the field.
    pub fn is_pruned(self) -> bool {
        matches!(self, ViolationKind::UnknownField { .. })
    }
}
