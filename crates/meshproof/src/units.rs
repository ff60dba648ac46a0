//! What is applied together: plain files, and folders of Kustomize and Helm, rendered where that is possible.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use meshproof_diagnostics::{Finding, Level};
use meshproof_report::Skipped;
use meshproof_resources::Text;
use meshproof_source::{
    DEFAULT_SIZE_LIMIT, Origin, SourceId, SourceMap, Span, read_file, source_name, split_documents,
};
use meshproof_yaml::{Relevance, may_matter};
use rayon::prelude::*;

use crate::document::{problem_finding, skipped};
use crate::gather::{File, Gathered, cluster_of};
use crate::kustomization::{Closure, Kustomizations, absolute};
use crate::lints;
use crate::options::{Error, Options, Render};
use crate::render::{self, Failure, TIME_LIMIT, Tool, Tools};
use crate::variants::Choice;

/// Texts that are applied together, apart from the plain files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unit {
    /// The folder, for messages.
    pub name: String,
    /// The texts to read, each with the namespace that its objects get.
    pub members: Vec<(SourceId, Option<Text>)>,
    /// The files it was rendered from; empty if it was not rendered.
    pub raw: Vec<File>,
    /// Rendered by helm, with the default values.
    pub is_chart: bool,
    /// The folders among variants of plain files that it stands in, the outermost first.
    pub choices: Vec<Choice>,
}

/// How the texts of a run belong together.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Every text whose objects are analysed.
    pub files: Vec<File>,
    /// Folders that are applied as a whole. Their texts are among `files`; the others stand for themselves.
    pub units: Vec<Unit>,
    /// Texts whose objects a renderer would change, with the reason.
    pub unrendered: HashMap<SourceId, String>,
    pub findings: Vec<Finding>,
    pub skipped: Vec<Skipped>,
}

/// A folder that a program can render.
struct Folder {
    /// As it was found.
    path: PathBuf,
    /// The file that makes it one.
    marker: SourceId,
    /// The files that go into it.
    closure: Closure,
    is_chart: bool,
    /// Why it cannot be rendered by itself.
    obstacle: Option<String>,
}

/// What became of a folder.
enum Rendering {
    Done {
        text: String,
        by: String,
    },
    /// Nothing in it concerns us.
    Irrelevant,
    Not(String),
    Failed {
        by: String,
        failure: Failure,
    },
}

/// Sorts the files, and renders what is to be rendered.
pub(crate) fn plan(
    options: &Options,
    gathered: &mut Gathered,
    sources: &mut SourceMap,
) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    let files = std::mem::take(&mut gathered.files);
    if gathered.kustomizations.is_empty() && gathered.charts.is_empty() {
        plan.files = files;
        return Ok(plan);
    }
    let by_path: HashMap<PathBuf, File> =
        files.iter().filter_map(|file| Some((absolute(file.path.as_deref()?), file.clone()))).collect();
    let mut taken: HashSet<SourceId> = HashSet::new();
    let mut folders = kustomize_folders(gathered, &by_path, &mut taken, &mut plan.findings, sources);
    folders.extend(chart_folders(gathered, &by_path, sources));
    let renderings = render_all(options, &folders, &by_path, sources)?;
    let mut parts = Vec::new();
    for (folder, rendering) in folders.iter().zip(renderings) {
        match rendering {
            Rendering::Done { text, by } => {
                let source = sources.add(source_name(&folder.path), text, Origin::Rendered { by });
                taken.extend(add_rendered(&mut plan, folder, source, &by_path, options));
            }
            Rendering::Irrelevant => add_raw(&mut plan, folder, None, &by_path, &mut parts),
            Rendering::Not(reason) => add_raw(&mut plan, folder, Some(reason), &by_path, &mut parts),
            Rendering::Failed { by, failure } => {
                plan.findings.push(render_failed(options, folder, &by, &failure));
                add_raw(&mut plan, folder, Some(format!("`{by}` failed")), &by_path, &mut parts);
            }
        }
    }
    for (source, code, why) in parts {
        // What went into a rendered text is analysed there.
        if taken.insert(source) {
            plan.skipped.push(skipped(&sources.get(source).name, None, code, why));
        }
    }
    // Rendered texts come last, so that sources stay in order.
    let rendered = std::mem::take(&mut plan.files);
    plan.files = files.into_iter().filter(|file| !taken.contains(&file.source)).chain(rendered).collect();
    Ok(plan)
}

/// The kustomizations that nothing else builds on. The kustomization files themselves hold nothing to analyse.
fn kustomize_folders(
    gathered: &mut Gathered,
    by_path: &HashMap<PathBuf, File>,
    taken: &mut HashSet<SourceId>,
    findings: &mut Vec<Finding>,
    sources: &mut SourceMap,
) -> Vec<Folder> {
    let mut all = Kustomizations::default();
    let mut markers: HashMap<PathBuf, SourceId> = HashMap::new();
    for folder in &gathered.kustomizations {
        let named = |name: &str| by_path.get(&absolute(&folder.join(name))).map(|file| file.source);
        let known = named("kustomization.yaml").or_else(|| named("kustomization.yml"));
        let marker = known.or_else(|| {
            // Without an ending it is not among the manifests.
            let path = folder.join("Kustomization");
            let read = read_file(&path, DEFAULT_SIZE_LIMIT).ok()?;
            Some(sources.add(source_name(&path), read.text, Origin::File))
        });
        if let Some(marker) = marker {
            findings.extend(all.add(folder, marker, sources).into_iter().map(problem_finding));
            markers.insert(absolute(folder), marker);
            taken.insert(marker);
        }
    }
    let folder_of = |root: PathBuf| {
        let closure = all.closure(&root);
        let one = all.by_folder.get(&root)?;
        let obstacle = if one.is_component {
            Some("it is a component, and nothing here uses it".to_owned())
        } else if closure.has_helm_charts {
            Some("it inflates Helm charts, which needs network access".to_owned())
        } else {
            closure.remote.as_ref().map(|remote| format!("it fetches {remote} from the network"))
        };
        let marker = *markers.get(&root)?;
        Some(Folder { path: one.folder.clone(), marker, closure, is_chart: false, obstacle })
    };
    all.roots().into_iter().filter_map(folder_of).collect()
}

/// Charts that are not part of another chart.
fn chart_folders(gathered: &Gathered, by_path: &HashMap<PathBuf, File>, sources: &SourceMap) -> Vec<Folder> {
    let charts: HashSet<PathBuf> = gathered.charts.iter().map(|folder| absolute(folder)).collect();
    let mut paths: Vec<&PathBuf> = by_path.keys().collect();
    paths.sort();
    let mut folders = Vec::new();
    for folder in &gathered.charts {
        let root = absolute(folder);
        let Some(marker) = by_path.get(&root.join("Chart.yaml")) else { continue };
        if root.ancestors().skip(1).any(|above| charts.contains(above)) {
            continue;
        }
        let mut closure = Closure::default();
        // Paths are ordered by their parts, so what lies in a folder stands together.
        let from = paths.partition_point(|path| **path < root);
        for path in paths[from..].iter().take_while(|path| path.starts_with(&root)) {
            let is_template = path
                .strip_prefix(&root)
                .is_ok_and(|inner| inner.components().any(|component| component.as_os_str() == "templates"));
            if is_template {
                closure.resources.push(((*path).clone(), None));
            }
        }
        let text = &*sources.get(marker.source).text;
        let parsed = meshproof_yaml::parse(marker.source, text, 0..text.len());
        let kind = parsed
            .tree
            .as_ref()
            .and_then(|tree| tree.root().get("type")?.text().map(|kind| kind == "library"));
        let obstacle =
            (kind == Some(true)).then(|| "it is a library chart, which makes no objects".to_owned());
        folders.push(Folder {
            path: folder.clone(),
            marker: marker.source,
            closure,
            is_chart: true,
            obstacle,
        });
    }
    folders
}

/// Runs the programs, several at a time; the results are in the order of the folders.
fn render_all(
    options: &Options,
    folders: &[Folder],
    by_path: &HashMap<PathBuf, File>,
    sources: &SourceMap,
) -> Result<Vec<Rendering>, Error> {
    if options.render == Render::Never {
        return Ok(folders.iter().map(|_| Rendering::Not("--render never".to_owned())).collect());
    }
    let tools = Tools::find();
    let required = options.render == Render::Require;
    if required {
        let missing = |chart: bool, tool: &Option<Tool>| {
            tool.is_none()
                && folders.iter().any(|folder| folder.is_chart == chart && folder.obstacle.is_none())
        };
        if missing(false, &tools.kustomize) {
            return Err(Error::NoRenderer { what: "Kustomize folders", programs: "kustomize or kubectl" });
        }
        if missing(true, &tools.helm) {
            return Err(Error::NoRenderer { what: "Helm charts", programs: "helm" });
        }
    }
    let one = |folder: &Folder| -> Rendering {
        // A component or a library makes nothing by itself; what needs the network is fetched on demand only.
        let hopeless = folder.closure.remote.is_none() && !folder.closure.has_helm_charts;
        if let Some(obstacle) = folder.obstacle.as_ref().filter(|_| hopeless || !required) {
            return Rendering::Not(obstacle.clone());
        }
        if !required && !concerns_us(folder, by_path, sources) {
            return Rendering::Irrelevant;
        }
        let (tool, none) = if folder.is_chart {
            (&tools.helm, "helm is not installed")
        } else {
            (&tools.kustomize, "neither kustomize nor kubectl is installed")
        };
        let Some(tool) = tool else { return Rendering::Not(none.to_owned()) };
        let namespace = options.namespace.as_deref().filter(|_| folder.is_chart);
        let before: Vec<&str> = match namespace {
            Some(namespace) => vec!["--namespace", namespace],
            None => Vec::new(),
        };
        let by = format!("{} {}", tool.shown, source_name(&folder.path));
        let limits =
            (options.render_time.unwrap_or(TIME_LIMIT), options.size_limit.unwrap_or(DEFAULT_SIZE_LIMIT));
        match render::render(tool, &absolute(&folder.path), &before, limits.0, limits.1) {
            Ok(text) => Rendering::Done { text, by },
            Err(failure) => Rendering::Failed { by, failure },
        }
    };
    Ok(if folders.len() < 2 {
        folders.iter().map(one).collect()
    } else {
        folders.par_iter().map(one).collect()
    })
}

/// Whether one of the files may hold an object that is analysed. Rendering takes long enough to look first.
fn concerns_us(folder: &Folder, by_path: &HashMap<PathBuf, File>, sources: &SourceMap) -> bool {
    folder.closure.resources.iter().any(|(path, _)| {
        // A file that was not read may hold anything.
        let Some(file) = by_path.get(path) else { return path.is_file() };
        let text = &*sources.get(file.source).text;
        split_documents(text)
            .into_iter()
            .any(|document| matches!(may_matter(&text[document.range]), Relevance::Parse))
    })
}

/// Takes in a rendered text and gives the files that are analysed through it.
fn add_rendered(
    plan: &mut Plan,
    folder: &Folder,
    source: SourceId,
    by_path: &HashMap<PathBuf, File>,
    options: &Options,
) -> Vec<SourceId> {
    let closure = &folder.closure;
    let file_of = |path: &PathBuf| by_path.get(path);
    let raw: Vec<File> = closure.resources.iter().filter_map(|(path, _)| file_of(path).cloned()).collect();
    let parts = closure.patches.iter().chain(&closure.inputs).filter_map(file_of);
    let taken = raw.iter().chain(parts).map(|file| file.source).collect();
    let cluster = cluster_of(options, &folder.path);
    plan.files.push(File { source, path: Some(folder.path.clone()), cluster });
    plan.units.push(Unit {
        name: source_name(&folder.path),
        members: vec![(source, None)],
        raw,
        is_chart: folder.is_chart,
        choices: Vec::new(),
    });
    taken
}

/// Takes in a folder whose files are read as they stand. Parts of objects go to `parts`.
fn add_raw(
    plan: &mut Plan,
    folder: &Folder,
    reason: Option<String>,
    by_path: &HashMap<PathBuf, File>,
    parts: &mut Vec<(SourceId, &'static str, &'static str)>,
) {
    let closure = &folder.closure;
    let name = source_name(&folder.path);
    let sources_of = |paths: &[PathBuf]| -> Vec<SourceId> {
        paths.iter().filter_map(|path| by_path.get(path)).map(|file| file.source).collect()
    };
    let patch = "kustomize puts this part of an object into the whole one, which is not here";
    parts.extend(sources_of(&closure.patches).into_iter().map(|at| (at, "kustomize-patch", patch)));
    let input = "an input of kustomize's generators and transformers";
    parts.extend(sources_of(&closure.inputs).into_iter().map(|at| (at, "kustomize-input", input)));
    let members: Vec<(SourceId, Option<Text>)> = closure
        .resources
        .iter()
        .filter_map(|(path, namespace)| Some((by_path.get(path)?.source, namespace.clone())))
        .collect();
    if let Some(reason) = reason.filter(|_| closure.changes_objects || folder.is_chart) {
        let said = format!("{name} was not rendered: {reason}");
        plan.unrendered.extend(members.iter().map(|(source, _)| (*source, said.clone())));
        // The templates of a chart are listed one by one.
        if !folder.is_chart {
            let reason = format!("not rendered, its files are read as they stand: {reason}");
            plan.skipped.push(skipped(&name, None, "unrendered-kustomization", reason));
        }
    }
    if !folder.is_chart {
        plan.units.push(Unit { name, members, ..Unit::default() });
    }
}

fn render_failed(options: &Options, folder: &Folder, by: &str, failure: &Failure) -> Finding {
    let name = source_name(&folder.path);
    let message = format!("{name} cannot be rendered: {}", failure.message);
    let instead =
        if folder.is_chart { "its templates are not analysed" } else { "its files are read as they stand" };
    let mut help = format!("{instead}; mend it until `{by}` succeeds, or pass --render never");
    if failure.said.lines().count() > 1 {
        help = format!("{help}. It says:\n{}", failure.said);
    }
    let mut finding =
        lints::finding(lints::RENDER_FAILED, Span::new(folder.marker, 0, 0), message).with_help(help);
    if options.render == Render::Require {
        finding.level = Level::Error;
    }
    finding
}
