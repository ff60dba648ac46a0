//! Sets of small numbers, as bits.

/// A set of numbers below a bound that all sets of one kind share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bits(Box<[u64]>);

impl Bits {
    pub fn none(bound: usize) -> Bits {
        Bits(vec![0; bound.div_ceil(64)].into())
    }

    pub fn all(bound: usize) -> Bits {
        let mut bits = Bits(vec![u64::MAX; bound.div_ceil(64)].into());
        if let Some(last) = bits.0.last_mut()
            && !bound.is_multiple_of(64)
        {
            *last = (1 << (bound % 64)) - 1;
        }
        bits
    }

    pub fn insert(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    pub fn remove(&mut self, at: usize) {
        self.0[at / 64] &= !(1 << (at % 64));
    }

    pub fn contains(&self, at: usize) -> bool {
        self.0[at / 64] & (1 << (at % 64)) != 0
    }

    pub fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    pub fn keep(&mut self, other: &Bits) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= other;
        }
    }

    pub fn and(&self, other: &Bits) -> Bits {
        Bits(self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect())
    }

    pub fn or(&self, other: &Bits) -> Bits {
        Bits(self.0.iter().zip(&other.0).map(|(a, b)| a | b).collect())
    }

    pub fn without(&self, other: &Bits) -> Bits {
        Bits(self.0.iter().zip(&other.0).map(|(a, b)| a & !b).collect())
    }

    /// How many numbers are in both.
    pub fn shared(&self, other: &Bits) -> usize {
        self.0.iter().zip(&other.0).map(|(a, b)| (a & b).count_ones() as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The first number that is in both.
    pub fn first_shared(&self, other: &Bits) -> Option<usize> {
        let shared = self.0.iter().zip(&other.0).map(|(a, b)| a & b);
        let mut found = shared.enumerate().filter(|(_, word)| *word != 0);
        found.next().map(|(at, word)| at * 64 + word.trailing_zeros() as usize)
    }

    pub fn meets(&self, other: &Bits) -> bool {
        // Several words at a time, which the compiler turns into wide instructions.
        let pairs = self.0.chunks(8).zip(other.0.chunks(8));
        let any = |(a, b): (&[u64], &[u64])| a.iter().zip(b).fold(0, |all, (a, b)| all | (a & b)) != 0;
        pairs.into_iter().any(any)
    }

    pub fn is_subset(&self, other: &Bits) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a & !b == 0)
    }

    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
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
