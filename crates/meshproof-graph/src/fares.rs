//! How the callers of one edge fare: alike where they meet the same tests, so that of those who are alike one is asked.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::chain::without_repeats;
use crate::graph::Graph;
use crate::naming::asks_for_identity;
use crate::peers::Peers;

/// How the callers of an edge fare: alike where they meet the same tests.
pub(crate) struct Fares {
    peers: Vec<Peers>,
    known: HashMap<Option<Signature>, bool, RandomState>,
}

/// Which tests somebody meets.
pub(crate) type Signature = Vec<Vec<bool>>;

impl Fares {
    /// Looks once for all callers who are alike.
    pub fn of(&mut self, principal: Option<String>, look: impl FnOnce() -> bool) -> bool {
        let signature = self.signature(principal.as_deref());
        *self.known.entry(signature).or_insert_with(look)
    }

    /// Which tests an identity meets; nothing where none is known.
    pub fn signature(&self, principal: Option<&str>) -> Option<Signature> {
        principal.map(|_| self.peers.iter().map(|peers| peers.signature(principal)).collect())
    }

    /// Whether somebody was looked at and did not get on.
    pub fn is_closed(&self) -> bool {
        self.known.values().any(|gets_on| !gets_on)
    }
}

impl Graph<'_> {
    /// Whether the callers of an edge fare differently there.
    pub(crate) fn hangs_on_identity(&self, edge: usize) -> bool {
        let edge = &self.edges[edge];
        asks_for_identity(self.who(edge.who)) || edge.refuses
    }

    /// What the rules at an edge tell apart.
    pub(crate) fn fares(&self, edge: usize) -> Fares {
        let chain = self.hangs_on_identity(edge).then(|| self.chain(&self.edges[edge])).flatten();
        let refusing = chain.iter().flat_map(|chain| &chain.refusing);
        let mut peers: Vec<Peers> = refusing.map(|one| one.peers.clone()).collect();
        without_repeats(&mut peers);
        peers.push(self.who(self.edges[edge].who).peers.clone());
        Fares { peers, known: HashMap::default() }
    }
}
