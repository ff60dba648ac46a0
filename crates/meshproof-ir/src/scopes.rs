//! Which namespaces are root namespaces.

use crate::placement::Placement;
use crate::{ClusterId, NamespaceId, Settings};

/// The root namespace of each cluster, as far as the input names it.
pub(crate) struct Scopes {
    root: Vec<Option<NamespaceId>>,
    is_root: Vec<bool>,
    is_unnamed: Vec<bool>,
}

impl Scopes {
    pub(crate) fn new(placement: &Placement, settings: &[Settings]) -> Self {
        let mut root = vec![None; placement.clusters.len()];
        let mut is_root = vec![false; placement.namespaces.len()];
        for (at, namespace) in placement.namespaces.iter().enumerate() {
            let of_cluster = settings.get(namespace.cluster.index()).map(Settings::root);
            if namespace.name.is_some() && namespace.name.as_deref() == of_cluster {
                root[namespace.cluster.index()] = Some(NamespaceId(at as u32));
                is_root[at] = true;
            }
        }
        let is_unnamed = placement.namespaces.iter().map(|namespace| namespace.name.is_none()).collect();
        Scopes { root, is_root, is_unnamed }
    }

    pub(crate) fn is_root(&self, namespace: NamespaceId) -> bool {
        self.is_root.get(namespace.index()).copied().unwrap_or_default()
    }

    /// Whether the name of the namespace is not known.
    pub(crate) fn is_unnamed(&self, namespace: NamespaceId) -> bool {
        self.is_unnamed.get(namespace.index()).copied().unwrap_or_default()
    }

    pub(crate) fn root(&self, cluster: ClusterId) -> Option<NamespaceId> {
        self.root.get(cluster.index()).copied().flatten()
    }
}
