//! Tests of the names of a peer: as tests of the three parts of a workload's identity, and as languages over any name.
//!
//! `/` stands in no part of `spiffe://TD/ns/NS/sa/SA`, so a pattern that crosses the borders of parts is still a product
//! of one test per part. Two oddities of Envoy's namespace test remain: a namespace or trust domain that is itself called
//! `ns`, and a suffix that `/sa` ends with.

use std::sync::Arc;

use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::spiffe::SCHEME;

use crate::alphabet::Bytes;
use crate::language::{Atom, Language, literal};
use crate::part::Part;
use crate::test::Test;

/// Trust domain, namespace, account.
pub(crate) type Form = [Part; 3];

const ANYONE: Form = [Part::Exists, Part::Any, Part::Any];

/// The test as a union of products; nothing when it is no such union.
pub(crate) fn forms(test: &Test) -> Option<Vec<Form>> {
    Some(match test {
        Test::Absent => vec![[Part::Absent, Part::Absent, Part::Absent]],
        Test::Principal(pattern) => principal(pattern),
        Test::NamespaceName(pattern) => vec![[Part::Any, simple(pattern), Part::Any]],
        Test::ServiceAccount { namespace, name } => vec![[Part::Any, exact(namespace), exact(name)]],
        Test::Namespace(pattern) => return namespace(&pattern.text),
        Test::TrustDomain(value) => return trust_domain(value),
        _ => Vec::new(),
    })
}

/// Whether the test is a union of products.
pub(crate) fn has_forms(test: &Test) -> bool {
    match test {
        Test::Namespace(_) | Test::TrustDomain(_) => forms(test).is_some(),
        _ => true,
    }
}

fn exact(text: &str) -> Part {
    Part::Exact(Arc::from(text))
}

fn prefix(text: &str) -> Part {
    if text.is_empty() { Part::Exists } else { Part::Prefix(Arc::from(text)) }
}

fn suffix(text: &str) -> Part {
    if text.is_empty() { Part::Exists } else { Part::Suffix(Arc::from(text)) }
}

fn simple(pattern: &Pattern) -> Part {
    match pattern {
        Pattern::Present => Part::Exists,
        Pattern::Exact(text) => exact(text),
        Pattern::Prefix(text) => prefix(text),
        Pattern::Suffix(text) => suffix(text),
    }
}

fn principal(pattern: &Pattern) -> Vec<Form> {
    let form = match pattern {
        Pattern::Present => Some(ANYONE),
        Pattern::Exact(text) => product(text.split('/').collect(), 0, None),
        Pattern::Prefix(text) => {
            let pieces: Vec<&str> = text.split('/').collect();
            let last = pieces.len() - 1;
            product(pieces, 0, Some((last, prefix, |keyword, piece| keyword.starts_with(piece))))
        }
        Pattern::Suffix(text) => {
            let pieces: Vec<&str> = text.split('/').collect();
            let Some(skipped) = 5usize.checked_sub(pieces.len()) else { return Vec::new() };
            product(pieces, skipped, Some((0, suffix, |keyword, piece| keyword.ends_with(piece))))
        }
    };
    form.into_iter().collect()
}

/// How the piece at one place is read: as an open end.
type OpenEnd = (usize, fn(&str) -> Part, fn(&str, &str) -> bool);

/// Pieces between slashes, from place `skipped` on: `td`, `ns`, namespace, `sa`, account.
fn product(pieces: Vec<&str>, skipped: usize, open: Option<OpenEnd>) -> Option<Form> {
    let end = skipped + pieces.len();
    if end > 5 || (open.is_none() && end != 5) {
        return None;
    }
    let mut form = [Part::Any, Part::Any, Part::Any];
    for (at, piece) in pieces.into_iter().enumerate() {
        let place = skipped + at;
        let open = open.filter(|(open, ..)| *open == at);
        match (place, open) {
            (1 | 3, open) => {
                let keyword = if place == 1 { "ns" } else { "sa" };
                let fits = open.map_or(keyword == piece, |(_, _, fits)| fits(keyword, piece));
                if !fits {
                    return None;
                }
            }
            (_, None) => form[place / 2] = exact(piece),
            (_, Some((_, part, _))) => form[place / 2] = part(piece),
        }
    }
    Some(somebody(form))
}

/// Without any demand it still takes a peer.
fn somebody(form: Form) -> Form {
    if form == [Part::Any, Part::Any, Part::Any] { ANYONE } else { form }
}

fn namespace(text: &str) -> Option<Vec<Form>> {
    let named_ns = [Part::Any, exact("ns"), Part::Any];
    let domain_ns = [exact("ns"), Part::Any, Part::Any];
    let of = |part: Part| [Part::Any, part, Part::Any];
    if text == "*" {
        return Some(vec![ANYONE]);
    }
    if text.contains('/') {
        return None;
    }
    let mut forms = Vec::new();
    match text.split_once('*') {
        None => {
            forms.push(of(exact(text)));
            forms.extend((text == "ns").then_some(domain_ns));
            forms.extend((text == "sa").then_some(named_ns));
        }
        Some((start, "")) => {
            forms.push(of(prefix(start)));
            forms.extend("ns".starts_with(start).then_some(domain_ns));
            forms.extend("sa".starts_with(start).then_some(named_ns));
        }
        Some(("", end)) if !end.contains('*') => {
            if "sa".ends_with(end) {
                return Some(vec![ANYONE]);
            }
            forms.push(of(suffix(end)));
            forms.extend("ns".ends_with(end).then_some(domain_ns));
        }
        Some(_) => return None,
    }
    Some(forms)
}

fn trust_domain(value: &str) -> Option<Vec<Form>> {
    let of = |part: Part| vec![[part, Part::Any, Part::Any]];
    if value == "*" {
        return Some(vec![ANYONE]);
    }
    match value.split_once('*') {
        None => Some(principal(&Pattern::Prefix(format!("{value}/")))),
        Some((start, end)) if start.contains('/') || end.contains(['/', '*']) => None,
        Some((start, "")) => Some(of(prefix(start))),
        Some(("", end)) => Some(of(suffix(end))),
        Some(_) => None,
    }
}

/// The test over whole names, `spiffe://` included.
pub(crate) fn language(test: &Test) -> Language {
    let any = Atom::Many(Bytes::visible());
    let some = [Atom::One(Bytes::visible()), any];
    let lead = || literal(SCHEME);
    match test {
        Test::Principal(Pattern::Present) => Language::of(some.to_vec()),
        Test::Principal(Pattern::Exact(text)) => Language::of(lead().chain(literal(text)).collect()),
        Test::Principal(Pattern::Prefix(text)) => {
            Language::of(lead().chain(literal(text)).chain([any]).collect())
        }
        Test::Principal(Pattern::Suffix(text)) => {
            Language::of(lead().chain([any]).chain(literal(text)).collect())
        }
        Test::Namespace(pattern) => {
            let mut atoms = vec![any];
            atoms.extend(literal("/ns/"));
            for (at, piece) in pattern.text.split('*').enumerate() {
                atoms.extend((at > 0).then_some(any));
                atoms.extend(literal(piece));
            }
            atoms.extend(literal("/"));
            atoms.push(any);
            Language::of(atoms)
        }
        Test::NamespaceName(_) => Language::default(),
        Test::ServiceAccount { namespace, name } => account(namespace, name, &some),
        Test::TrustDomain(value) => {
            let inside = Atom::Many(Bytes::visible().without(Bytes::one(b'/')));
            let mut atoms: Vec<Atom> = lead().collect();
            match value.split_once('*') {
                _ if value == "*" => {}
                None => atoms.extend(literal(value).chain(literal("/"))),
                Some((start, end)) => {
                    atoms.extend(literal(start).chain([inside]).chain(literal(end)).chain(literal("/")));
                }
            }
            atoms.push(any);
            Language::of(atoms)
        }
        _ => Language::default(),
    }
}

/// `spiffe://.+/ns/NS/(.+/|)sa/SA(/.+)?`
fn account(namespace: &str, name: &str, some: &[Atom; 2]) -> Language {
    let mut language = Language::default();
    for between in [false, true] {
        for behind in [false, true] {
            let mut atoms: Vec<Atom> = literal(SCHEME).chain(*some).collect();
            atoms.extend(literal("/ns/").chain(literal(namespace)).chain(literal("/")));
            if between {
                atoms.extend(some.iter().copied().chain(literal("/")));
            }
            atoms.extend(literal("sa/").chain(literal(name)));
            if behind {
                atoms.extend(literal("/").chain(*some));
            }
            language = language.or(atoms);
        }
    }
    language
}

/// The names of workloads.
pub(crate) fn workloads() -> Language {
    let part = |bytes: Bytes| [Atom::One(bytes), Atom::Many(bytes)];
    let atoms = literal(SCHEME)
        .chain(part(Bytes::trust_domain()))
        .chain(literal("/ns/"))
        .chain(part(Bytes::name()))
        .chain(literal("/sa/"))
        .chain(part(Bytes::name()));
    Language::of(atoms.collect())
}
