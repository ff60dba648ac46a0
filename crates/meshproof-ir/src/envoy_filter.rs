//! Workloads that an EnvoyFilter touches: what is said of them is unverified.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_resources::{EnvoyFilter, Resource, Spec};

use crate::capture::GATEWAY_NAME;
use crate::labels::{LabelSet, SelectorIndex};
use crate::placement::Placement;
use crate::pods::Pods;
use crate::scopes::Scopes;
use crate::{Capture, Fact, NamespaceId, ResourceId};

/// Which proxies a patch is for; patches without a context are for all.
const CONTEXTS: [&str; 3] = ["SIDECAR_INBOUND", "GATEWAY", "WAYPOINT"];
/// How many filters are listed per workload; one makes it unverified.
const LISTED: usize = 8;

/// EnvoyFilters by how they choose their proxies.
pub(crate) struct EnvoyFilters<'a> {
    resources: &'a [Resource],
    everywhere: HashMap<(NamespaceId, &'static str), Vec<ResourceId>, RandomState>,
    selecting: SelectorIndex<'a>,
    by_gateway: HashMap<(NamespaceId, &'a str), Vec<ResourceId>, RandomState>,
}

impl<'a> EnvoyFilters<'a> {
    pub(crate) fn new(resources: &'a [Resource], placement: &Placement) -> Self {
        let mut filters = EnvoyFilters {
            resources,
            everywhere: HashMap::default(),
            selecting: SelectorIndex::default(),
            by_gateway: HashMap::default(),
        };
        let mut selecting = Vec::new();
        for (id, _, namespace, resource) in placement.placed(&placement.kinds.envoy_filters, resources) {
            let Spec::EnvoyFilter(filter) = &resource.spec else { continue };
            let selector = filter.workload_selector.as_ref().filter(|selector| !selector.labels.is_empty());
            if !filter.target_refs.is_empty() {
                let gateways =
                    filter.target_refs.iter().filter(|reference| reference.kind.value == "Gateway");
                for reference in gateways {
                    filters
                        .by_gateway
                        .entry((namespace, reference.name.value.as_str()))
                        .or_default()
                        .push(id);
                }
            } else if let Some(selector) = selector {
                selecting.push((namespace.0, &selector.labels, id.0));
            } else {
                for context in CONTEXTS.into_iter().filter(|context| touches(filter, context)) {
                    let list = filters.everywhere.entry((namespace, context)).or_default();
                    if list.len() < LISTED {
                        list.push(id);
                    }
                }
            }
        }
        filters.selecting = SelectorIndex::new(selecting.into_iter());
        filters
    }

    /// Filters of the namespace and of the root namespace that change what `pods` receive.
    pub(crate) fn at(
        &self,
        pods: &Pods<'_>,
        capture: &Fact<Capture>,
        labels: &LabelSet<'a>,
        scopes: &Scopes,
        tried: &mut u64,
    ) -> Vec<ResourceId> {
        let context = match capture.known() {
            Some(Capture::Ambient | Capture::None | Capture::ProxylessGrpc) => return Vec::new(),
            Some(Capture::Gateway) => "GATEWAY",
            Some(Capture::Waypoint) => "WAYPOINT",
            Some(Capture::Sidecar | Capture::SidecarHbone) | None => "SIDECAR_INBOUND",
        };
        let mut found: Vec<ResourceId> = Vec::new();
        let root = scopes.root(pods.cluster).filter(|root| *root != pods.namespace);
        for namespace in root.into_iter().chain([pods.namespace]) {
            for class in self.selecting.matching(namespace.0, labels, tried) {
                let touching = self.selecting.members(class).iter().copied().map(ResourceId);
                let touching =
                    touching.filter(|id| self.filter(*id).is_some_and(|filter| touches(filter, context)));
                found.extend(touching.take(LISTED));
            }
            found.extend(self.everywhere.get(&(namespace, context)).into_iter().flatten());
        }
        if let Some(gateway) = pods.labels.get(GATEWAY_NAME) {
            found
                .extend(self.by_gateway.get(&(pods.namespace, gateway.value.as_str())).into_iter().flatten());
        }
        found.retain(|id| self.filter(*id).is_some_and(|filter| touches(filter, context)));
        found.sort_unstable();
        found.dedup();
        found.truncate(LISTED);
        found
    }

    fn filter(&self, id: ResourceId) -> Option<&'a EnvoyFilter> {
        match &self.resources[id.index()].spec {
            Spec::EnvoyFilter(filter) => Some(filter),
            _ => None,
        }
    }
}

fn touches(filter: &EnvoyFilter, wanted: &str) -> bool {
    filter.patches.iter().any(|patch| {
        patch.context.as_ref().is_none_or(|context| context.value == "ANY" || context.value == wanted)
    })
}
