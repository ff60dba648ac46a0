//! The rows of tests.

/// Rows by test, those of one behind those of the other: most tests have one, and lists of their own would be many.
#[derive(Default)]
pub(super) struct RowLists {
    /// Tests with their rows, as they were met: the rows ascend.
    met: Vec<(u32, u32)>,
    /// Where the rows of each test begin and end.
    places: Vec<(u32, u32)>,
    rows: Vec<u32>,
}

impl RowLists {
    /// A row looks at a test.
    pub fn add(&mut self, test: u32, row: u32) {
        self.met.push((test, row));
    }

    /// Brings the rows of each test together; there are so many tests.
    pub fn group(&mut self, tests: usize) {
        self.places = vec![(0, 0); tests];
        self.rows = vec![0; self.met.len()];
        for (test, _) in &self.met {
            self.places[*test as usize].1 += 1;
        }
        let mut start = 0;
        for place in &mut self.places {
            let count = place.1;
            *place = (start, start);
            start += count;
        }
        for (test, row) in self.met.drain(..) {
            let (start, end) = &mut self.places[test as usize];
            // A list may say the same twice.
            if start == end || self.rows[*end as usize - 1] != row {
                self.rows[*end as usize] = row;
                *end += 1;
            }
        }
    }

    /// The rows of a test.
    pub fn of(&self, test: usize) -> &[u32] {
        self.places.get(test).map_or(&[], |(start, end)| &self.rows[*start as usize..*end as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_has_its_rows_once() {
        let mut lists = RowLists::default();
        for (test, row) in [(1, 0), (0, 0), (1, 3), (1, 3), (3, 4), (0, 7), (1, 7)] {
            lists.add(test, row);
        }
        lists.group(4);
        assert_eq!([0, 1, 2, 3].map(|test| lists.of(test)), [&[0, 7][..], &[0, 3, 7], &[], &[4]]);
        assert!(RowLists::default().of(0).is_empty());
    }
}
