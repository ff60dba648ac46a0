//! Objects that select by labels and may stand in any namespace of their cluster.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_resources::TextMap;

use crate::ClusterId;
use crate::labels::{LabelSet, SelectorIndex};

/// How many objects that only may concern a workload are listed; one is enough to make things uncertain.
pub(crate) const MAYBE_LISTED: usize = 32;

/// Such objects by selector.
#[derive(Default)]
pub(crate) struct Floating<'a> {
    everywhere: HashMap<ClusterId, Vec<u32>, RandomState>,
    selecting: SelectorIndex<'a>,
}

impl<'a> Floating<'a> {
    /// Index over `(cluster, selector, member)`; no selector or an empty one selects everything.
    pub(crate) fn new(entries: impl Iterator<Item = (ClusterId, Option<&'a TextMap>, u32)>) -> Self {
        let mut everywhere: HashMap<ClusterId, Vec<u32>, RandomState> = HashMap::default();
        let mut selecting = Vec::new();
        for (cluster, selector, member) in entries {
            match selector.filter(|selector| !selector.is_empty()) {
                Some(selector) => selecting.push((cluster.0, selector, member)),
                None => {
                    let list = everywhere.entry(cluster).or_default();
                    // Twice the limit leaves enough after those of the workload's own namespace are taken out.
                    if list.len() < 2 * MAYBE_LISTED {
                        list.push(member);
                    }
                }
            }
        }
        Floating { everywhere, selecting: SelectorIndex::new(selecting.into_iter()) }
    }

    /// Members that may select `labels`, sorted; not all when there are many.
    pub(crate) fn at<'l>(&self, cluster: ClusterId, labels: &LabelSet<'l>, tried: &mut u64) -> Vec<u32>
    where
        'a: 'l,
    {
        let mut all = self.everywhere.get(&cluster).cloned().unwrap_or_default();
        all.extend(self.selecting.members_matching(cluster.0, labels, 2 * MAYBE_LISTED, tried));
        all.sort_unstable();
        all
    }
}
