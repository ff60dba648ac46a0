//! From inputs to texts: every file that is there is read, listed as skipped, or reported.

use std::path::{Path, PathBuf};

use meshproof_diagnostics::Finding;
use meshproof_report::Skipped;
use meshproof_source::{
    DEFAULT_SIZE_LIMIT, Discovery, Origin, ReadProblem, ReadProblemKind, ReadText, SourceId, SourceMap, Span,
    WalkOptions, discover, read_file, read_stdin, source_name,
};
use rayon::prelude::*;

use crate::document::skipped;
use crate::lints;
use crate::options::{Error, Input, Options};

/// A text that was read.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub source: SourceId,
    /// Where it lies; nowhere for standard input and texts at hand.
    pub path: Option<PathBuf>,
    /// Index into the clusters of the options.
    pub cluster: Option<usize>,
}

/// Everything that was read.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// By name.
    pub files: Vec<File>,
    /// Folders with a kustomization file.
    pub kustomizations: Vec<PathBuf>,
    /// Folders with a `Chart.yaml`.
    pub charts: Vec<PathBuf>,
    pub findings: Vec<Finding>,
    pub skipped: Vec<Skipped>,
    /// Files of other types in the folders.
    pub other_files: usize,
}

/// Below this many files, starting threads takes longer than reading.
const FEW: usize = 4;

/// Finds and reads everything.
pub(crate) fn gather(
    options: &Options,
    inputs: &[Input],
    sources: &mut SourceMap,
) -> Result<Gathered, Error> {
    let mut gathered = Gathered::default();
    let limit = options.size_limit.unwrap_or(DEFAULT_SIZE_LIMIT);
    let mut paths: Vec<PathBuf> = Vec::new();
    for input in inputs {
        match input {
            Input::Path(path) => paths.push(path.clone()),
            Input::Stdin => take_in(read_stdin(limit), "<stdin>", None, options, sources, &mut gathered),
            Input::Text { name, text } => {
                let source = sources.add(name.as_str(), text.as_str(), Origin::Stdin);
                gathered.files.push(File { source, path: None, cluster: None });
            }
        }
    }
    paths.extend(options.clusters.iter().map(|cluster| cluster.path.clone()));
    let discovery = search(options, &paths)?;
    let read = |found: &meshproof_source::Found| read_file(&found.path, limit);
    let texts: Vec<Result<ReadText, ReadProblem>> = if discovery.files.len() < FEW {
        discovery.files.iter().map(read).collect()
    } else {
        discovery.files.par_iter().map(read).collect()
    };
    for (found, text) in discovery.files.iter().zip(texts) {
        let name = source_name(&found.path);
        take_in(text, &name, Some(found.path.clone()), options, sources, &mut gathered);
    }
    for problem in discovery.problems {
        report(problem, sources, &mut gathered);
    }
    for path in &discovery.templates {
        let why = "its name says that a program makes the manifest from it";
        gathered.skipped.push(skipped(&source_name(path), None, "template-file", why));
    }
    for path in &discovery.links {
        let why = "a link to a folder outside of the given paths, which is not followed";
        gathered.skipped.push(skipped(&source_name(path), None, "link", why));
    }
    for path in &discovery.hidden {
        let why = "hidden files and folders are read only when they are given by name";
        gathered.skipped.push(skipped(&source_name(path), None, "hidden-file", why));
    }
    for path in &discovery.special {
        let why = "a pipe, socket or device, not a file";
        gathered.skipped.push(skipped(&source_name(path), None, "special-file", why));
    }
    gathered.other_files = discovery.others;
    gathered.kustomizations = discovery.kustomizations;
    gathered.charts = discovery.charts;
    Ok(gathered)
}

fn search(options: &Options, paths: &[PathBuf]) -> Result<Discovery, Error> {
    let walk = match &options.exclude_root {
        _ if options.exclude.is_empty() => Ok(WalkOptions::default()),
        Some(root) => WalkOptions::excluding_below(root.clone(), &options.exclude),
        None => WalkOptions::excluding(&options.exclude),
    };
    let mut discovery = discover(paths, &walk.map_err(Error::Exclude)?);
    let missing = |problem: &ReadProblem| {
        problem.kind == ReadProblemKind::NotFound
            && paths.iter().any(|path| source_name(path) == problem.path)
    };
    match discovery.problems.iter().position(missing) {
        Some(at) => Err(Error::Path(discovery.problems.swap_remove(at))),
        None => Ok(discovery),
    }
}

fn take_in(
    text: Result<ReadText, ReadProblem>,
    name: &str,
    path: Option<PathBuf>,
    options: &Options,
    sources: &mut SourceMap,
    gathered: &mut Gathered,
) {
    match text {
        Ok(read) => {
            let origin = if path.is_some() { Origin::File } else { Origin::Stdin };
            let source = sources.add(name, read.text, origin);
            let cluster = path.as_deref().and_then(|path| cluster_of(options, path));
            gathered.files.push(File { source, path, cluster });
        }
        Err(problem) => report(problem, sources, gathered),
    }
}

/// The cluster whose path holds a file; the innermost one if they nest.
pub(crate) fn cluster_of(options: &Options, path: &Path) -> Option<usize> {
    let holding = options.clusters.iter().enumerate().filter(|(_, cluster)| path.starts_with(&cluster.path));
    holding.max_by_key(|(_, cluster)| cluster.path.components().count()).map(|(at, _)| at)
}

/// A file that gave no text is reported under its name, with an empty text to point into.
fn report(problem: ReadProblem, sources: &mut SourceMap, gathered: &mut Gathered) {
    let source = sources.add(problem.path.as_str(), "", Origin::File);
    let place =
        problem.place.map_or(String::new(), |at| format!(" (line {}, column {})", at.line, at.column));
    let message = format!("{} {}{place}", problem.path, problem.message);
    let finding = lints::finding(lints::UNREADABLE_FILE, Span::new(source, 0, 0), message);
    gathered.findings.push(finding.with_help(problem.help));
}
