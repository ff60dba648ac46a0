//! Which texts a variable can have at all.

use meshproof_authz::PathNormalization;

use crate::part::Part;

/// A set of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bytes([u64; 4]);

impl Bytes {
    pub const NONE: Bytes = Bytes([0; 4]);

    pub const fn of(bytes: &[u8]) -> Bytes {
        let (mut set, mut at) = (Bytes::NONE, 0);
        while at < bytes.len() {
            set = set.with(bytes[at]);
            at += 1;
        }
        set
    }

    pub const fn range(from: u8, to: u8) -> Bytes {
        let (mut set, mut byte) = (Bytes::one(to), from);
        while byte < to {
            set = set.with(byte);
            byte += 1;
        }
        set
    }

    pub const fn one(byte: u8) -> Bytes {
        Bytes::NONE.with(byte)
    }

    pub const fn with(mut self, byte: u8) -> Bytes {
        self.0[(byte / 64) as usize] |= 1 << (byte % 64);
        self
    }

    pub fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte / 64)] |= 1 << (byte % 64);
    }

    pub fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte / 64)] & (1 << (byte % 64)) != 0
    }

    pub const fn or(&self, other: Bytes) -> Bytes {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Bytes([a | e, b | f, c | g, d | h])
    }

    pub const fn without(&self, other: Bytes) -> Bytes {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Bytes([a & !e, b & !f, c & !g, d & !h])
    }

    /// The one byte that it has; nothing when it has more or none.
    pub fn only(&self) -> Option<u8> {
        let mut bytes = (0..=255).filter(|byte| self.has(*byte));
        let first = bytes.next();
        first.filter(|_| bytes.next().is_none())
    }

    /// Visible ASCII.
    pub const fn visible() -> Bytes {
        const { Bytes::range(0x21, 0x7e) }
    }

    /// Everything but control characters: texts of claims, lines of headers.
    pub const fn text() -> Bytes {
        const { Bytes::range(0x20, 0xff).without(Bytes::one(0x7f)) }
    }

    const fn alphanumeric() -> Bytes {
        const { Bytes::range(b'a', b'z').or(Bytes::range(b'A', b'Z')).or(Bytes::range(b'0', b'9')) }
    }

    /// Characters of a method (RFC 9110, `token`).
    pub const fn token() -> Bytes {
        const { Bytes::alphanumeric().or(Bytes::of(b"!#$%&'*+-.^_`|~")) }
    }

    /// Characters of a trust domain.
    pub const fn trust_domain() -> Bytes {
        const { Bytes::alphanumeric().or(Bytes::of(b"-._")) }
    }

    /// Characters of the other parts of an identity.
    pub const fn name() -> Bytes {
        const { Bytes::visible().without(Bytes::of(b"*/")) }
    }

    /// Characters that a normalized path can hold: normalization turns backslashes and escapes some others
    /// (`meshproof_authz::normalize_path`); `?` starts the query.
    pub const fn path(mode: PathNormalization) -> Bytes {
        const ALL: Bytes = Bytes::visible().without(Bytes::of(b"#?"));
        match mode {
            PathNormalization::None => ALL,
            _ => const { ALL.without(Bytes::of(b"\\\"<>^`{|}")) },
        }
    }
}

/// What a text must be beyond its characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    /// No blank at either end: a line of a header.
    Trimmed,
    /// A path, normalized so, without query; or `*`, which OPTIONS may ask for.
    Path(PathNormalization),
}

/// The texts that a variable, or a part of it, can have.
#[derive(Clone, Debug)]
pub(crate) struct TextDomain {
    pub alphabet: Bytes,
    pub form: Form,
    /// What every text starts with.
    pub start: &'static str,
    /// It may be missing.
    pub absent: bool,
    /// It may be empty.
    pub empty: bool,
    /// A box, or a question, tells what is missing from what is there. Else nothing is less than a missing text.
    pub absent_matters: bool,
    /// Some test tells the empty text from others.
    pub empty_matters: bool,
    /// A character that no test of the variable knows.
    pub filler: String,
    /// Set when there is no such character.
    pub crowded: Option<Crowded>,
}

impl TextDomain {
    pub fn new(alphabet: Bytes, form: Form) -> TextDomain {
        let start = if matches!(form, Form::Path(_)) { "/" } else { "" };
        TextDomain {
            alphabet,
            form,
            start,
            absent: false,
            absent_matters: false,
            empty: false,
            empty_matters: false,
            filler: String::new(),
            crowded: None,
        }
    }

    /// The same, possibly missing.
    pub fn optional(self) -> TextDomain {
        TextDomain { absent: true, ..self }
    }

    /// The same, possibly empty.
    pub fn or_empty(self) -> TextDomain {
        TextDomain { empty: true, ..self }
    }

    /// Whether there are texts beside the empty one.
    pub fn has_letters(&self) -> bool {
        self.alphabet != Bytes::NONE
    }

    pub fn is_legal(&self, text: &str) -> bool {
        if text.is_empty() {
            return self.empty;
        }
        text.bytes().all(|byte| self.alphabet.has(byte))
            && match self.form {
                Form::Plain => true,
                Form::Trimmed => !text.starts_with([' ', '\t']) && !text.ends_with([' ', '\t']),
                Form::Path(mode) => text == "*" || is_normal_path(text, mode),
            }
    }

    /// Chooses the filler: a character in none of the texts, those that read well first.
    pub fn fill(&mut self, parts: &[Part]) {
        self.empty_matters = parts.iter().any(|part| match part {
            Part::NonEmpty => true,
            Part::Exact(text) => text.is_empty(),
            _ => false,
        });
        let mut used = Bytes::NONE;
        parts.iter().flat_map(|part| part.literal().bytes()).for_each(|byte| used.insert(byte));
        let mut letters = FILLERS.iter().filter(|byte| self.alphabet.has(**byte));
        if let Some(byte) = letters.find(|byte| !used.has(**byte)) {
            self.filler = char::from(*byte).to_string();
            return;
        }
        let sorted = |turn: fn(&str) -> Vec<u8>| {
            let mut texts: Vec<Vec<u8>> = parts.iter().map(|part| turn(part.literal())).collect();
            texts.sort_unstable();
            texts.dedup();
            texts
        };
        self.crowded = Some(Crowded {
            starts: sorted(|text| text.bytes().collect()),
            ends: sorted(|text| text.bytes().rev().collect()),
        });
    }

    /// A text that, between the two, is part of no text of any test and makes none longer. Nothing when every character
    /// that could follow is taken.
    pub fn filler_between(&self, prefix: &str, suffix: &str) -> Option<String> {
        let Some(crowded) = &self.crowded else { return Some(self.filler.clone()) };
        let prefix: Vec<u8> = prefix.bytes().collect();
        let suffix: Vec<u8> = suffix.bytes().rev().collect();
        let first = self.leaving(&crowded.starts, &prefix)?;
        let last = self.leaving(&crowded.ends, &suffix)?;
        let longest = crowded.starts.iter().map(Vec::len).max().unwrap_or(0);
        let run = char::from(first).to_string().repeat(longest + 1);
        Some(run + &char::from(last).to_string())
    }

    /// A character with which none of the texts goes on behind `start`.
    fn leaving(&self, texts: &[Vec<u8>], start: &[u8]) -> Option<u8> {
        let goes_on = |byte: u8| {
            let longer = [start, &[byte]].concat();
            let at = texts.partition_point(|text| *text < longer);
            texts.get(at).is_some_and(|text| text.starts_with(&longer))
        };
        FILLERS.iter().copied().find(|byte| self.alphabet.has(*byte) && !goes_on(*byte))
    }
}

/// The texts of all tests, for a variable whose tests use every character: as they are, and turned around.
#[derive(Clone, Debug)]
pub(crate) struct Crowded {
    starts: Vec<Vec<u8>>,
    ends: Vec<Vec<u8>>,
}

/// Characters for texts that stand for any other, those that read well first.
const FILLERS: &[u8] = b"xyzwvqjkubfgmnphrsticdeloaXYZWVQJKUBFGMNPHRSTICDELOA0123456789-_~+!@$&'(),;=:";

/// Whether normalization can end with this path. Escapes of every kind can: `%41` is left of `%%341`.
pub(crate) fn is_normal_path(path: &str, mode: PathNormalization) -> bool {
    if !path.starts_with('/') {
        return false;
    }
    match mode {
        PathNormalization::None => true,
        PathNormalization::Base => !has_dot_segments(path),
        PathNormalization::MergeSlashes | PathNormalization::DecodeAndMergeSlashes => {
            !has_dot_segments(path) && (path == "//" || !path.contains("//"))
        }
    }
}

fn has_dot_segments(path: &str) -> bool {
    path.split('/').any(|segment| segment == "." || segment == "..")
}
