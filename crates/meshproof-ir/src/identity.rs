//! Identities: what a workload proves to be.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_resources::{Resource, Spec};

use crate::{Namespace, NamespaceId, ResourceId, Settings, Workload, WorkloadId};

/// The account of pods that name none, which Kubernetes makes in every namespace.
pub(crate) const DEFAULT_ACCOUNT: &str = "default";

/// A service account and who runs under it. Equal names in two clusters of one trust domain are one identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The trust domain; absent where the input contradicts itself.
    pub trust_domain: Option<String>,
    /// The namespace; absent when its name is not known.
    pub namespace: Option<String>,
    /// The service account.
    pub account: String,
    /// The namespaces of that name, one per cluster.
    pub namespaces: Vec<NamespaceId>,
    /// ServiceAccount objects.
    pub objects: Vec<ResourceId>,
    /// Workloads that run under it.
    pub workloads: Vec<WorkloadId>,
}

impl Identity {
    /// The principal as policies write it (`TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT`), when all parts are known.
    pub fn principal(&self) -> Option<String> {
        let (domain, namespace) = (self.trust_domain.as_ref()?, self.namespace.as_ref()?);
        Some(format!("{}/ns/{namespace}/sa/{}", domain.replace('@', "."), self.account))
    }

    /// The SPIFFE id, when all parts are known (Istio 1.32, pkg/spiffe/spiffe.go).
    pub fn spiffe_id(&self) -> Option<String> {
        self.principal().map(|principal| format!("spiffe://{principal}"))
    }
}

/// All identities and the ways to them.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    pub(crate) all: Vec<Identity>,
    /// Index into `all` by workload; absent when the account is not known.
    pub(crate) of_workload: Vec<Option<u32>>,
    by_name: HashMap<String, Vec<u32>, RandomState>,
}

type Key = (Option<String>, Result<String, NamespaceId>, String);

impl Identities {
    /// Collects the accounts that exist: ServiceAccount objects, accounts that pods use, and `default` everywhere.
    pub(crate) fn new(
        resources: &[Resource],
        namespaces: &[Namespace],
        workloads: &[Workload],
        settings: &[Settings],
    ) -> Self {
        let mut building =
            Building { settings, namespaces, known: HashMap::default(), out: Identities::default() };
        for (at, namespace) in namespaces.iter().enumerate() {
            let id = NamespaceId(at as u32);
            building.identity(id, DEFAULT_ACCOUNT);
            for object in &namespace.service_accounts {
                let resource = &resources[object.index()];
                debug_assert!(matches!(resource.spec, Spec::ServiceAccount));
                let identity = building.identity(id, resource.meta.name());
                building.out.all[identity as usize].objects.push(*object);
            }
        }
        for (at, workload) in workloads.iter().enumerate() {
            let identity = workload
                .service_account
                .known()
                .map(|account| building.identity(workload.namespace, account));
            building.out.of_workload.push(identity);
            if let Some(identity) = identity {
                building.out.all[identity as usize].workloads.push(WorkloadId(at as u32));
            }
        }
        building.out
    }

    /// Identities of an account in a namespace, in any trust domain.
    pub(crate) fn named(&self, namespace: &str, account: &str) -> impl Iterator<Item = &Identity> {
        let found = self.by_name.get(&format!("{namespace}/{account}"));
        found.into_iter().flatten().map(|at| &self.all[*at as usize])
    }
}

struct Building<'a> {
    settings: &'a [Settings],
    namespaces: &'a [Namespace],
    known: HashMap<Key, u32, RandomState>,
    out: Identities,
}

impl Building<'_> {
    fn identity(&mut self, id: NamespaceId, account: &str) -> u32 {
        let namespace = &self.namespaces[id.index()];
        let settings = self.settings.get(namespace.cluster.index());
        let domain = settings.and_then(|settings| settings.trust_domain.known().cloned());
        let place = namespace.name.clone().ok_or(id);
        let key = (domain, place, account.to_owned());
        let next = self.out.all.len() as u32;
        if let Some(at) = self.known.get(&key) {
            let identity = &mut self.out.all[*at as usize];
            if identity.namespaces.last() != Some(&id) && !identity.namespaces.contains(&id) {
                identity.namespaces.push(id);
            }
            return *at;
        }
        self.out.all.push(Identity {
            trust_domain: key.0.clone(),
            namespace: namespace.name.clone(),
            account: account.to_owned(),
            namespaces: vec![id],
            objects: Vec::new(),
            workloads: Vec::new(),
        });
        if let Some(name) = &namespace.name {
            self.out.by_name.entry(format!("{name}/{account}")).or_default().push(next);
        }
        self.known.insert(key, next);
        next
    }
}
