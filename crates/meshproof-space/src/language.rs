//! Tests that are more than a prefix or a suffix, as sequences of characters and repetitions, and a search through
//! texts that reads several of them at once.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;

use foldhash::{HashMap, HashMapExt};

use crate::alphabet::Bytes;

/// One step of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Atom {
    /// One character of the set.
    One(Bytes),
    /// Any number of them, none included.
    Many(Bytes),
    /// Here starts what is repeated as a whole; so many steps further it has ended.
    Open(usize),
    /// Here it ends; so many steps back it starts again.
    Close(usize),
}

/// The texts that one of the sequences takes from start to end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Language {
    pub sequences: Vec<Vec<Atom>>,
}

impl Language {
    pub fn of(atoms: Vec<Atom>) -> Language {
        Language { sequences: vec![atoms] }
    }

    pub fn or(mut self, atoms: Vec<Atom>) -> Language {
        self.sequences.push(atoms);
        self
    }

    pub fn matches(&self, text: &str) -> bool {
        self.sequences.iter().any(|atoms| takes(atoms, text.as_bytes()))
    }

    /// Characters that it asks for one by one.
    pub fn letters(&self) -> String {
        let ones = self.sequences.iter().flatten().filter_map(|atom| match atom {
            Atom::One(bytes) => bytes.only(),
            _ => None,
        });
        ones.map(char::from).collect()
    }

    /// The characters with which every text starts.
    pub fn start(&self) -> Vec<Bytes> {
        let [atoms] = self.sequences.as_slice() else { return Vec::new() };
        let ones = atoms.iter().map_while(|atom| match atom {
            Atom::One(bytes) => Some(*bytes),
            _ => None,
        });
        ones.collect()
    }
}

/// The characters of a text, each a step.
pub(crate) fn literal(text: &str) -> impl Iterator<Item = Atom> {
    text.bytes().map(|byte| Atom::One(Bytes::one(byte)))
}

/// As [`literal`], in any case.
pub(crate) fn any_case(text: &str) -> impl Iterator<Item = Atom> {
    text.bytes().map(|byte| Atom::One(Bytes::one(byte.to_ascii_lowercase()).with(byte.to_ascii_uppercase())))
}

/// Whether the sequence takes the whole text: the set of places where it may stand, character by character.
fn takes(atoms: &[Atom], text: &[u8]) -> bool {
    // The end is a place too.
    if atoms.len() < 128 { takes_few(atoms, text) } else { takes_many(atoms, text) }
}

fn takes_many(atoms: &[Atom], text: &[u8]) -> bool {
    let mut places = vec![false; atoms.len() + 1];
    places[0] = true;
    settle(atoms, &mut places);
    for byte in text {
        let mut next = vec![false; atoms.len() + 1];
        let mut alive = false;
        for (at, atom) in atoms.iter().enumerate().filter(|(at, _)| places[*at]) {
            match atom {
                Atom::One(bytes) if bytes.has(*byte) => (next[at + 1], alive) = (true, true),
                Atom::Many(bytes) if bytes.has(*byte) => (next[at], alive) = (true, true),
                _ => {}
            }
        }
        if !alive {
            return false;
        }
        settle(atoms, &mut next);
        places = next;
    }
    places[atoms.len()]
}

/// The same with the places as bits.
fn takes_few(atoms: &[Atom], text: &[u8]) -> bool {
    let place = |at: usize| 1u128 << at;
    // As `settle`.
    let settled = |mut places: u128| {
        let mut open = places;
        while open != 0 {
            let at = open.trailing_zeros() as usize;
            open &= open - 1;
            let next = match atoms.get(at) {
                Some(Atom::Many(_)) => place(at + 1),
                Some(Atom::Open(ahead)) => place(at + 1) | place(at + ahead),
                Some(Atom::Close(back)) => place(at + 1) | at.checked_sub(*back).map_or(0, place),
                Some(Atom::One(_)) | None => 0,
            };
            open |= next & !places;
            places |= next;
        }
        places
    };
    let mut places: u128 = settled(1);
    for byte in text {
        let (mut next, mut rest) = (0u128, places);
        while rest != 0 {
            let at = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            match atoms.get(at) {
                Some(Atom::One(bytes)) if bytes.has(*byte) => next |= place(at + 1),
                Some(Atom::Many(bytes)) if bytes.has(*byte) => next |= place(at),
                _ => {}
            }
        }
        if next == 0 {
            return false;
        }
        places = settled(next);
    }
    places & place(atoms.len()) != 0
}

/// A repetition may be passed over, and what is repeated as a whole may start again.
fn settle(atoms: &[Atom], places: &mut [bool]) {
    let mut open: Vec<usize> = (0..places.len()).filter(|at| places[*at]).collect();
    while let Some(at) = open.pop() {
        let (next, far) = match atoms.get(at) {
            Some(Atom::Many(_)) => (Some(at + 1), None),
            Some(Atom::Open(ahead)) => (Some(at + 1), Some(at + ahead)),
            Some(Atom::Close(back)) => (Some(at + 1), at.checked_sub(*back)),
            Some(Atom::One(_)) | None => (None, None),
        };
        for place in next.into_iter().chain(far) {
            if !std::mem::replace(&mut places[place], true) {
                open.push(place);
            }
        }
    }
}

/// What a search through texts asks of the languages it reads.
pub(crate) struct Reading<'a> {
    /// The languages.
    pub languages: &'a [&'a Language],
    /// Of each of these groups one language has to take the text.
    pub wanted: &'a [Vec<usize>],
    /// None of these may take it.
    pub refused: &'a [usize],
    /// The characters that texts are made of.
    pub alphabet: Bytes,
    /// The character to prefer where several do the same.
    pub filler: u8,
    /// How many states may be looked at.
    pub limit: usize,
}

/// A shortest text for every set of languages that take one text together: what is wanted, and nothing refused.
/// Nothing when the limit was hit.
pub(crate) fn texts(reading: &Reading<'_>) -> Option<Vec<String>> {
    let machine = Machine::new(reading);
    let mut search = Search { machine: &machine, reading, known: HashMap::new(), states: Vec::new() };
    let mut found: HashMap<Vec<u64>, usize> = HashMap::new();
    let mut order = Vec::new();
    let mut waiting = VecDeque::new();
    let mut start = machine.start.clone();
    machine.settle(&mut start);
    waiting.extend(search.add(start, 0, 0));
    while let Some(at) = waiting.pop_front() {
        if search.states.len() > reading.limit {
            return None;
        }
        let taken = machine.taken(&search.states[at].places);
        if is_wanted(&taken, reading)
            && let Entry::Vacant(entry) = found.entry(taken)
        {
            entry.insert(at);
            order.push(at);
        }
        for (class, byte) in machine.classes.iter().enumerate() {
            let next = machine.step(&search.states[at].places, class);
            waiting.extend(search.add(next, at, *byte));
        }
    }
    Some(order.into_iter().map(|at| search.text(at)).collect())
}

fn is_wanted(taken: &[u64], reading: &Reading<'_>) -> bool {
    let takes = |language: &usize| taken[language / 64] & (1 << (language % 64)) != 0;
    reading.wanted.iter().all(|group| group.iter().any(takes)) && !reading.refused.iter().any(takes)
}

/// Where every sequence stands, one bit per place.
type Places = Vec<u64>;

/// All sequences side by side.
struct Machine {
    words: usize,
    start: Places,
    /// Places that need no character to go on: those with a repetition.
    many: Places,
    /// From the start of what is repeated as a whole to behind its end, and from its end back.
    jumps: Vec<(usize, usize)>,
    /// Per class of characters: places that a character moves on, and places that it keeps.
    moves: Vec<(Places, Places)>,
    /// A character of each class.
    classes: Vec<u8>,
    /// The last place of every sequence, with its language.
    ends: Vec<(usize, usize)>,
    /// Per language its places.
    of_language: Vec<Places>,
}

impl Machine {
    fn new(reading: &Reading<'_>) -> Machine {
        let sequences: Vec<(usize, &[Atom])> = reading
            .languages
            .iter()
            .enumerate()
            .flat_map(|(at, language)| language.sequences.iter().map(move |atoms| (at, atoms.as_slice())))
            .collect();
        let places: usize = sequences.iter().map(|(_, atoms)| atoms.len() + 1).sum();
        let words = places.div_ceil(64).max(1);
        let mut machine = Machine {
            words,
            start: vec![0; words],
            many: vec![0; words],
            jumps: Vec::new(),
            moves: Vec::new(),
            classes: Vec::new(),
            ends: Vec::new(),
            of_language: vec![vec![0; words]; reading.languages.len()],
        };
        let mut steps: Vec<(usize, Atom)> = Vec::new();
        let mut base = 0;
        for (language, atoms) in sequences {
            set(&mut machine.start, base);
            for (at, atom) in atoms.iter().enumerate() {
                if !matches!(atom, Atom::One(_)) {
                    set(&mut machine.many, base + at);
                }
                match atom {
                    Atom::Open(ahead) => machine.jumps.push((base + at, base + at + ahead)),
                    Atom::Close(back) => machine.jumps.push((base + at, base + at - back)),
                    Atom::One(_) | Atom::Many(_) => {}
                }
                steps.push((base + at, *atom));
            }
            (base..=base + atoms.len()).for_each(|place| set(&mut machine.of_language[language], place));
            machine.ends.push((base + atoms.len(), language));
            base += atoms.len() + 1;
        }
        machine.classify(&steps, reading);
        machine
    }

    /// Characters that move the same places are one class.
    fn classify(&mut self, steps: &[(usize, Atom)], reading: &Reading<'_>) {
        let mut known: HashMap<(Places, Places), usize> = HashMap::new();
        let preferred = std::iter::once(reading.filler).chain(b'a'..=b'z').chain(0..=255u8);
        for byte in preferred.filter(|byte| reading.alphabet.has(*byte)) {
            let mut moves = (vec![0; self.words], vec![0; self.words]);
            for (place, atom) in steps {
                match atom {
                    Atom::One(bytes) if bytes.has(byte) => set(&mut moves.0, *place),
                    Atom::Many(bytes) if bytes.has(byte) => set(&mut moves.1, *place),
                    _ => {}
                }
            }
            if let Entry::Vacant(entry) = known.entry(moves.clone()) {
                entry.insert(self.classes.len());
                self.classes.push(byte);
                self.moves.push(moves);
            }
        }
    }

    fn step(&self, places: &Places, class: usize) -> Places {
        let (on, stay) = &self.moves[class];
        let mut next = vec![0; self.words];
        let mut carry = 0;
        for at in 0..self.words {
            let moved = places[at] & on[at];
            next[at] = (moved << 1) | carry | (places[at] & stay[at]);
            carry = moved >> 63;
        }
        self.settle(&mut next);
        next
    }

    fn settle(&self, places: &mut Places) {
        loop {
            let mut carry = 0;
            let mut changed = false;
            for (word, many) in places.iter_mut().zip(&self.many) {
                let passed = *word & many;
                let next = *word | (passed << 1) | carry;
                carry = passed >> 63;
                changed |= next != *word;
                *word = next;
            }
            for (from, to) in &self.jumps {
                if has(places, *from) && !has(places, *to) {
                    set(places, *to);
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// The languages that take the text so far, one bit each.
    fn taken(&self, places: &Places) -> Vec<u64> {
        let mut taken = vec![0; self.of_language.len().div_ceil(64).max(1)];
        for (end, language) in &self.ends {
            if has(places, *end) {
                set(&mut taken, *language);
            }
        }
        taken
    }
}

fn has(bits: &[u64], at: usize) -> bool {
    bits[at / 64] & (1 << (at % 64)) != 0
}

fn set(bits: &mut [u64], at: usize) {
    bits[at / 64] |= 1 << (at % 64);
}

struct State {
    places: Places,
    from: usize,
    byte: u8,
}

struct Search<'a> {
    machine: &'a Machine,
    reading: &'a Reading<'a>,
    known: HashMap<Places, ()>,
    states: Vec<State>,
}

impl Search<'_> {
    /// Keeps the state when it is new and can still lead to what is wanted.
    fn add(&mut self, places: Places, from: usize, byte: u8) -> Option<usize> {
        let lives = |language: &usize| {
            self.machine.of_language[*language].iter().zip(&places).any(|(a, b)| a & b != 0)
        };
        if !self.reading.wanted.iter().all(|group| group.iter().any(lives)) {
            return None;
        }
        if self.known.insert(places.clone(), ()).is_some() {
            return None;
        }
        self.states.push(State { places, from, byte });
        Some(self.states.len() - 1)
    }

    fn text(&self, mut at: usize) -> String {
        let mut bytes = Vec::new();
        while at != 0 {
            bytes.push(self.states[at].byte);
            at = self.states[at].from;
        }
        bytes.reverse();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    fn atoms(rng: &mut Rng) -> Vec<Atom> {
        let set = |rng: &mut Rng| Bytes::of(rng.choice([&b"a"[..], b"b", b"ab"]).unwrap_or(b"a"));
        let mut atoms: Vec<Atom> = (0..rng.usize(0..5))
            .map(|_| if rng.bool() { Atom::One(set(rng)) } else { Atom::Many(set(rng)) })
            .collect();
        if rng.bool() {
            // What is repeated as a whole stands between its ends.
            let inside = atoms.len();
            atoms.insert(0, Atom::Open(inside + 2));
            atoms.push(Atom::Close(inside + 1));
        }
        atoms
    }

    #[test]
    fn places_as_bits_are_the_same_places() {
        let mut rng = Rng::with_seed(7);
        let mut taken = 0;
        for _ in 0..20_000 {
            let atoms = atoms(&mut rng);
            let text: Vec<u8> = (0..rng.usize(0..7)).map(|_| if rng.bool() { b'a' } else { b'b' }).collect();
            assert_eq!(takes_few(&atoms, &text), takes_many(&atoms, &text), "{atoms:?} {text:?}");
            taken += usize::from(takes_few(&atoms, &text));
        }
        assert!(taken > 1000, "{taken}");
    }
}
