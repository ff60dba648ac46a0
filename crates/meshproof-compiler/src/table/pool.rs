//! The texts of a table. One that another one begins with takes no room of its own.

use foldhash::{HashMap, HashMapExt};

/// A text, or a part of one that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text {
    id: usize,
    skip: usize,
    pub length: usize,
}

impl Text {
    /// The first bytes of the text.
    pub fn start(self, length: usize) -> Text {
        Text { length, ..self }
    }

    /// The last bytes of the text.
    pub fn end(self, length: usize) -> Text {
        Text { skip: self.skip + self.length - length, length, ..self }
    }
}

#[derive(Default)]
pub(super) struct Pool {
    texts: Vec<Box<[u8]>>,
    ids: HashMap<Box<[u8]>, usize>,
}

/// The texts in their places.
pub(super) struct Placed {
    pub bytes: Vec<u8>,
    places: Vec<usize>,
}

impl Pool {
    pub fn new() -> Pool {
        Pool { texts: Vec::new(), ids: HashMap::new() }
    }

    pub fn add(&mut self, text: &[u8]) -> Text {
        let id = match self.ids.get(text) {
            Some(id) => *id,
            None => {
                self.texts.push(text.into());
                self.ids.insert(text.into(), self.texts.len() - 1);
                self.texts.len() - 1
            }
        };
        Text { id, skip: 0, length: text.len() }
    }

    /// Gives every text its place.
    pub fn place(&self) -> Placed {
        let mut order: Vec<usize> = (0..self.texts.len()).collect();
        // A text that is the start of others stands right before them, so from behind the longest come first.
        order.sort_unstable_by(|a, b| self.texts[*b].cmp(&self.texts[*a]));
        let mut placed = Placed { bytes: Vec::new(), places: vec![0; self.texts.len()] };
        let mut last: Option<usize> = None;
        for id in order {
            match last {
                Some(longer) if self.texts[longer].starts_with(&self.texts[id]) => {
                    placed.places[id] = placed.places[longer];
                }
                _ => {
                    placed.places[id] = placed.bytes.len();
                    placed.bytes.extend_from_slice(&self.texts[id]);
                }
            }
            last = Some(id);
        }
        placed
    }
}

impl Placed {
    /// Where the text stands, and its length.
    pub fn of(&self, text: Text) -> [u32; 2] {
        [(self.places[text.id] + text.skip) as u32, text.length as u32]
    }
}
