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
        let mut best: Option<(usize, &'a str)> = None;
        for (name, letters) in self.names.iter().take(LOOKED_AT) {
            // Each edit adds or removes at most two kinds of letters.
            if name.len().abs_diff(written.len()) > limit
                || (letters ^ mask).count_ones() as usize > 2 * limit
            {
                continue;
            }
            let distance = strsim::osa_distance(name, written);
            if distance > 0 && distance <= limit && best.is_none_or(|(nearest, _)| distance < nearest) {
                best = Some((distance, name));
            }
        }
        best.map(|(_, name)| name)
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
        assert_eq!(names.nearest("dc"), None);
    }
}
