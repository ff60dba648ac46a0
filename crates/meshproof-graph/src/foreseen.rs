//! Questions about many edges, put to each chain together instead of one by one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use foldhash::fast::RandomState;
use meshproof_space::Admitted;

use crate::chain::Chain;
use crate::chains::ChainOf;
use crate::graph::{Edge, Graph};
use crate::party::Party;
use crate::tokens::Bearer;

/// The questions about one chain.
struct Questions<'m> {
    chain: Arc<Chain<'m>>,
    lists: Vec<Admitted>,
}

impl<'m> Graph<'m> {
    /// Finds what [`Graph::tell`] will ask of these edges. Only saves time.
    pub(crate) fn foresee<'e>(
        &self,
        edges: impl Iterator<Item = (&'e Edge, Option<Party<'e>>)>,
        bearer: Option<&Bearer>,
    ) {
        let mut asked: HashMap<ChainOf, Questions<'m>, RandomState> = HashMap::default();
        for (edge, party) in edges {
            let questions = match asked.entry(edge.chain_of()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let Some(chain) = self.chain(edge) else { continue };
                    new.insert(Questions { chain, lists: Vec::new() })
                }
            };
            let asked = self.shown_by(edge, &questions.chain, party, bearer);
            questions.lists.push(asked);
        }
        for Questions { chain, lists } in asked.into_values().filter(|questions| questions.lists.len() > 1) {
            chain.foresee(lists);
        }
    }
}
