//! Identities: what a workload proves to be.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_resources::Resource;

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
    /// Those with a known namespace, by namespace and account.
    by_name: Vec<u32>,
}

impl Identities {
    /// Collects the accounts that exist: ServiceAccount objects, accounts that pods use, and `default` everywhere.
    pub(crate) fn new(
        resources: &[Resource],
        namespaces: &[Namespace],
        workloads: &[Workload],
        settings: &[Settings],
    ) -> Self {
        let groups = groups(namespaces, settings);
        let mut building =
            Building { settings, namespaces, groups, known: HashMap::default(), out: Identities::default() };
        for (at, namespace) in namespaces.iter().enumerate() {
            let id = NamespaceId(at as u32);
            building.identity(id, DEFAULT_ACCOUNT);
            for object in &namespace.service_accounts {
                let identity = building.identity(id, resources[object.index()].meta.name());
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
        let mut identities = building.out;
        let ids = 0..identities.all.len() as u32;
        identities.by_name = ids.filter(|at| identities.all[*at as usize].namespace.is_some()).collect();
        identities.by_name.sort_by(|left, right| {
            let name = |at: &u32| name_of(&identities.all[*at as usize]);
            name(left).cmp(&name(right))
        });
        identities
    }

    /// Identities of an account in a namespace, in any trust domain.
    pub(crate) fn named(&self, namespace: &str, account: &str) -> impl Iterator<Item = &Identity> {
        let name = |at: &u32| name_of(&self.all[*at as usize]);
        let wanted = (namespace, account);
        let start = self.by_name.partition_point(|at| name(at) < wanted);
        let length = self.by_name[start..].partition_point(|at| name(at) == wanted);
        self.by_name[start..start + length].iter().map(|at| &self.all[*at as usize])
    }
}

fn name_of(identity: &Identity) -> (&str, &str) {
    (identity.namespace.as_deref().unwrap_or_default(), &identity.account)
}

/// The first of the namespaces that share name and trust domain, for each namespace.
fn groups(namespaces: &[Namespace], settings: &[Settings]) -> Vec<NamespaceId> {
    let mut first: HashMap<(Option<&String>, &str), NamespaceId, RandomState> = HashMap::default();
    let mut groups = Vec::with_capacity(namespaces.len());
    for (at, namespace) in namespaces.iter().enumerate() {
        let id = NamespaceId(at as u32);
        let domain =
            settings.get(namespace.cluster.index()).and_then(|settings| settings.trust_domain.known());
        groups.push(match &namespace.name {
            Some(name) => *first.entry((domain, name)).or_insert(id),
            None => id,
        });
    }
    groups
}

struct Building<'a> {
    settings: &'a [Settings],
    namespaces: &'a [Namespace],
    groups: Vec<NamespaceId>,
    known: HashMap<(NamespaceId, &'a str), u32, RandomState>,
    out: Identities,
}

impl<'a> Building<'a> {
    fn identity(&mut self, id: NamespaceId, account: &'a str) -> u32 {
        let key = (self.groups[id.index()], account);
        let next = self.out.all.len() as u32;
        let at = *self.known.entry(key).or_insert(next);
        if at == next {
            let namespace = &self.namespaces[id.index()];
            let settings = self.settings.get(namespace.cluster.index());
            self.out.all.push(Identity {
                trust_domain: settings.and_then(|settings| settings.trust_domain.known().cloned()),
                namespace: namespace.name.clone(),
                account: account.to_owned(),
                namespaces: vec![id],
                objects: Vec::new(),
                workloads: Vec::new(),
            });
            return at;
        }
        let namespaces = &mut self.out.all[at as usize].namespaces;
        // There is one namespace per cluster, so the list is short.
        if !namespaces.contains(&id) {
            namespaces.push(id);
        }
        at
    }
}
