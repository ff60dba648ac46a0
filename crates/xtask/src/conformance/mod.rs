//! `cargo xtask conformance`: replays vectors that were recorded on the real thing.
//!
//! A file is a list of JSON lines; the `kind` of a line says what was recorded. Each family of kinds has a file of
//! its own here and a [`Replay`] that takes its lines; what nobody takes is counted as skipped.

mod admission;
mod authz;
mod authz_paths;
mod chains;
mod files;
mod gateways;
mod meshes;
mod network;
mod peer_stacks;
mod server;
mod sets;
mod transport;
mod waypoints;
mod ztunnel;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What became of one line.
pub enum Outcome {
    /// We say what was recorded.
    Passed,
    /// We say something else; the text tells both.
    Failed(String),
    /// The line sets the scene for others.
    Scene,
    /// The line belongs to someone else.
    Unknown,
}

/// Replays the lines of one family, in the order of one file.
pub trait Replay {
    /// Takes a line, or leaves it.
    fn line(&mut self, kind: &str, line: &Value) -> Outcome;

    /// How many of the lines so far were told by sets of requests as well.
    fn told_by_sets(&self) -> u64 {
        0
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines that agree.
    pub passed: u64,
    /// Lines that do not.
    pub failed: u64,
    /// Lines of kinds that nobody takes, or that are no JSON.
    pub skipped: u64,
    /// Lines of which sets of requests say the same.
    pub by_sets: u64,
}

/// Without `verbose` a file shows this many differences.
const SHOWN: u64 = 10;

/// Replays files, or all of `testdata/conformance`, and writes a report that closes with `N passed, N failed`.
///
/// # Errors
/// When a file cannot be read, or the report cannot be written.
pub fn run(out: &mut dyn Write, paths: &[PathBuf], verbose: bool) -> io::Result<Summary> {
    let default = [Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/conformance")];
    let paths = if paths.is_empty() { &default[..] } else { paths };
    let mut total = Summary::default();
    for file in files::list(paths)? {
        let text = files::read(&file)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
        let summary = replay(out, &file, &text, verbose)?;
        total.passed += summary.passed;
        total.failed += summary.failed;
        total.skipped += summary.skipped;
        total.by_sets += summary.by_sets;
    }
    writeln!(out, "{} passed, {} failed", total.passed, total.failed)?;
    Ok(total)
}

fn replay(out: &mut dyn Write, file: &Path, text: &str, verbose: bool) -> io::Result<Summary> {
    let mut families: Vec<Box<dyn Replay>> = vec![
        Box::new(admission::Admission),
        Box::new(authz::Authz::default()),
        Box::new(authz_paths::Paths),
        Box::new(network::Networks::default()),
        Box::new(meshes::Meshes::default()),
        Box::new(peer_stacks::PeerStacks),
    ];
    let mut summary = Summary::default();
    let mut skipped: BTreeMap<String, u64> = BTreeMap::new();
    for (index, value) in files::values(file, text) {
        let kind = value.get("kind").and_then(Value::as_str).unwrap_or("(no kind)");
        let outcome = families
            .iter_mut()
            .map(|family| family.line(kind, &value))
            .find(|outcome| !matches!(outcome, Outcome::Unknown));
        match outcome {
            Some(Outcome::Passed) => summary.passed += 1,
            Some(Outcome::Failed(difference)) => {
                summary.failed += 1;
                if verbose || summary.failed <= SHOWN {
                    writeln!(out, "{}:{}: {difference}", file.display(), index + 1)?;
                }
            }
            Some(Outcome::Scene) => {}
            Some(Outcome::Unknown) | None if kind == "header" => {}
            Some(Outcome::Unknown) | None => {
                summary.skipped += 1;
                *skipped.entry(kind.to_owned()).or_default() += 1;
            }
        }
    }
    summary.by_sets = families.iter().map(|family| family.told_by_sets()).sum();
    let Summary { passed, failed, by_sets, .. } = summary;
    write!(out, "{}: {passed} agree, {failed} differ", file.display())?;
    if by_sets > 0 {
        write!(out, ", {by_sets} asked of sets of requests too")?;
    }
    for (kind, count) in skipped {
        write!(out, ", {count} of kind `{kind}` skipped")?;
    }
    writeln!(out)?;
    Ok(summary)
}
