//! Which manifests to read, and how.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use meshproof::{ClusterInput, Render};

/// What to read, and how.
#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// Files and folders to read, or `-` for standard input [default: the current folder]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Namespace of objects that name none
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,

    /// Render Kustomize and Helm folders before reading: when a program for it is installed, never, or always
    #[arg(long, value_enum, default_value_t = RenderArg::Auto)]
    pub render: RenderArg,

    /// Leave out what matches a pattern, written as in .gitignore. May be repeated
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,

    /// Read PATH as the manifests of the cluster NAME. May be repeated: the clusters are one mesh
    #[arg(long, value_name = "NAME=PATH", value_parser = parse_cluster)]
    pub cluster: Vec<ClusterInput>,

    /// How many threads to use [default: one per processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,

    /// Configuration file [default: meshproof.yaml in the current folder, or in or above the first PATH]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RenderArg {
    Auto,
    Never,
    Require,
}

impl From<RenderArg> for Render {
    fn from(arg: RenderArg) -> Self {
        match arg {
            RenderArg::Auto => Render::Auto,
            RenderArg::Never => Render::Never,
            RenderArg::Require => Render::Require,
        }
    }
}

fn parse_cluster(written: &str) -> Result<ClusterInput, String> {
    match written.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok(ClusterInput { name: name.to_owned(), path: PathBuf::from(path) })
        }
        _ => Err("write it as NAME=PATH, for example east=clusters/east".to_owned()),
    }
}
