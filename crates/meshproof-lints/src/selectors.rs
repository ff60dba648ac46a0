//! Labels: which pods a selector finds, and which it nearly finds.

use meshproof_ir::{Mesh, NamespaceId, Workload, WorkloadId, is_given_later};
use meshproof_resources::{Text, TextMap};

use crate::hash::Map;
use crate::similar::Names;

/// Whether a selector asks for a label that pods only get when they are made: it may find pods all the same.
pub(crate) fn asks_for_later_labels(selector: &TextMap) -> bool {
    selector.entries.iter().any(|(key, _)| is_given_later(&key.value))
}

/// Pods by label, per namespace.
pub(crate) struct LabelIndex<'a> {
    by_pair: Map<(NamespaceId, &'a str, &'a str), Vec<WorkloadId>>,
    values: Map<(NamespaceId, &'a str), Names<'a>>,
    by_name: Map<(NamespaceId, &'a str), WorkloadId>,
}

impl<'a> LabelIndex<'a> {
    pub(crate) fn new(mesh: &'a Mesh) -> Self {
        let mut by_pair: Map<_, Vec<WorkloadId>> = Map::default();
        let mut values: Map<_, Names<'a>> = Map::default();
        let mut by_name = Map::default();
        for (at, workload) in mesh.workloads.iter().enumerate() {
            by_name.entry((workload.namespace, workload.name.as_str())).or_insert(WorkloadId(at as u32));
            for (key, value) in &workload.labels.entries {
                let pods = by_pair
                    .entry((workload.namespace, key.value.as_str(), value.value.as_str()))
                    .or_default();
                if pods.is_empty() {
                    values.entry((workload.namespace, key.value.as_str())).or_default().push(&value.value);
                }
                pods.push(WorkloadId(at as u32));
            }
        }
        LabelIndex { by_pair, values, by_name }
    }

    /// The workload of a name.
    pub(crate) fn named(&self, namespace: NamespaceId, name: &str) -> Option<WorkloadId> {
        self.by_name.get(&(namespace, name)).copied()
    }

    /// Workloads of a namespace with one label.
    fn with_label<'s>(&'s self, namespace: NamespaceId, key: &'s str, value: &'s str) -> &'s [WorkloadId] {
        self.by_pair.get(&(namespace, key, value)).map_or(&[], Vec::as_slice)
    }

    /// Pods of a namespace that a selector finds. An empty selector finds every pod.
    pub(crate) fn find(&self, mesh: &Mesh, namespace: NamespaceId, selector: &TextMap) -> Vec<WorkloadId> {
        let found = self.candidates(mesh, namespace, selector).iter();
        found.copied().filter(|id| selector.is_subset_of(&mesh.workloads[id.index()].labels)).collect()
    }

    /// Whether a selector finds a pod of a namespace.
    pub(crate) fn finds(&self, mesh: &Mesh, namespace: NamespaceId, selector: &TextMap) -> bool {
        let mut found = self.candidates(mesh, namespace, selector).iter();
        found.any(|id| selector.is_subset_of(&mesh.workloads[id.index()].labels))
    }

    /// The first of the pods that a selector finds, when all of them are of one kind.
    pub(crate) fn first_if_all<'m>(
        &self,
        mesh: &'m Mesh,
        namespace: NamespaceId,
        selector: &TextMap,
        is: impl Fn(&Workload) -> bool,
    ) -> Option<&'m Workload> {
        let candidates = self.candidates(mesh, namespace, selector).iter().map(|id| mesh.workload(*id));
        let mut found = candidates.filter(|workload| selector.is_subset_of(&workload.labels)).peekable();
        let first = *found.peek()?;
        found.all(is).then_some(first)
    }

    /// Pods with the rarest label of a selector; every pod for an empty one.
    fn candidates<'s>(
        &'s self,
        mesh: &'s Mesh,
        namespace: NamespaceId,
        selector: &'s TextMap,
    ) -> &'s [WorkloadId] {
        let rarest = selector
            .entries
            .iter()
            .map(|(key, value)| self.with_label(namespace, &key.value, &value.value))
            .min_by_key(|pods| pods.len());
        rarest.unwrap_or(&mesh.namespaces[namespace.index()].workloads)
    }

    /// Whether a selector finds a pod in any namespace.
    pub(crate) fn finds_anywhere(&self, mesh: &Mesh, selector: &TextMap) -> bool {
        let namespaces = 0..mesh.namespaces.len() as u32;
        namespaces.map(NamespaceId).any(|namespace| self.finds(mesh, namespace, selector))
    }

    /// What a selector that finds nothing was probably meant to find: the one label to change, and the pods found then.
    pub(crate) fn nearly<'s>(
        &self,
        mesh: &Mesh,
        namespace: NamespaceId,
        selector: &'s TextMap,
    ) -> Option<Near<'s>>
    where
        'a: 's,
    {
        selector.entries.iter().find_map(|(key, value)| {
            let meant = self.values.get(&(namespace, key.value.as_str()))?.nearest(&value.value)?;
            let others = |id: &&WorkloadId| {
                let labels = &mesh.workloads[id.index()].labels;
                selector.entries.iter().filter(|(other, _)| other.value != key.value).all(|(key, value)| {
                    labels.get(&key.value).is_some_and(|found| found.value == value.value)
                })
            };
            let workloads: Vec<WorkloadId> = self
                .with_label(namespace, key.value.as_str(), meant)
                .iter()
                .filter(others)
                .copied()
                .collect();
            (!workloads.is_empty()).then_some(Near { key, value, meant, workloads })
        })
    }
}

/// A label that is one slip away from a real one.
pub(crate) struct Near<'a> {
    /// The label's key.
    pub(crate) key: &'a Text,
    /// The value as written.
    pub(crate) value: &'a Text,
    /// The value that pods have.
    pub(crate) meant: &'a str,
    /// The pods that have it, and everything else that the selector asks for.
    pub(crate) workloads: Vec<WorkloadId>,
}
