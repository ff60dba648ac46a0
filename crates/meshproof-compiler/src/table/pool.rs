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
    /// How long these are.
    lengths: Vec<usize>,
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

/// The pieces of texts.
struct Pieces<'t> {
    all: Vec<Piece<'t>>,
    /// By text its longest one.
    longest: Vec<Option<usize>>,
}

impl<'t> Pieces<'t> {
    /// `pieces` are those of a text, the longest first: who has one has all shorter ones too, so that a text counts at its
    /// longest one, and from there on to the shorter ones.
    fn of<P>(texts: &[&'t [u8]], pieces: impl Fn(&'t [u8]) -> P) -> Pieces<'t>
    where
        P: Iterator<Item = &'t [u8]>,
    {
        let mut all: Vec<Piece<'t>> = Vec::new();
        let mut known: HashMap<&[u8], usize> = HashMap::with_capacity(texts.len() / 4);
        let mut new: Vec<&[u8]> = Vec::new();
        let mut longest_of: Vec<Option<usize>> = Vec::with_capacity(texts.len());
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
            longest_of.push(longest);
        }
        for at in (0..all.len()).rev() {
            let Piece { count, shorter, .. } = all[at];
            shorter.into_iter().for_each(|shorter| all[shorter].count += count);
        }
        Pieces { all, longest: longest_of }
    }

    /// Those that enough of the texts share, with how many do; those of most texts first.
    fn shared(&self) -> Vec<(&'t [u8], u32)> {
        let shared = self.all.iter().filter(|piece| piece.count >= SHARED);
        let mut shared: Vec<(&[u8], u32)> = shared.map(|piece| (piece.text, piece.count)).collect();
        shared.sort_unstable_by(|(a, many), (b, more)| (more, a).cmp(&(many, b)));
        shared
    }

    /// By text the number of its longest piece that has one, or zero.
    fn numbers(&self, number_of: impl Fn(&Piece<'t>) -> Option<u32>) -> Vec<u32> {
        let mut numbers: Vec<u32> = Vec::with_capacity(self.all.len());
        for piece in &self.all {
            let shorter = || piece.shorter.map(|shorter| numbers[shorter]);
            numbers.push(number_of(piece).or_else(shorter).unwrap_or_default());
        }
        self.longest.iter().map(|longest| longest.map_or(0, |longest| numbers[longest])).collect()
    }
}

/// Numbers the pieces that enough of the texts share; gives the number of the longest one of each text, or zero.
fn learn(
    pieces: &Pieces<'_>,
    numbers: &mut HashMap<Box<[u8]>, u32>,
    (places, lengths): (&mut Vec<u32>, &mut Vec<usize>),
    pool: &mut Pool,
) -> Vec<u32> {
    let is_first = numbers.is_empty();
    for (text, _) in pieces.shared() {
        if !numbers.contains_key(text) {
            places.push(pool.add(text));
            lengths.push(text.len());
            numbers.insert(text.into(), places.len() as u32);
        }
    }
    pieces.numbers(|piece| {
        let may_be_told = piece.count >= SHARED || !is_first;
        may_be_told.then(|| numbers.get(piece.text).copied())?
    })
}

impl Starts {
    pub fn new() -> Starts {
        Starts::default()
    }

    /// Looks for what the texts share; gives the number of the longest start of each, or zero.
    pub fn learn(&mut self, texts: &[&[u8]], pool: &mut Pool) -> Vec<u32> {
        learn(&Pieces::of(texts, starts_of), &mut self.numbers, (&mut self.places, &mut self.lengths), pool)
    }

    /// Looks for what the texts share behind a dot: `.shop.example.com`; gives the number of the longest end of each, or
    /// zero.
    pub fn learn_ends(&mut self, texts: &[&[u8]], pool: &mut Pool) -> Vec<u32> {
        learn(&Pieces::of(texts, ends_of), &mut self.ends, (&mut self.places, &mut self.lengths), pool)
    }

    /// The number of the longest start of the text, and what is left of it.
    pub fn split<'t>(&self, text: &'t [u8]) -> (u32, &'t [u8]) {
        let found = starts_of(text).find_map(|start| Some((*self.numbers.get(start)?, start.len())));
        found.map_or((0, text), |(number, length)| (number, &text[length..]))
    }

    /// What the text shares with others, and what is left of it.
    pub fn share<'t>(&self, text: &'t [u8]) -> Shared<'t> {
        let ends = self.may_share_end(text).then(|| ends_of(text)).into_iter().flatten();
        let found = { ends }.find_map(|end| self.ends.get(end));
        if let Some(number) = found {
            return self.with_end(text, *number);
        }
        let (number, rest) = self.split(text);
        Shared { number, is_end: false, rest }
    }

    fn may_share_end(&self, text: &[u8]) -> bool {
        !self.ends.is_empty() && text.contains(&b'.')
    }

    /// As [`Starts::share`] of a text that was learned from, whose number is known.
    pub fn share_learned<'t>(&self, text: &'t [u8], learned: Learned) -> Shared<'t> {
        match learned {
            Learned::Start(number) if !self.may_share_end(text) => {
                let length = number.checked_sub(1).map_or(0, |at| self.lengths[at as usize]);
                Shared { number, is_end: false, rest: &text[length..] }
            }
            Learned::End(number) if number > 0 => self.with_end(text, number),
            _ => self.share(text),
        }
    }

    fn with_end<'t>(&self, text: &'t [u8], number: u32) -> Shared<'t> {
        let length = self.lengths[number as usize - 1];
        Shared { number, is_end: true, rest: &text[..text.len() - length] }
    }
}

/// What learning found out about a text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Learned {
    /// Nothing was learned from it.
    Nothing,
    /// The number of its longest start, or zero.
    Start(u32),
    /// The number of its longest end, or zero.
    End(u32),
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
        let found: HashMap<&[u8], u32> = Pieces::of(&texts, starts_of).shared().into_iter().collect();
        assert!(found.len() > 10);
        assert_eq!(found, one_by_one);
    }

    #[test]
    fn what_is_learned_of_a_text_is_what_is_found() {
        let mut rng = fastrand::Rng::with_seed(4);
        let mut text = |_| -> String {
            (0..rng.usize(0..6))
                .map(|_| *rng.choice(&["/", "/aa", "bbb/", ".c", ".ddd"]).expect("one"))
                .collect()
        };
        let texts: Vec<String> = (0..400).map(&mut text).collect();
        let (mut starts, mut pool) = (Starts::new(), Pool::new());
        for texts in texts.chunks(200) {
            let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
            let begins = starts.learn(&texts, &mut pool);
            for (text, number) in texts.iter().zip(&begins) {
                assert_eq!(starts.split(text).0, *number);
            }
            let ends = starts.learn_ends(&texts, &mut pool);
            for ((text, start), end) in texts.iter().zip(begins).zip(ends) {
                let expected = starts.share(text);
                assert_eq!(expected.is_end, end > 0);
                for learned in [Learned::Nothing, Learned::Start(start), Learned::End(end)] {
                    let Shared { number, is_end, rest } = starts.share_learned(text, learned);
                    assert_eq!((number, is_end, rest), (expected.number, expected.is_end, expected.rest));
                }
            }
        }
    }
}
