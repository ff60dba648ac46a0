//! A text in pieces, looked at without putting it together.

/// At most three pieces.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pieces<'t>(pub [&'t [u8]; 3]);

impl<'t> Pieces<'t> {
    pub fn len(&self) -> usize {
        self.0.iter().map(|piece| piece.len()).sum()
    }

    fn byte(&self, at: usize) -> Option<u8> {
        let mut at = at;
        for piece in self.0 {
            match piece.get(at) {
                Some(byte) => return Some(*byte),
                None => at -= piece.len(),
            }
        }
        None
    }

    /// The bytes from one place up to another, eight at most; nothing where they leave the text.
    pub fn some(&self, from: usize, end: usize) -> Option<([u8; 8], usize)> {
        let mut bytes = [0; 8];
        let count = end.checked_sub(from).filter(|count| *count <= bytes.len())?;
        for (at, to) in bytes.iter_mut().enumerate().take(count) {
            *to = self.byte(from.checked_add(at)?)?;
        }
        Some((bytes, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_pieces_are_those_of_the_whole() {
        let pieces = Pieces([b"spiffe://", b"", b"td/ns/a"]);
        let whole = pieces.0.concat();
        assert_eq!(pieces.len(), whole.len());
        for from in 0..=whole.len() {
            for end in from..=whole.len() {
                let part = pieces.some(from, end).map(|(bytes, count)| bytes[..count].to_vec());
                assert_eq!(part, (end - from <= 8).then(|| whole[from..end].to_vec()));
            }
        }
        assert_eq!(pieces.some(whole.len(), whole.len() + 1), None);
        assert_eq!(pieces.some(2, 1), None);
    }
}
