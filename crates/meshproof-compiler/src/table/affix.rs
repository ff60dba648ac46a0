//! Which starts or ends of a text may be among many.

/// The lengths of prefixes or of suffixes.
pub(super) struct AffixLengths {
    /// Ascending, each with a bit for the two bytes at the inner border of every text of that length.
    lengths: Vec<(usize, u64)>,
}

/// The bit of the two bytes up to which a prefix reaches, or from which on a suffix does.
fn bit(affix: &[u8], is_suffix: bool) -> u64 {
    let [outer, inner] = match affix {
        [first, second, ..] if is_suffix => [*first, *second],
        [.., second, last] => [*last, *second],
        [one] => [*one, 0],
        [] => [0, 0],
    };
    1 << (outer.wrapping_mul(7).wrapping_add(inner) & 63)
}

impl AffixLengths {
    pub fn new<'t>(affixes: impl Iterator<Item = &'t [u8]>, is_suffix: bool) -> AffixLengths {
        let mut lengths: Vec<(usize, u64)> =
            affixes.map(|affix| (affix.len(), bit(affix, is_suffix))).collect();
        lengths.sort_unstable();
        lengths.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            kept.1 |= if is_same { next.1 } else { 0 };
            is_same
        });
        AffixLengths { lengths }
    }

    /// The lengths, ascending.
    pub fn lengths(&self) -> Vec<usize> {
        self.lengths.iter().map(|(length, _)| *length).collect()
    }

    /// The parts of a text that may be one, the shortest first.
    pub fn parts<'t>(&self, text: &'t [u8], is_suffix: bool) -> impl Iterator<Item = &'t [u8]> {
        let inner = self.lengths.iter().take_while(|(length, _)| *length <= text.len());
        inner.filter_map(move |(length, bits)| {
            let part = if is_suffix { &text[text.len() - length..] } else { &text[..*length] };
            (bits & bit(part, is_suffix) != 0).then_some(part)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_affix_is_passed_over() {
        let mut rng = fastrand::Rng::with_seed(5);
        let mut text = |most| -> Vec<u8> { (0..rng.usize(0..most)).map(|_| rng.u8(b'a'..b'e')).collect() };
        let affixes: Vec<Vec<u8>> = (0..60).map(|_| text(6)).collect();
        for is_suffix in [false, true] {
            let lengths = AffixLengths::new(affixes.iter().map(Vec::as_slice), is_suffix);
            let (mut told, mut possible) = (0, 0);
            for _ in 0..200 {
                let text = text(9);
                let parts: Vec<&[u8]> = lengths.parts(&text, is_suffix).collect();
                let is_affix = |affix: &Vec<u8>| {
                    if is_suffix { text.ends_with(affix) } else { text.starts_with(affix) }
                };
                assert!(
                    affixes
                        .iter()
                        .filter(|affix| is_affix(affix))
                        .all(|affix| parts.contains(&affix.as_slice()))
                );
                (told, possible) = (told + parts.len(), possible + lengths.lengths().len());
            }
            assert!(told < possible);
        }
    }
}
