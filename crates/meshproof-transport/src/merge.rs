//! Several DestinationRules of one namespace for one host (mutual-TLS reference §2.4; Istio 1.32,
//! model/destination_rule.go `mergeDestinationRule`).

use std::collections::HashSet;

use foldhash::fast::RandomState;
use meshproof_ir::ResourceId;
use meshproof_resources::{Selector, Subset, TrafficPolicy};

use crate::rules::WrittenRule;

/// How many rules stand side by side for one host; nobody writes more, and each new one is compared with all of them.
const SIDE_BY_SIDE: usize = 64;

/// A rule with what was merged into it.
#[derive(Debug)]
pub(crate) struct MergedRule<'m> {
    /// The objects, the one that all others were merged into first.
    pub(crate) from: Vec<ResourceId>,
    pub(crate) selector: Option<&'m Selector>,
    /// Sorted; empty when nothing is written.
    exports: Vec<&'m str>,
    pub(crate) traffic_policy: Option<(ResourceId, &'m TrafficPolicy)>,
    pub(crate) subsets: Vec<(ResourceId, &'m Subset)>,
    names: HashSet<&'m str, RandomState>,
    /// Rules were left out because too many stand side by side.
    pub(crate) is_cut: bool,
}

impl<'m> MergedRule<'m> {
    fn new(written: &WrittenRule<'m>) -> Self {
        let mut rule = MergedRule {
            from: Vec::new(),
            selector: written.rule.workload_selector.as_ref(),
            exports: written.exports(),
            traffic_policy: None,
            subsets: Vec::new(),
            names: HashSet::default(),
            is_cut: false,
        };
        rule.take(written);
        rule
    }

    /// Adds subsets with new names, and the traffic policy when there is none yet.
    fn take(&mut self, written: &WrittenRule<'m>) {
        self.from.push(written.id);
        for subset in written.rule.subsets.iter() {
            let name = subset.name.as_ref().map_or("", |name| name.value.as_str());
            if self.names.insert(name) {
                self.subsets.push((written.id, subset));
            }
        }
        if self.traffic_policy.is_none() {
            self.traffic_policy = written.rule.traffic_policy.as_ref().map(|policy| (written.id, policy));
        }
    }

    /// Whether clients of a namespace other than its own see it.
    pub(crate) fn is_exported_to(&self, namespace: Option<&str>) -> bool {
        self.exports.is_empty() || self.exports.iter().any(|value| *value == "*" || Some(*value) == namespace)
    }

    /// The namespaces that `exportTo` names.
    pub(crate) fn exported_by_name(&self) -> impl Iterator<Item = &'m str> {
        self.exports.iter().copied().filter(|value| *value != "*")
    }

    /// A subset by name, with the object that writes it.
    pub(crate) fn subset(&self, name: &str) -> Option<(ResourceId, &'m Subset)> {
        let named = |subset: &Subset| subset.name.as_ref().is_some_and(|written| written.value == name);
        self.subsets.iter().find(|(_, subset)| named(subset)).copied()
    }
}

/// Merges rules that come in Istio's order: those with a selector first, then by age. `by_export` keeps rules with
/// different `exportTo` apart.
pub(crate) fn merge<'r, 'm: 'r>(
    rules: impl Iterator<Item = &'r WrittenRule<'m>>,
    by_export: bool,
) -> Vec<MergedRule<'m>> {
    let mut merged: Vec<MergedRule<'m>> = Vec::new();
    for written in rules {
        let exports = written.exports();
        let selector = written.rule.workload_selector.as_ref();
        // What the last of them says counts, odd as that is.
        let mut stands_alone = true;
        for rule in &mut merged {
            if by_export {
                stands_alone = exports != rule.exports;
                let widens = !rule.exports.is_empty() && is_superset(&exports, &rule.exports);
                if stands_alone && !widens {
                    continue;
                }
            }
            match (rule.selector, selector) {
                (Some(one), Some(other)) if !is_equal(one, other) => {
                    stands_alone = true;
                    continue;
                }
                (Some(_), Some(_)) | (None, None) => stands_alone = false,
                // A rule for all is folded into one for some, and with equal exportTo it is nowhere else.
                _ => {}
            }
            rule.take(written);
        }
        if !stands_alone {
            continue;
        }
        let is_full = merged.len() >= SIDE_BY_SIDE;
        match merged.last_mut() {
            Some(last) if is_full => last.is_cut = true,
            _ => merged.push(MergedRule::new(written)),
        }
    }
    merged
}

fn is_superset(wide: &[&str], narrow: &[&str]) -> bool {
    narrow.iter().all(|value| wide.binary_search(value).is_ok())
}

fn is_equal(one: &Selector, other: &Selector) -> bool {
    one.match_labels.entries.len() == other.match_labels.entries.len()
        && one.match_labels.is_subset_of(&other.match_labels)
}
