//! Which units make a mesh together. Overlays and folders that are variants of the same objects (dev and prod) are never
//! joined in one mesh.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use meshproof_lints::World;
use meshproof_resources::{Resource, Spec, Text};

use crate::document::is_cluster_wide;
use crate::units::Unit;
use crate::variants::{Choice, environment};

/// Kind, namespace and name: what two variants of an object share.
type Key = (String, Option<String>, String);

/// What a unit holds.
#[derive(Debug, Default)]
pub(crate) struct Content {
    keys: HashSet<Key>,
    namespaces: HashSet<String>,
    has_workloads: bool,
}

impl Content {
    /// Takes note of an object; `namespace` replaces its own.
    pub(crate) fn add(&mut self, resource: &Resource, namespace: Option<&Text>) {
        let own = || resource.meta.namespace.as_ref();
        let namespace = if is_cluster_wide(resource) { None } else { namespace.or_else(own) };
        let namespace = namespace.map(|namespace| namespace.value.clone());
        self.has_workloads |= matches!(resource.spec, Spec::Workload(_));
        self.namespaces.extend(namespace.clone());
        if matches!(resource.spec, Spec::Namespace) {
            self.namespaces.insert(resource.meta.name().to_owned());
        }
        self.keys.insert((resource.meta.kind.value.clone(), namespace, resource.meta.name().to_owned()));
    }
}

/// The meshes of a run.
#[derive(Debug)]
pub(crate) struct Grouping {
    /// For each mesh its units.
    pub groups: Vec<Vec<usize>>,
    /// For each mesh why objects that are not in it may exist all the same.
    gaps: Vec<Option<String>>,
    /// For each mesh the namespaces that only folders beside its own hold. They may lie in the same cluster.
    elsewhere: Vec<Vec<String>>,
}

impl Grouping {
    pub(crate) fn new(
        units: &[Unit],
        content: impl Fn(&Unit) -> Content,
        plain: impl Fn() -> Content,
    ) -> Self {
        let contents: Vec<Content> = units.iter().map(content).collect();
        let groups = groups(units, &contents);
        let gaps = groups.iter().map(|group| gap(units, &contents, group)).collect();
        let mut elsewhere = vec![Vec::new(); groups.len()];
        let is_part = |unit: &Unit| !unit.choices.is_empty() && !unit.choices.iter().any(|c| c.same_objects);
        if units.iter().any(is_part) {
            let plain = plain();
            for (group, elsewhere) in groups.iter().zip(&mut elsewhere) {
                let inside: HashSet<usize> = group.iter().copied().collect();
                let own: HashSet<&String> =
                    group.iter().flat_map(|at| &contents[*at].namespaces).chain(&plain.namespaces).collect();
                let outside = (0..units.len()).filter(|at| is_part(&units[*at]) && !inside.contains(at));
                let names = outside.flat_map(|at| &contents[at].namespaces);
                let names: HashSet<&String> = names.filter(|name| !own.contains(name)).collect();
                elsewhere.extend(names.into_iter().cloned());
                elsewhere.sort();
            }
        }
        Grouping { groups, gaps, elsewhere }
    }

    /// What the lints are to know about the world outside of one mesh.
    pub(crate) fn world<'w>(&self, group: usize, world: &'w World) -> Cow<'w, World> {
        let (gap, elsewhere) = (&self.gaps[group], &self.elsewhere[group]);
        if gap.is_none() && elsewhere.is_empty() {
            return Cow::Borrowed(world);
        }
        let mut own = world.clone();
        own.incomplete = own.incomplete.or_else(|| gap.clone());
        own.external_namespaces.extend(elsewhere.iter().cloned());
        Cow::Owned(own)
    }
}

/// Units of one mesh that is being put together.
#[derive(Default)]
struct Group<'k> {
    units: Vec<usize>,
    keys: HashSet<&'k Key>,
    choices: HashMap<&'k Path, &'k Choice>,
    environment: Option<&'static str>,
}

impl<'k> Group<'k> {
    fn fits(&self, unit: &Unit, content: &Content) -> bool {
        let same = |choice: &Choice| {
            self.choices.get(choice.parent.as_path()).is_none_or(|other| {
                other.folder == choice.folder
                    || choice.environment.is_some() && other.environment == choice.environment
            })
        };
        let environments = match (self.environment, environment_of(unit)) {
            (Some(own), Some(other)) => own == other,
            _ => true,
        };
        environments
            && unit.choices.iter().all(same)
            && content.keys.iter().all(|key| !self.keys.contains(key))
    }

    /// Whether it was decided to take just these folders.
    fn holds(&self, choices: &[Choice]) -> bool {
        let chosen = |choice: &Choice| {
            self.choices.get(choice.parent.as_path()).is_some_and(|own| own.folder == choice.folder)
        };
        choices.iter().all(chosen)
    }

    fn add(&mut self, at: usize, unit: &'k Unit, content: &'k Content) {
        self.units.push(at);
        self.keys.extend(&content.keys);
        for choice in &unit.choices {
            self.choices.entry(&choice.parent).or_insert(choice);
        }
        self.environment = self.environment.or(environment_of(unit));
    }
}

/// The environment of a plain folder.
fn environment_of(unit: &Unit) -> Option<&'static str> {
    unit.choices.iter().rev().find_map(|choice| choice.environment)
}

/// Units that share an object are variants of each other and never meet, nor do folders that are variants; those that
/// are variants of nothing are in every mesh. Variants are joined by the name of their folder first (`a/prod` with
/// `b/prod`).
fn groups(units: &[Unit], contents: &[Content]) -> Vec<Vec<usize>> {
    let mut owners: HashMap<&Key, usize> = HashMap::new();
    for key in contents.iter().flat_map(|content| &content.keys) {
        *owners.entry(key).or_default() += 1;
    }
    let shares =
        |at: &usize| contents[*at].keys.iter().any(|key| owners.get(key).is_some_and(|count| *count > 1));
    let is_variant = |at: &usize| !units[*at].choices.is_empty() || shares(at);
    let (variants, common): (Vec<usize>, Vec<usize>) = (0..units.len()).partition(is_variant);
    // What stands beside folders that are variants, inside of one, goes with each of them.
    let outer: HashSet<&[Choice]> =
        units.iter().flat_map(|unit| (1..unit.choices.len()).map(|length| &unit.choices[..length])).collect();
    let (shared, variants): (Vec<usize>, Vec<usize>) =
        variants.into_iter().partition(|at| outer.contains(units[*at].choices.as_slice()));
    let mut groups: Vec<Group<'_>> = Vec::new();
    let last_name = |unit: &Unit| {
        let last = unit.name.rsplit('/').next().unwrap_or("");
        environment_of(unit).or_else(|| environment(last)).unwrap_or(last).to_owned()
    };
    for at in variants {
        let unit = &units[at];
        let name = last_name(unit);
        let alike = |group: &Group<'_>| group.units.iter().any(|other| last_name(&units[*other]) == name);
        let fits = |group: &Group<'_>| group.fits(unit, &contents[at]);
        let found = groups
            .iter()
            .position(|group| alike(group) && fits(group))
            .or_else(|| groups.iter().position(fits));
        let into = found.unwrap_or_else(|| {
            groups.push(Group::default());
            groups.len() - 1
        });
        groups[into].add(at, unit, &contents[at]);
    }
    for at in shared {
        for group in &mut groups {
            if group.holds(&units[at].choices) {
                group.units.push(at);
            }
        }
    }
    if groups.is_empty() {
        return vec![common];
    }
    groups.into_iter().map(|group| common.iter().copied().chain(group.units).collect()).collect()
}

/// Why a mesh may lack objects: of some folders that are variants it has none, or it has one without workloads where
/// another one has them.
fn gap(units: &[Unit], contents: &[Content], group: &[usize]) -> Option<String> {
    let chosen: HashSet<&Choice> = group.iter().flat_map(|at| &units[*at].choices).collect();
    let decided: HashSet<&Path> = chosen.iter().map(|choice| choice.parent.as_path()).collect();
    let with_workloads: HashSet<&Choice> =
        group.iter().filter(|at| contents[**at].has_workloads).flat_map(|at| &units[*at].choices).collect();
    let inhabited: HashSet<&Path> = with_workloads.iter().map(|choice| choice.parent.as_path()).collect();
    for (unit, content) in units.iter().zip(contents) {
        for (at, choice) in unit.choices.iter().enumerate() {
            let reached = unit.choices[..at].iter().all(|outer| chosen.contains(outer));
            if reached && !decided.contains(choice.parent.as_path()) {
                return Some(format!("no folder beside {} goes with the others", unit.name));
            }
            let lacks = !inhabited.contains(choice.parent.as_path());
            if reached && content.has_workloads && lacks && !chosen.contains(choice) {
                return Some(format!(
                    "{} has workloads, and the folder that stands for it has none",
                    unit.name
                ));
            }
        }
    }
    None
}
