//! What is worked out once per connection.

use crate::attributes::Connection;
use crate::bytes::place;
use crate::dimension::Dimension;
use crate::index::{Side, Store};
use crate::narrow::{Scratch, Source, narrow};
use crate::set::SetRef;
use crate::table::Table;

/// The rules that a connection leaves in question, for one table. It can be used again for other connections and other
/// tables; once it has room for a table, [`Table::prepare`] allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Which table it was prepared for; zero for none.
    pub(crate) stamp: u64,
    /// Rows that the connection satisfies, by word.
    pub(crate) live: Vec<u64>,
    /// Words that have some, with their rows that do not wait for the driver of the table.
    pub(crate) words: Vec<u32>,
    pub(crate) free: Vec<(u32, u64)>,
    /// Some rows do wait for it.
    pub(crate) waits: bool,
    scratch: [Vec<u64>; 4],
}

impl Context {
    /// An empty context; the first use for a table allocates.
    pub fn new() -> Context {
        Context::default()
    }

    /// A context with room for the table.
    pub fn for_table(table: &Table<'_>) -> Context {
        let mut context = Context::default();
        context.make_room(table.words);
        context
    }

    fn make_room(&mut self, words: usize) {
        self.live.clear();
        self.live.resize(words, 0);
        self.words.clear();
        self.words.reserve(words);
        self.free.clear();
        self.free.reserve(words);
        for scratch in &mut self.scratch {
            scratch.clear();
            scratch.resize(words, 0);
        }
    }

    /// Forgets the connection before.
    #[inline]
    fn reset(&mut self, table: &Table<'_>) {
        if self.stamp != table.stamp || self.live.len() != table.words {
            self.make_room(table.words);
            self.stamp = table.stamp;
            return;
        }
        for word in self.words.drain(..) {
            if let Some(live) = self.live.get_mut(place(word)) {
                *live = 0;
            }
        }
        self.free.clear();
    }

    #[inline(always)]
    fn add(&mut self, word: usize, mask: u64) {
        let Some(live) = self.live.get_mut(word) else { return };
        if mask != 0 && *live == 0 && self.words.len() < self.words.capacity() {
            self.words.push(word as u32);
        }
        *live |= mask;
    }
}

struct OfConnection<'a, 'c>(&'a Connection<'c>);

impl Source for OfConnection<'_, '_> {
    #[inline(always)]
    fn visit<'t>(&self, dimension: &Dimension<'t>, store: &Store<'t>, visit: &mut impl FnMut(Side, SetRef)) {
        dimension.of_connection(store, self.0, visit);
    }
}

impl Table<'_> {
    /// Works out what a connection alone decides. Call it once per connection, and again when the table changed.
    pub fn prepare(&self, connection: &Connection<'_>, context: &mut Context) {
        context.reset(self);
        let source = OfConnection(connection);
        let mut rest = self.connection.as_slice();
        match rest.split_first() {
            // The names of the peer leave few words, which are gone to directly.
            Some((first, others)) => {
                rest = others;
                let sets = &self.sets;
                source.visit(first, &self.store, &mut |side, set| {
                    if side == Side::Wanted {
                        sets.get(set).each(|word, mask| context.add(word, mask));
                    }
                });
                sets.get(first.indifferent).each(|word, mask| context.add(word, mask));
                if first.refusing.is_some() {
                    source.visit(first, &self.store, &mut |side, set| {
                        if side == Side::Refused {
                            let live = &mut context.live;
                            sets.get(set).each(|word, mask| {
                                if let Some(live) = live.get_mut(word) {
                                    *live &= !mask;
                                }
                            });
                        }
                    });
                }
            }
            None => self.sets.get(self.everything).each(|word, mask| context.add(word, mask)),
        }
        self.narrow_all(rest, &source, context);
        self.divide(context);
    }

    fn narrow_all(&self, rest: &[Dimension<'_>], source: &impl Source, context: &mut Context) {
        if rest.is_empty() {
            return;
        }
        let Context { live, words, scratch: [masks, looking, wanted, refused], .. } = context;
        let count = words.len();
        for (word, mask) in words.iter().zip(masks.iter_mut()) {
            *mask = live.get(place(*word)).copied().unwrap_or_default();
        }
        let Some(masks) = masks.get_mut(..count) else { return };
        let mut scratch = Scratch {
            looking: looking.get_mut(..count).unwrap_or_default(),
            wanted: wanted.get_mut(..count).unwrap_or_default(),
            refused: refused.get_mut(..count).unwrap_or_default(),
        };
        for dimension in rest {
            narrow(self, dimension, source, false, words, masks, &mut scratch);
        }
        for (word, mask) in words.iter().zip(masks.iter()) {
            if let Some(live) = live.get_mut(place(*word)) {
                *live = *mask;
            }
        }
    }

    /// Drops the words that nothing is left of, and tells apart the rows that the driver does not lead to.
    fn divide(&self, context: &mut Context) {
        let Context { live, words, free, waits, .. } = context;
        *waits = false;
        let driver = self.driver.and_then(|at| self.request.get(at));
        words.retain(|word| {
            let rows = live.get(place(*word)).copied().unwrap_or_default();
            let waiting = driver.map_or(0, |driver| driver.wanting.at(place(*word)));
            if rows & !waiting != 0 && free.len() < free.capacity() {
                free.push((*word, rows & !waiting));
            }
            *waits |= rows & waiting != 0;
            rows != 0
        });
    }
}
