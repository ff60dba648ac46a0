//! Which senders the rules of a receiver may tell apart from all others.
//!
//! A rule that admits `app=web` of namespace `shop` says the same of everybody else. So the labels that its selectors
//! cannot do without lead to the few classes of senders that are worth asking about, and one other sender answers for the
//! rest.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_ir::{Fact, Mesh, NamespaceId};

use crate::class::Class;
use crate::endpoint::{Endpoint, NAME_LABEL};
use crate::flow::{Direction, End};
use crate::index::{Anchor, anchors};
use crate::network::Network;
use crate::policy::{Namespaces, Rule, Selection, Side};
use crate::receiver::Receiver;

/// Everything that has a label of a key: by value, and all of it.
struct ByKey<T> {
    values: HashMap<String, Vec<T>, RandomState>,
    any: Vec<T>,
}

impl<T> Default for ByKey<T> {
    fn default() -> Self {
        ByKey { values: HashMap::default(), any: Vec::new() }
    }
}

type Labels<T> = HashMap<String, ByKey<T>, RandomState>;

/// The classes of all senders by what rules look at.
#[derive(Default)]
pub struct Senders {
    by_label: Labels<Class>,
    by_namespace: HashMap<NamespaceId, Vec<Class>, RandomState>,
    namespaces: Labels<NamespaceId>,
    /// Namespaces with a name and without known labels.
    unlabelled: Vec<NamespaceId>,
    /// Machines, pods in the network of their node, and pods of namespaces without a known name: rules may hold for them
    /// that lead to nobody.
    special: Vec<Class>,
}

impl Network<'_> {
    /// The index of all senders; linear in the workloads.
    pub fn senders(&self) -> Senders {
        let mesh = self.mesh;
        let mut senders = Senders::default();
        let mut known = std::collections::HashSet::<Class, RandomState>::default();
        for (id, _) in mesh.workloads_with_ids() {
            let class = self.class(id);
            if !known.insert(class) {
                continue;
            }
            let pod = match Endpoint::of(mesh, End::Workload(id)) {
                Endpoint::Pod(pod) if !pod.host_network && mesh.namespace(pod.namespace).name.is_some() => {
                    pod
                }
                _ => {
                    senders.special.push(class);
                    continue;
                }
            };
            senders.by_namespace.entry(pod.namespace).or_default().push(class);
            for (key, value) in &pod.labels().entries {
                add(&mut senders.by_label, &key.value, &value.value, class);
            }
        }
        let mut namespaces: Vec<NamespaceId> = senders.by_namespace.keys().copied().collect();
        namespaces.sort_unstable();
        namespaces.into_iter().for_each(|id| senders.namespace(mesh, id));
        senders
    }
}

fn add<T: Copy>(labels: &mut Labels<T>, key: &str, value: &str, what: T) {
    let by_key = labels.entry(key.to_owned()).or_default();
    by_key.values.entry(value.to_owned()).or_default().push(what);
    by_key.any.push(what);
}

impl Senders {
    fn namespace(&mut self, mesh: &Mesh, id: NamespaceId) {
        let namespace = mesh.namespace(id);
        if let Some(name) = &namespace.name {
            add(&mut self.namespaces, NAME_LABEL, name, id);
        }
        match &namespace.labels {
            Fact::Known(labels, _) => {
                for (key, value) in labels.entries.iter().filter(|(key, _)| key.value != NAME_LABEL) {
                    add(&mut self.namespaces, &key.value, &value.value, id);
                }
            }
            Fact::Unknown(_) => self.unlabelled.push(id),
        }
    }

    /// Those that a selection may take, special ones aside; nothing where it asks for no label that leads to them.
    fn selected(&self, selection: &Selection) -> Option<Vec<Class>> {
        let in_namespaces = match &selection.namespaces {
            Namespaces::Own(id) => Some(vec![*id]),
            Namespaces::None => Some(Vec::new()),
            Namespaces::Any => None,
            Namespaces::Matching(selector) => {
                let found = anchors(selector).into_iter().map(|anchor| {
                    let mut found = having(&self.namespaces, &anchor);
                    if anchor.iter().any(|(key, _)| key != NAME_LABEL) {
                        found.extend(&self.unlabelled);
                    }
                    found
                });
                found.min_by_key(Vec::len)
            }
        };
        let by_namespace = in_namespaces.map(|namespaces| {
            let classes = namespaces.iter().filter_map(|id| self.by_namespace.get(id));
            classes.flatten().copied().collect::<Vec<Class>>()
        });
        let by_label = anchors(&selection.pods).into_iter().map(|anchor| having(&self.by_label, &anchor));
        by_label.chain(by_namespace).min_by_key(Vec::len)
    }

    /// Those that one side of a rule may take, special ones aside.
    fn of_side(&self, side: &Side) -> Option<Vec<Class>> {
        let mut found = Vec::new();
        for peer in &side.one_of {
            if peer.not_selector.is_some() || peer.service.is_some() {
                return None;
            }
            // A block of addresses says the same of every pod whose address is not known.
            if let Some(selection) = &peer.selection {
                found.extend(self.selected(selection)?);
            }
        }
        Some(found)
    }
}

fn having<T: Copy>(labels: &Labels<T>, anchor: &Anchor) -> Vec<T> {
    let mut found = Vec::new();
    for (key, value) in anchor {
        let Some(by_key) = labels.get(key) else { continue };
        match value {
            Some(value) => found.extend(by_key.values.get(value).into_iter().flatten().copied()),
            None => found.extend(&by_key.any),
        }
    }
    found
}

impl Receiver<'_, '_> {
    /// The classes of senders of its own cluster that may get another answer than the rest, sorted; all others of the
    /// cluster get the same one. Nothing where everybody has to be asked.
    pub fn told_apart(&self, senders: &Senders) -> Option<Vec<Class>> {
        if self.has_network_sets() {
            return None;
        }
        let mut apart = senders.special.clone();
        let rules = self.applying.iter().filter_map(|one| one.policy.rules(Direction::Ingress));
        for rule in rules.flatten() {
            let Rule { source, .. } = rule;
            apart.extend(senders.of_side(source)?);
        }
        apart.sort_unstable();
        apart.dedup();
        Some(apart)
    }
}
