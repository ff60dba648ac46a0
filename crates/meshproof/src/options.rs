//! What a run is told, and what it gives back.

use std::path::{Path, PathBuf};

use meshproof_diagnostics::{Finding, Level};
use meshproof_ir::Mesh;
use meshproof_report::Summary;
use meshproof_source::{ReadProblem, SourceMap};

use crate::config::{Config, ConfigError, External, MeshSettings};
use crate::levels::Levels;

/// Whether folders of Kustomize and Helm are rendered before they are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Render {
    /// When a program that can do it is found on `PATH`.
    #[default]
    Auto,
    /// Never: the files are read as they stand.
    Never,
    /// Always: what cannot be rendered is an error.
    Require,
}

/// Files of one cluster of a mesh that has several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterInput {
    /// Its name.
    pub name: String,
    /// The file or folder with its manifests.
    pub path: PathBuf,
}

/// Something to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file, or a folder with everything in it.
    Path(PathBuf),
    /// Standard input, to its end.
    Stdin,
    /// A text that is at hand, under a name for its findings.
    Text {
        /// What findings call it.
        name: String,
        /// Documents in YAML or JSON.
        text: String,
    },
}

/// How to run. The default reads everything it is given, renders what it can, and takes the lints' own levels.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Namespace of objects that name none, where no kustomization tells it.
    pub namespace: Option<String>,
    /// Kustomize and Helm.
    pub render: Render,
    /// Files and folders to leave out, as in `.gitignore`.
    pub exclude: Vec<String>,
    /// Folder that `exclude` is relative to; the current one if not given.
    pub exclude_root: Option<PathBuf>,
    /// Named clusters; their files are read with the inputs.
    pub clusters: Vec<ClusterInput>,
    /// Levels that differ from the lints' own.
    pub levels: Levels,
    /// Mesh-wide settings that the manifests do not tell.
    pub mesh: MeshSettings,
    /// What exists outside of the input.
    pub external: External,
    /// The pods of namespaces that are not in the input are taken to have sidecars, unless [`External::dataplane`] says
    /// otherwise; facts that hang on it say so.
    pub assumes_sidecars: bool,
    /// Gateway objects that select no pods of the input stand for pods of their own.
    pub presumes_gateways: bool,
    /// Threads; as many as there are processors if not given.
    pub jobs: Option<usize>,
    /// How long rendering one folder may take; a minute if not given.
    pub render_time: Option<std::time::Duration>,
    /// Largest file that is read, in bytes; 256 MiB if not given.
    pub size_limit: Option<u64>,
}

impl Options {
    /// Takes over what a configuration says; `folder` is where it lies. Levels set so far are kept and beat those of
    /// the configuration.
    pub fn with_config(mut self, config: Config, folder: Option<&Path>) -> Self {
        let mut levels = Levels::default();
        for (lint, setting) in &config.lints {
            levels.set(lint, *setting);
        }
        levels.extend(&self.levels);
        self.levels = levels;
        if !config.exclude.is_empty() {
            self.exclude_root = folder.and_then(|folder| std::fs::canonicalize(folder).ok());
            self.exclude.extend(config.exclude);
        }
        self.namespace = self.namespace.or(config.namespace);
        self.mesh = config.mesh;
        self.external = config.external;
        self
    }
}

/// What a run gives.
#[derive(Debug)]
pub struct Outcome {
    /// What is to be told, by file and place.
    pub findings: Vec<Finding>,
    /// What a suppression silenced, in the same order.
    pub suppressed: Vec<Finding>,
    /// Numbers, and what was not analysed.
    pub summary: Summary,
    /// Objects that were analysed.
    pub objects: usize,
    /// What may hold objects and was not analysed (templates, broken documents), for people.
    pub incomplete: Option<String>,
    /// The meshes the findings are about. One, unless overlays or folders are variants of the same objects: then one
    /// for each set of them that can be applied together. None when there was nothing to analyse.
    pub meshes: Vec<Mesh>,
    /// Every text that was read; spans point into it.
    pub sources: SourceMap,
}

impl Outcome {
    /// Whether something was analysed, or at least found wrong with what was to be analysed.
    pub fn has_looked_at_something(&self) -> bool {
        self.objects > 0 || !self.findings.is_empty() || !self.suppressed.is_empty()
    }

    /// Whether meshproof itself failed on a part of the input.
    pub fn has_internal_error(&self) -> bool {
        self.findings.iter().any(|finding| finding.lint == crate::lints::INTERNAL_ERROR)
    }

    /// The highest level among the findings.
    pub fn worst(&self) -> Option<Level> {
        self.findings.iter().map(|finding| finding.level).max()
    }
}

/// Why a run could not take place at all. What is wrong with single files is a finding instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path that was given does not exist.
    #[error("{0}; {help}", help = .0.help)]
    Path(ReadProblem),
    /// A pattern of `exclude` is none.
    #[error("{0}; {help}", help = .0.help)]
    Exclude(ReadProblem),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A level was set for a lint that does not exist.
    #[error("there is no lint `{lint}`{}", suggestion.as_ref().map_or_else(|| "; `meshproof lint` lists them".to_owned(), |meant| format!("; did you mean {meant}?")))]
    UnknownLint {
        /// As written.
        lint: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// Rendering is required and no program can do it.
    #[error("--render require: no program on PATH renders {what}; install {programs}, or pass --render auto")]
    NoRenderer {
        /// What was to be rendered.
        what: &'static str,
        /// Any of these would do.
        programs: &'static str,
    },
    /// The threads could not be started.
    #[error("the worker threads cannot be started: {0}; try --jobs 1")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}
