//! Cluster and namespace of every object.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use meshproof_resources::{Resource, Spec, TextMap};
use meshproof_source::Spanned;

use crate::build::BuildOptions;
use crate::labels::LabelSet;
use crate::{Cluster, ClusterId, Fact, Namespace, NamespaceId, Origin, ResourceId, Settings};

/// The label that the API server gives every namespace.
pub(crate) const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Where everything stands.
pub(crate) struct Placement {
    pub(crate) places: Vec<(ClusterId, Option<NamespaceId>)>,
    pub(crate) clusters: Vec<Cluster>,
    pub(crate) namespaces: Vec<Namespace>,
    pub(crate) kinds: Kinds,
    /// See [`BuildOptions::presumes_gateways`].
    pub(crate) presumes_gateways: bool,
}

/// Objects of the kinds that are looked at one by one, each list in resource order.
#[derive(Default)]
pub(crate) struct Kinds {
    /// Everything that makes pods or stands for machines.
    pub(crate) pods: Vec<ResourceId>,
    pub(crate) services: Vec<ResourceId>,
    pub(crate) service_entries: Vec<ResourceId>,
    pub(crate) authorization_policies: Vec<ResourceId>,
    pub(crate) request_authentications: Vec<ResourceId>,
    pub(crate) peer_authentications: Vec<ResourceId>,
    pub(crate) sidecars: Vec<ResourceId>,
    pub(crate) envoy_filters: Vec<ResourceId>,
    /// Gateways of the networking API.
    pub(crate) istio_gateways: Vec<ResourceId>,
    /// Gateways of the Gateway API.
    pub(crate) gateways: Vec<ResourceId>,
    pub(crate) gateway_classes: Vec<ResourceId>,
    /// Routes of the Gateway API.
    pub(crate) routes: Vec<ResourceId>,
    pub(crate) mesh_configs: Vec<ResourceId>,
}

impl Kinds {
    fn add(&mut self, id: ResourceId, spec: &Spec) {
        let list = match spec {
            Spec::Workload(_) | Spec::WorkloadEntry(_) | Spec::WorkloadGroup(_) => &mut self.pods,
            Spec::Service(_) => &mut self.services,
            Spec::ServiceEntry(_) => &mut self.service_entries,
            Spec::AuthorizationPolicy(_) => &mut self.authorization_policies,
            Spec::RequestAuthentication(_) => &mut self.request_authentications,
            Spec::PeerAuthentication(_) => &mut self.peer_authentications,
            Spec::Sidecar(_) => &mut self.sidecars,
            Spec::EnvoyFilter(_) => &mut self.envoy_filters,
            Spec::Gateway(_) => &mut self.istio_gateways,
            Spec::KubernetesGateway(_) => &mut self.gateways,
            Spec::GatewayClass(_) => &mut self.gateway_classes,
            Spec::Route(_) => &mut self.routes,
            Spec::MeshConfig(_) => &mut self.mesh_configs,
            _ => return,
        };
        list.push(id);
    }
}

impl Placement {
    /// Gateways run in the root namespace where nothing says otherwise, also where nothing else stands in it.
    pub(crate) fn add_homes(&mut self, settings: &[Settings]) {
        let of_gateways = self.kinds.istio_gateways.iter().map(|id| self.places[id.index()].0);
        let mut clusters: Vec<ClusterId> = of_gateways.collect();
        clusters.sort_unstable();
        clusters.dedup();
        let root = |cluster: ClusterId| settings.get(cluster.index()).map(Settings::root);
        let there =
            self.namespaces.iter().filter(|namespace| namespace.name.as_deref() == root(namespace.cluster));
        let there: HashSet<ClusterId, RandomState> = there.map(|namespace| namespace.cluster).collect();
        for cluster in clusters.into_iter().filter(|cluster| !there.contains(cluster)) {
            if let Some(name) = root(cluster) {
                self.namespaces.push(absent(cluster, name));
            }
        }
    }

    /// Objects of a list with their place; objects without a namespace are left out.
    pub(crate) fn placed<'p, 'a>(
        &'p self,
        ids: &'p [ResourceId],
        resources: &'a [Resource],
    ) -> impl Iterator<Item = (ResourceId, ClusterId, NamespaceId, &'a Resource)> + Clone + use<'p, 'a> {
        ids.iter().filter_map(move |id| {
            let (cluster, namespace) = self.places[id.index()];
            Some((*id, cluster, namespace?, &resources[id.index()]))
        })
    }
}

/// Places every object: in the namespace it names, else in `-n`, else in one namespace of unknown name per source
/// folder, since what stands in one folder without a namespace is applied together.
pub(crate) fn place(
    resources: &[Resource],
    clusters: &[Option<String>],
    options: &BuildOptions,
) -> Placement {
    let mut placer = Placer {
        resources,
        options,
        named: HashMap::default(),
        unnamed: HashMap::default(),
        out: Placement {
            places: Vec::with_capacity(resources.len()),
            clusters: Vec::new(),
            namespaces: Vec::new(),
            kinds: Kinds::default(),
            presumes_gateways: options.presumes_gateways,
        },
        last: None,
    };
    let mut last: Option<ClusterId> = None;
    for (at, resource) in resources.iter().enumerate() {
        let name = clusters.get(at).and_then(Option::as_deref);
        let cluster = match last {
            Some(id) if placer.out.clusters[id.index()].name.as_deref() == name => id,
            _ => placer.cluster(name),
        };
        last = Some(cluster);
        placer.add(ResourceId(at as u32), resource, cluster);
    }
    let mut out = placer.out;
    if out.clusters.is_empty() {
        out.clusters.push(Cluster { name: None });
    }
    out
}

struct Placer<'a> {
    resources: &'a [Resource],
    options: &'a BuildOptions,
    named: HashMap<(ClusterId, &'a str), NamespaceId, RandomState>,
    unnamed: HashMap<(ClusterId, &'a str), NamespaceId, RandomState>,
    out: Placement,
    /// Neighbours mostly share a namespace.
    last: Option<(ClusterId, &'a str, NamespaceId)>,
}

impl<'a> Placer<'a> {
    fn cluster(&mut self, name: Option<&str>) -> ClusterId {
        let clusters = &mut self.out.clusters;
        let at = clusters.iter().position(|cluster| cluster.name.as_deref() == name).unwrap_or_else(|| {
            clusters.push(Cluster { name: name.map(str::to_owned) });
            clusters.len() - 1
        });
        ClusterId(at as u32)
    }

    fn add(&mut self, id: ResourceId, resource: &'a Resource, cluster: ClusterId) {
        self.out.kinds.add(id, &resource.spec);
        if matches!(resource.spec, Spec::Namespace) {
            if !resource.meta.name().is_empty() {
                let namespace = self.named(cluster, resource.meta.name());
                self.declare(namespace, id, resource);
            }
            self.out.places.push((cluster, None));
            return;
        }
        let cluster_wide = match &resource.spec {
            Spec::GatewayClass(_) | Spec::CalicoTier(_) | Spec::ApiBackends(_) | Spec::Patch(_) => true,
            Spec::MeshConfig(_) => resource.meta.namespace.is_none(),
            Spec::CalicoPolicy(policy) => policy.global,
            Spec::CalicoNetworkSet(set) => set.global,
            Spec::OtherNetworkPolicy { cluster_wide } => *cluster_wide,
            _ => false,
        };
        if cluster_wide {
            self.out.places.push((cluster, None));
            return;
        }
        let written = resource.meta.namespace.as_ref().map(|namespace| namespace.value.as_str());
        let namespace = match written.or(self.options.namespace.as_deref()) {
            Some(name) => self.named(cluster, name),
            None => {
                let source = resource.meta.span.source;
                self.unnamed(cluster, self.options.folder(source))
            }
        };
        let entry = &mut self.out.namespaces[namespace.index()];
        match &resource.spec {
            Spec::ServiceAccount => entry.service_accounts.push(id),
            Spec::AuthorizationPolicy(_) => entry.policies.push(id),
            _ => {}
        }
        self.out.places.push((cluster, Some(namespace)));
    }

    fn named(&mut self, cluster: ClusterId, name: &'a str) -> NamespaceId {
        if let Some((_, _, id)) = self.last.filter(|(of, last, _)| *of == cluster && *last == name) {
            return id;
        }
        if let Some(id) = self.named.get(&(cluster, name)).copied() {
            self.last = Some((cluster, name, id));
            return id;
        }
        let id = self.push(absent(cluster, name));
        self.named.insert((cluster, name), id);
        id
    }

    fn unnamed(&mut self, cluster: ClusterId, folder: &'a str) -> NamespaceId {
        if let Some(id) = self.unnamed.get(&(cluster, folder)) {
            return *id;
        }
        let id =
            self.push(without_objects(cluster, None, Fact::Unknown("the namespace is not known".to_owned())));
        self.unnamed.insert((cluster, folder), id);
        id
    }

    fn push(&mut self, namespace: Namespace) -> NamespaceId {
        self.out.namespaces.push(namespace);
        NamespaceId(self.out.namespaces.len() as u32 - 1)
    }

    /// Gives a namespace the labels of its object. Two objects of one name with different labels (a base and an
    /// overlay, say) leave open which one is applied last.
    fn declare(&mut self, namespace: NamespaceId, id: ResourceId, resource: &Resource) {
        let entry = &mut self.out.namespaces[namespace.index()];
        match entry.resource {
            None => {
                entry.resource = Some(id);
                entry.labels = Fact::Known(labels_of(resource), Origin::Written(resource.meta.span));
            }
            Some(first) => {
                let first = &self.resources[first.index()];
                if !same_labels(&first.meta.labels, &resource.meta.labels) {
                    let name = resource.meta.name();
                    entry.labels =
                        Fact::Unknown(format!("namespace {name} is written twice with different labels"));
                }
            }
        }
    }
}

/// A namespace whose object was not seen.
fn absent(cluster: ClusterId, name: &str) -> Namespace {
    let labels = Fact::Unknown(format!("namespace {name} is not in the input"));
    without_objects(cluster, Some(name.to_owned()), labels)
}

fn without_objects(cluster: ClusterId, name: Option<String>, labels: Fact<TextMap>) -> Namespace {
    Namespace {
        cluster,
        name,
        resource: None,
        labels,
        workloads: Vec::new(),
        services: Vec::new(),
        service_accounts: Vec::new(),
        policies: Vec::new(),
    }
}

fn labels_of(namespace: &Resource) -> TextMap {
    let mut labels = namespace.meta.labels.clone();
    if let Some(name) = &namespace.meta.name {
        labels.entries.retain(|(key, _)| key.value != NAME_LABEL);
        labels.entries.push((Spanned::new(NAME_LABEL.to_owned(), name.span), name.clone()));
    }
    labels
}

fn same_labels(left: &TextMap, right: &TextMap) -> bool {
    left.entries.len() == right.entries.len() && LabelSet::new(right).satisfies(left)
}
