//! What can be wrong with the text of a document.

use meshproof_source::Span;

/// The kinds of textual problems, one lint id each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// The document does not parse; nothing of it was read.
    Syntax,
    /// A key stands twice in one mapping; the last one counts (sigs.k8s.io/yaml, non-strict).
    DuplicateKey,
    /// Characters that look like nothing or like something else (zero width, no-break space, line separators).
    InvisibleCharacter,
    /// Aliases that expand beyond the budget, or to themselves; the document is not read.
    AliasBomb,
    /// Nesting or size over the limits; the document is not read.
    TooLarge,
    /// A line such as `--- # note` that YAML takes for a separator and Istio does not.
    AmbiguousSeparator,
}

/// One problem with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which.
    pub kind: ProblemKind,
    /// Where.
    pub span: Span,
    /// What is wrong, in the reader's words, naming the token.
    pub message: String,
    /// What to do, when there is something to say beyond the message.
    pub help: Option<String>,
    /// Another place that matters (the first of two equal keys).
    pub related: Option<Span>,
}
