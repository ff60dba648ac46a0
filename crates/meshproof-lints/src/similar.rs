//! "Did you mean": names near to a written one.

/// A set of names that answers which one is nearest. Looking up costs one cheap test per name; only names that can be
/// near enough are compared letter by letter.
#[derive(Debug, Default)]
pub(crate) struct Names<'a> {
    names: Vec<(&'a str, u64)>,
}

/// Names looked at per question, so that a namespace with very many names costs no more than a bounded effort.
const LOOKED_AT: usize = 20_000;

impl<'a> Names<'a> {
    /// Adds a name.
    pub(crate) fn push(&mut self, name: &'a str) {
        self.names.push((name, letters(name)));
    }

    /// The name nearest to `written`, when one is near enough to be a slip of the keyboard. Equal names do not count.
    pub(crate) fn nearest(&self, written: &str) -> Option<&'a str> {
        let limit = allowed_distance(written);
        if limit == 0 {
            return None;
        }
        let mask = letters(written);
        // Each edit adds or removes at most two kinds of letters.
        let likely = |(name, letters): &&(&'a str, u64)| {
            name.len().abs_diff(written.len()) <= limit
                && (letters ^ mask).count_ones() as usize <= 2 * limit
                && *name != written
        };
        let candidates = || self.names.iter().take(LOOKED_AT).filter(likely).map(|(name, _)| *name);
        // Most slips are one letter, which is cheap to see.
        if let Some(name) = candidates().find(|name| one_edit_apart(name.as_bytes(), written.as_bytes())) {
            return Some(name);
        }
        let near = |name: &&str| limit > 1 && strsim::osa_distance(name, written) <= limit;
        candidates().find(near)
    }
}

/// One letter more, less or different, or two neighbours swapped.
fn one_edit_apart(one: &[u8], other: &[u8]) -> bool {
    let before = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[before..], &other[before..]);
    let after = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[..one.len() - after], &other[..other.len() - after]);
    match (one, other) {
        ([a, b], [c, d]) => a == d && b == c,
        _ => one.len().max(other.len()) == 1,
    }
}

/// How many letters may differ: short names are near to everything.
pub(crate) fn allowed_distance(written: &str) -> usize {
    match written.len() {
        0..=2 => 0,
        3..=5 => 1,
        6..=200 => 2,
        _ => 0,
    }
}

fn letters(name: &str) -> u64 {
    name.bytes().fold(0, |mask, byte| mask | 1 << (byte & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_a_different_word_does_not() {
        let mut names = Names::default();
        for name in ["frontend", "backend", "db"] {
            names.push(name);
        }
        assert_eq!(names.nearest("frontnd"), Some("frontend"));
        assert_eq!(names.nearest("frotnend"), Some("frontend"));
        assert_eq!(names.nearest("frontend"), None);
        assert_eq!(names.nearest("database"), None);
        assert_eq!(names.nearest("frontned"), Some("frontend"));
        assert_eq!(names.nearest("frntnd"), Some("frontend"));
        assert_eq!(names.nearest("backends"), Some("backend"));
        assert_eq!(names.nearest("dc"), None);
    }
}
