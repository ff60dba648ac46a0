//! Which policies select pods, without trying every policy.
//!
//! Policies of one scope with equal selections form a class that is tried once. A class is found by a label that its
//! selector cannot do without, of several by the one that the fewest others ask for; only those that can do without
//! any (`!has(x)`, `NotIn`) are tried for all pods of the scope.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_grammar::calico::Expr;
use meshproof_ir::{ClusterId, Mesh, NamespaceId, is_given_later};

use crate::endpoint::{CALICO_LABELS, Pod};
use crate::holds::Holds;
use crate::policy::{Namespaces, Policy, Selection};
use crate::selector::Selector;

/// Where a policy may select pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Scope {
    Namespace(NamespaceId),
    /// All namespaces.
    Cluster(ClusterId),
    /// All namespaces, since the policy's own is not known.
    Floating(ClusterId),
    /// Policies of all namespaces, for pods whose own is not known.
    Placed(ClusterId),
}

/// A list longer than this is found by its key alone.
const VALUES: usize = 64;

/// Labels of which the pods must have one; no value stands for any.
pub(crate) type Anchor = Vec<(String, Option<String>)>;

#[derive(Default)]
struct ByKey {
    any: Vec<u32>,
    values: HashMap<String, Vec<u32>, RandomState>,
}

#[derive(Default)]
struct InScope {
    keys: HashMap<String, ByKey, RandomState>,
    /// Classes that no label leads to.
    rest: Vec<u32>,
}

/// The policies of a mesh by what they select.
#[derive(Default)]
pub(crate) struct Index {
    scopes: HashMap<Scope, InScope, RandomState>,
    /// One policy of each class, whose selection is that of all, and all of them.
    classes: Vec<Vec<u32>>,
}

impl Index {
    pub(crate) fn new(mesh: &Mesh, policies: &[Policy]) -> Self {
        let mut index = Index::default();
        let mut known: HashMap<(Scope, &Selection), u32, RandomState> = HashMap::default();
        let mut drafts: Vec<(Scope, Vec<Anchor>)> = Vec::new();
        let any_unplaced = mesh
            .namespaces
            .iter()
            .any(|namespace| namespace.name.is_none() && !namespace.workloads.is_empty());
        for (at, policy) in policies.iter().enumerate() {
            for scope in scopes(mesh, policy, any_unplaced).into_iter().flatten() {
                let class = *known.entry((scope, &policy.selection)).or_insert_with(|| {
                    drafts.push((scope, anchors(&policy.selection.pods)));
                    index.classes.push(Vec::new());
                    drafts.len() as u32 - 1
                });
                index.classes[class as usize].push(at as u32);
            }
        }
        let mut asked: HashMap<(Scope, &str, Option<&str>), u32, RandomState> = HashMap::default();
        for (scope, anchors) in &drafts {
            for (key, value) in anchors.iter().flatten() {
                *asked.entry((*scope, key, value.as_deref())).or_default() += 1;
            }
        }
        for (class, (scope, anchors)) in drafts.iter().enumerate() {
            let frequency = |(key, value): &(String, Option<String>)| {
                asked.get(&(*scope, key.as_str(), value.as_deref())).copied().unwrap_or_default()
            };
            let cost = |anchor: &&Anchor| {
                let is_broad = anchor.iter().any(|(_, value)| value.is_none());
                (anchor.iter().map(frequency).max(), is_broad, anchor.len())
            };
            index.hang(*scope, anchors.iter().min_by_key(cost), class as u32);
        }
        index
    }

    fn hang(&mut self, scope: Scope, anchor: Option<&Anchor>, class: u32) {
        let in_scope = self.scopes.entry(scope).or_default();
        let Some(anchor) = anchor else {
            in_scope.rest.push(class);
            return;
        };
        for (key, value) in anchor {
            let by_key = in_scope.keys.entry(key.clone()).or_default();
            match value {
                Some(value) => by_key.values.entry(value.clone()).or_default().push(class),
                None => by_key.any.push(class),
            }
        }
    }

    /// The policies that select pods, or may; each with whether its selection takes them.
    pub(crate) fn selecting(&self, mesh: &Mesh, policies: &[Policy], pod: &Pod<'_>) -> Vec<(usize, Holds)> {
        let is_placed = mesh.namespace(pod.namespace).name.is_some();
        let scopes = [
            Some(Scope::Namespace(pod.namespace)),
            Some(Scope::Cluster(pod.cluster)),
            Some(Scope::Floating(pod.cluster)),
            (!is_placed).then_some(Scope::Placed(pod.cluster)),
        ];
        let mut classes: Vec<u32> = Vec::new();
        for in_scope in scopes.into_iter().flatten().filter_map(|scope| self.scopes.get(&scope)) {
            classes.extend(&in_scope.rest);
            if in_scope.keys.is_empty() {
                continue;
            }
            for (key, value) in &pod.labels().entries {
                let Some(by_key) = in_scope.keys.get(key.value.as_str()) else { continue };
                classes.extend(&by_key.any);
                classes.extend(by_key.values.get(value.value.as_str()).into_iter().flatten());
            }
        }
        classes.sort_unstable();
        classes.dedup();
        let mut found = Vec::new();
        for members in classes.into_iter().map(|class| &self.classes[class as usize]) {
            let selected = policies[members[0] as usize].selection.matches(mesh, pod);
            if selected != Holds::No {
                found.extend(members.iter().map(|at| (*at as usize, selected.clone())));
            }
        }
        // One policy may be met in two scopes.
        found.sort_by_key(|(at, _)| *at);
        found.dedup_by_key(|(at, _)| *at);
        found
    }
}

fn scopes(mesh: &Mesh, policy: &Policy, any_unplaced: bool) -> [Option<Scope>; 2] {
    match &policy.selection.namespaces {
        Namespaces::Own(own) if mesh.namespace(*own).name.is_none() => {
            [Some(Scope::Floating(policy.cluster)), None]
        }
        Namespaces::Own(own) => {
            [Some(Scope::Namespace(*own)), any_unplaced.then_some(Scope::Placed(policy.cluster))]
        }
        _ => [Some(Scope::Cluster(policy.cluster)), None],
    }
}

/// The ways to find a selector: pods that it takes have one label of each.
pub(crate) fn anchors(selector: &Selector) -> Vec<Anchor> {
    match selector {
        Selector::Read(expr) => anchors_of(expr),
        Selector::Unreadable(_) => Vec::new(),
    }
}

fn anchors_of(expr: &Expr) -> Vec<Anchor> {
    // Labels that pods get when they are made are not written on them.
    let by_key = |key: &String| {
        let is_written = !is_given_later(key) && !key.starts_with(CALICO_LABELS);
        if is_written { vec![vec![(key.clone(), None)]] } else { Vec::new() }
    };
    let by_values = |key: &String, values: &[String]| {
        let mut found = by_key(key);
        if let Some(anchor) = found.first_mut()
            && values.len() <= VALUES
        {
            *anchor = values.iter().map(|value| (key.clone(), Some(value.clone()))).collect();
        }
        found
    };
    match expr {
        Expr::Equals(key, value) => by_values(key, std::slice::from_ref(value)),
        Expr::In(key, values) => by_values(key, values),
        Expr::Has(key) | Expr::Contains(key, _) | Expr::StartsWith(key, _) | Expr::EndsWith(key, _) => {
            by_key(key)
        }
        Expr::And(parts) => parts.iter().flat_map(anchors_of).collect(),
        Expr::Or(parts) => {
            let one_of_each = parts.iter().map(|part| anchors_of(part).into_iter().next());
            let all: Option<Vec<Anchor>> = one_of_each.collect();
            all.map(|anchors| vec![anchors.concat()]).unwrap_or_default()
        }
        Expr::All | Expr::Global | Expr::NotEquals(..) | Expr::NotIn(..) | Expr::Not(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_by(text: &str) -> Vec<Vec<String>> {
        let show = |(key, value): &(String, Option<String>)| {
            value.as_ref().map_or(key.clone(), |value| format!("{key}={value}"))
        };
        anchors_of(&Expr::parse(text).unwrap())
            .iter()
            .map(|anchor| anchor.iter().map(show).collect())
            .collect()
    }

    #[test]
    fn selectors_are_found_by_labels_that_they_cannot_do_without() {
        assert_eq!(found_by("a == 'b'"), [["a=b"]]);
        assert_eq!(found_by("a in {'b', 'c'}"), [["a=b", "a=c"]]);
        assert_eq!(found_by("has(a) && b == 'c' && !has(d)"), [["a"], ["b=c"]]);
        assert_eq!(found_by("a == 'b' || c starts with 'd'"), [["a=b", "c"]]);
        for none in ["all()", "a != 'b'", "!has(a)", "a == 'b' || !has(c)", "pod-template-hash == 'x'"] {
            assert!(found_by(none).is_empty(), "{none}");
        }
        // A list that nothing is in leads nowhere.
        assert_eq!(found_by("a in {}"), [[""; 0]]);
    }
}
