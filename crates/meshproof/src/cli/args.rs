//! What can be written on the command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use meshproof::config::Dataplane;
use meshproof::{ClusterInput, Render};
use meshproof_diagnostics::Level;
use meshproof_explain::{Destination, Subject, Way};
use meshproof_graph::{Bearer, Principal, Scope};

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

/// Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 wrong usage, configuration or an internal error, 3
/// nothing to analyse.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 clean, 1 findings at or above --fail-on, 2 wrong usage, configuration or an \
                        internal error, 3 nothing to analyse. They do not depend on the format."
)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub read: ReadArgs,

    /// How to report: text, concise or json; `json=report.json` writes to a file. May be repeated
    #[arg(short, long, value_name = "FORMAT[=FILE]", value_parser = super::output::parse_output)]
    pub output: Vec<super::output::Output>,

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

    /// Colours in text output
    #[arg(long, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,

    /// Show every place of a finding and everything that was not analysed
    #[arg(short, long)]
    pub verbose: bool,

    /// Write no text report where there is nothing to report
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
}

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

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 answered, and as --expect says; 1 the answer is not the expected one; 2 wrong usage, a \
                  name that does not exist, configuration or an internal error; 3 nothing to analyse."
)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub read: ReadArgs,

    /// The client: NAMESPACE/SERVICEACCOUNT, workload:NAMESPACE/NAME, a SPIFFE id, `plaintext` or plaintext:IP
    #[arg(long, value_name = "CLIENT", value_parser = str::parse::<Subject>)]
    pub from: Subject,

    /// The workload that is called, with the port of its pods: NAMESPACE/NAME:PORT
    #[arg(long, value_name = "WORKLOAD", value_parser = str::parse::<Destination>)]
    pub to: Destination,

    #[command(flatten)]
    pub ask: AskArgs,

    /// The Service through which it is called: HOST or HOST:PORT [default: one that leads to the port]
    #[arg(long, value_name = "HOST[:PORT]", value_parser = Way::service, conflicts_with = "direct")]
    pub service: Option<Way>,

    /// The client calls the address of the pod
    #[arg(long)]
    pub direct: bool,

    /// The client does not speak HTTP
    #[arg(long, conflicts_with_all = ["method", "path", "host", "header", "claim", "bad_token"])]
    pub tcp: bool,

    /// HTTP method
    #[arg(long, value_name = "METHOD", default_value = "GET", value_parser = meshproof_explain::method)]
    pub method: String,

    /// HTTP path, with its query
    #[arg(long, value_name = "PATH", default_value = "/", value_parser = meshproof_explain::line)]
    pub path: String,

    /// Host header [default: the name of the Service]
    #[arg(long, value_name = "HOST", value_parser = meshproof_explain::line)]
    pub host: Option<String>,

    /// A header of the request. May be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = meshproof_explain::header)]
    pub header: Vec<(String, String)>,

    /// A claim of a valid token: sub=alice, realm_access[roles]=admin. May be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub claim: Vec<String>,

    /// The token of the request does not verify
    #[arg(long, conflicts_with = "claim")]
    pub bad_token: bool,

    /// Address of the client, as the first hop sees it
    #[arg(long, value_name = "IP")]
    pub source_ip: Option<IpAddr>,

    /// Address of the original client, where proxies stand between
    #[arg(long, value_name = "IP")]
    pub remote_ip: Option<IpAddr>,

    /// Server name of the client's own TLS handshake
    #[arg(long, value_name = "NAME")]
    pub sni: Option<String>,

    /// Fail with 1 if the answer is another one
    #[arg(long, value_enum, value_name = "ANSWER")]
    pub expect: Option<Expected>,

    /// How to report: text or json; `json=answer.json` writes to a file. May be repeated
    #[arg(short, long, value_name = "FORMAT[=FILE]", value_parser = super::output::parse_output)]
    pub output: Vec<super::output::Output>,

    /// Colours in text output
    #[arg(long, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,

    /// Show every rule
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 drawn; 2 wrong usage, configuration or an internal error; 3 nothing to analyse."
)]
pub(crate) struct GraphArgs {
    #[command(flatten)]
    pub read: ReadArgs,

    #[command(flatten)]
    pub scope: ScopeArgs,

    /// How to draw: dot, mermaid, json, svg or html; `html=graph.html` writes to a file. May be repeated
    #[arg(short, long, required = true, value_name = "FORMAT[=FILE]", value_parser = super::output::parse_as::<super::graph::Format>)]
    pub output: Vec<super::output::Output<super::graph::Format>>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 told; 2 wrong usage, a name that does not exist, configuration or an internal error; 3 \
                  nothing to analyse."
)]
pub(crate) struct ReachArgs {
    #[command(flatten)]
    pub read: ReadArgs,

    #[command(flatten)]
    pub scope: ScopeArgs,

    /// Over several hops: whoever is reached may call on, and gateways and waypoints send on where their routes lead
    #[arg(long)]
    pub transitive: bool,

    /// How to report: text or json; `json=reach.json` writes to a file. May be repeated
    #[arg(short, long, value_name = "FORMAT[=FILE]", value_parser = super::output::parse_output)]
    pub output: Vec<super::output::Output>,

    /// Colours in text output
    #[arg(long, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,

    /// Name every caller, and everything that decides
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 told; 2 wrong usage, a name that does not exist, configuration or an internal error; 3 \
                  nothing to analyse."
)]
pub(crate) struct TlsArgs {
    #[command(flatten)]
    pub read: ReadArgs,

    /// Only calls of this client: NAMESPACE/SERVICEACCOUNT, workload:NAMESPACE/NAME, a SPIFFE id, `plaintext` or
    /// plaintext:IP
    #[arg(long, value_name = "CLIENT", value_parser = str::parse::<Subject>)]
    pub from: Option<Subject>,

    /// Only this workload, or one port of its pods: NAMESPACE/NAME or NAMESPACE/NAME:PORT
    #[arg(long, value_name = "WORKLOAD", value_parser = str::parse::<Destination>)]
    pub to: Option<Destination>,

    #[command(flatten)]
    pub ask: AskArgs,

    /// How to report: text or json; `json=tls.json` writes to a file. May be repeated
    #[arg(short, long, value_name = "FORMAT[=FILE]", value_parser = super::output::parse_output)]
    pub output: Vec<super::output::Output>,

    /// Colours in text output
    #[arg(long, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,

    /// Name every client, and everything that decides
    #[arg(short, long)]
    pub verbose: bool,
}

/// What every question about calls is told beside its ends, `--from` and `--to`.
#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// The cluster of the client (a NAME of --cluster)
    #[arg(long, value_name = "NAME", requires = "from")]
    pub from_cluster: Option<String>,

    /// The cluster of the workload (a NAME of --cluster)
    #[arg(long, value_name = "NAME", requires = "to")]
    pub to_cluster: Option<String>,

    /// What pods have in front of them when their Namespace object is not in the input [default: a sidecar, and the output
    /// says so]
    #[arg(long, value_enum, value_name = "PROXY")]
    pub assume: Option<Assume>,
}

/// Which part of the graph is meant.
#[derive(Debug, Args)]
pub(crate) struct ScopeArgs {
    /// What this client reaches: NAMESPACE/SERVICEACCOUNT, workload:NAMESPACE/NAME, a SPIFFE id or `plaintext`; or whoever holds
    /// a token: token:ISSUER or token:ISSUER/SUBJECT
    #[arg(long, value_name = "CLIENT", value_parser = str::parse::<Principal>)]
    pub from: Option<Principal>,

    /// Who reaches this workload, or one port of its pods: NAMESPACE/NAME or NAMESPACE/NAME:PORT
    #[arg(long, value_name = "WORKLOAD", value_parser = str::parse::<Destination>)]
    pub to: Option<Destination>,

    /// Only what asks for a token and lets the client of --from in with this one
    #[arg(long, value_name = "ISSUER[/SUBJECT]", value_parser = str::parse::<Bearer>)]
    pub token: Option<Bearer>,

    #[command(flatten)]
    pub ask: AskArgs,
}

impl ScopeArgs {
    /// As the graph takes it.
    pub(crate) fn scope(&self) -> Scope {
        Scope {
            from: self.from.clone(),
            from_cluster: self.ask.from_cluster.clone(),
            to: self.to.clone(),
            to_cluster: self.ask.to_cluster.clone(),
            token: self.token.clone(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Assume {
    /// A sidecar
    Sidecar,
    /// ztunnel
    Ambient,
    /// Nothing
    None,
    /// Nothing is assumed: what hangs on it is not known
    Unknown,
}

impl From<Assume> for Dataplane {
    fn from(assume: Assume) -> Self {
        match assume {
            Assume::Sidecar => Dataplane::Sidecar,
            Assume::Ambient => Dataplane::Ambient,
            Assume::None => Dataplane::None,
            Assume::Unknown => Dataplane::Unknown,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Expected {
    Allow,
    Deny,
}

#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// The lint to explain
    pub id: Option<String>,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

fn parse_cluster(written: &str) -> Result<ClusterInput, String> {
    match written.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok(ClusterInput { name: name.to_owned(), path: PathBuf::from(path) })
        }
        _ => Err("write it as NAME=PATH, for example east=clusters/east".to_owned()),
    }
}
