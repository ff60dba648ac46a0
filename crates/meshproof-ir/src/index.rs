//! Ways to objects by name.

use std::sync::OnceLock;

use meshproof_resources::Spec;

use crate::{ClusterId, Mesh, NamespaceId, ResourceId};

/// Sorted lists over a mesh.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Named namespaces by cluster and name.
    namespaces: Vec<NamespaceId>,
    /// Objects by cluster, namespace, kind and name; sorted when first asked for.
    objects: OnceLock<Vec<ResourceId>>,
    /// Whether anything stands in the root namespace, by cluster.
    root_is_visible: Vec<bool>,
}

type ObjectKey<'m> = (ClusterId, Option<NamespaceId>, &'m str, &'m str);

fn object_key(mesh: &Mesh, id: ResourceId) -> ObjectKey<'_> {
    let (cluster, namespace) = mesh.placement[id.index()];
    let meta = &mesh.resources[id.index()].meta;
    (cluster, namespace, &meta.kind.value, meta.name())
}

fn namespace_key(mesh: &Mesh, id: NamespaceId) -> (ClusterId, &str) {
    let namespace = &mesh.namespaces[id.index()];
    (namespace.cluster, namespace.name.as_deref().unwrap_or_default())
}

fn sorted_objects(mesh: &Mesh) -> Vec<ResourceId> {
    let mut objects: Vec<ResourceId> = (0..mesh.resources.len() as u32).map(ResourceId).collect();
    objects.retain(|id| !matches!(mesh.resources[id.index()].spec, Spec::Patch(_)));
    objects.sort_by_cached_key(|id| (object_key(mesh, *id), *id));
    objects
}

impl Index {
    pub(crate) fn new(mesh: &Mesh) -> Self {
        let ids = 0..mesh.namespaces.len() as u32;
        let mut namespaces: Vec<NamespaceId> =
            ids.map(NamespaceId).filter(|id| mesh.namespaces[id.index()].name.is_some()).collect();
        namespaces.sort_unstable_by_key(|id| (namespace_key(mesh, *id), *id));
        let mut root_is_visible = vec![false; mesh.clusters.len()];
        // A namespace is known because something stands in it or because its object is there.
        for (at, namespace) in mesh.namespaces.iter().enumerate() {
            root_is_visible[namespace.cluster.index()] |= mesh.is_root(NamespaceId(at as u32));
        }
        Index { namespaces, objects: OnceLock::new(), root_is_visible }
    }
}

impl Mesh {
    /// A namespace by name.
    pub fn namespace_by_name(&self, cluster: ClusterId, name: &str) -> Option<NamespaceId> {
        let list = &self.index.namespaces;
        let at = list.partition_point(|id| namespace_key(self, *id) < (cluster, name));
        list.get(at).copied().filter(|id| namespace_key(self, *id) == (cluster, name))
    }

    /// Objects of a kind and name in a namespace (none for cluster-wide kinds); several when it is written twice, or
    /// when kinds of two API groups share a name.
    pub fn objects<'m>(
        &'m self,
        cluster: ClusterId,
        namespace: Option<NamespaceId>,
        kind: &'m str,
        name: &'m str,
    ) -> impl Iterator<Item = ResourceId> + 'm {
        let key = (cluster, namespace, kind, name);
        let list = self.index.objects.get_or_init(|| sorted_objects(self));
        let at = list.partition_point(|id| object_key(self, *id) < key);
        list[at..].iter().copied().take_while(move |id| object_key(self, *id) == key)
    }

    /// Whether the root namespace or any object in it is in the input, so that mesh-wide defaults can be expected there.
    pub fn root_is_visible(&self, cluster: ClusterId) -> bool {
        self.index.root_is_visible.get(cluster.index()).copied().unwrap_or_default()
    }
}
