//! Tiers of Calico: groups of policies that are asked one after the other.

use std::cmp::Ordering;
use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_ir::{ClusterId, Mesh};
use meshproof_resources::Spec;

use crate::policy::Action;

/// The tier of policies that name none, and of NetworkPolicies of Kubernetes.
pub(crate) const DEFAULT_TIER: usize = 0;
const DEFAULT_NAME: &str = "default";
/// Its order (Calico, `DefaultTierOrder`).
const DEFAULT_ORDER: f64 = 1_000_000.0;

/// One tier of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Tier {
    pub(crate) name: String,
    /// Its place; `None` when the input does not hold the Tier. Infinite when none is written.
    pub(crate) order: Option<f64>,
    /// What happens to pods that its policies select when no rule decides; `None` when the Tier is not there.
    pub(crate) default_action: Option<Action>,
}

/// The tiers of one cluster, the default tier first, others as they are met.
#[derive(Clone, Debug)]
pub(crate) struct Tiers {
    all: Vec<Tier>,
    by_name: HashMap<String, usize, RandomState>,
}

impl Default for Tiers {
    fn default() -> Self {
        let mut tiers = Tiers { all: Vec::new(), by_name: HashMap::default() };
        let at = tiers.named(DEFAULT_NAME);
        tiers.all[at].order = Some(DEFAULT_ORDER);
        tiers.all[at].default_action = Some(Action::Deny);
        tiers
    }
}

impl Tiers {
    /// The tiers that the input holds, by cluster.
    pub(crate) fn new(mesh: &Mesh) -> Vec<Tiers> {
        let mut clusters: Vec<Tiers> = mesh.clusters.iter().map(|_| Tiers::default()).collect();
        for (resource, (ClusterId(cluster), _)) in mesh.resources.iter().zip(&mesh.placement) {
            let Spec::CalicoTier(tier) = &resource.spec else { continue };
            let Some(tiers) = clusters.get_mut(*cluster as usize) else { continue };
            let at = tiers.named(resource.meta.name());
            let entry = &mut tiers.all[at];
            if at != DEFAULT_TIER {
                entry.order = Some(tier.order.as_ref().map_or(f64::INFINITY, |order| order.value));
            }
            let passes = tier.default_action.as_ref().is_some_and(|action| action.value == "Pass");
            entry.default_action = Some(if passes { Action::Pass } else { Action::Deny });
        }
        clusters
    }

    /// The index of a tier; it is added when it is new.
    pub(crate) fn named(&mut self, name: &str) -> usize {
        if let Some(at) = self.by_name.get(name) {
            return *at;
        }
        let at = self.all.len();
        self.all.push(Tier { name: name.to_owned(), order: None, default_action: None });
        self.by_name.insert(name.to_owned(), at);
        at
    }

    /// A tier.
    pub(crate) fn get(&self, at: usize) -> &Tier {
        &self.all[at]
    }

    /// Which of two tiers is asked first (Calico, felix/calc `TierLess`). Those whose place is not known come last.
    pub(crate) fn compare(&self, left: usize, right: usize) -> Ordering {
        let key = |at: usize| {
            let tier = &self.all[at];
            (tier.order.is_none(), tier.order.unwrap_or_default())
        };
        let ((left_unknown, left_order), (right_unknown, right_order)) = (key(left), key(right));
        left_unknown
            .cmp(&right_unknown)
            .then(left_order.total_cmp(&right_order))
            .then_with(|| self.all[left].name.cmp(&self.all[right].name))
    }
}
