//! Values to try on an attribute, and the rows that they lead to.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::attributes::{ClaimPath, Connection, RequestAttributes};
use crate::bytes::Reader;
use crate::index::{Gather, Side};
use crate::row::{ByRows, Seen};
use crate::set::RowSet;
use crate::table::Table;

use super::scripts::{Asks, Where};

/// A value to try on an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe<'p> {
    /// A name of a peer, or a text.
    Text(&'p [u8]),
    /// Several names or texts.
    Texts(&'p [&'p [u8]]),
    /// Issuer and subject of a token.
    Token(Option<&'p [u8]>, Option<&'p [u8]>),
    /// An address.
    Address(IpAddr),
    /// A port.
    Port(u16),
}

impl<'t> Table<'t> {
    /// Gives, value by value, the rows whose wishes a value of the attribute meets, and those that refuse it. `attribute`
    /// is its place among [`Table::stored_attributes`].
    pub fn prober(&self, attribute: usize) -> impl Fn(Probe<'_>) -> [Vec<u32>; 2] + '_ {
        let asks = self.by_rows.as_ref().map(|by_rows| (by_rows, self.demands_of(by_rows, attribute)));
        move |probe| {
            let mut found = match &asks {
                None => self.looked_up(attribute, probe),
                Some((by_rows, asks)) => self.told_by_rows(by_rows, asks, attribute, probe),
            };
            for rows in &mut found {
                rows.sort_unstable();
                rows.dedup();
            }
            found
        }
    }

    fn looked_up(&self, attribute: usize, probe: Probe<'_>) -> [Vec<u32>; 2] {
        let Some(dimension) = self.dimensions().nth(attribute) else { return [Vec::new(), Vec::new()] };
        let mut to = Found { table: self, rows: [Vec::new(), Vec::new()] };
        if dimension.is_of_request {
            dimension.of_request(&self.store, &probe, self.joins_headers, &mut to);
        } else {
            probe.with_connection(|connection| dimension.of_connection(&self.store, connection, &mut to));
        }
        to.rows
    }

    fn told_by_rows(
        &self,
        by_rows: &ByRows<'t>,
        asks: &HashMap<Where, Asks>,
        attribute: usize,
        probe: Probe<'_>,
    ) -> [Vec<u32>; 2] {
        let mut found = [Vec::new(), Vec::new()];
        if by_rows.scripts.leading_dimension == Some(attribute) {
            let mut to = Found { table: self, rows: [Vec::new(), Vec::new()] };
            if let Some(leading) = self.connection.first() {
                probe.with_connection(|connection| leading.of_connection(&self.store, connection, &mut to));
            }
            let [wanted, _] = to.rows;
            found[0] = wanted;
        }
        let told = by_rows.dimensions.get(attribute);
        for (place, asks) in asks {
            let holds = match place {
                Where::Bits(bits) => bits & by_rows.bit_of(probe) != 0,
                Where::At(at) => {
                    let tests = Reader::new(by_rows.scripts.bytes, *at).rest();
                    let mut holds = false;
                    if told.is_some_and(|told| told.is_of_request) {
                        (holds, _) = by_rows.any_of_request(asks.head, tests, &mut Seen::new(&probe));
                    } else {
                        probe.with_connection(|connection| {
                            (holds, _) = by_rows.any_of_connection(asks.head, tests, connection);
                        });
                    }
                    holds
                }
            };
            if holds {
                let [wanted, refused] = &mut found;
                let rows = if asks.head.refuses { refused } else { wanted };
                rows.extend(&asks.rows);
            }
        }
        found
    }
}

impl ByRows<'_> {
    /// The bit of a port or a method.
    fn bit_of(&self, probe: Probe<'_>) -> u64 {
        match probe {
            Probe::Port(port) => self.port_bit(port),
            probe => {
                let method = self.scripts.methods.number(probe.one().unwrap_or_default());
                self.scripts.layout.methods.bit(method)
            }
        }
    }
}

/// Takes down the rows of all sets.
struct Found<'a, 't> {
    table: &'a Table<'t>,
    rows: [Vec<u32>; 2],
}

impl<'t> Gather<'t> for Found<'_, 't> {
    fn add(&mut self, side: Side, set: RowSet<'t>) {
        let [wanted, refused] = &mut self.rows;
        let rows = if side == Side::Wanted { wanted } else { refused };
        rows.extend(self.table.rows(set));
    }
}

impl Probe<'_> {
    /// A connection whose every attribute has the value.
    fn with_connection(&self, ask: impl FnOnce(&Connection<'_>)) {
        let mut connection = Connection::default();
        let one: [&[u8]; 1];
        match self {
            Probe::Text(text) => {
                one = [*text];
                (connection.names, connection.sni) = (&one, Some(*text));
            }
            Probe::Texts(texts) => connection.names = texts,
            Probe::Address(address) => {
                (connection.source, connection.remote, connection.destination) =
                    (*address, *address, *address);
            }
            Probe::Port(port) => connection.port = *port,
            Probe::Token(..) => {}
        }
        ask(&connection);
    }

    fn one(&self) -> Option<&[u8]> {
        match self {
            Probe::Text(text) => Some(text),
            Probe::Texts(texts) => texts.first().copied(),
            _ => None,
        }
    }

    fn all(&self, each: &mut dyn FnMut(&[u8])) {
        match self {
            Probe::Text(text) => each(text),
            Probe::Texts(texts) => texts.iter().for_each(|text| each(text)),
            _ => {}
        }
    }
}

/// Whatever is asked, the value is the answer.
impl RequestAttributes for Probe<'_> {
    fn method(&self) -> Option<&[u8]> {
        self.one()
    }

    fn path(&self) -> Option<&[u8]> {
        self.one()
    }

    fn authority(&self) -> Option<&[u8]> {
        self.one()
    }

    fn header(&self, _: &str, each: &mut dyn FnMut(&[u8])) {
        self.all(each);
    }

    fn remote(&self) -> Option<IpAddr> {
        match self {
            Probe::Address(address) => Some(*address),
            _ => None,
        }
    }

    fn issuer(&self) -> Option<&[u8]> {
        match self {
            Probe::Token(issuer, _) => *issuer,
            _ => None,
        }
    }

    fn subject(&self) -> Option<&[u8]> {
        match self {
            Probe::Token(_, subject) => *subject,
            _ => None,
        }
    }

    fn claim(&self, _: ClaimPath<'_>, each: &mut dyn FnMut(&[u8])) {
        self.all(each);
    }

    fn metadata_text(&self, _: &str, _: &str) -> Option<&[u8]> {
        self.one()
    }

    fn metadata_list(&self, _: &str, _: &str, each: &mut dyn FnMut(&[u8])) {
        self.all(each);
    }
}
