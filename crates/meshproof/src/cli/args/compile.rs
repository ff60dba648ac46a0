//! Arguments of `compile`, `decide` and `table`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ReadArgs;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 written, 2 wrong usage, configuration, a file that cannot be written, a table that is not \
                  proven or an internal error, 3 nothing to compile. What could not be known is told on standard error \
                  and in index.json."
)]
pub(crate) struct CompileArgs {
    #[command(flatten)]
    pub read: ReadArgs,

    /// The folder to write to; files of an earlier run are replaced
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,

    /// What to write
    #[arg(long, value_enum, default_value_t = Target::Table)]
    pub target: Target,

    /// Prove every table to decide as the policies do; without it those of at most 2,000 rows are proven
    #[arg(long)]
    pub verify: bool,

    /// Prove no table
    #[arg(long, conflicts_with = "verify")]
    pub no_verify: bool,

    /// Which rule a table reports when several match
    #[arg(long, value_enum, default_value_t = Report::Name, value_name = "ORDER")]
    pub report: Report,
}

/// What is decided, and by what.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 every line was decided, 2 wrong usage, a table that cannot be read, or a line that \
                        is no request (it is answered with `deny` and an `error`)."
)]
pub(crate) struct DecideArgs {
    /// The folder that `meshproof compile` wrote, or one file of it
    #[arg(long, value_name = "DIR")]
    pub table: PathBuf,

    /// A file with a request per line, or `-` for standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub requests: PathBuf,
}

/// Which tables.
#[derive(Debug, Args)]
pub(crate) struct TableArgs {
    /// The folder that `meshproof compile` wrote, or one file of it
    #[arg(value_name = "DIR")]
    pub table: PathBuf,

    /// Only this workload, with everything that its tables look at
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub workload: Option<String>,
}

/// The order of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Report {
    /// The one with the lexically least name, as Envoy does
    Name,
    /// The first in the order of the policies
    Policy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// Decision tables, for proxies that link meshproof's engine
    Table,
    /// RBAC and ext_authz filters of Envoy
    EnvoyRbac,
}
