//! Sound tests between match patterns: does one take everything that another takes?

use meshproof_grammar::path::PathPattern;
use meshproof_grammar::pattern::Pattern;
use meshproof_resources::{Match, Text};

/// Whether every value that `inner` takes is taken by `outer`. `false` also where it cannot be told.
pub(crate) fn covers(outer: &Pattern, inner: &Pattern) -> bool {
    match (outer, inner) {
        (Pattern::Present, Pattern::Exact(text)) => !text.is_empty(),
        (Pattern::Present, Pattern::Present) => true,
        (Pattern::Present, Pattern::Prefix(text) | Pattern::Suffix(text)) => !text.is_empty(),
        (Pattern::Prefix(outer), Pattern::Exact(inner) | Pattern::Prefix(inner)) => {
            inner.starts_with(outer.as_str())
        }
        (Pattern::Suffix(outer), Pattern::Exact(inner) | Pattern::Suffix(inner)) => {
            inner.ends_with(outer.as_str())
        }
        (Pattern::Exact(outer), Pattern::Exact(inner)) => outer == inner,
        _ => false,
    }
}

/// The same for written values; a path template covers only itself and the paths it matches.
pub(crate) fn covers_text(outer: &str, inner: &str) -> bool {
    if outer == inner {
        return true;
    }
    match (PathPattern::parse(outer), PathPattern::parse(inner)) {
        (Ok(PathPattern::Pattern(outer)), Ok(PathPattern::Pattern(inner))) => covers(&outer, &inner),
        (Ok(PathPattern::Template(outer)), Ok(PathPattern::Pattern(Pattern::Exact(inner)))) => {
            outer.matches(&inner)
        }
        _ => false,
    }
}

/// Whether each of `inner` lies within one of `outer`.
pub(crate) fn all_covered(outer: &[Text], inner: &[Text]) -> bool {
    inner.iter().all(|inner| outer.iter().any(|outer| covers_text(outer, inner)))
}

/// Values that a list and its `not` twin can never both accept: every positive value is excluded.
pub(crate) fn is_contradictory(test: &Match) -> bool {
    !test.values.is_empty() && !test.not_values.is_empty() && all_covered(&test.not_values, &test.values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_is_claimed_only_where_it_holds() {
        for (outer, inner) in
            [("*", "/a"), ("/a*", "/a/b*"), ("*.png", "/x.png"), ("/a/{*}", "/a/b"), ("/a", "/a")]
        {
            assert!(covers_text(outer, inner), "{outer} takes all of {inner}");
        }
        for (outer, inner) in [("/a", "/a*"), ("/a*", "*a"), ("*", ""), ("/a/{*}", "/a/*"), ("*/b", "/a*")] {
            assert!(!covers_text(outer, inner), "{outer} does not take all of {inner}");
        }
    }
}
