//! How each lint counts in a run: the defaults of the lints, what the configuration says, what the command line says.

use std::collections::HashMap;

use meshproof_diagnostics::{Finding, Level};

use crate::config::LevelSetting;

/// The word that stands for every lint.
pub const ALL: &str = "all";

/// Levels that differ from the lints' own. A setting for one lint beats one for `all`; of equal ones the last counts.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    all: Option<LevelSetting>,
    by_lint: HashMap<String, LevelSetting>,
}

impl Levels {
    /// Sets the level of a lint, or of `all`.
    pub fn set(&mut self, lint: &str, setting: LevelSetting) {
        if lint == ALL {
            self.all = Some(setting);
        } else {
            self.by_lint.insert(lint.to_owned(), setting);
        }
    }

    /// Takes over every setting of `other`, which beat those made so far.
    pub fn extend(&mut self, other: &Levels) {
        self.all = other.all.or(self.all);
        self.by_lint.extend(other.by_lint.iter().map(|(lint, setting)| (lint.clone(), *setting)));
    }

    /// The lints that were named, in no order.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        self.by_lint.keys().map(String::as_str)
    }

    /// What holds for a lint, when anything was set.
    pub fn get(&self, lint: &str) -> Option<LevelSetting> {
        self.by_lint.get(lint).copied().or(self.all)
    }

    /// The finding at the level in force, or nothing when it is allowed. What we did wrong ourselves stays an error.
    pub fn apply(&self, mut finding: Finding) -> Option<Finding> {
        if finding.lint == crate::lints::INTERNAL_ERROR {
            return Some(finding);
        }
        finding.level = match self.get(finding.lint) {
            None => finding.level,
            Some(LevelSetting::Allow) => return None,
            Some(LevelSetting::Info) => Level::Info,
            Some(LevelSetting::Warning) => Level::Warning,
            Some(LevelSetting::Error) => Level::Error,
        };
        Some(finding)
    }
}

#[cfg(test)]
mod tests {
    use meshproof_diagnostics::{Category, Label};
    use meshproof_source::{SourceId, Span};

    use super::*;

    fn level(levels: &Levels, lint: &'static str) -> Option<Level> {
        let label = Label::new(Span::new(SourceId(0), 0, 0), "");
        let finding = Finding::new(lint, Level::Warning, Category::Hygiene, "m", label);
        levels.apply(finding).map(|finding| finding.level)
    }

    #[test]
    fn one_lint_beats_all_whatever_the_order() {
        let mut levels = Levels::default();
        levels.set("a", LevelSetting::Error);
        levels.set(ALL, LevelSetting::Allow);
        assert_eq!(level(&levels, "a"), Some(Level::Error));
        assert_eq!(level(&levels, "b"), None);
        levels.set("a", LevelSetting::Info);
        assert_eq!(level(&levels, "a"), Some(Level::Info));
    }

    #[test]
    fn without_settings_the_lint_decides() {
        assert_eq!(level(&Levels::default(), "a"), Some(Level::Warning));
    }

    #[test]
    fn an_internal_error_cannot_be_allowed_away() {
        let mut levels = Levels::default();
        levels.set(ALL, LevelSetting::Allow);
        assert_eq!(level(&levels, crate::lints::INTERNAL_ERROR), Some(Level::Warning));
    }
}
