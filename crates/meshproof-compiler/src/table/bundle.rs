//! Several workloads in one file.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt};
use meshproof_engine::format::{HASH_AT, HEAD, NONE, VERSION};
use meshproof_engine::{BUNDLE_CHAIN, BUNDLE_MAGIC, BUNDLE_WORKLOAD, Layer, content_hash};

use super::Uncompiled;

/// A chain on its way into a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BundledChain {
    /// The service to which calls are addressed, `namespace/name`.
    pub service: Option<String>,
    /// What it speaks.
    pub layer: Layer,
    /// Its port; nothing for every other one.
    pub port: Option<u16>,
    /// The place of its table in what is handed in.
    pub table: usize,
}

/// The file of these workloads, by name. Of the tables only those that a chain has go into it, equal ones once.
///
/// # Errors
/// It would be larger than 4 GiB.
pub fn bundle(workloads: &BTreeMap<&str, &[BundledChain]>, tables: &[&[u8]]) -> Result<Vec<u8>, Uncompiled> {
    let mut used: Vec<&[u8]> = Vec::new();
    let mut known: HashMap<&[u8], u32> = HashMap::new();
    let mut names = Names::default();
    let (mut heads, mut chains) = (Vec::new(), Vec::new());
    for (name, own) in workloads {
        let first = chains.len() / BUNDLE_CHAIN;
        for chain in *own {
            let Some(bytes) = tables.get(chain.table).copied() else {
                return Err(Uncompiled::Internal("a chain without its table"));
            };
            let table = *known.entry(bytes).or_insert_with(|| {
                used.push(bytes);
                used.len() as u32 - 1
            });
            let service = chain.service.as_deref().map_or([NONE, 0], |service| names.add(service));
            let port = chain.port.map_or(NONE, u32::from);
            chains.extend([table, chain.layer as u32, port, service[0], service[1], 0]);
        }
        let [at, length] = names.add(name);
        heads.extend([at, length, first as u32, own.len() as u32]);
    }
    debug_assert_eq!(heads.len(), workloads.len() * BUNDLE_WORKLOAD);
    let names_at = HEAD + (heads.len() + chains.len() + 2 + used.len() * 2) * 4;
    let chain_count = chains.len() / BUNDLE_CHAIN;
    // Names are told by their place in the file.
    for head in heads.chunks_mut(BUNDLE_WORKLOAD) {
        head[0] += names_at as u32;
    }
    for chain in chains.chunks_mut(BUNDLE_CHAIN).filter(|chain| chain[3] != NONE) {
        chain[3] += names_at as u32;
    }
    let mut places = vec![used.len() as u32, 0];
    let mut end = (names_at + names.text.len()).next_multiple_of(8);
    let start = end;
    for table in &used {
        let numbers = [u32::try_from(end), u32::try_from(table.len())];
        let [Ok(at), Ok(length)] = numbers else { return Err(Uncompiled::TooLarge) };
        places.extend([at, length]);
        end = (end + table.len()).next_multiple_of(8);
    }
    let mut bytes = Vec::with_capacity(end);
    bytes.extend(BUNDLE_MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.resize(HEAD - 8, 0);
    bytes.extend([workloads.len() as u32, chain_count as u32].iter().flat_map(|number| number.to_le_bytes()));
    bytes.extend([heads, chains, places].concat().iter().flat_map(|number| number.to_le_bytes()));
    bytes.extend(names.text.as_bytes());
    bytes.resize(start, 0);
    for table in &used {
        bytes.extend_from_slice(table);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    let length = bytes.len() as u64;
    bytes[16..24].copy_from_slice(&length.to_le_bytes());
    let hash = content_hash(&bytes);
    bytes[HASH_AT..HASH_AT + 32].copy_from_slice(&hash);
    Ok(bytes)
}

#[derive(Default)]
struct Names {
    text: String,
}

impl Names {
    fn add(&mut self, name: &str) -> [u32; 2] {
        self.text.push_str(name);
        [(self.text.len() - name.len()) as u32, name.len() as u32]
    }
}
