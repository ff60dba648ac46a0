//! Which namespaces and service accounts exist, and how sure an absence is.

use std::collections::{BTreeMap, HashSet};
use std::sync::OnceLock;

use meshproof_ir::{Mesh, NamespaceId};
use meshproof_resources::{Source, Spec};
use meshproof_source::{SourceMap, Span};

use crate::World;
use crate::hash::{Map, Set};
use crate::similar::Names;

/// Whether a named account exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Existence {
    /// It does, or may do outside of what can be known.
    Possible,
    /// Nothing in the input makes it.
    Missing {
        /// The input shows every account of that namespace as an object of its own, so the absence is certain.
        certain: bool,
        /// What was probably meant, as `namespace/name`.
        meant: Option<String>,
    },
}

/// Names of one namespace, over all clusters.
#[derive(Debug, Default)]
struct Namespace<'a> {
    names: Set<&'a str>,
    similar: Names<'a>,
    /// ServiceAccount objects are in the input.
    has_objects: bool,
    /// A workload uses an account that has no object: accounts are made elsewhere too.
    uses_unlisted: bool,
    /// Something beyond the input adds to it.
    open: bool,
    /// Accounts may come from elsewhere: Istio's own installation, operators, other clusters of the mesh, other
    /// repositories (none of which shows when the input does not have the Namespace object either).
    managed: bool,
    /// It shows up with workloads, services or accounts, or as an object.
    real: bool,
}

/// Index of all accounts.
pub(crate) struct Accounts<'a> {
    namespaces: Map<&'a str, Namespace<'a>>,
    namespace_names: Names<'a>,
    /// In a stable order, to pick examples from.
    examples: Vec<(&'a str, &'a str)>,
    external: Set<&'a str>,
    trust_domains: Vec<&'a str>,
    sources: &'a SourceMap,
    /// Whether the texts tell of other clusters; looked up when it first matters.
    several_clusters: OnceLock<bool>,
}

impl<'a> Accounts<'a> {
    pub(crate) fn new(
        mesh: &'a Mesh,
        sources: &'a SourceMap,
        world: &'a World,
        incomplete: &HashSet<NamespaceId>,
    ) -> Self {
        let mut namespaces: Map<&'a str, Namespace<'a>> = Map::default();
        // One cluster of several: equal namespaces of the others may hold more accounts.
        let other_clusters = mesh.clusters.len() == 1
            && mesh.namespaces.iter().any(|namespace| {
                namespace
                    .labels
                    .known()
                    .is_some_and(|labels| labels.get("topology.istio.io/network").is_some())
            });
        let mut examples: BTreeMap<(&'a str, &'a str), ()> = BTreeMap::new();
        for (at, namespace) in mesh.namespaces.iter().enumerate() {
            let Some(name) = namespace.name.as_deref() else { continue };
            let entry = namespaces.entry(name).or_default();
            entry.open |= world.incomplete.is_some() || incomplete.contains(&NamespaceId(at as u32));
            entry.real |= namespace.resource.is_some()
                || !namespace.workloads.is_empty()
                || !namespace.services.is_empty()
                || !namespace.service_accounts.is_empty();
            entry.has_objects |= !namespace.service_accounts.is_empty();
            entry.managed |= other_clusters
                || namespace.resource.is_none()
                || world.operator_namespaces.contains(name)
                || mesh.settings.root_namespace.known().map(String::as_str) == Some(name);
            let mut objects = Set::default();
            for id in &namespace.service_accounts {
                let account = mesh.resources[id.index()].meta.name();
                objects.insert(account);
                examples.insert((name, account), ());
            }
            entry.names.extend(objects.iter().copied());
            for id in &namespace.workloads {
                match mesh.workloads[id.index()].service_account.known() {
                    // Kubernetes makes `default` in every namespace.
                    Some(account) if account == "default" || objects.contains(account.as_str()) => {}
                    Some(account) => {
                        entry.uses_unlisted = true;
                        entry.names.insert(account);
                        examples.insert((name, account), ());
                    }
                    None => entry.open = true,
                }
            }
        }
        for (at, resource) in mesh.resources.iter().enumerate() {
            // Machines outside of Kubernetes run under accounts too, without a pod that shows them.
            let Some(name) = mesh.placement[at].1.and_then(|id| mesh.namespaces[id.index()].name.as_deref())
            else {
                continue;
            };
            let endpoints = match &resource.spec {
                Spec::ServiceEntry(entry) => entry.endpoints.items.as_slice(),
                Spec::WorkloadEntry(entry) => std::slice::from_ref(&**entry),
                Spec::WorkloadGroup(group) => group.template.as_slice(),
                _ => continue,
            };
            let accounts = endpoints.iter().filter_map(|endpoint| endpoint.service_account.as_ref());
            namespaces.entry(name).or_default().names.extend(accounts.map(|account| account.value.as_str()));
        }
        for name in &world.external_namespaces {
            let entry = namespaces.entry(name.as_str()).or_default();
            entry.open = true;
            entry.real = true;
        }
        let mut namespace_names = Names::default();
        let mut known: Vec<&'a str> =
            namespaces.iter().filter(|(_, namespace)| namespace.real).map(|(name, _)| *name).collect();
        known.sort_unstable();
        known.into_iter().for_each(|name| namespace_names.push(name));
        for namespace in namespaces.values_mut() {
            let mut sorted: Vec<&'a str> = namespace.names.iter().copied().collect();
            sorted.sort_unstable();
            sorted.into_iter().for_each(|name| namespace.similar.push(name));
        }
        let settings = &mesh.settings;
        let own = settings.trust_domain.known().map(String::as_str);
        let trust_domains = own
            .into_iter()
            .chain(settings.trust_domain_aliases.iter().map(String::as_str))
            // `cluster.local` stands for the mesh's own trust domain (Istio 1.32, trustdomain/bundle.go).
            .chain(["cluster.local"])
            .collect();
        Accounts {
            namespaces,
            namespace_names,
            examples: examples.into_keys().collect(),
            external: world.external_accounts.iter().map(String::as_str).collect(),
            trust_domains,
            sources,
            several_clusters: if mesh.clusters.len() > 1 { OnceLock::from(false) } else { OnceLock::new() },
        }
    }

    /// Whether identities of this trust domain are the mesh's own.
    pub(crate) fn is_own_trust_domain(&self, name: &str) -> bool {
        self.trust_domains.contains(&name)
    }

    /// Whether `namespace/account` exists.
    pub(crate) fn account(&self, namespace: &str, account: &str) -> Existence {
        let Some(known) = self.namespaces.get(namespace) else {
            return self.account_of_unknown_namespace(namespace, account);
        };
        let listed = known.names.contains(account) || account == "default";
        let external =
            !self.external.is_empty() && self.external.contains(format!("{namespace}/{account}").as_str());
        if listed || external || known.open || known.names.is_empty() || made_by_istio(account) {
            return Existence::Possible;
        }
        let meant = known.similar.nearest(account).map(|name| format!("{namespace}/{name}"));
        let certain =
            known.has_objects && !known.uses_unlisted && !known.managed && !self.has_other_clusters();
        Existence::Missing { certain, meant }
    }

    /// Whether the one cluster of the input belongs to a mesh of several. Secrets and settings that say so are no part
    /// of the mesh, so their texts are searched.
    fn has_other_clusters(&self) -> bool {
        *self
            .several_clusters
            .get_or_init(|| self.sources.iter().any(|(_, source)| tells_of_other_clusters(&source.text)))
    }

    /// A namespace that the input does not have may lie elsewhere, unless it is one letter away from a known one that
    /// has this very account.
    fn account_of_unknown_namespace(&self, namespace: &str, account: &str) -> Existence {
        let near = self.namespace_names.nearest(namespace);
        match near.and_then(|name| self.namespaces.get(name).map(|known| (name, known))) {
            Some((name, known)) if known.names.contains(account) => {
                Existence::Missing { certain: false, meant: Some(format!("{name}/{account}")) }
            }
            _ => Existence::Possible,
        }
    }

    /// Whether a namespace exists; only a near name makes an absence worth a word.
    pub(crate) fn namespace(&self, namespace: &str) -> Existence {
        if self.namespaces.get(namespace).is_some_and(|known| known.real) {
            return Existence::Possible;
        }
        match self.namespace_names.nearest(namespace) {
            Some(name) => Existence::Missing { certain: false, meant: Some(name.to_owned()) },
            None => Existence::Possible,
        }
    }

    /// Whether all that runs in a namespace shows in the input.
    pub(crate) fn is_whole(&self, namespace: &str) -> bool {
        let known = self.namespaces.get(namespace);
        known.is_some_and(|known| !known.open && !known.managed) && !self.has_other_clusters()
    }

    /// Whether an account is in the input.
    pub(crate) fn contains(&self, namespace: &str, account: &str) -> bool {
        self.namespaces.get(namespace).is_some_and(|known| known.names.contains(account))
    }

    /// Known accounts as (namespace, name), in a stable order.
    pub(crate) fn examples(&self) -> &[(&'a str, &'a str)] {
        &self.examples
    }

    /// Those of one namespace.
    pub(crate) fn examples_in(&self, namespace: &str) -> &[(&'a str, &'a str)] {
        let start = self.examples.partition_point(|(name, _)| *name < namespace);
        let length = self.examples[start..].partition_point(|(name, _)| *name == namespace);
        &self.examples[start..start + length]
    }

    /// The mesh's own trust domain, or the pointer to it.
    pub(crate) fn trust_domain(&self) -> &'a str {
        self.trust_domains.first().copied().unwrap_or("cluster.local")
    }
}

/// Accounts that the installation of Istio or its gateway controller makes (`deployment_controller.go`: a Gateway
/// `web` of class `istio` gets the account `web-istio`, a waypoint one named after itself).
fn made_by_istio(account: &str) -> bool {
    let prefixes = ["istio", "ztunnel", "waypoint"];
    let suffixes = ["-istio", "waypoint", "gateway-service-account"];
    prefixes.iter().any(|prefix| account.starts_with(prefix))
        || suffixes.iter().any(|suffix| account.ends_with(suffix))
}

/// Whether a text has a remote secret, which istiod finds by the label `istio/multiCluster` (Istio 1.32,
/// pkg/kube/multicluster), or names the cluster under `global.multiCluster.clusterName`, as meshes of several clusters do.
fn tells_of_other_clusters(text: &str) -> bool {
    memchr::memmem::find_iter(text.as_bytes(), "multiCluster").any(|at| {
        let (before, after) = (&text[..at], &text[at + "multiCluster".len()..]);
        if before.ends_with("istio/") {
            return true;
        }
        // The settings of `multiCluster` are few.
        let near = after.lines().take(6);
        near.filter_map(|line| line.split_once("clusterName")).any(|(_, rest)| {
            let value = rest.trim_start_matches(['"', '\'', ' ']).strip_prefix(':').unwrap_or_default();
            let value = value.trim_start_matches(['"', '\'', ' ']);
            value.starts_with(|c: char| c.is_ascii_alphanumeric()) && !value.starts_with("Kubernetes")
        })
    })
}

/// The parts of a principal of the usual shape, `td/ns/NAMESPACE/sa/ACCOUNT`.
pub(crate) struct Principal<'p> {
    pub(crate) trust_domain: &'p str,
    pub(crate) namespace: &'p str,
    pub(crate) account: &'p str,
}

/// Takes a principal apart, without a leading `spiffe://`.
pub(crate) fn principal(text: &str) -> Option<Principal<'_>> {
    let mut parts = text.split('/');
    let (trust_domain, ns, namespace, sa, account) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let whole = parts.next().is_none() && ns == "ns" && sa == "sa";
    (whole && !namespace.is_empty() && !account.is_empty()).then_some(Principal {
        trust_domain,
        namespace,
        account,
    })
}

/// Where a source names an account (`namespace/account`) one by one. Short names are of no namespace here.
pub(crate) fn place_of_account(source: &Source, account: &str) -> Option<Span> {
    let is_it = |value: &str| match principal(value) {
        Some(parts) => Some((parts.namespace, parts.account)) == account.split_once('/'),
        None => value == account,
    };
    let values = source.principals.values.iter().chain(&*source.service_accounts.values);
    values.filter(|value| is_it(&value.value)).map(|value| value.span).next()
}
