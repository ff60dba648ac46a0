//! Project tasks: `cargo xtask conformance`, `cargo xtask docs`, `cargo xtask envoy-diff`, `cargo xtask peer-nca`,
//! `cargo xtask schemas`.

mod docs;
mod envoy_diff;
mod peer_nca;
mod schemas;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::conformance;

/// Tasks of the project.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Replay recorded vectors and compare what meshproof says.
    Conformance {
        /// Files of vectors (`.jsonl`, `.jsonl.gz`) or folders of them; all of testdata/conformance without any.
        files: Vec<PathBuf>,
        /// Show every difference, not only the first ones.
        #[arg(short, long)]
        verbose: bool,
    },
    /// Write the documents that follow from the code.
    Docs {
        /// Only say whether they are up to date.
        #[arg(long)]
        check: bool,
    },
    /// Compare what we say with what a real Envoy does with the filters that we emit.
    EnvoyDiff {
        /// What brings the same policies and requests back; from the clock when missing.
        #[arg(long)]
        seed: Option<u64>,
        /// How many sets of policies; each is asked 30 times.
        #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u32).range(1..=5_000))]
        sets: u32,
        /// Only ask about the probes of this file (JSON lines with `name`, `policies` and `request`) and write the
        /// answers into it, to be kept as vectors.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "sets"])]
        record: Option<PathBuf>,
    },
    /// Compare `meshproof reach` with network-config-analyzer on input that both read rightly, and time both.
    PeerNca {
        /// The program of network-config-analyzer 2.1.0 (PyPI).
        #[arg(long, default_value = "nca")]
        nca: PathBuf,
        /// The program of meshproof.
        #[arg(long, default_value = "target/release/meshproof")]
        meshproof: PathBuf,
        /// Pods and policies.
        #[arg(default_values_t = [25, 100, 200])]
        sizes: Vec<usize>,
    },
    /// Write the schema tables of meshproof-resources anew from the published CRDs (needs Go and the network).
    Schemas,
}

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    let result = match Arguments::parse().task {
        Task::Conformance { files, verbose } => {
            conformance::run(&mut out, &files, verbose).map(|summary| summary.failed == 0)
        }
        Task::Docs { check } => docs::run(check).map(|()| true),
        Task::EnvoyDiff { record: Some(file), .. } => envoy_diff::record(&mut out, &file).map(|()| true),
        Task::EnvoyDiff { seed, sets, record: None } => envoy_diff::run(&mut out, seed, sets),
        Task::PeerNca { nca, meshproof, sizes } => peer_nca::run(&mut out, &nca, &meshproof, &sizes),
        Task::Schemas => schemas::run().map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            use std::io::Write;
            // Nothing is left to do when standard error is gone too.
            let _ = writeln!(std::io::stderr(), "xtask: {error}");
            ExitCode::from(2)
        }
    }
}
