//! NetworkSets of Calico: addresses that selectors of policies find by labels, as they find pods.

use ipnet::IpNet;
use meshproof_grammar::cidr::Cidr;
use meshproof_ir::{ClusterId, Mesh, NamespaceId};
use meshproof_resources::{Spec, TextMap};

use crate::endpoint::{CALICO_LABELS, Endpoint, namespace_label};
use crate::holds::Holds;
use crate::policy::{Namespaces, Selection};
use crate::selector::{Label, Selector};

/// All sets of a mesh.
pub(crate) struct NetworkSets<'m> {
    mesh: &'m Mesh,
    all: Vec<NetworkSet<'m>>,
}

struct NetworkSet<'m> {
    cluster: ClusterId,
    /// Absent for a GlobalNetworkSet.
    namespace: Option<NamespaceId>,
    labels: &'m TextMap,
    nets: Vec<IpNet>,
}

impl<'m> NetworkSets<'m> {
    pub(crate) fn new(mesh: &'m Mesh) -> Self {
        let mut all = Vec::new();
        for (resource, (cluster, namespace)) in mesh.resources.iter().zip(&mesh.placement) {
            let Spec::CalicoNetworkSet(set) = &resource.spec else { continue };
            let nets = set.nets.iter().filter_map(|net| Cidr::parse(&net.value).ok());
            all.push(NetworkSet {
                cluster: *cluster,
                namespace: *namespace,
                labels: &resource.meta.labels,
                nets: nets.map(|net| net.network()).collect(),
            });
        }
        NetworkSets { mesh, all }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether the address of an end lies in a set that a selection finds.
    pub(crate) fn hold(
        &self,
        cluster: ClusterId,
        selection: &Selection,
        end: &Endpoint<'m>,
        pod_networks: &[IpNet],
    ) -> Holds {
        // Sets run under no service account.
        if selection.accounts.is_some() {
            return Holds::No;
        }
        let sets = self.all.iter().filter(|set| set.cluster == cluster);
        Holds::any(sets.map(|set| {
            end.is_in(&set.nets, pod_networks)
                .and(|| self.is_in_namespace(set, &selection.namespaces))
                .and(|| set.is_selected(self.mesh, &selection.pods))
        }))
    }

    /// The same for a selector alone, which then holds wherever the set stands.
    pub(crate) fn hold_anywhere(
        &self,
        cluster: ClusterId,
        selector: &Selector,
        end: &Endpoint<'m>,
        pod_networks: &[IpNet],
    ) -> Holds {
        let sets = self.all.iter().filter(|set| set.cluster == cluster);
        Holds::any(
            sets.map(|set| end.is_in(&set.nets, pod_networks).and(|| set.is_selected(self.mesh, selector))),
        )
    }

    fn is_in_namespace(&self, set: &NetworkSet<'_>, wanted: &Namespaces) -> Holds {
        match (wanted, set.namespace) {
            (Namespaces::Any, _) | (Namespaces::None, None) => Holds::Yes,
            (Namespaces::None, Some(_)) | (_, None) => Holds::No,
            (Namespaces::Own(own), Some(namespace)) => (*own == namespace).into(),
            (Namespaces::Matching(selector), Some(namespace)) => {
                selector.matches(&|key| namespace_label(self.mesh, namespace, key))
            }
        }
    }
}

impl NetworkSet<'_> {
    fn is_selected(&self, mesh: &Mesh, selector: &Selector) -> Holds {
        selector.matches(&|key| {
            if key.strip_prefix(CALICO_LABELS) == Some("namespace") {
                let namespace = self.namespace.map(|namespace| mesh.namespace(namespace));
                return match namespace.map(|namespace| namespace.name.as_deref()) {
                    None => Label::Known(None),
                    Some(Some(name)) => Label::Known(Some(name)),
                    Some(None) => Label::Unknown("the namespace of a NetworkSet is not known".to_owned()),
                };
            }
            Label::Known(self.labels.get(key).map(|value| value.value.as_str()))
        })
    }
}
