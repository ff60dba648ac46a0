//! The rows that names of a peer lead to, where what rows ask is told row by row.

use crate::attributes::Connection;
use crate::bytes::place;
use crate::format::{MOST_LEFT, NARROW_ROWS};
use crate::index::{Gather, Side};
use crate::row::ByRows;
use crate::set::RowSet;

/// So many rows are taken down together.
const BATCH: usize = 64;

/// Takes down the rows that a name leads to, as far as the rest of the connection is what they ask for. Those that several
/// of its parts lead to may come again.
pub(crate) struct Collect<'a, 't> {
    by_rows: &'a ByRows<'t>,
    connection: &'a Connection<'a>,
    /// The bit of its port.
    port: u64,
    rows: &'a mut Vec<u64>,
}

impl<'t> Gather<'t> for Collect<'_, 't> {
    fn add(&mut self, side: Side, set: RowSet<'t>) {
        // Tables with scripts have lists of these only, unless somebody forged them.
        let RowSet::Rows(rows) = set else { return };
        if side == Side::Refused {
            return;
        }
        if self.by_rows.scripts.rows.len() > NARROW_ROWS {
            let wide = rows.as_chunks::<4>().0;
            wide.chunks(BATCH).for_each(|rows| self.take(rows, |row| place(u32::from_le_bytes(*row))));
        } else {
            let narrow = rows.as_chunks::<2>().0;
            narrow.chunks(BATCH).for_each(|rows| self.take(rows, |row| u16::from_le_bytes(*row).into()));
        }
        // A name that is no workload's may come across the same rows again and again.
        if self.rows.len() > 2 * self.by_rows.scripts.rows.len() + MOST_LEFT {
            self.rows.sort_unstable();
            self.rows.dedup();
        }
    }
}

impl<'a, 't> Collect<'a, 't> {
    /// Adds to the rows.
    pub fn new(
        by_rows: &'a ByRows<'t>,
        connection: &'a Connection<'a>,
        rows: &'a mut Vec<u64>,
    ) -> Collect<'a, 't> {
        let port = by_rows.port_bit(connection.port);
        Collect { by_rows, connection, port, rows }
    }

    /// Takes down at most [`BATCH`] rows. Which of them a connection meets is as good as random: nothing here branches on
    /// their ports, and on other demands only where there are some.
    #[inline(always)]
    fn take<const N: usize>(&mut self, rows: &[[u8; N]], number: impl Fn(&[u8; N]) -> usize) {
        let Collect { by_rows, connection, port, rows: taken } = self;
        // Copies, which nothing that is written can change.
        let (all, layout, port) = (by_rows.scripts.rows, by_rows.scripts.layout, *port);
        let start = taken.len();
        taken.resize(start + rows.len(), 0);
        let to = taken.get_mut(start..).unwrap_or_default();
        let (mut count, mut asking) = (0, 0u64);
        for row in rows {
            let row = all.at(number(row));
            let passes = row & port == port;
            to.get_mut(count).into_iter().for_each(|to| *to = row);
            asking |= u64::from(passes & layout.asks_connection(row)) << count;
            count += usize::from(passes);
        }
        taken.truncate(start + count);
        // From the last one on, so that what takes the place of one has been asked.
        while asking != 0 {
            let last = 63 - asking.leading_zeros();
            asking ^= 1 << last;
            let at = start + place(last);
            let Some(row) = taken.get_mut(at) else { return };
            match by_rows.connection_holds(*row, connection) {
                Some(left) => *row = left,
                None => {
                    taken.swap_remove(at);
                }
            }
        }
    }
}
