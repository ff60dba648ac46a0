//! Objects that have a say about packets and that are not evaluated: policies for administrators, those of Cilium, and host
//! endpoints of Calico. Where one may have a say the answer is open, whatever the other policies say.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_ir::{ClusterId, Mesh, NamespaceId, ResourceId};
use meshproof_resources::Spec;

use crate::endpoint::Pod;

/// One object for each place where any has a say.
#[derive(Default)]
pub(crate) struct Unread {
    clusters: HashMap<ClusterId, ResourceId, RandomState>,
    namespaces: HashMap<NamespaceId, ResourceId, RandomState>,
    /// Host endpoints, for pods in the network of their node.
    nodes: HashMap<ClusterId, ResourceId, RandomState>,
}

impl Unread {
    pub(crate) fn new(mesh: &Mesh) -> Self {
        let mut unread = Unread::default();
        for (at, resource) in mesh.resources.iter().enumerate() {
            let Spec::OtherNetworkPolicy { .. } = &resource.spec else { continue };
            let id = ResourceId(at as u32);
            match mesh.placement[at] {
                (cluster, _) if resource.meta.kind.value == "HostEndpoint" => {
                    unread.nodes.entry(cluster).or_insert(id);
                }
                (_, Some(namespace)) if mesh.namespace(namespace).name.is_some() => {
                    unread.namespaces.entry(namespace).or_insert(id);
                }
                // One without a known namespace may stand in any.
                (cluster, _) => {
                    unread.clusters.entry(cluster).or_insert(id);
                }
            }
        }
        unread
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.clusters.is_empty() && self.namespaces.is_empty() && self.nodes.is_empty()
    }

    /// The namespaces that have such objects.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = NamespaceId> + '_ {
        self.namespaces.keys().copied()
    }

    /// An object that may have a say at some pods.
    pub(crate) fn at(&self, pod: &Pod<'_>) -> Option<ResourceId> {
        let of_node = || self.nodes.get(&pod.cluster).filter(|_| pod.host_network);
        let of_pods = || self.clusters.get(&pod.cluster);
        self.namespaces.get(&pod.namespace).or_else(of_pods).or_else(of_node).copied()
    }
}
