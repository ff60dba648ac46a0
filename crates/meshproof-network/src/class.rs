//! Workloads that no network policy tells apart.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use meshproof_grammar::calico::Expr;
use meshproof_ir::{Fact, Mesh, Namespace, NamespaceId, WorkloadId};
use meshproof_resources::Transport;

use crate::endpoint::{Endpoint, Pod};
use crate::flow::End;
use crate::policy::{Policy, Ports, Selection, Side};
use crate::selector::{Label, Selector};
use crate::unread::Unread;

/// A class of equal workloads; equal numbers mean equal answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(pub u32);

/// The class of every workload.
pub(crate) struct Classes {
    of_workload: Vec<Class>,
}

impl Classes {
    pub(crate) fn new(mesh: &Mesh, policies: &[Policy], unread: &Unread) -> Self {
        let mut mentions = Mentions::new(policies);
        mentions.namespaces.extend(unread.namespaces());
        let mut namespaces: HashMap<NamespaceKey<'_>, u32, RandomState> = HashMap::default();
        let of_namespace: Vec<u32> = mesh
            .namespaces
            .iter()
            .enumerate()
            .map(|(at, namespace)| {
                let next = namespaces.len() as u32;
                *namespaces.entry(mentions.namespace_key(NamespaceId(at as u32), namespace)).or_insert(next)
            })
            .collect();
        let mut classes: HashMap<Key<'_>, u32, RandomState> = HashMap::default();
        let of_workload = mesh
            .workloads_with_ids()
            .map(|(id, _)| {
                let next = classes.len() as u32;
                Class(*classes.entry(mentions.key(mesh, id, &of_namespace)).or_insert(next))
            })
            .collect();
        Classes { of_workload }
    }

    pub(crate) fn of(&self, workload: WorkloadId) -> Class {
        self.of_workload[workload.index()]
    }
}

/// What a label is worth: a value that some policy names, or any other.
type Value<'a> = Option<&'a str>;

#[derive(PartialEq, Eq, Hash)]
struct NamespaceKey<'a> {
    cluster: u32,
    /// Itself, where it differs from all others: policies stand in it, or its labels are not known.
    own: Option<NamespaceId>,
    labels: Vec<(&'a str, Value<'a>)>,
}

#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    /// A machine, by its address.
    Address(Option<std::net::IpAddr>),
    Pods {
        namespace: u32,
        host_network: bool,
        labels: Vec<(&'a str, Value<'a>)>,
        account: Option<Option<&'a str>>,
        ports: Vec<(&'a str, Transport, u16)>,
        /// Itself, where policies ask for Services, accounts are not known, or its ports are not.
        own: Option<WorkloadId>,
    },
}

/// Labels by the values that matter; `None` where every value does.
type Keys<'p> = HashMap<&'p str, Option<HashSet<&'p str, RandomState>>, RandomState>;

/// What policies ask of pods.
#[derive(Default)]
struct Mentions<'p> {
    labels: Keys<'p>,
    namespace_labels: Keys<'p>,
    accounts: bool,
    services: bool,
    ports: HashSet<&'p str, RandomState>,
    /// Namespaces with policies.
    namespaces: HashSet<NamespaceId, RandomState>,
}

impl<'p> Mentions<'p> {
    fn new(policies: &'p [Policy]) -> Self {
        let mut mentions = Mentions::default();
        for policy in policies {
            mentions.selection(&policy.selection);
            for rule in [&policy.ingress, &policy.egress].into_iter().flatten().flatten() {
                mentions.side(&rule.source);
                mentions.side(&rule.destination);
            }
        }
        mentions
    }

    fn side(&mut self, side: &'p Side) {
        for peer in &side.one_of {
            peer.selection.iter().for_each(|selection| self.selection(selection));
            peer.not_selector.iter().for_each(|selector| collect(selector, &mut self.labels));
            self.services |= peer.service.is_some();
        }
        for port in side.ports.iter().chain(&side.not_ports) {
            if let Ports::Named(name) = &port.ports {
                self.ports.insert(name);
            }
        }
    }

    fn selection(&mut self, selection: &'p Selection) {
        use crate::policy::Namespaces;
        match &selection.namespaces {
            Namespaces::Own(namespace) => {
                self.namespaces.insert(*namespace);
            }
            Namespaces::Matching(selector) => collect(selector, &mut self.namespace_labels),
            Namespaces::Any | Namespaces::None => {}
        }
        collect(&selection.pods, &mut self.labels);
        self.accounts |= selection.accounts.is_some();
    }

    fn namespace_key<'a>(&'a self, id: NamespaceId, namespace: &'a Namespace) -> NamespaceKey<'a>
    where
        'p: 'a,
    {
        let is_special = namespace.name.is_none() || self.namespaces.contains(&id) || self.accounts;
        let mut own = is_special.then_some(id);
        let mut labels = Vec::new();
        match &namespace.labels {
            // Calico's own label repeats the name.
            Fact::Known(..)
                if self.namespace_labels.keys().any(|key| key.starts_with("projectcalico.org/")) =>
            {
                own = Some(id);
            }
            Fact::Known(written, _) => {
                for (key, value) in &written.entries {
                    labels.extend(worth(&self.namespace_labels, &key.value, &value.value));
                }
                labels.sort_unstable();
            }
            Fact::Unknown(_) if self.namespace_labels.is_empty() => {}
            Fact::Unknown(_) => own = Some(id),
        }
        NamespaceKey { cluster: namespace.cluster.0, own, labels }
    }

    fn key<'a>(&'a self, mesh: &'a Mesh, id: WorkloadId, of_namespace: &[u32]) -> Key<'a>
    where
        'p: 'a,
    {
        let pod: Pod<'a> = match Endpoint::of(mesh, End::Workload(id)) {
            Endpoint::Pod(pod) => pod,
            Endpoint::Address(address) => return Key::Address(address),
        };
        let mut labels: Vec<_> = pod
            .labels()
            .entries
            .iter()
            .filter_map(|(key, value)| worth(&self.labels, &key.value, &value.value))
            .collect();
        for key in self.labels.keys().filter(|key| key.starts_with("projectcalico.org/")) {
            if let Label::Known(Some(value)) = pod.label(key) {
                labels.extend(worth(&self.labels, key, value));
            }
        }
        labels.sort_unstable();
        let account = self.accounts.then(|| match pod.account_name() {
            Label::Known(name) => name,
            Label::Unknown(_) => None,
        });
        let mut ports: Vec<_> = pod
            .declared_ports()
            .into_iter()
            .flatten()
            .filter_map(|port| {
                let name = port.name.as_ref()?.value.as_str();
                self.ports.contains(name).then_some((name, port.protocol, port.number.value))
            })
            .collect();
        ports.sort_unstable();
        let knows_ports = self.ports.is_empty()
            || (pod.declared_ports().is_some() && !self.ports.contains(crate::endpoint::INJECTED_PORT.0));
        let own = (self.services || !knows_ports).then_some(id);
        let namespace = of_namespace[pod.namespace.index()];
        Key::Pods { namespace, host_network: pod.host_network, labels, account, ports, own }
    }
}

/// A label as far as policies look at it: none when no policy does.
fn worth<'a>(keys: &'a Keys<'_>, key: &'a str, value: &'a str) -> Option<(&'a str, Value<'a>)> {
    let values = keys.get(key)?;
    let is_told_apart = values.as_ref().is_none_or(|values| values.contains(value));
    Some((key, is_told_apart.then_some(value)))
}

fn collect<'p>(selector: &'p Selector, keys: &mut Keys<'p>) {
    if let Selector::Read(expr) = selector {
        collect_expr(expr, keys);
    }
}

fn collect_expr<'p>(expr: &'p Expr, keys: &mut Keys<'p>) {
    fn some<'p>(keys: &mut Keys<'p>, key: &'p str, values: &'p [String]) {
        if let Some(known) = keys.entry(key).or_insert_with(|| Some(HashSet::default())) {
            known.extend(values.iter().map(String::as_str));
        }
    }
    match expr {
        Expr::All | Expr::Global => {}
        Expr::Has(key) => some(keys, key, &[]),
        Expr::Equals(key, value) | Expr::NotEquals(key, value) => {
            some(keys, key, std::slice::from_ref(value))
        }
        Expr::In(key, values) | Expr::NotIn(key, values) => some(keys, key, values),
        Expr::Contains(key, _) | Expr::StartsWith(key, _) | Expr::EndsWith(key, _) => {
            keys.insert(key, None);
        }
        Expr::Not(inner) => collect_expr(inner, keys),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| collect_expr(part, keys)),
    }
}
