//! Chains that were read for questions about edges: those of one place are asked for again and again.

use std::sync::{Arc, Mutex, PoisonError};

use foldhash::HashMap;

use crate::chain::Chain;
use crate::effect::Effect;
use crate::graph::{Edge, Graph};
use crate::place::PlaceId;

/// Boxes that the kept chains have together at most, and some for each chain; then they are read anew.
const MOST: usize = 100_000;
/// What a chain counts beside its boxes.
const EACH: usize = 16;

/// What makes the chain of an edge.
pub(crate) type ChainOf = (PlaceId, Effect, bool);

/// The chains that were asked for.
#[derive(Default)]
pub(crate) struct Chains<'m> {
    kept: Mutex<Kept<'m>>,
}

#[derive(Default)]
struct Kept<'m> {
    chains: HashMap<ChainOf, Option<Arc<Chain<'m>>>>,
    size: usize,
}

impl Edge {
    pub(crate) fn chain_of(&self) -> ChainOf {
        (self.place, self.effect, self.certain_only)
    }
}

impl<'m> Graph<'m> {
    /// The policies that an edge meets; nothing where no proxy takes the connection.
    pub(crate) fn chain(&self, edge: &Edge) -> Option<Arc<Chain<'m>>> {
        let key = edge.chain_of();
        if let Some(known) = self.chains.get(&key) {
            return known;
        }
        let chain = Chain::of(self.mesh, self.place(edge.place), &edge.effect, edge.certain_only);
        let chain = chain.map(Arc::new);
        self.chains.put(key, chain.clone());
        chain
    }
}

impl<'m> Chains<'m> {
    fn get(&self, key: &ChainOf) -> Option<Option<Arc<Chain<'m>>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).chains.get(key).cloned()
    }

    fn put(&self, key: ChainOf, chain: Option<Arc<Chain<'m>>>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let size = EACH + chain.as_ref().map_or(0, |chain| chain.size());
        if kept.size + size > MOST {
            *kept = Kept::default();
        }
        kept.size += size;
        kept.chains.insert(key, chain);
    }
}
