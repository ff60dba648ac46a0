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
/// Longer pieces are not looked for: a text of nothing but slashes would have as many as bytes.
const LONGEST_SHARED: usize = 256;

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
    let inner = &text[..text.len().saturating_sub(SHORTEST)];
    let mut behind = inner.len().saturating_sub(LONGEST_SHARED);
    std::iter::from_fn(move || {
        let dot = behind + inner[behind..].iter().position(|byte| *byte == b'.')?;
        behind = dot + 1;
        Some(&text[dot..])
    })
}

/// The starts of a text that may be shared, the longest first.
fn starts_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut before = text.len().min(LONGEST_SHARED);
    std::iter::from_fn(move || {
        before = text[..before].iter().rposition(|byte| *byte == b'/')?;
        (before + 1 >= SHORTEST).then(|| &text[..=before])
    })
}

/// A piece that texts share.
struct Piece<'t> {
    text: &'t [u8],
    /// How many texts have it.
    count: u32,
    /// The next shorter piece of the same texts, which stands before it.
    shorter: Option<usize>,
}

/// The pieces that enough of the texts share, with how many do. `pieces` are those of a text, the longest first: who has
/// one has all shorter ones too, so that a text counts at its longest one, and from there on to the shorter ones.
fn shared<'t, P>(texts: &[&'t [u8]], pieces: impl Fn(&'t [u8]) -> P) -> Vec<(&'t [u8], u32)>
where
    P: Iterator<Item = &'t [u8]>,
{
    let mut all: Vec<Piece<'t>> = Vec::with_capacity(texts.len());
    let mut known: HashMap<&[u8], usize> = HashMap::with_capacity(texts.len() / 4);
    let mut new: Vec<&[u8]> = Vec::new();
    let mut longest: Option<usize> = None;
    for text in texts {
        // The next text often begins as the one before.
        let last = longest.take();
        for piece in pieces(text) {
            longest = last.filter(|last| all[*last].text == piece).or_else(|| known.get(piece).copied());
            if longest.is_some() {
                break;
            }
            new.push(piece);
        }
        for text in new.drain(..).rev() {
            known.insert(text, all.len());
            all.push(Piece { text, count: 0, shorter: longest });
            longest = Some(all.len() - 1);
        }
        longest.into_iter().for_each(|longest| all[longest].count += 1);
    }
    for at in (0..all.len()).rev() {
        let Piece { count, shorter, .. } = all[at];
        shorter.into_iter().for_each(|shorter| all[shorter].count += count);
    }
    all.into_iter().filter(|piece| piece.count >= SHARED).map(|piece| (piece.text, piece.count)).collect()
}

/// Small numbers for those that occur often.
fn sort_by_use(shared: &mut [(&[u8], u32)]) {
    shared.sort_unstable_by(|(a, many), (b, more)| (more, a).cmp(&(many, b)));
}

impl Starts {
    pub fn new() -> Starts {
        Starts { places: Vec::new(), numbers: HashMap::new(), ends: HashMap::new() }
    }

    /// Looks for what the texts share.
    pub fn learn(&mut self, texts: &[&[u8]], pool: &mut Pool) {
        let mut shared = shared(texts, starts_of);
        shared.retain(|(start, _)| !self.numbers.contains_key(*start));
        sort_by_use(&mut shared);
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
    pub fn learn_ends(&mut self, texts: &[&[u8]], pool: &mut Pool) {
        let mut shared = shared(texts, ends_of);
        sort_by_use(&mut shared);
        for (end, _) in shared {
            self.places.push(pool.add(end));
            self.ends.insert(end.into(), self.places.len() as u32);
        }
    }

    /// What the text shares with others, and what is left of it.
    pub fn share<'t>(&self, text: &'t [u8]) -> Shared<'t> {
        let has_end = !self.ends.is_empty() && text.contains(&b'.');
        let ends = has_end.then(|| ends_of(text)).into_iter().flatten();
        let found = { ends }.find_map(|end| Some((*self.ends.get(end)?, text.len() - end.len())));
        if let Some((number, length)) = found {
            return Shared { number, is_end: true, rest: &text[..length] };
        }
        let (number, rest) = self.split(text);
        Shared { number, is_end: false, rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_counts_for_every_text_that_has_it() {
        let mut rng = fastrand::Rng::with_seed(3);
        let text = |_| -> String {
            (0..rng.usize(0..6)).map(|_| *rng.choice(&["/", "/aa", "bbb/", ".c"]).expect("one")).collect()
        };
        let texts: Vec<String> = (0..400).map(text).collect();
        let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        let mut one_by_one: HashMap<&[u8], u32> = HashMap::new();
        texts
            .iter()
            .flat_map(|text| starts_of(text))
            .for_each(|start| *one_by_one.entry(start).or_default() += 1);
        one_by_one.retain(|_, count| *count >= SHARED);
        let found: HashMap<&[u8], u32> = shared(&texts, starts_of).into_iter().collect();
        assert!(found.len() > 10);
        assert_eq!(found, one_by_one);
    }
}
