//! What kind of namespace each one is.

use meshproof_resources::LabelSelector;

use crate::placement::Placement;
use crate::{ClusterId, Fact, Namespace, NamespaceId, Settings};

/// Root namespaces, namespaces without a known name, and those that the control plane does not look at.
pub(crate) struct Scopes {
    root: Vec<Option<NamespaceId>>,
    root_doubt: Vec<Option<String>>,
    kinds: Vec<Kind>,
}

#[derive(Clone, Copy)]
struct Kind {
    is_root: bool,
    is_unnamed: bool,
    is_discovered: bool,
}

impl Scopes {
    pub(crate) fn new(placement: &Placement, settings: &[Settings]) -> Self {
        let mut root = vec![None; placement.clusters.len()];
        let mut kinds = Vec::with_capacity(placement.namespaces.len());
        for (at, namespace) in placement.namespaces.iter().enumerate() {
            let of_cluster = settings.get(namespace.cluster.index());
            let is_root =
                namespace.name.is_some() && namespace.name.as_deref() == of_cluster.map(Settings::root);
            if is_root {
                root[namespace.cluster.index()] = Some(NamespaceId(at as u32));
            }
            let selectors =
                of_cluster.map_or(&[] as &[_], |settings| settings.discovery_selectors.as_slice());
            kinds.push(Kind {
                is_root,
                is_unnamed: namespace.name.is_none(),
                is_discovered: is_root || is_discovered(namespace, selectors),
            });
        }
        let doubt = |settings: &Settings| match &settings.root_namespace {
            Fact::Known(..) => None,
            Fact::Unknown(reason) => Some(format!("the root namespace is not known: {reason}")),
        };
        Scopes { root, root_doubt: settings.iter().map(doubt).collect(), kinds }
    }

    /// Whether it is the root namespace of its cluster.
    pub(crate) fn is_root(&self, namespace: NamespaceId) -> bool {
        self.kinds.get(namespace.index()).is_some_and(|kind| kind.is_root)
    }

    /// Whether its name is not known.
    pub(crate) fn is_unnamed(&self, namespace: NamespaceId) -> bool {
        self.kinds.get(namespace.index()).is_some_and(|kind| kind.is_unnamed)
    }

    /// Whether the control plane looks at it, as far as the input tells.
    pub(crate) fn is_discovered(&self, namespace: NamespaceId) -> bool {
        self.kinds.get(namespace.index()).is_some_and(|kind| kind.is_discovered)
    }

    /// Why the root namespace of a cluster may be another one than the one taken for it.
    pub(crate) fn root_doubt(&self, cluster: ClusterId) -> Option<&str> {
        self.root_doubt.get(cluster.index())?.as_deref()
    }

    /// The root namespace of a cluster, when anything stands in it.
    pub(crate) fn root(&self, cluster: ClusterId) -> Option<NamespaceId> {
        self.root.get(cluster.index()).copied().flatten()
    }
}

/// False only where it is certain: the namespace is in the input and no selector takes it.
fn is_discovered(namespace: &Namespace, selectors: &[LabelSelector]) -> bool {
    let Fact::Known(labels, _) = &namespace.labels else { return true };
    selectors.is_empty() || selectors.iter().any(|selector| selector.matches(labels) != Some(false))
}
