//! What can be written on the command line.

mod check;
mod compile;
mod questions;
mod reading;

pub(crate) use check::CheckArgs;
pub(crate) use compile::{CompileArgs, DecideArgs, Report, TableArgs, Target};
pub(crate) use questions::{Assume, Expected, ExplainArgs, GraphArgs, ReachArgs, TlsArgs};
pub(crate) use reading::ReadArgs;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::output::{Output, parse_output};

/// Reads Istio authorization manifests and proves what is wrong with them.
#[derive(Debug, Parser)]
#[command(name = "meshproof", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Analyse manifests and report findings
    Check(Box<CheckArgs>),
    /// Write policies in the form in which proxies take them
    Compile(Box<CompileArgs>),
    /// Decide requests, a JSON line each, by compiled tables
    Decide(DecideArgs),
    /// Tell what becomes of one request, and why
    Explain(Box<ExplainArgs>),
    /// Draw who can reach what
    Graph(Box<GraphArgs>),
    /// List the lints, or explain one
    Lint(LintArgs),
    /// Tell who can reach what, with which requests, each with one that shows it
    Reach(Box<ReachArgs>),
    /// Tell what is inside of compiled tables
    Table(TableArgs),
    /// Tell which TLS every port takes, and what becomes of each client
    Tls(Box<TlsArgs>),
}

#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// The lint to explain
    pub id: Option<String>,
}

/// Where reports go, in which formats.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// How to report: text or json; `json=answer.json` writes to a file. May be repeated
    #[arg(short, long, value_name = "FORMAT[=FILE]", value_parser = parse_output)]
    pub output: Vec<Output>,

    /// Colours in text output
    #[arg(long, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}
