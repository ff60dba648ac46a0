//! Sets of small numbers, as bits.

/// A set of numbers below a bound that all sets of one kind share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bits {
    /// Below 65.
    Few([u64; 1]),
    Many(Box<[u64]>),
}

impl Bits {
    fn of(bound: usize, word: u64) -> Bits {
        match bound.div_ceil(64) {
            1 => Bits::Few([word]),
            words => Bits::Many(vec![word; words].into()),
        }
    }

    pub fn none(bound: usize) -> Bits {
        Bits::of(bound, 0)
    }

    pub fn all(bound: usize) -> Bits {
        let mut bits = Bits::of(bound, u64::MAX);
        if let Some(last) = bits.words_mut().last_mut()
            && !bound.is_multiple_of(64)
        {
            *last = (1 << (bound % 64)) - 1;
        }
        bits
    }

    fn words(&self) -> &[u64] {
        match self {
            Bits::Few(words) => words,
            Bits::Many(words) => words,
        }
    }

    fn words_mut(&mut self) -> &mut [u64] {
        match self {
            Bits::Few(words) => words,
            Bits::Many(words) => words,
        }
    }

    fn joined(&self, other: &Bits, join: impl Fn(u64, u64) -> u64) -> Bits {
        match (self, other) {
            (Bits::Few([a]), Bits::Few([b])) => Bits::Few([join(*a, *b)]),
            _ => Bits::Many(self.words().iter().zip(other.words()).map(|(a, b)| join(*a, *b)).collect()),
        }
    }

    pub fn insert(&mut self, at: usize) {
        self.words_mut()[at / 64] |= 1 << (at % 64);
    }

    pub fn remove(&mut self, at: usize) {
        self.words_mut()[at / 64] &= !(1 << (at % 64));
    }

    pub fn contains(&self, at: usize) -> bool {
        self.words()[at / 64] & (1 << (at % 64)) != 0
    }

    pub fn len(&self) -> u32 {
        self.words().iter().map(|word| word.count_ones()).sum()
    }

    pub fn keep(&mut self, other: &Bits) {
        for (word, other) in self.words_mut().iter_mut().zip(other.words()) {
            *word &= other;
        }
    }

    pub fn and(&self, other: &Bits) -> Bits {
        self.joined(other, |a, b| a & b)
    }

    pub fn or(&self, other: &Bits) -> Bits {
        self.joined(other, |a, b| a | b)
    }

    pub fn without(&self, other: &Bits) -> Bits {
        self.joined(other, |a, b| a & !b)
    }

    /// How many numbers are in both.
    pub fn shared(&self, other: &Bits) -> usize {
        self.words().iter().zip(other.words()).map(|(a, b)| (a & b).count_ones() as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.words().iter().all(|word| *word == 0)
    }

    /// The first number that is in both.
    pub fn first_shared(&self, other: &Bits) -> Option<usize> {
        let shared = self.words().iter().zip(other.words()).map(|(a, b)| a & b);
        let mut found = shared.enumerate().filter(|(_, word)| *word != 0);
        found.next().map(|(at, word)| at * 64 + word.trailing_zeros() as usize)
    }

    pub fn meets(&self, other: &Bits) -> bool {
        // Several words at a time, which the compiler turns into wide instructions.
        let pairs = self.words().chunks(8).zip(other.words().chunks(8));
        let any = |(a, b): (&[u64], &[u64])| a.iter().zip(b).fold(0, |all, (a, b)| all | (a & b)) != 0;
        pairs.into_iter().any(any)
    }

    pub fn is_subset(&self, other: &Bits) -> bool {
        self.words().iter().zip(other.words()).all(|(a, b)| a & !b == 0)
    }

    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words().iter().enumerate().flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                (rest != 0).then(|| {
                    rest &= rest - 1;
                    at * 64 + bit as usize
                })
            })
        })
    }
}
