//! The lints that reading itself raises, and the list of all lints.

use meshproof_lints::{LINTS, Lint};
use meshproof_yaml::ProblemKind;

/// A panic of ours, caught.
pub const INTERNAL_ERROR: &str = "internal-error";
/// A file that is no text, or that the operating system does not give.
pub const UNREADABLE_FILE: &str = "unreadable-file";
/// Kustomize or Helm refused a folder.
pub const RENDER_FAILED: &str = "render-failed";
/// Refused by the API server or istiod.
pub const INVALID_OBJECT: &str = "invalid-object";
/// A suppression that suppresses nothing.
pub const UNUSED_SUPPRESSION: &str = "unused-suppression";
/// A suppression that does not say why.
pub const SUPPRESSION_WITHOUT_REASON: &str = "suppression-without-reason";

/// The lint that reports a problem of the text.
pub(crate) fn of_problem(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Syntax => "yaml-syntax",
        ProblemKind::DuplicateKey => "duplicate-key",
        ProblemKind::InvisibleCharacter => "invisible-character",
        ProblemKind::AliasBomb => "alias-bomb",
        ProblemKind::TooLarge => "document-too-large",
        ProblemKind::AmbiguousSeparator => "ambiguous-separator",
    }
}

/// Lints of reading that have no page yet.
const READING: &[&str] = &[
    "admission-warning",
    "alias-bomb",
    "ambiguous-separator",
    "document-too-large",
    "duplicate-key",
    "incomplete-type",
    INTERNAL_ERROR,
    INVALID_OBJECT,
    "invisible-character",
    "null-field",
    RENDER_FAILED,
    SUPPRESSION_WITHOUT_REASON,
    "unknown-api-version",
    "unknown-field",
    UNREADABLE_FILE,
    "unreadable-list",
    UNUSED_SUPPRESSION,
    "yaml-syntax",
];

/// Ids of all lints, sorted.
pub fn ids() -> Vec<&'static str> {
    let mut ids: Vec<&str> = LINTS.iter().map(|lint| lint.id).chain(READING.iter().copied()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The lint with its one-line summary and its page.
pub fn describe(id: &str) -> Option<&'static Lint> {
    LINTS.iter().find(|lint| lint.id == id)
}

/// Whether there is such a lint.
pub fn is_known(id: &str) -> bool {
    READING.contains(&id) || describe(id).is_some()
}

/// The lint that was probably meant.
pub fn closest(id: &str) -> Option<&'static str> {
    crate::config::closest(id, ids())
}
