//! What templates match, as a live Envoy 1.40 does it.
#![allow(clippy::unwrap_used)]

use meshproof_grammar::path_template::PathTemplate;
use meshproof_grammar::uri_template::{Run, Takes, UriTemplate, translate};
use proptest::prelude::*;

fn matches(value: &str, path: &str) -> bool {
    UriTemplate::parse(&translate(value)).unwrap().matches(path)
}

#[test]
fn text_behind_an_operator_is_a_suffix() {
    assert!(matches("/a/{*}.txt", "/a/x.txt"));
    assert!(matches("/a/{*}.txt", "/a/x.txt.txt"));
    assert!(!matches("/a/{*}.txt", "/a/.txt"));
    assert!(!matches("/a/{*}.txt", "/a/b/x.txt"));
    assert!(!matches("/a/{*}.txt", "/a/xxtxt"));
    assert!(matches("/a/{**}.txt", "/a/.txt"));
    assert!(matches("/a/{**}.txt", "/a/b/c.txt"));
}

#[test]
fn a_star_behind_text_repeats_its_last_character() {
    for path in ["/a/", "/a/x", "/a/xxx"] {
        assert!(matches("/a/x{*}", path), "{path}");
    }
    assert!(!matches("/a/x{*}", "/a/xy"));
    assert!(matches("/a/x{*}y", "/a/xxy"));
    assert!(!matches("/{*}/v.{*}", "/q/vaa"));
    assert!(matches("/{*}/v.{*}", "/q/v.."));
    assert!(matches("/{*}-{*}", "/q"));
    assert!(matches("/{*}-{*}", "/q--"));
}

#[test]
fn stars_in_a_row_match_nothing() {
    for value in ["/a/x{**}", "/a/{**}{*}", "/{*}{*}{*}", "/{*}/x{*}{*}"] {
        assert!(!matches(value, "/a/x") && !matches(value, "/a/"), "{value}");
    }
    // Two stars are one operator.
    assert!(matches("/a/{*}{*}", "/a/b/c"));
    assert!(!matches("/a/x{*}*", "/a/x"));
}

#[test]
fn other_braces_are_variables() {
    assert!(matches("/{id}/{*}", "/a/b"));
    assert!(matches("/{id=a/*}/{*}", "/a/b/c"));
    assert!(!matches("/{id=a/*}/{*}", "/b/b/c"));
    assert!(matches("/{id=ab}{*}", "/abab"));
    assert!(matches("/{id=ab}{*}c", "/c"));
    assert!(!matches("/{id=ab}{*}", "/aba"));
}

/// Texts of the pieces that templates are made of, well formed or not.
fn written() -> impl Strategy<Value = String> {
    let pieces =
        vec!["/", "/", "a", "bc", "*", "**", "{*}", "{**}", "{", "}", "{id}", "{id=a/*}", "{n=**}", "."];
    prop::collection::vec(prop::sample::select(pieces), 0..9)
        .prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #[test]
    fn braces_are_replaced_wherever_they_stand(value in written()) {
        prop_assert_eq!(translate(&value), value.replace("{**}", "**").replace("{*}", "*"));
    }

    #[test]
    fn runs_are_the_steps(value in written()) {
        let Ok(template) = UriTemplate::parse(&value) else { return Ok(()) };
        prop_assert_eq!(template.matches_nothing(), template.steps().is_none());
        let Some(runs) = template.runs() else { return Ok(()) };
        let mut steps = Vec::new();
        for run in runs {
            match run {
                Run::Literal(text) => steps.extend(text.bytes().map(|byte| (Takes::This(byte), false))),
                Run::Segment => steps.extend([(Takes::Segment, false), (Takes::Segment, true)]),
                Run::Slashes => steps.push((Takes::Slashes, true)),
            }
        }
        let told = template.steps().unwrap();
        prop_assert_eq!((steps, None), (told.steps, told.repeated));
    }

    #[test]
    fn what_admission_knows_means_the_same(
        segments in prop::collection::vec(prop::sample::select(vec!["a", "b", "{*}", "{**}", "ab"]), 1..5),
        trailing in any::<bool>(),
        path in "/[ab/*\"]{0,6}",
    ) {
        let text = format!("/{}{}", segments.join("/"), if trailing { "/" } else { "" });
        if let Ok(template) = PathTemplate::parse(&text) {
            prop_assert_eq!(matches(&text, &path), template.matches(&path), "{} {}", text, path);
        }
    }
}

/// Steps over all ways to take the path.
fn naive(steps: &[(Takes, bool)], path: &[u8]) -> bool {
    let Some(((takes, repeats), rest)) = steps.split_first() else { return path.is_empty() };
    let taken = path.iter().take_while(|byte| takes.takes(**byte)).count();
    match repeats {
        true => (0..=taken).any(|count| naive(rest, &path[count..])),
        false => taken > 0 && naive(rest, &path[1..]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn templates_match_as_their_steps(
        pieces in prop::collection::vec(prop::sample::select(vec!["a", "b*", "a*b", "*", "**", "{x}", "{y=a/*}"]), 1..4),
        suffix in prop::sample::select(vec!["", "/", "b", "*"]),
        paths in prop::collection::vec("[ab/]{0,7}", 8),
    ) {
        let Ok(template) = UriTemplate::parse(&format!("/{}{suffix}", pieces.join("/"))) else { return Ok(()) };
        let Some(steps) = template.steps().filter(|steps| steps.repeated.is_none()) else { return Ok(()) };
        for path in paths.into_iter().map(|path| format!("/{path}")) {
            prop_assert_eq!(template.matches(&path), naive(&steps.steps, path.as_bytes()), "{:?} {}", template, path);
        }
    }
}
