//! The lints that reading itself raises, and the list of all lints.

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

const READING: &[&str] = &[
    "alias-bomb",
    "ambiguous-separator",
    "document-too-large",
    "duplicate-key",
    INTERNAL_ERROR,
    INVALID_OBJECT,
    "invisible-character",
    RENDER_FAILED,
    SUPPRESSION_WITHOUT_REASON,
    UNREADABLE_FILE,
    UNUSED_SUPPRESSION,
    "yaml-syntax",
];

/// Ids of all lints, sorted.
pub fn ids() -> Vec<&'static str> {
    let mut ids: Vec<&str> = READING.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Whether there is such a lint.
pub fn is_known(id: &str) -> bool {
    ids().binary_search(&id).is_ok()
}

/// The lint that was probably meant.
pub fn closest(id: &str) -> Option<&'static str> {
    crate::config::closest(id, ids())
}
