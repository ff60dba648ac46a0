//! What is wrong inside a small string, and where.

use std::fmt;
use std::ops::Range;

/// A string that its language does not accept.
///
/// Positions are byte offsets inside the parsed string and always fall on character borders, so that a caller can add
/// the start of the scalar and label the exact spot in the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ParseError {
    /// The offending bytes; empty (`n..n`) when something is missing at that place.
    pub at: Range<usize>,
    /// What is wrong, as one sentence without a final stop.
    pub message: String,
    /// What to write instead, when that is known.
    pub help: Option<String>,
}

impl ParseError {
    /// An error at a place, without advice.
    pub fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        ParseError { at, message: message.into(), help: None }
    }

    /// The same error with advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same error found in a part of a longer string that starts at `offset`.
    #[must_use]
    pub fn shifted(mut self, offset: usize) -> Self {
        self.at = self.at.start + offset..self.at.end + offset;
        self
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ParseError {}
