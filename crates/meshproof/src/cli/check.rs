//! `meshproof check`.

use std::path::{Path, PathBuf};

use meshproof::config::{Config, LevelSetting};
use meshproof::{Error, Input, Levels, Options, Session};

use super::args::CheckArgs;
use super::output::{self, Format, Output};
use super::{CLEAN, FAILED, FINDINGS, NOTHING};

/// Runs the command and gives the exit code.
pub(crate) fn run(args: &CheckArgs) -> u8 {
    match check(args) {
        Ok(code) => code,
        Err(message) => {
            output::complain(&message);
            FAILED
        }
    }
}

fn check(args: &CheckArgs) -> Result<u8, String> {
    let outputs = outputs(args)?;
    let options = options(args).map_err(|error| error.to_string())?;
    let outcome = Session::new(options).check(&inputs(args)).map_err(|error| error.to_string())?;
    output::write(&outputs, &outcome, args.color, args.verbose, args.quiet)?;
    let code = if outcome.has_internal_error() {
        FAILED
    } else if !outcome.has_looked_at_something() {
        output::complain("there was nothing to analyse: no manifest of a kind that meshproof knows");
        NOTHING
    } else if args.fail_on.fails(outcome.worst()) {
        FINDINGS
    } else {
        CLEAN
    };
    // The process ends here; giving a large mesh back piece by piece would take longer than building the report.
    std::mem::forget(outcome);
    Ok(code)
}

/// The reports to write: text if nothing else is asked for. Two on standard output could not be told apart.
fn outputs(args: &CheckArgs) -> Result<Vec<Output>, String> {
    if args.output.is_empty() {
        return Ok(vec![Output { format: Format::Text, file: None }]);
    }
    if args.output.iter().filter(|output| output.file.is_none()).count() > 1 {
        return Err(
            "only one report can go to standard output; give the others a file: --output json=report.json"
                .to_owned(),
        );
    }
    Ok(args.output.clone())
}

fn inputs(args: &CheckArgs) -> Vec<Input> {
    if args.paths.is_empty() && args.cluster.is_empty() {
        return vec![Input::Path(PathBuf::from("."))];
    }
    let input = |path: &PathBuf| {
        if path.as_os_str() == "-" { Input::Stdin } else { Input::Path(path.clone()) }
    };
    args.paths.iter().map(input).collect()
}

fn options(args: &CheckArgs) -> Result<Options, Error> {
    let mut levels = Levels::default();
    for (lints, setting) in [
        (&args.allow, LevelSetting::Allow),
        (&args.warn, LevelSetting::Warning),
        (&args.deny, LevelSetting::Error),
    ] {
        for lint in lints.iter().flat_map(|lints| lints.split(',')) {
            levels.set(lint.trim(), setting);
        }
    }
    let options = Options {
        namespace: args.namespace.clone(),
        render: args.render.into(),
        exclude: args.exclude.clone(),
        clusters: args.cluster.clone(),
        levels,
        jobs: args.jobs.map(usize::from),
        ..Options::default()
    };
    Ok(match config_file(args) {
        Some(file) => options.with_config(Config::read(&file)?, file.parent()),
        None => options,
    })
}

fn config_file(args: &CheckArgs) -> Option<PathBuf> {
    args.config.clone().or_else(|| Config::find(Path::new("."))).or_else(|| {
        let first = args.paths.iter().find(|path| path.as_os_str() != "-")?;
        Config::find(first)
    })
}
