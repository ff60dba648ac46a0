//! Folders that are variants of one another, such as plain `dev` and `prod` beside each other: their objects never meet
//! in one cluster. Folders are variants when their names say so, or when most of what they hold are different versions
//! of the same objects.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use meshproof_resources::Resource;
use meshproof_source::{SourceId, SourceMap, source_name};

use crate::document::is_cluster_wide;
use crate::gather::File;
use crate::kustomization::absolute;
use crate::units::Unit;

/// One of several folders beside each other, of which a mesh holds one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Choice {
    /// Where the folders stand beside each other.
    pub parent: PathBuf,
    /// The name of the one.
    pub folder: String,
    /// The environment in its name.
    pub environment: Option<&'static str>,
    /// Whether the folders have objects in common, so that they are versions of one another rather than parts.
    pub same_objects: bool,
}

/// Words for environments, with the one that stands for all of its spellings.
const ENVIRONMENTS: [(&str, &str); 16] = [
    ("dev", "dev"),
    ("development", "dev"),
    ("test", "test"),
    ("testing", "test"),
    ("qa", "qa"),
    ("uat", "uat"),
    ("int", "int"),
    ("integration", "int"),
    ("stage", "staging"),
    ("staging", "staging"),
    ("preprod", "preprod"),
    ("preproduction", "preprod"),
    ("prod", "prod"),
    ("production", "prod"),
    ("live", "live"),
    ("sandbox", "sandbox"),
];

/// The environment that a folder is named after; other words may stand beside it, joined by `-` or `_`.
pub(crate) fn environment(folder: &str) -> Option<&'static str> {
    let of = |word: &str| ENVIRONMENTS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
    folder.rsplit(['-', '_']).find_map(of).map(|(_, canonical)| *canonical)
}

/// Folders beside each other that are variants, by the folder they stand in.
type Families = BTreeMap<PathBuf, BTreeSet<String>>;

/// The plain files that stand in such folders, as units of their own. Files of named clusters are no variants, and
/// neither is what kustomize or helm take care of.
pub(crate) fn find(
    files: &[File],
    units: &[Unit],
    resources: &[Resource],
    sources: &SourceMap,
    namespace: Option<&str>,
) -> Vec<Unit> {
    let holding: HashSet<SourceId> = resources.iter().map(|resource| resource.meta.span.source).collect();
    let members: HashSet<SourceId> =
        units.iter().flat_map(|unit| unit.members.iter().map(|(source, _)| *source)).collect();
    let is_plain = |file: &&File| {
        file.cluster.is_none() && holding.contains(&file.source) && !members.contains(&file.source)
    };
    let mut folders: HashMap<SourceId, PathBuf> = HashMap::new();
    for file in files.iter().filter(is_plain) {
        if let Some(parent) = file.path.as_deref().and_then(Path::parent) {
            folders.insert(file.source, absolute(parent));
        }
    }
    let distinct: BTreeSet<&PathBuf> = folders.values().collect();
    if distinct.len() < 2 {
        return Vec::new();
    }
    let twins = twins(resources, &folders, sources, namespace);
    let mut families = named(&distinct);
    for (parent, names) in &twins {
        families.entry(parent.clone()).or_default().extend(names.iter().cloned());
    }
    let mut found: BTreeMap<Vec<(PathBuf, String)>, Unit> = BTreeMap::new();
    for file in files {
        let Some(folder) = folders.get(&file.source) else { continue };
        let choices = choices(folder, &families, &twins);
        let Some(last) = choices.last() else { continue };
        let name = source_name(&last.parent.join(&last.folder));
        let key = choices.iter().map(|choice| (choice.parent.clone(), choice.folder.clone())).collect();
        let unit = found.entry(key).or_insert_with(|| Unit { name, choices, ..Unit::default() });
        unit.members.push((file.source, None));
    }
    found.into_values().collect()
}

/// What is chosen on the way down to a folder.
fn choices(folder: &Path, families: &Families, twins: &Families) -> Vec<Choice> {
    let mut choices: Vec<Choice> = folder
        .ancestors()
        .filter_map(|ancestor| {
            let (parent, name) = (ancestor.parent()?, ancestor.file_name()?.to_string_lossy());
            families.get(parent)?.contains(&*name).then(|| Choice {
                parent: parent.to_path_buf(),
                environment: environment(&name),
                folder: name.into_owned(),
                same_objects: twins.contains_key(parent),
            })
        })
        .collect();
    choices.reverse();
    choices
}

/// Folders beside each other that are named after different environments.
fn named(folders: &BTreeSet<&PathBuf>) -> Families {
    let mut families = Families::new();
    for ancestor in folders.iter().flat_map(|folder| folder.ancestors()) {
        let (Some(parent), Some(name)) = (ancestor.parent(), ancestor.file_name()) else { continue };
        let name = name.to_string_lossy();
        if environment(&name).is_some() {
            families.entry(parent.to_path_buf()).or_default().insert(name.into_owned());
        }
    }
    families.retain(|_, names| {
        let environments: HashSet<_> = names.iter().map(|name| environment(name)).collect();
        environments.len() > 1
    });
    families
}

/// Folders beside each other with different versions of the same objects. If they are not named after environments,
/// they must have most of their objects in common: one object that two folders disagree on is a duplicate.
fn twins(
    resources: &[Resource],
    folders: &HashMap<SourceId, PathBuf>,
    sources: &SourceMap,
    namespace: Option<&str>,
) -> Families {
    /// Objects in common, and whether some of them differ.
    type Common = (usize, bool);
    let mut by_key: HashMap<(&str, Option<&str>, &str), Vec<&Resource>> = HashMap::new();
    let mut sizes: HashMap<&Path, usize> = HashMap::new();
    for resource in resources {
        let Some(folder) = folders.get(&resource.meta.span.source) else { continue };
        *sizes.entry(folder.as_path()).or_default() += 1;
        let own = resource.meta.namespace.as_ref().map(|text| text.value.as_str()).or(namespace);
        let own = if is_cluster_wide(resource) { None } else { own };
        // Without a namespace two objects of one name may well be meant for different ones.
        if own.is_some() || is_cluster_wide(resource) {
            let key = (resource.meta.kind.value.as_str(), own, resource.meta.name());
            by_key.entry(key).or_default().push(resource);
        }
    }
    let mut pairs: BTreeMap<(PathBuf, String, String), Common> = BTreeMap::new();
    for same in by_key.into_values().filter(|same| same.len() > 1) {
        let text = |resource: &Resource| sources.snippet(resource.meta.span).trim();
        let differ = same.iter().any(|resource| text(resource) != text(same[0]));
        let mut holders: Vec<&PathBuf> =
            same.iter().filter_map(|resource| folders.get(&resource.meta.span.source)).collect();
        holders.sort();
        holders.dedup();
        // In sorted order every folder in which ways part is that of two neighbours.
        for pair in holders.windows(2) {
            let Some(parting) = parting(pair[0], pair[1]) else { continue };
            let common = pairs.entry(parting).or_default();
            *common = (common.0 + 1, common.1 || differ);
        }
    }
    let mut all: HashMap<&Path, usize> = HashMap::new();
    if !pairs.is_empty() {
        for (folder, size) in sizes {
            for ancestor in folder.ancestors() {
                *all.entry(ancestor).or_default() += size;
            }
        }
    }
    let mut families = Families::new();
    let mut copies: Vec<(PathBuf, String, String)> = Vec::new();
    for ((parent, a, b), (common, differ)) in pairs {
        let size = |name: &str| all.get(parent.join(name).as_path()).copied().unwrap_or(0);
        let mostly = 2 * common >= size(&a).max(size(&b));
        let environments = environment(&a).is_some() && environment(&b).is_some();
        if differ && (mostly || environments) {
            families.entry(parent).or_default().extend([a, b]);
        } else if mostly {
            copies.push((parent, a, b));
        }
    }
    // What a variant repeats unchanged is a variant beside it: the first step of a walk-through.
    for (parent, a, b) in copies {
        if let Some(family) = families.get_mut(&parent)
            && (family.contains(&a) || family.contains(&b))
        {
            family.extend([a, b]);
        }
    }
    families
}

/// Where the ways to two folders part, and the names that they go on with; nowhere if one lies in the other.
fn parting(a: &Path, b: &Path) -> Option<(PathBuf, String, String)> {
    let (mut left, mut right) = (a.components(), b.components());
    let mut parent = PathBuf::new();
    loop {
        match (left.next()?, right.next()?) {
            (x, y) if x == y => parent.push(x),
            (x, y) => {
                let name = |part: std::path::Component<'_>| part.as_os_str().to_string_lossy().into_owned();
                return Some((parent, name(x), name(y)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_after_environments() {
        for (folder, expected) in [
            ("prod", Some("prod")),
            ("Production", Some("prod")),
            ("eu-prod", Some("prod")),
            ("prod_eu", Some("prod")),
            ("a-dev", Some("dev")),
            ("products", None),
            ("base", None),
        ] {
            assert_eq!(environment(folder), expected, "{folder}");
        }
    }

    #[test]
    fn one_environment_alone_makes_no_variant() {
        let paths = ["/m/a-dev", "/m/b-dev", "/m/base", "/n/test", "/n/src/prod"].map(PathBuf::from);
        assert!(named(&paths.iter().collect()).is_empty());
        let paths = ["/m/a-dev/x", "/m/prod", "/m/base"].map(PathBuf::from);
        let families = named(&paths.iter().collect());
        assert_eq!(families[Path::new("/m")].len(), 2);
    }

    #[test]
    fn ways_part_once() {
        let part = |a: &str, b: &str| parting(Path::new(a), Path::new(b));
        assert_eq!(part("/m/a/x", "/m/b/x"), Some(("/m".into(), "a".into(), "b".into())));
        assert_eq!(part("/m/a", "/m/a/x"), None);
    }
}
