//! Compares what Envoy decided with what we say, by the replay of vectors, and writes differences out as vectors.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use xtask::conformance;

use super::record::{Recorded, Recorder};
use super::{Case, Set, config, providers, shrink};

/// So many differences, each of another set, are made small and written out; the rest are counted.
const WRITTEN: usize = 5;

/// The count so far.
pub(super) struct Comparison {
    seed: u64,
    folder: PathBuf,
    passed: u64,
    failed: u64,
    regressions: Vec<Value>,
}

impl Comparison {
    /// Nothing compared yet; `folder` is for passing files.
    pub(super) fn new(seed: u64, folder: &Path) -> Comparison {
        Comparison { seed, folder: folder.to_owned(), passed: 0, failed: 0, regressions: Vec::new() }
    }

    /// Compares all cases of some sets.
    pub(super) fn compare(
        &mut self,
        out: &mut dyn Write,
        sets: &[Set],
        recorded: &Recorded,
        recorder: &Recorder,
    ) -> io::Result<()> {
        for (set, words) in &recorded.refused {
            if config::is_refused(&sets[*set]) {
                self.passed += 1;
                continue;
            }
            self.failed += 1;
            writeln!(out, "set {}: Envoy does not take the filters: {}", sets[*set].name, words.trim_end())?;
            writeln!(out, "  policies {}", Value::from(sets[*set].policies.clone()))?;
        }
        for case in &recorded.lost {
            self.failed += 1;
            writeln!(out, "set {}: Envoy logged nothing about {}", sets[case.set].name, case.request)?;
        }
        for set in sets.iter().enumerate().filter(|(_, set)| config::is_refused(set)).map(|(at, _)| at) {
            if recorded.cases.iter().any(|case| case.set == set) {
                self.failed += 1;
                writeln!(out, "set {}: Envoy takes filters that we say it refuses", sets[set].name)?;
                writeln!(out, "  policies {}", Value::from(sets[set].policies.clone()))?;
            }
        }
        let vectors: Vec<Value> = recorded.cases.iter().map(|case| named(&sets[case.set], case)).collect();
        if self.agrees(&vectors)? {
            self.passed += vectors.len() as u64;
            return Ok(());
        }
        let mut written = BTreeSet::new();
        for (case, vector) in recorded.cases.iter().zip(&vectors) {
            if self.agrees(std::slice::from_ref(vector))? {
                self.passed += 1;
                continue;
            }
            self.failed += 1;
            // Further differences of a set are most often the same one.
            if self.regressions.len() < WRITTEN && written.insert(case.set) {
                let small = self.shrink(&sets[case.set], case, recorder)?;
                let report = self.replay(std::slice::from_ref(&small))?.1;
                let report = report.lines().next().unwrap_or_default();
                writeln!(out, "{}\n  {small}", report.split_once(": ").map_or(report, |(_, rest)| rest))?;
                self.regressions.push(small);
            }
        }
        Ok(())
    }

    /// Takes away what a difference does not need.
    fn shrink(&self, set: &Set, case: &Case, recorder: &Recorder) -> io::Result<Value> {
        let mut best = (set.clone(), named(set, case));
        best.0.requests = vec![case.request.clone()];
        for _ in 0..shrink::ROUNDS {
            let mut better = None;
            for some in shrink::candidates(&best.0).chunks(shrink::AT_ONCE) {
                let mut recorded = recorder.record(some)?;
                // The first candidates take most away.
                recorded.cases.sort_by_key(|case| case.set);
                for case in &recorded.cases {
                    let vector = named(&some[case.set], case);
                    if !self.agrees(std::slice::from_ref(&vector))? {
                        better = Some((some[case.set].clone(), vector));
                        break;
                    }
                }
                if better.is_some() {
                    break;
                }
            }
            match better {
                Some(better) => best = better,
                None => break,
            }
        }
        Ok(best.1)
    }

    fn agrees(&self, vectors: &[Value]) -> io::Result<bool> {
        let (summary, _) = self.replay(vectors)?;
        Ok(summary.failed == 0 && summary.passed == vectors.len() as u64)
    }

    fn replay(&self, vectors: &[Value]) -> io::Result<(conformance::Summary, String)> {
        let file = self.folder.join("vectors.jsonl");
        let mut lines = io::BufWriter::new(File::create(&file)?);
        for vector in vectors {
            writeln!(lines, "{vector}")?;
        }
        lines.into_inner().map_err(io::IntoInnerError::into_error)?;
        let mut report = Vec::new();
        let summary = conformance::run(&mut report, &[file], true)?;
        Ok((summary, String::from_utf8_lossy(&report).into_owned()))
    }

    /// Writes the regressions and the last line; true when nothing failed.
    pub(super) fn close(self, out: &mut dyn Write) -> io::Result<bool> {
        if !self.regressions.is_empty() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/envoy-diff");
            fs::create_dir_all(&folder)?;
            let file = folder.join(format!("seed-{}.jsonl", self.seed));
            let lines: String = self.regressions.iter().map(|vector| format!("{vector}\n")).collect();
            fs::write(&file, lines)?;
            writeln!(out, "{} differences made small: {}", self.regressions.len(), file.display())?;
        }
        writeln!(out, "{} passed, {} failed", self.passed, self.failed)?;
        Ok(self.failed == 0)
    }
}

/// A vector that stands alone.
pub(super) fn vector(set: &Set, case: &Case, name: &str) -> Value {
    let mut vector = json!({
        "kind": "probe",
        "name": name,
        "trustDomains": set.trust_domains,
        "policies": set.policies,
        "request": case.request,
        "expect": case.expect,
    });
    if set.policies.iter().any(|policy| policy["spec"]["action"] == "CUSTOM") {
        vector["providers"] = providers::written();
    }
    vector
}

/// A vector that is named after what its policies ask.
fn named(set: &Set, case: &Case) -> Value {
    let asks: Vec<String> = set.policies.iter().map(shrink::asks).collect();
    let proto = case.request["proto"].as_str().unwrap_or_default();
    vector(set, case, &format!("{}: {proto}, {}", set.name, asks.join(", ")))
}
