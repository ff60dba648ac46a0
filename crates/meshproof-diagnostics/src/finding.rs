//! Findings: what is wrong, where, how sure we are and what to do.

use meshproof_source::Span;
use serde::Serialize;

use crate::Witness;

/// How bad a finding is. `error` fails a gate by default, so it is kept for what is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    Info,
    /// Likely wrong, or wrong under an assumption that the input does not settle.
    Warning,
    /// Proven wrong.
    Error,
}

/// What kind of harm a finding tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Lets in what was meant to stay out.
    Hole,
    /// Keeps out what was meant to get in.
    Outage,
    /// Two objects disagree and one silently loses.
    Conflict,
    /// Has no effect.
    Dead,
    /// Is refused by the API server or istiod, or cannot be read.
    Invalid,
    /// Works, but invites mistakes.
    Hygiene,
}

/// How far the claim depends on what the input does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Depends on guesses about intent.
    Low,
    /// True if the input is all there is.
    Medium,
    /// True whatever else exists.
    High,
}

/// A place and what to say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The token to underline.
    pub span: Span,
    /// What stands there, in the reader's words; may be empty.
    pub text: String,
}

impl Label {
    /// A label over `span`.
    pub fn new(span: Span, text: impl Into<String>) -> Self {
        Label { span, text: text.into() }
    }
}

/// A replacement of bytes that mends the finding; comments elsewhere survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The bytes to replace.
    pub span: Span,
    /// What to put there.
    pub replacement: String,
}

/// The object a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ResourceName {
    /// Kind as written.
    pub kind: String,
    /// Namespace; absent when the input does not tell it or the kind has none.
    pub namespace: Option<String>,
    /// Name as written; may be empty.
    pub name: String,
}

impl std::fmt::Display for ResourceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// One thing to tell the user.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Kebab-case id of the lint, forever the same.
    pub lint: &'static str,
    /// How bad.
    pub level: Level,
    /// What kind of harm.
    pub category: Category,
    /// How sure.
    pub confidence: Confidence,
    /// One line that stands alone in a log and names the objects.
    pub message: String,
    /// The exact token that is wrong.
    pub primary: Label,
    /// Other places that matter, in reading order.
    pub related: Vec<Label>,
    /// What to do.
    pub help: Option<String>,
    /// A concrete request that proves it.
    pub witness: Option<Witness>,
    /// Mechanical repair, if there is one.
    pub edits: Vec<Edit>,
    /// The object it is about.
    pub resource: Option<ResourceName>,
}

impl Finding {
    /// A finding with its mandatory parts; the rest is added with the `with_` functions.
    pub fn new(
        lint: &'static str,
        level: Level,
        category: Category,
        message: impl Into<String>,
        primary: Label,
    ) -> Self {
        Finding {
            lint,
            level,
            category,
            confidence: Confidence::High,
            message: message.into(),
            primary,
            related: Vec::new(),
            help: None,
            witness: None,
            edits: Vec::new(),
            resource: None,
        }
    }

    /// Names the object.
    pub fn with_resource(mut self, resource: ResourceName) -> Self {
        self.resource = Some(resource);
        self
    }

    /// Adds another place.
    pub fn with_related(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related.push(Label::new(span, text));
        self
    }

    /// Says what to do.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the proof.
    pub fn with_witness(mut self, witness: Witness) -> Self {
        self.witness = Some(witness);
        self
    }

    /// Says how sure it is.
    pub fn with_confidence(mut self, confidence: Confidence) -> Self {
        self.confidence = confidence;
        self
    }

    /// Adds a repair.
    pub fn with_edit(mut self, span: Span, replacement: impl Into<String>) -> Self {
        self.edits.push(Edit { span, replacement: replacement.into() });
        self
    }

    /// A stable identity for baselines: lint, object and message, no line numbers. 16 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        // FNV-1a, 64 bit: must be the same on every machine and in every release.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let resource = self.resource.as_ref().map(ToString::to_string).unwrap_or_default();
        for part in [self.lint, &resource, &self.message] {
            for byte in part.bytes().chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        format!("{hash:016x}")
    }
}
