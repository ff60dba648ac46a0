//! Arguments of `check`.

use clap::{ArgAction, Args, ValueEnum};
use meshproof_diagnostics::Level;

use super::{OutputArgs, ReadArgs};

/// Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 wrong usage, configuration or an internal error, 3
/// nothing to analyse.
#[derive(Debug, Args)]
#[command(
    mut_arg("output", |arg| arg.help(
        "How to report: text, concise or json; `json=report.json` writes to a file. May be repeated"
    )),
    after_help = "Exit codes: 0 clean, 1 findings at or above --fail-on, 2 wrong usage, configuration or an \
                        internal error, 3 nothing to analyse. They do not depend on the format."
)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub read: ReadArgs,

    #[command(flatten)]
    pub reports: OutputArgs,

    /// Lowest level that makes the command fail
    #[arg(long, value_enum, default_value_t = FailOn::Error, value_name = "LEVEL")]
    pub fail_on: FailOn,

    /// Do not report a lint (or `all`)
    #[arg(short = 'A', long = "allow", value_name = "LINT", action = ArgAction::Append)]
    pub allow: Vec<String>,

    /// Report a lint (or `all`) as warning
    #[arg(short = 'W', long = "warn", value_name = "LINT", action = ArgAction::Append)]
    pub warn: Vec<String>,

    /// Report a lint (or `all`) as error
    #[arg(short = 'D', long = "deny", value_name = "LINT", action = ArgAction::Append)]
    pub deny: Vec<String>,

    /// Show every place of a finding and everything that was not analysed
    #[arg(short, long)]
    pub verbose: bool,

    /// Write no text report where there is nothing to report
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    Error,
    Warning,
    Info,
    Never,
}

impl FailOn {
    /// Whether findings of this level make the command fail.
    pub(crate) fn fails(self, worst: Option<Level>) -> bool {
        let threshold = match self {
            FailOn::Error => Level::Error,
            FailOn::Warning => Level::Warning,
            FailOn::Info => Level::Info,
            FailOn::Never => return false,
        };
        worst.is_some_and(|worst| worst >= threshold)
    }
}
