//! Records: what a value of an attribute leads to.

use foldhash::{HashMap, HashMapExt};
use meshproof_engine::format::{COMPLETE, DIRECT, OWN_REFUSED, OWN_WANTED, PARENT};

use super::Uncompiled;

/// Sets and tests that belong to one value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Links {
    pub wanted: Vec<u32>,
    pub refused: Vec<u32>,
    pub tests: Vec<u32>,
    /// The first wanting set is that of the text itself.
    pub own_wanted: bool,
    pub own_refused: bool,
}

/// More links than this are not put together; a look-up then goes along shorter texts.
const MOST_LINKS: usize = 24;
/// What one record can hold of each.
pub(super) const MOST_IN_RECORD: usize = 255;

impl Links {
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.refused.is_empty() && self.tests.is_empty()
    }

    /// Adds what others lead to, each thing once.
    pub fn join(&mut self, other: &Links) {
        let lists = [
            (&mut self.wanted, &other.wanted),
            (&mut self.refused, &other.refused),
            (&mut self.tests, &other.tests),
        ];
        for (mine, more) in lists {
            for link in more {
                if !mine.contains(link) {
                    mine.push(*link);
                }
            }
        }
    }

    pub fn len(&self) -> usize {
        self.wanted.len() + self.refused.len() + self.tests.len()
    }

    /// Whether a record may hold them all.
    pub fn is_short(&self) -> bool {
        self.len() <= MOST_LINKS
    }
}

/// The section of records.
#[derive(Default)]
pub(super) struct Records {
    pub numbers: Vec<u32>,
    known: HashMap<(Links, bool, Option<u32>), u32>,
}

impl Records {
    pub fn new() -> Records {
        Records { numbers: Vec::new(), known: HashMap::new() }
    }

    /// The record of the links. `complete`: nothing else of the view can match. `parent`: a record that holds too.
    ///
    /// # Errors
    /// There are too many links of one value.
    pub fn add(&mut self, links: &Links, complete: bool, parent: Option<u32>) -> Result<u32, Uncompiled> {
        if complete
            && links.own_wanted
            && parent.is_none()
            && let ([set], [], []) =
                (links.wanted.as_slice(), links.refused.as_slice(), links.tests.as_slice())
        {
            return Ok(set | DIRECT);
        }
        let key = (links.clone(), complete, parent);
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let lengths = [&links.wanted, &links.refused, &links.tests].map(Vec::len);
        if lengths.iter().any(|length| *length > MOST_IN_RECORD) {
            return Err(Uncompiled::TooLarge);
        }
        let mut head = lengths.iter().rev().fold(0, |head, length| head << 8 | *length as u32);
        for (is_set, flag) in [
            (complete, COMPLETE),
            (links.own_wanted, OWN_WANTED),
            (links.own_refused, OWN_REFUSED),
            (parent.is_some(), PARENT),
        ] {
            head |= if is_set { flag } else { 0 };
        }
        let at = u32::try_from(self.numbers.len())
            .ok()
            .filter(|at| at & DIRECT == 0)
            .ok_or(Uncompiled::TooLarge)?;
        self.numbers.push(head);
        self.numbers.extend(links.wanted.iter().chain(&links.refused).chain(&links.tests).chain(&parent));
        self.known.insert(key, at);
        Ok(at)
    }
}
