//! What is worked out once per connection.

use crate::attributes::Connection;
use crate::bytes::place;
use crate::collect::Collect;
use crate::dimension::Dimension;
use crate::format::GROUP_WORDS;
use crate::index::{Gather, Side, Store};
use crate::live::{Live, Source, Survivors};
use crate::row::ByRows;
use crate::set::{Group, RowSet, Sets, groups_of};
use crate::table::Table;

/// The rules that a connection leaves in question, for one table. It can be used again for other connections and other
/// tables; once it has room, [`Table::prepare`] allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Which table it was prepared for; zero for none.
    pub(crate) stamp: u64,
    groups: usize,
    /// Groups of words, then the masks of those that have rows that the connection satisfies; by rows the bits
    /// of each row, as [`RowLayout`](crate::RowLayout) says.
    live: Vec<u64>,
}

impl Context {
    /// An empty context. It grows to the rows that connections leave in question, which are few.
    pub fn new() -> Context {
        Context::default()
    }

    /// A context with room for every connection that the table may meet of a peer with one name, that of a workload.
    pub fn for_table(table: &Table<'_>) -> Context {
        let words = table.store.sets.words;
        let most = table.by_rows.as_ref().map_or(groups_of(words) + words, |rows| rows.scripts.most);
        Context { live: Vec::with_capacity(most), ..Context::default() }
    }

    /// How many rows are still in question, or words of 64 rows each where a table looks everything up.
    pub fn left(&self) -> usize {
        self.live.len().saturating_sub(self.groups)
    }

    /// Whether it was prepared for a table with this stamp.
    #[inline(always)]
    pub(crate) fn is_of(&self, stamp: u64) -> bool {
        self.stamp == stamp
    }

    /// The rows in question, by their bits.
    #[inline(always)]
    pub(crate) fn rows(&self) -> &[u64] {
        &self.live
    }

    #[inline(always)]
    pub(crate) fn live(&self) -> Live<'_> {
        let (groups, masks) = self.live.split_at_checked(self.groups).unwrap_or_default();
        Live { groups, masks }
    }

    /// Forgets the connection before.
    #[inline(always)]
    fn reset(&mut self, table: &Table<'_>) {
        self.stamp = table.stamp;
        self.groups = if table.by_rows.is_some() { 0 } else { groups_of(table.store.sets.words) };
        self.live.clear();
        self.live.resize(self.groups, 0);
    }

    /// Drops the words that nothing is left of.
    fn compact(&mut self) {
        let (groups, masks) = self.live.split_at_mut(self.groups);
        if masks.iter().all(|mask| *mask != 0) {
            return;
        }
        let (mut from, mut to) = (0, 0);
        for group in groups {
            let (mut bits, before) = (Group(*group).bits(), to);
            let mut rest = bits;
            while rest != 0 {
                let bit = rest & rest.wrapping_neg();
                rest ^= bit;
                let mask = masks.get(from).copied().unwrap_or_default();
                from += 1;
                if mask == 0 {
                    bits ^= bit;
                } else {
                    masks.get_mut(to).into_iter().for_each(|to| *to = mask);
                    to += 1;
                }
            }
            *group = u64::from(bits) | (before as u64) << 32;
        }
        self.live.truncate(self.groups + to);
    }
}

struct OfConnection<'a, 'c>(&'a Connection<'c>);

impl Source for OfConnection<'_, '_> {
    #[inline(always)]
    fn visit<'t>(&self, dimension: &Dimension<'t>, store: &Store<'t>, to: &mut impl Gather<'t>) {
        dimension.of_connection(store, self.0, to);
    }
}

/// Groups of a window of 512 words, the most that are looked at together.
const GROUPS: usize = 16;
/// How many sets are remembered to be taken away at the end.
const REFUSED: usize = 8;

/// The rows of a window of `N` words, a mask each.
struct Spread<'a, 't, const N: usize> {
    sets: &'a Sets<'t>,
    /// The first word of the window, a multiple of its length.
    from: usize,
    masks: [u64; N],
    /// Words that have some.
    touched: [u32; GROUPS],
    /// Sets of rows that are not in question after all, and how many there were.
    refused: [RowSet<'t>; REFUSED],
    refusals: usize,
}

impl<'t, const N: usize> Gather<'t> for Spread<'_, 't, N> {
    fn add(&mut self, side: Side, set: RowSet<'t>) {
        if side == Side::Refused {
            self.refused.get_mut(self.refusals).into_iter().for_each(|to| *to = set);
            self.refusals += 1;
            return;
        }
        let Spread { sets, from, masks, touched, .. } = self;
        sets.each(set, *from, *from + N, |word, mask| {
            let at = word - *from;
            if let (Some(to), Some(touched)) = (masks.get_mut(at), touched.get_mut(at / GROUP_WORDS)) {
                *to |= mask;
                *touched |= 1 << (at % GROUP_WORDS);
            }
        });
    }
}

/// Takes refused rows away at once.
struct Refuse<'s, 'a, 't, const N: usize>(&'s mut Spread<'a, 't, N>);

impl<'t, const N: usize> Gather<'t> for Refuse<'_, '_, 't, N> {
    fn add(&mut self, side: Side, set: RowSet<'t>) {
        if side == Side::Refused {
            self.0.refuse(set);
        }
    }
}

impl<'t, const N: usize> Spread<'_, 't, N> {
    fn refuse(&mut self, set: RowSet<'t>) {
        let Spread { sets, from, masks, .. } = self;
        sets.each(set, *from, *from + N, |word, mask| {
            masks.get_mut(word - *from).into_iter().for_each(|to| *to &= !mask);
        });
    }

    /// Adds what is left to a context.
    fn add_to(&self, context: &mut Context) {
        // The last window reaches behind the last group.
        let groups = context.groups.saturating_sub(self.from / GROUP_WORDS).min(N / GROUP_WORDS);
        for (at, touched) in self.touched.iter().enumerate().take(groups) {
            let before = context.left();
            let (mut bits, mut rest) = (0u32, *touched);
            while rest != 0 {
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                let mask = self.masks.get(at * GROUP_WORDS + place(bit)).copied().unwrap_or_default();
                if mask != 0 {
                    bits |= 1 << bit;
                    context.live.push(mask);
                }
            }
            if let Some(group) = context.live.get_mut(self.from / GROUP_WORDS + at) {
                *group = u64::from(bits) | (before as u64) << 32;
            }
        }
    }
}

impl Table<'_> {
    /// Works out what a connection alone decides. Call it once per connection, and again when the table changed.
    pub fn prepare(&self, connection: &Connection<'_>, context: &mut Context) {
        context.reset(self);
        let source = OfConnection(connection);
        if let Some(by_rows) = &self.by_rows {
            return self.prepare_rows(by_rows, connection, &source, context);
        }
        let words = self.store.sets.words;
        match words {
            0..=64 => self.spread::<64>(0, &source, context),
            65..=256 => self.spread::<256>(0, &source, context),
            _ => (0..words).step_by(512).for_each(|from| self.spread::<512>(from, &source, context)),
        }
        let rest = self.connection.get(1..).unwrap_or_default();
        if rest.is_empty() {
            return;
        }
        let count = context.left();
        match count {
            0..=16 => self.narrow_all::<16>(rest, 0, &source, context),
            17..=64 => self.narrow_all::<64>(rest, 0, &source, context),
            65..=192 => self.narrow_all::<192>(rest, 0, &source, context),
            _ => {
                (0..count)
                    .step_by(512)
                    .for_each(|start| self.narrow_all::<512>(rest, start, &source, context));
            }
        }
        context.compact();
    }

    /// The rows that the names of the peer lead to, as far as the rest of the connection is what they ask for.
    fn prepare_rows(
        &self,
        by_rows: &ByRows<'_>,
        connection: &Connection<'_>,
        source: &impl Source,
        context: &mut Context,
    ) {
        let sets = &self.store.sets;
        let mut collect = Collect::new(by_rows, connection, &mut context.live);
        match self.connection.first() {
            None => collect.add(Side::Wanted, sets.get(self.everything)),
            Some(first) => {
                if let Some(set) = first.indifferent {
                    collect.add(Side::Wanted, sets.get(set));
                }
                source.visit(first, &self.store, &mut collect);
            }
        }
        // A row that several names lead to is asked once.
        if connection.names.len() > 1 {
            context.live.sort_unstable();
            context.live.dedup();
        }
    }

    /// The rows of a window that the first attribute leaves; it is that of the names of the peer where there is one.
    fn spread<const N: usize>(&self, from: usize, source: &impl Source, context: &mut Context) {
        let sets = &self.store.sets;
        let mut spread = Spread::<N> {
            sets,
            from,
            masks: [0; N],
            touched: [0; GROUPS],
            refused: [RowSet::Column(0); REFUSED],
            refusals: 0,
        };
        match self.connection.first() {
            None => spread.add(Side::Wanted, sets.get(self.everything)),
            Some(first) => {
                if let Some(set) = first.indifferent {
                    spread.add(Side::Wanted, sets.get(set));
                }
                source.visit(first, &self.store, &mut spread);
                if spread.refusals > REFUSED {
                    source.visit(first, &self.store, &mut Refuse(&mut spread));
                } else {
                    for set in spread.refused.into_iter().take(spread.refusals) {
                        spread.refuse(set);
                    }
                }
            }
        }
        spread.add_to(context);
    }

    /// Asks the other attributes of the connection about the words from `start` on.
    fn narrow_all<const N: usize>(
        &self,
        rest: &[Dimension<'_>],
        start: usize,
        source: &impl Source,
        context: &mut Context,
    ) {
        let mut left = Survivors::<N>::new();
        left.load(context.live(), start);
        let mut room = left.room();
        for dimension in rest {
            if !room.narrow(self, context.live(), dimension, source, false) {
                break;
            }
        }
        let masks = context.live.get_mut(context.groups + start..).unwrap_or_default();
        masks.iter_mut().zip(left.left()).for_each(|(to, (_, mask))| *to = mask);
    }
}
