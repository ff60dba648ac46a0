//! Finding the files of a run.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::overrides::{Override, OverrideBuilder};
use ignore::{DirEntry, WalkBuilder};

use crate::read::{ReadProblem, ReadProblemKind, source_name};

/// What a folder is searched for.
const MANIFEST_EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// Endings of files that a program turns into something else before it is used.
const TEMPLATE_EXTENSIONS: [&str; 9] =
    ["tpl", "tmpl", "gotmpl", "j2", "jinja", "jinja2", "tftpl", "mustache", "erb"];

/// Names under which kustomize looks for its file (sigs.k8s.io/kustomize `RecognizedKustomizationFileNames`).
const KUSTOMIZATION_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// How to search.
#[derive(Clone, Debug)]
pub struct WalkOptions {
    exclude: Override,
    root: PathBuf,
}

impl Default for WalkOptions {
    fn default() -> Self {
        WalkOptions { exclude: Override::empty(), root: PathBuf::from(".") }
    }
}

impl WalkOptions {
    /// Leaves out what matches one of the patterns, which are written as in `.gitignore` and relative to the current
    /// folder. They hold for files given by name too.
    ///
    /// # Errors
    /// A pattern that is not a glob.
    pub fn excluding<S: AsRef<str>>(patterns: &[S]) -> Result<Self, ReadProblem> {
        let root = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        Self::excluding_below(root, patterns)
    }

    /// Like [`excluding`](Self::excluding), with patterns relative to `root`.
    ///
    /// # Errors
    /// A pattern that is not a glob.
    pub fn excluding_below<S: AsRef<str>>(root: PathBuf, patterns: &[S]) -> Result<Self, ReadProblem> {
        let mut builder = OverrideBuilder::new(&root);
        for pattern in patterns {
            let pattern = pattern.as_ref();
            // In the override syntax of `ignore`, a leading `!` is what excludes.
            builder.add(&format!("!{pattern}")).map_err(|error| bad_pattern(pattern, &error))?;
        }
        let exclude = builder.build().map_err(|error| bad_pattern("--exclude", &error))?;
        Ok(WalkOptions { exclude, root })
    }

    /// Whether a file given by name is excluded, by itself or with one of its folders below the root.
    fn excludes(&self, path: &Path) -> bool {
        if self.exclude.is_empty() {
            return false;
        }
        let inner = path.strip_prefix(&self.root).unwrap_or(path);
        let folders = inner.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        self.exclude.matched(inner, false).is_ignore()
            || folders.into_iter().any(|folder| self.exclude.matched(folder, true).is_ignore())
    }
}

fn bad_pattern(pattern: &str, error: &ignore::Error) -> ReadProblem {
    ReadProblem::new(
        ReadProblemKind::Pattern,
        pattern,
        format!("is not a pattern for --exclude: {error}"),
        "write it as in .gitignore, for example `vendor/` or `**/testdata/*.yaml`",
    )
}

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path, beginning with the path that was given.
    pub path: PathBuf,
    /// Named by the user, not found in a folder.
    pub given: bool,
}

/// What a search found. Every list is sorted and free of duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    /// Manifests to read; kustomization and chart files are among them.
    pub files: Vec<Found>,
    /// Templates beside the manifests (`x.yaml.tmpl`, `x.j2`, `_helpers.tpl`): not read, to be listed as skipped.
    pub templates: Vec<PathBuf>,
    /// Folders that hold a kustomization file.
    pub kustomizations: Vec<PathBuf>,
    /// Folders that hold a `Chart.yaml`.
    pub charts: Vec<PathBuf>,
    /// Symbolic links to folders outside of the given paths: not followed, to be listed as skipped.
    pub links: Vec<PathBuf>,
    /// Hidden files and folders (`.github`), `.git` apart: not searched, to be listed as skipped.
    pub hidden: Vec<PathBuf>,
    /// Pipes, sockets and devices under the name of a manifest: reading one could wait for ever, to be listed as
    /// skipped.
    pub special: Vec<PathBuf>,
    /// How many files of other types lie in the folders.
    pub others: usize,
    /// What could not be looked at.
    pub problems: Vec<ReadProblem>,
}

/// A manifest before duplicates are removed.
struct Candidate {
    /// The file without links on the way, which tells it from all others.
    key: PathBuf,
    path: PathBuf,
    given: bool,
    linked: bool,
}

/// Searches files and folders.
///
/// Folders are searched for `.yaml`, `.yml` and `.json`; what `.gitignore` and `.ignore` files name is left out (also
/// outside of a Git repository), and so is every hidden file or folder that is not itself given. Links to files are
/// read; links to folders are not followed, so that neither a loop nor a link to `/` makes the search endless. A file
/// given by name is read whatever its extension. Overlapping paths give each file once.
pub fn discover(paths: &[PathBuf], options: &WalkOptions) -> Discovery {
    let mut discovery = Discovery::default();
    let mut candidates = Vec::new();
    let mut roots = Vec::new();
    let mut folder_links = Vec::new();
    for path in paths {
        match std::fs::metadata(path) {
            Err(error) => discovery.problems.push(ReadProblem::from_io(source_name(path), &error)),
            Ok(metadata) if metadata.is_dir() => {
                let root = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
                search_folder(path, &root, options, &mut discovery, &mut candidates, &mut folder_links);
                roots.push(root);
            }
            Ok(_) if options.excludes(path) => {}
            Ok(_) => {
                let key = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
                candidates.push(Candidate { key, path: path.clone(), given: true, linked: false });
            }
        }
    }
    for (path, target) in folder_links {
        if !roots.iter().any(|root| target.starts_with(root)) {
            discovery.links.push(path);
        }
    }
    discovery.files = unique_files(candidates);
    finish(&mut discovery);
    discovery
}

fn search_folder(
    folder: &Path,
    root: &Path,
    options: &WalkOptions,
    discovery: &mut Discovery,
    candidates: &mut Vec<Candidate>,
    folder_links: &mut Vec<(PathBuf, PathBuf)>,
) {
    let hidden = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&hidden);
    let mut walk = WalkBuilder::new(folder);
    walk.hidden(false).require_git(false).overrides(options.exclude.clone());
    walk.filter_entry(move |entry| {
        let name = entry.file_name().to_string_lossy();
        let leave_out = entry.depth() > 0 && name.starts_with('.');
        let folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        if leave_out && name != ".git" && (folder || is_manifest(entry.path())) {
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(entry.path().to_path_buf());
        }
        !leave_out
    });
    for entry in walk.build() {
        match entry {
            Err(error) => discovery.problems.extend(walk_problem(folder, &error)),
            Ok(entry) => sort_entry(entry, folder, root, discovery, candidates, folder_links),
        }
    }
    discovery.hidden.append(&mut hidden.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Puts one entry of a folder where it belongs.
fn sort_entry(
    entry: DirEntry,
    folder: &Path,
    root: &Path,
    discovery: &mut Discovery,
    candidates: &mut Vec<Candidate>,
    folder_links: &mut Vec<(PathBuf, PathBuf)>,
) {
    let Some(kind) = entry.file_type() else { return };
    if entry.depth() == 0 || kind.is_dir() {
        return;
    }
    let path = entry.into_path();
    let linked = kind.is_symlink();
    if linked {
        match std::fs::metadata(&path) {
            Ok(target) if target.is_dir() => {
                folder_links.extend(std::fs::canonicalize(&path).ok().map(|target| (path, target)));
                return;
            }
            Ok(target) if target.is_file() => {}
            Err(error) if is_manifest(&path) => {
                discovery.problems.push(ReadProblem::from_io(source_name(&path), &error));
                return;
            }
            Ok(_) if is_manifest(&path) => {
                discovery.special.push(path);
                return;
            }
            _ => return,
        }
    } else if !kind.is_file() {
        if is_manifest(&path) {
            discovery.special.push(path);
        }
        return;
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if KUSTOMIZATION_NAMES.contains(&name) {
        discovery.kustomizations.extend(path.parent().map(Path::to_path_buf));
    } else if name == "Chart.yaml" {
        discovery.charts.extend(path.parent().map(Path::to_path_buf));
    }
    if is_template(&path) {
        discovery.templates.push(path);
    } else if is_manifest(&path) {
        // No folder link was followed, so only the last step can be a link.
        let key = if linked {
            std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone())
        } else {
            path.strip_prefix(folder).map_or_else(|_| path.clone(), |inner| root.join(inner))
        };
        candidates.push(Candidate { key, path, given: false, linked });
    } else {
        discovery.others += 1;
    }
}

/// Each file once: under the name that was given, else under its own name rather than that of a link.
fn unique_files(mut candidates: Vec<Candidate>) -> Vec<Found> {
    candidates
        .sort_by(|a, b| (&a.key, !a.given, a.linked, &a.path).cmp(&(&b.key, !b.given, b.linked, &b.path)));
    candidates.dedup_by(|later, kept| later.key == kept.key);
    let mut files: Vec<Found> =
        candidates.into_iter().map(|file| Found { path: file.path, given: file.given }).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Whether a template may become a manifest: by the ending inside (`x.yaml.tmpl`), because it is of a kind that is
/// written for little else (helmfile's `.gotmpl`), or because it has no other ending and lies beside manifests.
fn makes_manifests(template: &Path, manifest_folders: &HashSet<&Path>) -> bool {
    let inner = Path::new(template.file_stem().unwrap_or_default());
    is_manifest(inner)
        || has_extension(template, &["gotmpl"])
        || inner.extension().is_none()
            && template.parent().is_some_and(|folder| manifest_folders.contains(folder))
}

/// Sorts the lists, and forgets templates of other things than manifests.
fn finish(discovery: &mut Discovery) {
    let folders: HashSet<&Path> = discovery.files.iter().filter_map(|file| file.path.parent()).collect();
    let before = discovery.templates.len();
    discovery.templates.retain(|template| makes_manifests(template, &folders));
    discovery.others += before - discovery.templates.len();
    for list in [
        &mut discovery.templates,
        &mut discovery.kustomizations,
        &mut discovery.charts,
        &mut discovery.links,
        &mut discovery.hidden,
        &mut discovery.special,
    ] {
        list.sort();
        list.dedup();
    }
    discovery.problems.sort_by(|a, b| (&a.path, &a.message).cmp(&(&b.path, &b.message)));
    discovery.problems.dedup();
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| extensions.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

fn is_manifest(path: &Path) -> bool {
    has_extension(path, &MANIFEST_EXTENSIONS)
}

fn is_template(path: &Path) -> bool {
    has_extension(path, &TEMPLATE_EXTENSIONS)
}

/// What went wrong on the way; a bad line in somebody's `.gitignore` is not worth stopping for.
fn walk_problem(folder: &Path, error: &ignore::Error) -> Option<ReadProblem> {
    if error.is_partial() {
        return None;
    }
    let path = source_name(error_path(error).unwrap_or(folder));
    Some(match error.io_error() {
        Some(io) => ReadProblem::from_io(path, io),
        None => ReadProblem::new(
            ReadProblemKind::Io,
            path,
            format!("cannot be searched: {error}"),
            "mend it, or leave it out with --exclude",
        ),
    })
}

fn error_path(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => error_path(err),
        _ => None,
    }
}
