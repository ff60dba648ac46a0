//! Which DestinationRule a client follows (mutual-TLS reference §2.3, §2.4; Istio 1.32, model/push_context.go
//! `setDestinationRules` and `destinationRule`, model/destination_rule.go).

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_grammar::dry_run::DryRun;
use meshproof_grammar::host::resolve;
use meshproof_ir::{ClusterId, Fact, Mesh, NamespaceId, ResourceId, Settings, sort_by_age};
use meshproof_resources::{DestinationRule, Spec};

use crate::hosts::HostTable;
use crate::merge::{MergedRule, merge};
use crate::routes::CLUSTER_DOMAIN;

/// Indexes into the rules that stand side by side for one host, in Istio's order.
type Merged = Vec<u32>;

/// Every DestinationRule, merged, by who looks for it.
#[derive(Debug, Default)]
pub(crate) struct Rules<'m> {
    all: Vec<MergedRule<'m>>,
    /// For clients of the namespace.
    local: HashMap<NamespaceId, HostTable<Merged>, RandomState>,
    /// For clients everywhere, by the namespace of the rules.
    exported: HashMap<NamespaceId, HostTable<Merged>, RandomState>,
    /// Rules that the root namespace keeps for itself.
    root: HashMap<ClusterId, HostTable<Merged>, RandomState>,
    roots: HashMap<ClusterId, NamespaceId, RandomState>,
    /// Namespaces whose clients have rules of their own for a host, by that host.
    having_own: HashMap<ClusterId, HostTable<Vec<NamespaceId>>, RandomState>,
    /// Rules whose namespace has no known name.
    floating: HashMap<ClusterId, HostTable<Vec<ResourceId>>, RandomState>,
}

/// One rule as it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WrittenRule<'m> {
    pub(crate) id: ResourceId,
    pub(crate) rule: &'m DestinationRule,
}

impl<'m> Rules<'m> {
    pub(crate) fn new(mesh: &'m Mesh) -> Self {
        let mut rules = Rules::default();
        let mut by_host: HashMap<(NamespaceId, String), Vec<ResourceId>, RandomState> = HashMap::default();
        let mut order: Vec<(NamespaceId, String)> = Vec::new();
        for (at, resource) in mesh.resources.iter().enumerate() {
            let Spec::DestinationRule(rule) = &resource.spec else { continue };
            let (cluster, Some(namespace)) = mesh.placement[at] else { continue };
            let Some(host) = &rule.host else { continue };
            let own = mesh.namespace(namespace).name.as_deref();
            let host = resolve(&host.value, own.unwrap_or_default(), CLUSTER_DOMAIN);
            let id = ResourceId(at as u32);
            if own.is_none() {
                rules.floating.entry(cluster).or_default().entry(&host).push(id);
            }
            let list = by_host.entry((namespace, host.clone())).or_default();
            if list.is_empty() {
                order.push((namespace, host));
            }
            list.push(id);
        }
        for (at, _) in mesh.clusters.iter().enumerate() {
            let cluster = ClusterId(at as u32);
            let root = mesh.namespace_by_name(cluster, mesh.settings_of(cluster).root());
            rules.roots.extend(root.map(|root| (cluster, root)));
        }
        for key in order {
            let Some(ids) = by_host.remove(&key) else { continue };
            let (namespace, host) = key;
            rules.add(mesh, namespace, &host, ids);
        }
        rules
    }

    /// Merges the rules of a namespace for a host, once for each who looks for them.
    fn add(&mut self, mesh: &'m Mesh, namespace: NamespaceId, host: &str, ids: Vec<ResourceId>) {
        let rule = |id: ResourceId| match &mesh.resource(id).spec {
            Spec::DestinationRule(rule) => Some(WrittenRule { id, rule }),
            _ => None,
        };
        let has_selector = |id: &ResourceId| rule(*id).is_some_and(|rule| rule.has_selector());
        let (mut selecting, mut others): (Vec<ResourceId>, Vec<ResourceId>) =
            ids.into_iter().partition(has_selector);
        sort_by_age(&mut selecting, &mesh.resources);
        sort_by_age(&mut others, &mesh.resources);
        let ordered: Vec<WrittenRule<'m>> = selecting.into_iter().chain(others).filter_map(rule).collect();
        let cluster = mesh.namespace(namespace).cluster;
        let settings = mesh.settings_of(cluster);
        let own = mesh.namespace(namespace).name.as_deref().unwrap_or_default();
        let by_export = merges_by_export(settings);
        let default_private = settings.default_destination_rule_export_to.iter().any(|value| value == ".");
        let is_private = |rule: &WrittenRule<'m>| {
            let exports = rule.exports();
            match exports.as_slice() {
                [] => default_private,
                [only] => *only == "." || *only == own,
                _ => false,
            }
        };
        let for_own = |rule: &WrittenRule<'m>| {
            let exports = rule.exports();
            exports.is_empty() || exports.iter().any(|value| *value == "*" || *value == "." || *value == own)
        };
        let local = self.merged(ordered.iter().filter(|rule| for_own(rule)), by_export);
        if !local.is_empty() {
            self.having_own.entry(cluster).or_default().entry(host).push(namespace);
        }
        insert(&mut self.local, namespace, host, local);
        let exported = self.merged(ordered.iter().filter(|rule| !is_private(rule)), by_export);
        insert(&mut self.exported, namespace, host, exported);
        if self.roots.get(&cluster) == Some(&namespace) {
            let kept = self.merged(ordered.iter().filter(|rule| is_private(rule)), by_export);
            insert(&mut self.root, cluster, host, kept);
        }
    }

    fn merged<'r>(&mut self, rules: impl Iterator<Item = &'r WrittenRule<'m>>, by_export: bool) -> Vec<u32>
    where
        'm: 'r,
    {
        let start = self.all.len() as u32;
        self.all.extend(merge(rules, by_export));
        (start..self.all.len() as u32).collect()
    }

    /// The rules among which a client of a namespace chooses for a host of a Service: those of the first level that has
    /// any.
    pub(crate) fn for_host(
        &self,
        cluster: ClusterId,
        client: (NamespaceId, Option<&str>),
        service: NamespaceId,
        host: &str,
    ) -> Vec<&MergedRule<'m>> {
        let root = self.roots.get(&cluster).copied();
        let (namespace, name) = client;
        let own = match root {
            Some(root) if root == namespace => self.root.get(&cluster),
            _ => self.local.get(&namespace),
        };
        if let Some(found) = own.and_then(|table| table.most_specific(host)) {
            return found.iter().map(|at| &self.all[*at as usize]).collect();
        }
        for level in [Some(service), root].into_iter().flatten() {
            let found = self.exported.get(&level).and_then(|table| table.most_specific(host));
            let rules: Vec<&MergedRule<'m>> = found
                .into_iter()
                .flatten()
                .map(|at| &self.all[*at as usize])
                .filter(|rule| rule.is_exported_to(name))
                .collect();
            if !rules.is_empty() {
                return rules;
            }
        }
        Vec::new()
    }

    /// The namespaces whose clients may follow another rule for a host of `service` than everybody else: those with
    /// rules of their own, and those that the rules for everybody name in `exportTo`.
    pub(crate) fn told_apart(
        &self,
        mesh: &Mesh,
        cluster: ClusterId,
        service: NamespaceId,
        host: &str,
    ) -> Vec<NamespaceId> {
        let root = self.roots.get(&cluster).copied();
        let own = self.having_own.get(&cluster).into_iter().flat_map(|table| table.covering(host)).flatten();
        let exported =
            [Some(service), root].into_iter().flatten().filter_map(|level| self.exported.get(&level));
        let rules = exported.filter_map(|table| table.most_specific(host)).flatten();
        let named = rules.flat_map(|at| self.all[*at as usize].exported_by_name());
        let named = named.filter_map(|name| mesh.namespace_by_name(cluster, name));
        own.copied().chain(root).chain(named).collect()
    }

    /// Rules of namespaces without a known name that cover the host; each may stand in any namespace.
    pub(crate) fn floating<'t>(
        &'t self,
        cluster: ClusterId,
        host: &'t str,
    ) -> impl Iterator<Item = ResourceId> + use<'t, 'm> {
        let table = self.floating.get(&cluster);
        table.into_iter().flat_map(move |table| table.covering(host)).flatten().copied()
    }

    /// Every merged rule with a selector.
    pub(crate) fn selecting(mesh: &Mesh) -> impl Iterator<Item = (NamespaceId, WrittenRule<'_>)> {
        mesh.resources.iter().enumerate().filter_map(|(at, resource)| {
            let Spec::DestinationRule(rule) = &resource.spec else { return None };
            let written = WrittenRule { id: ResourceId(at as u32), rule };
            Some((mesh.placement[at].1?, written)).filter(|(_, rule)| rule.has_selector())
        })
    }
}

fn insert<K: std::hash::Hash + Eq>(
    tables: &mut HashMap<K, HostTable<Merged>, RandomState>,
    key: K,
    host: &str,
    rules: Vec<u32>,
) {
    if !rules.is_empty() {
        *tables.entry(key).or_default().entry(host) = rules;
    }
}

/// `ENABLE_ENHANCED_DESTINATIONRULE_MERGE`, on by default: rules with different exportTo stand side by side.
fn merges_by_export(settings: &Settings) -> bool {
    let flag = settings.feature("ENABLE_ENHANCED_DESTINATIONRULE_MERGE").and_then(Fact::known);
    flag.and_then(|value| DryRun::parse(value).ok()).is_none_or(|flag| flag.0)
}

impl<'m> WrittenRule<'m> {
    pub(crate) fn has_selector(&self) -> bool {
        self.rule.workload_selector.is_some()
    }

    /// `exportTo` as a sorted set. A rule for some workloads is never exported, whatever it writes.
    pub(crate) fn exports(&self) -> Vec<&'m str> {
        if self.has_selector() {
            return vec!["."];
        }
        let mut exports: Vec<&str> = self.rule.export_to.iter().map(|value| value.value.as_str()).collect();
        exports.sort_unstable();
        exports.dedup();
        exports
    }
}
