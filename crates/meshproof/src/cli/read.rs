//! What every command that reads manifests is told: paths, clusters, rendering, configuration.

use std::path::{Path, PathBuf};

use meshproof::config::Config;
use meshproof::{Error, Input, Options};

use super::args::{Assume, ReadArgs};

/// The paths to read; the current folder if none is given.
pub(crate) fn inputs(args: &ReadArgs) -> Vec<Input> {
    if args.paths.is_empty() && args.cluster.is_empty() {
        return vec![Input::Path(PathBuf::from("."))];
    }
    let input = |path: &PathBuf| {
        if path.as_os_str() == "-" { Input::Stdin } else { Input::Path(path.clone()) }
    };
    args.paths.iter().map(input).collect()
}

/// The options of the command line over those of the configuration.
///
/// # Errors
/// A configuration that cannot be read.
pub(crate) fn options(args: &ReadArgs) -> Result<Options, Error> {
    let options = Options {
        namespace: args.namespace.clone(),
        render: args.render.into(),
        exclude: args.exclude.clone(),
        clusters: args.cluster.clone(),
        jobs: args.jobs.map(usize::from),
        ..Options::default()
    };
    Ok(match config_file(args) {
        Some(file) => options.with_config(Config::read(&file)?, file.parent()),
        None => options,
    })
}

/// The same for questions, which want an answer also where Namespace objects are missing: what the command line says of
/// their pods, else what the configuration says, else that they have sidecars.
pub(crate) fn assuming(mut options: Options, assume: Option<Assume>) -> Options {
    if let Some(assume) = assume {
        options.external.dataplane = Some(assume.into());
    }
    options.assumes_sidecars = true;
    options
}

/// The same for questions about everything, where gateways stand for their pods too.
pub(crate) fn presuming(options: Options, assume: Option<Assume>) -> Options {
    Options { presumes_gateways: true, ..assuming(options, assume) }
}

fn config_file(args: &ReadArgs) -> Option<PathBuf> {
    args.config.clone().or_else(|| Config::find(Path::new("."))).or_else(|| {
        let first = args.paths.iter().find(|path| path.as_os_str() != "-")?;
        Config::find(first)
    })
}
