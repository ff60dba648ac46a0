//! What kustomization files say of the files around them, and how they build on each other.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use meshproof_resources::Text;
use meshproof_source::{SourceId, SourceMap, split_documents};
use meshproof_yaml::{NodeRef, Problem, Shape};

/// One kustomization file. Paths are absolute and without `..`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kustomization {
    /// The folder, as it was found.
    pub folder: PathBuf,
    /// `namespace`, which replaces that of every object.
    pub namespace: Option<Text>,
    /// Files with objects.
    pub resources: Vec<PathBuf>,
    /// Folders with kustomizations of their own: resources, bases and components.
    pub bases: Vec<PathBuf>,
    /// Files with parts of objects.
    pub patches: Vec<PathBuf>,
    /// Files that are read by generators and transformers.
    pub inputs: Vec<PathBuf>,
    /// The first thing that is fetched from elsewhere.
    pub remote: Option<String>,
    /// Charts that are inflated.
    pub has_helm_charts: bool,
    /// Whether it is built into others only.
    pub is_component: bool,
    /// Whether objects leave it with other names, labels or contents than they have in the files.
    pub changes_objects: bool,
}

/// All kustomizations of a run by folder (absolute).
#[derive(Debug, Default)]
pub(crate) struct Kustomizations {
    pub by_folder: HashMap<PathBuf, Kustomization>,
}

/// What a kustomization builds from, itself and its bases included.
#[derive(Debug, Default)]
pub(crate) struct Closure {
    /// Files with objects, and the namespace that the outermost kustomization gives them.
    pub resources: Vec<(PathBuf, Option<Text>)>,
    /// The folders of the kustomizations themselves.
    pub folders: Vec<PathBuf>,
    /// Files with parts of objects.
    pub patches: Vec<PathBuf>,
    /// Files for generators and transformers.
    pub inputs: Vec<PathBuf>,
    /// Whether a renderer would change objects.
    pub changes_objects: bool,
    /// The first thing that is fetched from elsewhere.
    pub remote: Option<String>,
    /// Whether a chart is inflated.
    pub has_helm_charts: bool,
}

/// Chains of bases longer than this are cut; real ones have three or four.
const MAX_DEPTH: usize = 64;

impl Kustomizations {
    /// Takes in one file. What is wrong with its text is given back.
    pub(crate) fn add(&mut self, folder: &Path, source: SourceId, sources: &SourceMap) -> Vec<Problem> {
        let text = &*sources.get(source).text;
        // kustomize reads one document; a separator may stand above it.
        let range = split_documents(text).into_iter().next().map_or(0..0, |document| document.range);
        let parsed = meshproof_yaml::parse(source, text, range);
        let key = absolute(folder);
        let mut kustomization = match &parsed.tree {
            Some(tree) => read(&key, tree.root()),
            None => Kustomization::default(),
        };
        kustomization.folder = folder.to_path_buf();
        self.by_folder.insert(key, kustomization);
        parsed.problems
    }

    /// Folders that nothing else in the input builds on, sorted: what a person would hand to kustomize. Folders that
    /// only build on each other come last, so that none is forgotten.
    pub(crate) fn roots(&self) -> Vec<PathBuf> {
        let used: HashSet<&PathBuf> = self.by_folder.values().flat_map(|one| &one.bases).collect();
        let mut folders: Vec<&PathBuf> = self.by_folder.keys().collect();
        folders.sort_by_key(|folder| (used.contains(folder), *folder));
        let mut reached: HashSet<PathBuf> = HashSet::new();
        let mut roots = Vec::new();
        for folder in folders {
            if used.contains(folder) && reached.contains(folder) {
                continue;
            }
            reached.extend(self.closure(folder).folders);
            roots.push(folder.clone());
        }
        roots
    }

    /// Everything that goes into one folder's output.
    pub(crate) fn closure(&self, root: &Path) -> Closure {
        let mut closure = Closure::default();
        let mut seen = HashSet::new();
        let mut stack = vec![(root.to_path_buf(), None::<Text>, 0)];
        while let Some((folder, outer, depth)) = stack.pop() {
            let Some(one) = self.by_folder.get(&folder) else { continue };
            if depth > MAX_DEPTH || !seen.insert(folder.clone()) {
                continue;
            }
            closure.folders.push(folder);
            closure.patches.extend(one.patches.iter().cloned());
            closure.inputs.extend(one.inputs.iter().cloned());
            // The outermost namespace is set last, so it is the one that counts.
            let namespace = outer.or_else(|| one.namespace.clone());
            closure.changes_objects |= one.changes_objects;
            closure.has_helm_charts |= one.has_helm_charts;
            closure.remote = closure.remote.or_else(|| one.remote.clone());
            closure.resources.extend(one.resources.iter().map(|file| (file.clone(), namespace.clone())));
            stack.extend(one.bases.iter().map(|base| (base.clone(), namespace.clone(), depth + 1)));
        }
        closure.resources.sort_by(|a, b| a.0.cmp(&b.0));
        closure.resources.dedup_by(|a, b| a.0 == b.0);
        closure
    }
}

/// A path from the root of the file system without `.` and `..`, links left as they are.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

fn read(folder: &Path, root: NodeRef<'_>) -> Kustomization {
    let mut one = Kustomization {
        is_component: root.get("kind").and_then(NodeRef::str) == Some("Component"),
        ..Kustomization::default()
    };
    one.namespace = root
        .get("namespace")
        .and_then(|node| Some(Text::new(node.str()?.to_owned(), node.span())))
        .filter(|namespace| !namespace.value.is_empty());
    for field in ["resources", "bases", "components"] {
        for entry in strings(root, field) {
            if is_remote(entry) {
                one.remote.get_or_insert_with(|| entry.to_owned());
                continue;
            }
            let path = absolute(&folder.join(entry));
            if path.is_dir() {
                one.bases.push(path);
            } else {
                one.resources.push(path);
            }
        }
    }
    let file = |entry: &str| absolute(&folder.join(entry));
    // An entry with a line break is a patch written in place.
    let is_file = |entry: &&str| !entry.contains('\n') && !entry.trim_start().starts_with('{');
    one.patches.extend(strings(root, "patchesStrategicMerge").filter(is_file).map(file));
    for field in ["patches", "patchesJson6902", "replacements"] {
        one.patches.extend(values(root, field, "path").map(file));
    }
    for field in ["configurations", "crds", "generators", "transformers", "validators"] {
        one.inputs.extend(strings(root, field).filter(is_file).map(file));
    }
    for field in ["configMapGenerator", "secretGenerator"] {
        for generator in items(root, field) {
            for inner in ["files", "envs"] {
                // `name=path` gives the content another name.
                let path = |entry: &str| file(entry.split_once('=').map_or(entry, |(_, path)| path));
                one.inputs.extend(strings(generator, inner).map(path));
            }
        }
    }
    let charts = items(root, "helmCharts").chain(items(root, "helmChartInflationGenerator"));
    for chart in charts {
        one.has_helm_charts = true;
        one.inputs.extend(chart.get("valuesFile").and_then(NodeRef::str).map(file));
        one.inputs.extend(strings(chart, "additionalValuesFiles").map(file));
    }
    one.changes_objects = one.remote.is_some()
        || one.has_helm_charts
        || [
            "components",
            "commonLabels",
            "labels",
            "namePrefix",
            "nameSuffix",
            "patches",
            "patchesJson6902",
            "patchesStrategicMerge",
            "replacements",
            "replicas",
            "transformers",
            "vars",
            "generators",
        ]
        .iter()
        .any(|field| root.get(field).is_some_and(|value| !value.is_null()));
    one
}

fn items<'t>(node: NodeRef<'t>, field: &str) -> impl Iterator<Item = NodeRef<'t>> {
    node.get(field).into_iter().flat_map(|list| list.items())
}

fn strings<'t>(node: NodeRef<'t>, field: &str) -> impl Iterator<Item = &'t str> {
    items(node, field).filter_map(NodeRef::str).filter(|entry| !entry.is_empty())
}

fn values<'t>(node: NodeRef<'t>, field: &str, key: &'static str) -> impl Iterator<Item = &'t str> {
    items(node, field)
        .filter(|item| item.shape() == Shape::Mapping)
        .filter_map(move |item| item.get(key).and_then(NodeRef::str))
        .filter(|entry| !entry.is_empty())
}

/// What kustomize would fetch: URLs, `git@…`, and `host/owner/repository?ref=…` (kustomize api/internal/git).
fn is_remote(entry: &str) -> bool {
    entry.contains("://")
        || entry.starts_with("git@")
        || entry.starts_with("git::")
        || entry.contains("?ref=")
        || ["github.com/", "gitlab.com/", "bitbucket.org/"].iter().any(|host| entry.starts_with(host))
}

#[cfg(test)]
mod tests {
    use meshproof_source::Origin;

    use super::*;

    fn set(folder: &Path, files: &[(&str, &str)]) -> Kustomizations {
        let (mut sources, mut all) = (SourceMap::new(), Kustomizations::default());
        for (name, text) in files {
            std::fs::create_dir_all(folder.join(name)).unwrap();
            let source = sources.add(*name, *text, Origin::File);
            assert_eq!(all.add(&folder.join(name), source, &sources), []);
        }
        all
    }

    #[test]
    fn an_overlay_is_the_root_and_its_namespace_counts() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["base", "prod"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let all = set(
            folder.path(),
            &[
                ("base", "namespace: base\nresources: [a.yaml]\n"),
                ("prod", "namespace: prod\nresources:\n- ../base\n- b.yaml\npatches:\n- path: p.yaml\n"),
            ],
        );
        let prod = absolute(&folder.path().join("prod"));
        assert_eq!(all.roots(), std::slice::from_ref(&prod));
        let closure = all.closure(&prod);
        let namespaces: Vec<&str> = closure
            .resources
            .iter()
            .map(|(_, namespace)| namespace.as_ref().unwrap().value.as_str())
            .collect();
        assert_eq!(namespaces, ["prod", "prod"]);
        assert!(closure.changes_objects);
        assert_eq!(closure.patches, [prod.join("p.yaml")]);
    }

    #[test]
    fn bases_that_build_on_each_other_come_to_an_end() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let all = set(folder.path(), &[("a", "resources: [../b, x.yaml]\n"), ("b", "resources: [../a]\n")]);
        assert_eq!(all.closure(&absolute(&folder.path().join("a"))).resources.len(), 1);
    }

    #[test]
    fn patches_written_in_place_are_no_files() {
        let folder = tempfile::tempdir().unwrap();
        let text = "patchesStrategicMerge:\n- |-\n  kind: A\n  x: 1\n- p.yaml\n";
        let all = set(folder.path(), &[(".", text)]);
        assert_eq!(all.closure(&absolute(folder.path())).patches.len(), 1);
    }

    #[test]
    fn remote_resources_are_known() {
        assert!(is_remote("https://github.com/kubeflow/manifests//common?ref=v1"));
        assert!(is_remote("github.com/owner/repository/path?ref=main"));
        assert!(!is_remote("../base"));
    }
}
