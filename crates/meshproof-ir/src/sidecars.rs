//! Sidecar objects that replace the inbound ports of their workloads.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_grammar::protocol::{Protocol, ProtocolClass};
use meshproof_resources::{Resource, Spec};
use meshproof_source::Span;

use crate::age::{sort_by_age, sort_classes_by_age};
use crate::labels::{LabelSet, SelectorIndex};
use crate::placement::Placement;
use crate::scopes::Scopes;
use crate::{ClusterId, NamespaceId, ResourceId};

/// Sidecars by scope, each list the oldest first.
pub(crate) struct Sidecars<'a> {
    resources: &'a [Resource],
    selecting: SelectorIndex<'a>,
    namespace: HashMap<NamespaceId, Vec<ResourceId>, RandomState>,
}

/// One inbound listener that a Sidecar writes.
pub(crate) struct Ingress {
    pub(crate) port: u16,
    pub(crate) class: ProtocolClass,
    pub(crate) span: Span,
}

impl<'a> Sidecars<'a> {
    pub(crate) fn new(resources: &'a [Resource], placement: &Placement) -> Self {
        let mut namespace: HashMap<NamespaceId, Vec<ResourceId>, RandomState> = HashMap::default();
        let mut selecting = Vec::new();
        for (id, _, place, resource) in placement.placed(&placement.kinds.sidecars, resources) {
            let Spec::Sidecar(sidecar) = &resource.spec else { continue };
            match sidecar.workload_selector.as_ref().filter(|selector| !selector.labels.is_empty()) {
                Some(selector) => selecting.push((place.0, &selector.labels, id.0)),
                None => namespace.entry(place).or_default().push(id),
            }
        }
        namespace.values_mut().for_each(|list| sort_by_age(list, resources));
        let mut selecting = SelectorIndex::new(selecting.into_iter());
        sort_classes_by_age(&mut selecting, resources);
        Sidecars { resources, selecting, namespace }
    }

    /// The Sidecar in force: one that selects the pods, else that of their namespace, else that of the root namespace
    /// (Istio 1.32, model/push_context.go `getSidecarScope`).
    pub(crate) fn at(
        &self,
        (cluster, namespace): (ClusterId, NamespaceId),
        scopes: &Scopes,
        labels: &LabelSet<'a>,
        tried: &mut u64,
    ) -> Option<ResourceId> {
        let found = self.selecting.members_matching(namespace.0, labels, 1, tried);
        let mut selecting: Vec<ResourceId> = found.into_iter().map(ResourceId).collect();
        sort_by_age(&mut selecting, self.resources);
        let of = |namespace: NamespaceId| self.namespace.get(&namespace).and_then(|list| list.first());
        selecting.first().or_else(|| of(namespace)).or_else(|| of(scopes.root(cluster)?)).copied()
    }

    /// The inbound listeners that replace those of the Services; none when the Sidecar writes none.
    pub(crate) fn ingress(&self, id: ResourceId) -> Option<Vec<Ingress>> {
        let Spec::Sidecar(sidecar) = &self.resources[id.index()].spec else { return None };
        let listener = |listener: &meshproof_resources::IngressListener| {
            let port = listener.port.as_ref()?;
            let number = port.number.as_ref()?;
            let written = port.protocol.as_ref().map_or("", |protocol| protocol.value.as_str());
            let class = Protocol::parse(written).map_or(ProtocolClass::Auto, Protocol::class);
            let span = port.protocol.as_ref().map_or(port.span, |protocol| protocol.span);
            Some(Ingress { port: number.value, class, span })
        };
        let listeners: Vec<Ingress> = sidecar.ingress.iter().filter_map(listener).collect();
        (!listeners.is_empty()).then_some(listeners)
    }
}
