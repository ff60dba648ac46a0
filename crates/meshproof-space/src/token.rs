//! Issuer and subject where one of them is also looked at word by word: both as one text, a line for each.
//!
//! Usually they are two texts with simple tests. A claim that is told to be split at blanks is tested as a whole by
//! `requestPrincipals` and word by word by `when`, which makes both views languages over one text.

use meshproof_grammar::pattern::Pattern;

use crate::alphabet::{Bytes, Form, TextDomain};
use crate::kind::{Kind, Words};
use crate::language::{Atom, Language};
use crate::paths::of_pattern;
use crate::test::{Half, Test};

/// Stands between issuer and subject; claims hold no control characters.
const BREAK: char = '\n';

/// Whether the tests ask for words.
pub(crate) fn has_words(tests: &[&Test]) -> bool {
    tests.iter().any(|test| matches!(test, Test::Word { .. }))
}

/// What values look like then.
pub(crate) fn kind() -> Kind {
    let domain = TextDomain::new(Bytes::text(), Form::Plain).or_empty().optional();
    let legal = with_any_subject(vec![any()]);
    Kind::Words(Words { domain, legal, illegal: Vec::new(), several: false })
}

/// The test over such values.
pub(crate) fn language(test: &Test) -> Language {
    match test {
        Test::Token { issuer, subject } => {
            let part = |pattern: &Option<Pattern>| match pattern {
                Some(pattern) => of_pattern(pattern, Bytes::text(), true),
                None => vec![any()],
            };
            match subject {
                Some(_) => Language::of([part(issuer), vec![line_break()], part(subject)].concat()),
                None => with_any_subject(part(issuer)),
            }
        }
        Test::Word { of: Half::Issuer, pattern } => {
            let each = word(pattern).into_iter().map(with_any_subject);
            Language { sequences: each.flat_map(|language| language.sequences).collect() }
        }
        Test::Word { of: Half::Subject, pattern } => {
            let each = word(pattern).into_iter();
            Language { sequences: each.map(|word| [vec![any(), line_break()], word].concat()).collect() }
        }
        _ => Language::default(),
    }
}

/// Issuer and subject of a value.
pub(crate) fn read(text: &str) -> (&str, Option<&str>) {
    text.split_once(BREAK).map_or((text, None), |(issuer, subject)| (issuer, Some(subject)))
}

fn any() -> Atom {
    Atom::Many(Bytes::text())
}

fn line_break() -> Atom {
    Atom::One(Bytes::of(&[BREAK as u8]))
}

fn with_any_subject(issuer: Vec<Atom>) -> Language {
    let longer = [issuer.as_slice(), &[line_break(), any()]].concat();
    Language::of(issuer).or(longer)
}

/// A text with such a word: alone, or beside others.
fn word(pattern: &Pattern) -> Vec<Vec<Atom>> {
    let blank = Atom::One(Bytes::one(b' '));
    // No word holds a blank.
    if pattern.literal().contains(' ') || *pattern == Pattern::Exact(String::new()) {
        return Vec::new();
    }
    let own = of_pattern(pattern, Bytes::text().without(Bytes::one(b' ')), true);
    let starts = [vec![], vec![any(), blank]];
    let ends = [vec![], vec![blank, any()]];
    let pairs = starts.iter().flat_map(|start| ends.iter().map(move |end| (start, end)));
    pairs.map(|(start, end)| [start.as_slice(), &own, end].concat()).collect()
}
