//! The lints that reading itself raises, and the list of all lints.

use meshproof_diagnostics::{Category, Finding, Label, Level};
use meshproof_lints::{LINTS, Lint};
use meshproof_source::Span;
use meshproof_yaml::ProblemKind;

/// A panic of ours, caught.
pub const INTERNAL_ERROR: &str = "internal-error";
/// A file that is no text, or that the operating system does not give.
pub const UNREADABLE_FILE: &str = "unreadable-file";
/// Kustomize or Helm refused a folder.
pub const RENDER_FAILED: &str = "render-failed";
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

/// Ids of all lints, sorted.
pub fn ids() -> impl Iterator<Item = &'static str> {
    LINTS.iter().map(|lint| lint.id)
}

/// The lint with its level, its one-line summary and its page.
pub fn describe(id: &str) -> Option<&'static Lint> {
    meshproof_lints::lint(id)
}

/// Whether there is such a lint.
pub fn is_known(id: &str) -> bool {
    describe(id).is_some()
}

/// A finding at the level and in the category of its lint.
pub(crate) fn finding(id: &'static str, span: Span, message: impl Into<String>) -> Finding {
    let (level, category) =
        describe(id).map_or((Level::Warning, Category::Invalid), |lint| (lint.level, lint.category));
    Finding::new(id, level, category, message, Label::new(span, ""))
}

/// The lint that was probably meant.
pub fn closest(id: &str) -> Option<&'static str> {
    crate::config::closest(id, ids())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lint_of_reading_is_registered() {
        let kinds = [
            ProblemKind::Syntax,
            ProblemKind::DuplicateKey,
            ProblemKind::InvisibleCharacter,
            ProblemKind::AliasBomb,
            ProblemKind::TooLarge,
            ProblemKind::AmbiguousSeparator,
        ];
        let own =
            [INTERNAL_ERROR, UNREADABLE_FILE, RENDER_FAILED, UNUSED_SUPPRESSION, SUPPRESSION_WITHOUT_REASON];
        for id in kinds.map(of_problem).into_iter().chain(own) {
            assert!(is_known(id), "{id}");
        }
    }
}
