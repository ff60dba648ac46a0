//! Entries: texts with what they lead to.

use foldhash::{HashMap, HashMapExt};
use meshproof_engine::format::{
    ALIAS, COMPLETE, COUNTED, MANY_COUNTS, MARKER, OWN_REFUSED, OWN_WANTED, PARENT,
};

use super::Uncompiled;
use super::numbers::put_number;
use super::pool::Starts;
use super::set::{SetId, SetStore};
use super::view::Placed;

/// Sets and tests that belong to one value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Links {
    pub wanted: Vec<SetId>,
    pub refused: Vec<SetId>,
    /// By their places.
    pub tests: Vec<u32>,
    /// The first wanting set is that of the text itself.
    pub own_wanted: bool,
    pub own_refused: bool,
}

/// More links than this are not put together; a look-up then goes along shorter texts.
const MOST_LINKS: usize = 24;

impl Links {
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.refused.is_empty() && self.tests.is_empty()
    }

    /// Becomes empty, and keeps its room.
    pub fn clear(&mut self) {
        self.wanted.clear();
        self.refused.clear();
        self.tests.clear();
        (self.own_wanted, self.own_refused) = (false, false);
    }

    /// Adds what a test leads to: the test itself where it is asked, else its rows.
    pub fn add(&mut self, placed: Placed, verify: bool) {
        if verify {
            self.tests.extend(placed.test);
            return;
        }
        self.own_wanted |= placed.wanted.is_some();
        self.own_refused |= placed.refused.is_some();
        self.wanted.extend(placed.wanted);
        self.refused.extend(placed.refused);
    }

    /// Becomes what the other is, in the room that it has.
    pub fn copy(&mut self, other: &Links) {
        let Links { wanted, refused, tests, own_wanted, own_refused } = other;
        self.wanted.clone_from(wanted);
        self.refused.clone_from(refused);
        self.tests.clone_from(tests);
        (self.own_wanted, self.own_refused) = (*own_wanted, *own_refused);
    }

    /// Adds what others lead to, each thing once.
    pub fn join(&mut self, other: &Links) {
        let sets = [(&mut self.wanted, &other.wanted), (&mut self.refused, &other.refused)];
        for (mine, more) in sets {
            for link in more {
                if !mine.contains(link) {
                    mine.push(*link);
                }
            }
        }
        for test in &other.tests {
            if !self.tests.contains(test) {
                self.tests.push(*test);
            }
        }
    }

    pub fn len(&self) -> usize {
        self.wanted.len() + self.refused.len() + self.tests.len()
    }

    /// Whether an entry may hold them all.
    pub fn is_short(&self) -> bool {
        self.len() <= MOST_LINKS
    }
}

/// Writes how many sets and tests follow, in a byte if they are few.
fn put_counts(to: &mut Vec<u8>, counts: [usize; 3]) {
    let [wanted, refused, tests] = counts;
    if wanted < 15 && refused < 4 && tests < 4 {
        to.push((wanted | refused << 4 | tests << 6) as u8);
    } else {
        to.push(MANY_COUNTS);
        counts.iter().for_each(|count| put_number(to, *count as u32));
    }
}

/// The section of entries.
pub(super) struct Entries {
    pub bytes: Vec<u8>,
    pub starts: Starts,
    /// The start that the last text shared, with its number.
    last: (Vec<u8>, u32),
    /// Entries without a text.
    known: HashMap<Links, u32>,
}

impl Entries {
    pub fn new() -> Entries {
        // The first byte belongs to none.
        Entries { bytes: vec![0], starts: Starts::new(), last: Default::default(), known: HashMap::new() }
    }

    fn begin(&mut self, text: &[u8]) -> Result<u32, Uncompiled> {
        let at = u32::try_from(self.bytes.len()).map_err(|_| Uncompiled::TooLarge)?;
        let (last, number) = &self.last;
        // Texts come in their order, so that the next one mostly shares what the one before did. Its longest start ends
        // with its last slash.
        let rest = text.strip_prefix(last.as_slice()).filter(|rest| *number > 0 && !rest.contains(&b'/'));
        let rest = rest.unwrap_or_else(|| {
            let (number, rest) = self.starts.split(text);
            self.last = (text[..text.len() - rest.len()].to_vec(), number);
            rest
        });
        put_number(&mut self.bytes, self.last.1);
        put_number(&mut self.bytes, rest.len() as u32);
        self.bytes.extend_from_slice(rest);
        Ok(at)
    }

    /// The entry of a text. `complete`: nothing else of the view can match. `parent`: an earlier entry that holds too.
    ///
    /// # Errors
    /// There is no room.
    pub fn add(
        &mut self,
        text: &[u8],
        links: &Links,
        complete: bool,
        parent: Option<u32>,
        sets: &mut SetStore,
    ) -> Result<u32, Uncompiled> {
        let at = self.begin(text)?;
        let Entries { bytes, .. } = self;
        let is_one = links.wanted.len() == 1 && links.refused.is_empty() && links.tests.is_empty();
        let flags = [
            (complete, COMPLETE),
            (links.own_wanted, OWN_WANTED),
            (links.own_refused, OWN_REFUSED),
            (parent.is_some(), PARENT),
            (!is_one, COUNTED),
        ];
        bytes.push(flags.into_iter().fold(0, |head, (is_set, flag)| head | if is_set { flag } else { 0 }));
        if !is_one {
            put_counts(bytes, [links.wanted.len(), links.refused.len(), links.tests.len()]);
        }
        for (list, own) in [(&links.wanted, links.own_wanted), (&links.refused, links.own_refused)] {
            for (place, set) in list.iter().enumerate() {
                sets.put(bytes, *set, own && place == 0)?;
            }
        }
        let mut tests = links.tests.clone();
        tests.sort_unstable();
        let mut last = 0;
        for test in tests {
            put_number(bytes, test - last);
            last = test;
        }
        parent.into_iter().for_each(|parent| put_number(bytes, parent));
        Ok(at)
    }

    /// The entry of a text that only leads on to longer ones, with one that holds where it is the longest.
    ///
    /// # Errors
    /// There is no room.
    pub fn add_marker(&mut self, text: &[u8], holds: Option<u32>) -> Result<u32, Uncompiled> {
        let at = self.begin(text)?;
        match holds {
            Some(entry) => {
                self.bytes.push(MARKER | ALIAS);
                put_number(&mut self.bytes, entry);
            }
            None => self.bytes.extend([MARKER | COUNTED, 0]),
        }
        Ok(at)
    }

    /// An entry without a text; nothing else of the view can match.
    ///
    /// # Errors
    /// There is no room.
    pub fn add_bare(&mut self, links: &Links, sets: &mut SetStore) -> Result<u32, Uncompiled> {
        if let Some(known) = self.known.get(links) {
            return Ok(*known);
        }
        let at = self.add(b"", links, true, None, sets)?;
        self.known.insert(links.clone(), at);
        Ok(at)
    }
}
