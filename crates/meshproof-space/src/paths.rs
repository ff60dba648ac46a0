//! Tests of paths as languages: templates, and tests of the whole value with its query.

use meshproof_authz::PathNormalization;
use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::uri_template::{Steps, UriTemplate};

use crate::alphabet::Bytes;
use crate::language::{Atom, Language, literal};

/// Characters of a query.
pub(crate) fn query() -> Bytes {
    Bytes::visible().without(Bytes::one(b'#'))
}

/// A pattern of the path. `with_query`: the text read may have a query, which does not count.
pub(crate) fn of_path(pattern: &Pattern, with_query: bool) -> Language {
    let inside = Bytes::visible().without(Bytes::of(b"#?"));
    or_query(of_pattern(pattern, inside, true), with_query)
}

/// A template of the path.
pub(crate) fn of_template(template: &UriTemplate, with_query: bool) -> Language {
    let Some(Steps { steps, repeated }) = template.steps() else { return Language::default() };
    let mut atoms = Vec::with_capacity(steps.len() + 2);
    for (at, (takes, is_repeated)) in steps.into_iter().enumerate() {
        if let Some(range) = &repeated {
            // Behind the end stands the step after the closing one.
            atoms.extend((at == range.start).then_some(Atom::Open(range.len() + 2)));
            atoms.extend((at == range.end).then_some(Atom::Close(range.len())));
        }
        let bytes = (0..=127).filter(|byte| takes.takes(*byte)).fold(Bytes::NONE, Bytes::with);
        atoms.push(if is_repeated { Atom::Many(bytes) } else { Atom::One(bytes) });
    }
    if let Some(range) = repeated.filter(|range| range.end + 1 == atoms.len()) {
        atoms.push(Atom::Close(range.len()));
    }
    or_query(atoms, with_query)
}

fn or_query(atoms: Vec<Atom>, with_query: bool) -> Language {
    let mut language = Language::of(atoms.clone());
    if with_query {
        let mut longer = atoms;
        longer.extend([Atom::One(Bytes::one(b'?')), Atom::Many(query())]);
        language = language.or(longer);
    }
    language
}

/// A pattern over a text of these characters. `non_empty`: what `*` asks for.
pub(crate) fn of_pattern(pattern: &Pattern, bytes: Bytes, non_empty: bool) -> Vec<Atom> {
    let any = Atom::Many(bytes);
    match pattern {
        Pattern::Present if non_empty => vec![Atom::One(bytes), any],
        Pattern::Present => vec![any],
        Pattern::Exact(text) => literal(text).collect(),
        Pattern::Prefix(text) => literal(text).chain([any]).collect(),
        Pattern::Suffix(text) => [any].into_iter().chain(literal(text)).collect(),
    }
}

/// What every path is, and what none is.
pub(crate) fn domain(mode: PathNormalization, with_query: bool) -> (Language, Vec<Language>) {
    let inside = Bytes::path(mode);
    let all = query();
    let any = Atom::Many(inside);
    let rest = Atom::Many(all);
    let mut path: Vec<Atom> = literal("/").collect();
    path.push(any);
    let legal = or_query(path, with_query).or(literal("*").collect());
    let mut refused = Vec::new();
    if mode != PathNormalization::None {
        for dots in ["/.", "/.."] {
            let start = || [any].into_iter().chain(literal(dots));
            let mut language = Language::of(start().collect());
            language = language.or(start().chain(literal("/")).chain([rest]).collect());
            language = language.or(start().chain(literal("?")).chain([rest]).collect());
            refused.push(language);
        }
    }
    if matches!(mode, PathNormalization::MergeSlashes | PathNormalization::DecodeAndMergeSlashes) {
        // Two slashes are left only when there is nothing else.
        let before = [Atom::One(inside), any].into_iter().chain(literal("//")).chain([rest]);
        let behind = literal("//").chain([Atom::One(inside), rest]);
        refused.push(Language::of(before.collect()).or(behind.collect()));
    }
    (legal, refused)
}
