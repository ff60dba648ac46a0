//! The texts of a table: names, and starts that other texts share.

use foldhash::{HashMap, HashMapExt};

use super::numbers::put_number;

/// Names, each once behind its length.
#[derive(Default)]
pub(super) struct Pool {
    pub bytes: Vec<u8>,
    known: HashMap<Box<[u8]>, u32>,
}

impl Pool {
    pub fn new() -> Pool {
        Pool { bytes: Vec::new(), known: HashMap::new() }
    }

    /// The place of a text.
    pub fn add(&mut self, text: &[u8]) -> u32 {
        if let Some(place) = self.known.get(text) {
            return *place;
        }
        let place = self.bytes.len() as u32;
        put_number(&mut self.bytes, text.len() as u32);
        self.bytes.extend_from_slice(text);
        self.known.insert(text.into(), place);
        place
    }
}

/// So many texts have to share a start for it to be told once, and so long has it to be.
const SHARED: u32 = 6;
const SHORTEST: usize = 4;

/// Starts that texts share, up to a slash: `cluster.local/ns/shop/sa/`, `/api/v1/`. They are told once.
#[derive(Default)]
pub(super) struct Starts {
    /// By number from one on, as places in the pool.
    pub places: Vec<u32>,
    numbers: HashMap<Box<[u8]>, u32>,
    ends: HashMap<Box<[u8]>, u32>,
}

/// A text in two pieces.
pub(super) struct Shared<'t> {
    /// The piece that others have too; zero for none.
    pub number: u32,
    /// It stands at the end.
    pub is_end: bool,
    pub rest: &'t [u8],
}

/// The ends of a text that may be shared, the longest first.
fn ends_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts = (0..text.len().saturating_sub(SHORTEST)).filter(|start| text[*start..].starts_with(b"."));
    starts.map(|start| &text[start..])
}

/// The starts of a text that may be shared, the longest first.
fn starts_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = (SHORTEST..=text.len()).rev().filter(|end| text[end - 1..].starts_with(b"/"));
    ends.map(|end| &text[..end])
}

impl Starts {
    pub fn new() -> Starts {
        Starts { places: Vec::new(), numbers: HashMap::new(), ends: HashMap::new() }
    }

    /// Looks for what the texts share.
    pub fn learn<'t>(&mut self, texts: impl Iterator<Item = &'t [u8]>, pool: &mut Pool) {
        let mut counts: HashMap<&[u8], u32> = HashMap::new();
        for start in texts.flat_map(starts_of) {
            *counts.entry(start).or_default() += 1;
        }
        let mut shared: Vec<(&[u8], u32)> = counts
            .into_iter()
            .filter(|(start, count)| *count >= SHARED && !self.numbers.contains_key(*start))
            .collect();
        // Small numbers for those that occur often.
        shared.sort_unstable_by(|(a, many), (b, more)| (more, a).cmp(&(many, b)));
        for (start, _) in shared {
            self.places.push(pool.add(start));
            self.numbers.insert(start.into(), self.places.len() as u32);
        }
    }

    /// The number of the longest start of the text, and what is left of it.
    pub fn split<'t>(&self, text: &'t [u8]) -> (u32, &'t [u8]) {
        let found = starts_of(text).find_map(|start| Some((*self.numbers.get(start)?, start.len())));
        found.map_or((0, text), |(number, length)| (number, &text[length..]))
    }

    /// Looks for what the texts share behind a dot: `.shop.example.com`.
    pub fn learn_ends<'t>(&mut self, texts: impl Iterator<Item = &'t [u8]>, pool: &mut Pool) {
        let mut counts: HashMap<&[u8], u32> = HashMap::new();
        for end in texts.flat_map(ends_of) {
            *counts.entry(end).or_default() += 1;
        }
        let mut shared: Vec<(&[u8], u32)> =
            counts.into_iter().filter(|(_, count)| *count >= SHARED).collect();
        shared.sort_unstable_by(|(a, many), (b, more)| (more, a).cmp(&(many, b)));
        for (end, _) in shared {
            self.places.push(pool.add(end));
            self.ends.insert(end.into(), self.places.len() as u32);
        }
    }

    /// What the text shares with others, and what is left of it.
    pub fn share<'t>(&self, text: &'t [u8]) -> Shared<'t> {
        let found = ends_of(text).find_map(|end| Some((*self.ends.get(end)?, text.len() - end.len())));
        if let Some((number, length)) = found {
            return Shared { number, is_end: true, rest: &text[..length] };
        }
        let (number, rest) = self.split(text);
        Shared { number, is_end: false, rest }
    }

    /// Writes a text.
    pub fn put(&self, to: &mut Vec<u8>, text: &[u8]) {
        let (number, rest) = self.split(text);
        put_number(to, number);
        put_number(to, rest.len() as u32);
        to.extend_from_slice(rest);
    }
}
