//! The tables of several workloads in one file.
//!
//! A head of 64 bytes (magic, version as `u32` at 8, length as `u64` at 16, BLAKE3 of everything else at 24, counts of
//! workloads and of chains as `u32` at 56 and 60), then per workload four `u32` (name, chains), per chain six (table,
//! layer, port, service, and one of zero), then the number of tables as `u64`, per table two `u32` (offset and length),
//! then the names. Tables stand at multiples of eight bytes; workloads with the same policies share theirs.

use crate::bytes::{U32s, U64s, place};
use crate::error::OpenError;
use crate::format::{HASH_AT, HEAD, NONE, VERSION};
use crate::head::content_hash;
use crate::table::Table;

/// The first eight bytes.
pub const BUNDLE_MAGIC: [u8; 8] = *b"meshtabs";
/// Numbers of a workload, and of a chain.
pub const BUNDLE_WORKLOAD: usize = 4;
/// Numbers of a chain.
pub const BUNDLE_CHAIN: usize = 6;

/// What a chain speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// HTTP.
    Http = 0,
    /// Anything else, and what ztunnel sees.
    Tcp = 1,
}

/// A place where policies are enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain<'t> {
    /// What it speaks.
    pub layer: Layer,
    /// Its port; nothing for every port without a chain of its own.
    pub port: Option<u16>,
    /// The service to which calls are addressed, `namespace/name`; only at waypoints, where nothing means a workload.
    pub service: Option<&'t str>,
    table: u32,
}

/// A workload with its chains.
#[derive(Clone, Copy, Debug)]
pub struct Workload<'b, 't> {
    /// `namespace/name`, with more in front where that is not enough.
    pub name: &'t str,
    chains: &'b [Chain<'t>],
    bundle: &'b Bundle<'t>,
}

/// The tables of several workloads.
#[derive(Clone, Debug, Default)]
pub struct Bundle<'t> {
    tables: Vec<Table<'t>>,
    /// The bytes of each.
    bytes: Vec<&'t [u8]>,
    chains: Vec<Chain<'t>>,
    /// Sorted by name; the range of their chains.
    workloads: Vec<(&'t str, std::ops::Range<usize>)>,
}

fn invalid(what: &'static str, at: usize) -> OpenError {
    OpenError::Invalid { what, at: u32::try_from(at).unwrap_or(u32::MAX) }
}

impl<'t> Bundle<'t> {
    /// Whether the bytes begin as a bundle does.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(&BUNDLE_MAGIC)
    }

    /// Opens a bundle and every table in it.
    ///
    /// # Errors
    /// What is wrong with the bytes. Refuse every request then.
    pub fn open(bytes: &'t [u8]) -> Result<Bundle<'t>, OpenError> {
        if !Bundle::is_one(bytes) {
            return Err(OpenError::Foreign);
        }
        let numbers = U32s::new(bytes);
        if bytes.len() >= 12 && numbers.at(2) != VERSION {
            return Err(OpenError::Version(numbers.at(2)));
        }
        let (found, expected) = (bytes.len() as u64, U64s::new(bytes).at(2));
        if bytes.len() < HEAD {
            return Err(OpenError::Truncated { expected: HEAD as u64, found });
        }
        match found.cmp(&expected) {
            std::cmp::Ordering::Less => return Err(OpenError::Truncated { expected, found }),
            std::cmp::Ordering::Greater => return Err(OpenError::TooLong { expected, found }),
            std::cmp::Ordering::Equal => {}
        }
        if bytes.get(HASH_AT..HASH_AT + 32) != Some(&content_hash(bytes)) {
            return Err(OpenError::Corrupt);
        }
        let (workloads, chains) = (place(numbers.at(14)), place(numbers.at(15)));
        let at_chains = HEAD / 4 + workloads.saturating_mul(BUNDLE_WORKLOAD);
        // The number of tables stands at a multiple of eight bytes, for both counts of numbers are even.
        let at_tables = at_chains.saturating_add(chains.saturating_mul(BUNDLE_CHAIN));
        let tables = place(numbers.at(at_tables));
        if at_tables.saturating_add(2).saturating_add(tables.saturating_mul(2)) > numbers.len() {
            return Err(invalid("a part lies outside", 0));
        }
        let text = |at: usize| -> Result<&'t str, OpenError> {
            let (start, length) = (place(numbers.at(at)), place(numbers.at(at + 1)));
            let text = bytes
                .get(start..start.saturating_add(length))
                .and_then(|text| std::str::from_utf8(text).ok());
            text.ok_or(invalid("a name", at))
        };
        let mut bundle = Bundle::default();
        let mut behind = 0;
        for table in 0..tables {
            let at = at_tables + 2 + table * 2;
            let (start, length) = (place(numbers.at(at)), place(numbers.at(at + 1)));
            let inside =
                bytes.get(start..start.saturating_add(length)).filter(|_| start >= behind && start % 8 == 0);
            let inside = inside.ok_or(invalid("a table lies outside", at))?;
            bundle.tables.push(Table::open(inside)?);
            bundle.bytes.push(inside);
            behind = start + length;
        }
        for chain in 0..chains {
            let at = at_chains + chain * BUNDLE_CHAIN;
            let layer = match numbers.at(at + 1) {
                0 => Layer::Http,
                1 => Layer::Tcp,
                _ => return Err(invalid("unknown layer", at)),
            };
            let port = match numbers.at(at + 2) {
                NONE => None,
                port => Some(u16::try_from(port).map_err(|_| invalid("a port", at))?),
            };
            let service = if numbers.at(at + 3) == NONE { None } else { Some(text(at + 3)?) };
            let table = numbers.at(at);
            if place(table) >= bundle.tables.len() {
                return Err(invalid("a chain without its table", at));
            }
            bundle.chains.push(Chain { layer, port, service, table });
        }
        for workload in 0..workloads {
            let at = HEAD / 4 + workload * BUNDLE_WORKLOAD;
            let name = text(at)?;
            let (first, count) = (place(numbers.at(at + 2)), place(numbers.at(at + 3)));
            let range = first..first.saturating_add(count);
            let is_sorted = bundle.workloads.last().is_none_or(|(last, _)| *last < name);
            if range.end > bundle.chains.len() || !is_sorted {
                return Err(invalid("a workload", at));
            }
            bundle.workloads.push((name, range));
        }
        Ok(bundle)
    }

    /// The workloads, by name.
    pub fn workloads(&self) -> impl Iterator<Item = Workload<'_, 't>> {
        (0..self.workloads.len()).filter_map(|at| self.at(at))
    }

    /// The workload of that name.
    pub fn workload(&self, name: &str) -> Option<Workload<'_, 't>> {
        self.at(self.workloads.binary_search_by_key(&name, |(name, _)| name).ok()?)
    }

    fn at(&self, at: usize) -> Option<Workload<'_, 't>> {
        let (name, range) = self.workloads.get(at)?;
        Some(Workload { name, chains: self.chains.get(range.clone())?, bundle: self })
    }

    /// The tables, each once.
    pub fn tables(&self) -> &[Table<'t>] {
        &self.tables
    }

    /// The bytes of a table by its place in [`Bundle::tables`].
    pub fn bytes_of(&self, table: usize) -> Option<&'t [u8]> {
        self.bytes.get(table).copied()
    }
}

impl<'b, 't> Workload<'b, 't> {
    /// Its chains.
    pub fn chains(&self) -> &'b [Chain<'t>] {
        self.chains
    }

    /// The table of a chain of this workload.
    pub fn table_of(&self, chain: &Chain<'t>) -> Option<&'b Table<'t>> {
        self.bundle.tables.get(place(chain.table))
    }

    /// The table for traffic of the layer to the port, at waypoints for calls to the service. A port without a chain of
    /// its own has the one for other ports. Nothing means that there is no such chain: refuse, unless you know that traffic of
    /// this kind never comes this way ([`Decision::NO_TABLE`](crate::Decision::NO_TABLE)).
    pub fn table(&self, layer: Layer, port: u16, service: Option<&str>) -> Option<&'b Table<'t>> {
        let fits = |chain: &&Chain<'t>| chain.layer == layer && chain.service == service;
        let own = self.chains.iter().filter(fits).find(|chain| chain.port == Some(port));
        let other = || self.chains.iter().filter(fits).find(|chain| chain.port.is_none());
        self.table_of(own.or_else(other)?)
    }
}
