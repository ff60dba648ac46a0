//! `meshproof check`.

use meshproof::config::LevelSetting;
use meshproof::{Error, Levels, Options, Session};

use super::args::CheckArgs;
use super::output;
use super::read;
use super::{CLEAN, FAILED, FINDINGS, exit, nothing};

/// Runs the command and gives the exit code.
pub(crate) fn run(args: &CheckArgs) -> u8 {
    exit(check(args))
}

fn check(args: &CheckArgs) -> Result<u8, String> {
    let outputs = output::chosen(&args.reports.output)?;
    let options = options(args).map_err(|error| error.to_string())?;
    let outcome =
        Session::new(options).check(&read::inputs(&args.read)).map_err(|error| error.to_string())?;
    output::write(&outputs, &outcome, args.reports.color, args.verbose, args.quiet)?;
    let code = if outcome.has_internal_error() {
        FAILED
    } else if !outcome.has_looked_at_something() {
        nothing(&outcome)
    } else if args.fail_on.fails(outcome.worst()) {
        FINDINGS
    } else {
        CLEAN
    };
    // The process ends here; giving a large mesh back piece by piece would take longer than building the report.
    std::mem::forget(outcome);
    Ok(code)
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
    let mut options = read::options(&args.read)?;
    // What the command line says beats the configuration.
    options.levels.extend(&levels);
    Ok(options)
}
