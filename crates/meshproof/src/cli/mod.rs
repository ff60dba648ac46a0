//! The command line: arguments in, reports and an exit code out.

mod args;
mod check;
mod compile;
mod decide;
mod explain;
mod folder;
mod graph;
mod lint;
mod output;
mod reach;
mod read;
mod table;
mod tls;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

/// Nothing at or above the level of `--fail-on`.
const CLEAN: u8 = 0;
/// Findings.
const FINDINGS: u8 = 1;
/// The command line, the configuration or meshproof itself is wrong.
const FAILED: u8 = 2;
/// There was nothing to analyse.
const NOTHING: u8 = 3;

/// The exit code of a command; what went wrong is said.
fn exit(result: Result<u8, String>) -> u8 {
    result.unwrap_or_else(|message| {
        output::complain(&message);
        FAILED
    })
}

/// Says that the input holds nothing, and gives the exit code of that.
fn nothing(outcome: &meshproof::Outcome) -> u8 {
    output::complain("there was nothing to analyse: no manifest of a kind that meshproof knows");
    if outcome.has_internal_error() { FAILED } else { NOTHING }
}

/// Parses the arguments and runs the command.
pub(crate) fn main() -> ExitCode {
    // A panic in one document is caught and reported as a finding; the default hook would print it a second time.
    // What is not caught ends here.
    std::panic::set_hook(Box::new(|_| {}));
    let run = || {
        let cli = match Cli::try_parse() {
            Ok(cli) => cli,
            // Help and version are no errors; clap knows which stream each belongs to.
            Err(error) => {
                let _ = error.print();
                return if error.use_stderr() { FAILED } else { CLEAN };
            }
        };
        match &cli.command {
            Command::Check(args) => check::run(args),
            Command::Compile(args) => compile::run(args),
            Command::Decide(args) => decide::run(args),
            Command::Explain(args) => explain::run(args),
            Command::Graph(args) => graph::run(args),
            Command::Lint(args) => lint::run(args),
            Command::Reach(args) => reach::run(args),
            Command::Table(args) => table::run(args),
            Command::Tls(args) => tls::run(args),
        }
    };
    let code = std::panic::catch_unwind(run).unwrap_or_else(|payload| {
        let said = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        output::complain(&format!("meshproof failed: {said}; this is a bug, please report it"));
        FAILED
    });
    ExitCode::from(code)
}
