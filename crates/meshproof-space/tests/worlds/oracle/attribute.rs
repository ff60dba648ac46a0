//! Attributes with few patterns, and which of them one value can pass together: found by trying all short values, with
//! matching told here once more.

use std::collections::BTreeSet;

/// Where a policy writes the attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Source(&'static str),
    Operation(&'static str),
    Condition(&'static str),
}

/// Something of a request that patterns are asked about.
pub struct Attribute {
    pub place: Place,
    /// What it looks at: attributes that look at one value are not independent.
    pub value: &'static str,
    pub patterns: &'static [&'static str],
    /// Every value worth trying; nothing stands for a missing one.
    pub values: fn() -> Vec<Option<String>>,
    /// Whether a pattern takes a text.
    pub takes: fn(&str, &str) -> bool,
    /// A request may have several of the values at once.
    pub several: bool,
}

/// Paths without templates.
pub const PATHS: Attribute = Attribute {
    place: Place::Operation("paths"),
    value: "path",
    patterns: &["/a", "/a*", "/ab*", "*b", "*ab", "/", "/b", "*", "/*"],
    values: || words(0, 5, |text| format!("/{text}")),
    takes: |pattern, text| glob(pattern, text) && (pattern != "*" || !text.is_empty()),
    several: false,
};

/// Paths with templates; a segment of `{*}` is not empty and holds no bracket.
pub const TEMPLATES: Attribute = Attribute {
    place: Place::Operation("paths"),
    value: "path",
    patterns: &["/a/{*}", "/a/{**}", "/{*}/b", "/a/*", "/a/b", "/{**}", "*/b", "/a/{*}/b", "/{*}"],
    values: segments,
    takes: |pattern, text| if pattern.contains('{') { template(pattern, text) } else { glob(pattern, text) },
    several: false,
};

pub const METHODS: Attribute = Attribute {
    place: Place::Operation("methods"),
    value: "method",
    patterns: &["a", "a*", "*b", "ab", "*", "b"],
    values: || words(1, 5, |text| text),
    takes: glob,
    several: false,
};

pub const SERVER_NAMES: Attribute = Attribute {
    place: Place::Condition("connection.sni"),
    value: "server name",
    patterns: &["a", "a*", "*b", "*", "ba", "b*"],
    values: || [vec![None], words(1, 5, |text| text)].concat(),
    takes: |pattern, text| glob(pattern, text) && (pattern != "*" || !text.is_empty()),
    several: false,
};

/// A header, line by line.
pub const HEADER: Attribute = Attribute {
    place: Place::Condition("request.headers[x]"),
    value: "header",
    patterns: &["a", "a*", "*b", "*", "ab", "*ab"],
    values: || [vec![None], words(0, 5, |text| text)].concat(),
    takes: glob,
    several: true,
};

/// A claim, word by word.
pub const CLAIM: Attribute = Attribute {
    place: Place::Condition("request.auth.claims[g]"),
    value: "claim",
    patterns: &["a", "a*", "*b", "*", "b"],
    values: || [vec![None], words(0, 5, |text| text)].concat(),
    takes: |pattern, text| glob(pattern, text) && (pattern != "*" || !text.is_empty()),
    several: true,
};

pub const NAMESPACES: Attribute = Attribute {
    place: Place::Source("namespaces"),
    value: "peer",
    patterns: &["a", "a*", "*b", "ab", "*", "b"],
    values: identities,
    takes: |pattern, name| glob(&format!("*/ns/{pattern}/*"), name),
    several: false,
};

/// Asked of the same values as [`NAMESPACES`].
pub const PRINCIPALS: Attribute = Attribute {
    place: Place::Source("principals"),
    value: "peer",
    patterns: &["a/ns/a/sa/b", "a/ns/a*", "*/sa/b", "*", "*b", "a/ns/ab/sa/*"],
    values: identities,
    takes: |pattern, name| glob(pattern, name.trim_start_matches("spiffe://")),
    several: false,
};

/// All texts over three letters with so many of them, turned into values.
fn words(least: usize, most: usize, turn: fn(String) -> String) -> Vec<Option<String>> {
    let mut all = Vec::new();
    let mut now = vec![String::new()];
    for length in 0..=most {
        if length >= least {
            all.extend(now.iter().cloned().map(turn).map(Some));
        }
        now = now.iter().flat_map(|text| ["a", "b", "z"].map(|letter| format!("{text}{letter}"))).collect();
    }
    all
}

fn segments() -> Vec<Option<String>> {
    let mut all = Vec::new();
    let mut now = vec![String::new()];
    for _ in 0..4 {
        let next =
            |text: &String| ["", "a", "b", "z", "ab", "zb", "["].map(|piece| format!("{text}/{piece}"));
        now = now.iter().flat_map(next).collect();
        all.extend(now.iter().cloned().map(Some));
    }
    all
}

fn identities() -> Vec<Option<String>> {
    let short = |most| words(1, most, |text| text).into_iter().flatten().collect::<Vec<String>>();
    let mut all = vec![None];
    for domain in ["a", "z"] {
        for namespace in short(3) {
            for account in short(2) {
                all.push(Some(format!("spiffe://{domain}/ns/{namespace}/sa/{account}")));
            }
        }
    }
    all
}

/// A star takes anything.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => {
            let Some(text) = text.strip_prefix(start) else { return false };
            (0..=text.len()).any(|at| glob(rest, &text[at..]))
        }
    }
}

/// `{*}` takes a segment, `{**}` anything; neither takes a bracket.
fn template(pattern: &str, text: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("{**}") {
        let plain = text.find('[').unwrap_or(text.len());
        return (0..=plain).any(|at| template(rest, &text[at..]));
    }
    if let Some(rest) = pattern.strip_prefix("{*}") {
        let plain = text.find(['[', '/']).unwrap_or(text.len());
        return (1..=plain).any(|at| template(rest, &text[at..]));
    }
    match pattern.chars().next() {
        None => text.is_empty(),
        Some(first) => {
            text.strip_prefix(first).is_some_and(|text| template(&pattern[first.len_utf8()..], text))
        }
    }
}

/// Which of the chosen patterns requests pass together, one bit for each, in every way that occurs. The attributes are
/// asked of one value.
pub fn realisable(asked: &[(&Attribute, &str)]) -> BTreeSet<u32> {
    let Some((first, _)) = asked.first() else { return BTreeSet::from([0]) };
    let mut found: BTreeSet<u32> = BTreeSet::new();
    for value in (first.values)() {
        let passed = asked.iter().enumerate().filter(|(_, (attribute, pattern))| {
            value.as_deref().is_some_and(|text| (attribute.takes)(pattern, text))
        });
        found.insert(passed.map(|(at, _)| 1 << at).sum());
    }
    // Several values at a time pass what any of them passes.
    let mut known = 0;
    while first.several && known < found.len() {
        known = found.len();
        found = found.iter().flat_map(|a| found.iter().map(move |b| a | b)).collect();
    }
    found
}
