//! `cargo xtask envoy-diff`: random policies and requests, decided by a real Envoy with the filters we emit (external
//! authorization included) and by [`meshproof_authz::evaluate`], which have to agree about the decision and the rule.
//!
//! What Envoy decided is written down in the form of the recorded vectors, so the comparison is the replay of
//! [`xtask::conformance`]. Everything stays on the loopback interface; one seed always gives the same policies and
//! requests.

mod certificates;
mod client;
mod compare;
mod config;
mod generate;
mod metadata;
mod observe;
mod probes;
mod process;
mod providers;
mod record;
mod requests;
mod shrink;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use serde_json::Value;

use compare::Comparison;
use record::Recorder;
use requests::{Wanted, request};

/// Requests of a set: over HTTP, and connections without.
const REQUESTS: (usize, usize) = (22, 8);

/// Sets that one Envoy gets at once.
const BATCH: usize = 40;

/// A run that takes longer is given up.
const LIMIT: Duration = Duration::from_secs(900);

/// Policies, the proxy that has them, and what it is asked.
#[derive(Clone)]
struct Set {
    name: String,
    policies: Vec<Value>,
    trust_domains: Vec<String>,
    /// The path mode or `gateway`, as in the vectors.
    listener: &'static str,
    requests: Vec<Value>,
}

/// One request and what Envoy decided.
struct Case {
    set: usize,
    request: Value,
    expect: Value,
}

/// Runs `sets` sets of policies; without a seed one is taken from the clock. Writes a report that closes with
/// `N passed, N failed`; true when none failed.
///
/// # Errors
/// When there is no Envoy, or it cannot be talked to.
pub fn run(out: &mut dyn Write, seed: Option<u64>, sets: u32) -> io::Result<bool> {
    let until = Instant::now() + LIMIT;
    let binary = process::find()?;
    let seed = seed.unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    });
    writeln!(out, "seed {seed}, {sets} sets of policies, {}", binary.display())?;
    let folder = tempfile::tempdir()?;
    let recorder = Recorder::new(binary, folder.path())?;
    let mut comparison = Comparison::new(seed, folder.path());
    let mut rng = Rng::with_seed(seed);
    let mut decisions: BTreeMap<String, u64> = BTreeMap::new();
    let all = (0..sets).map(|at| set(&mut rng, format!("{seed}/{at}")));
    // One that Envoy is to refuse would take the others of its batch with it.
    let (refused, taken): (Vec<Set>, Vec<Set>) = all.partition(config::is_refused);
    for batch in taken.chunks(BATCH).chain(refused.chunks(1)) {
        if Instant::now() > until {
            return Err(failed(format!("given up after {} seconds: ask for fewer sets", LIMIT.as_secs())));
        }
        let recorded = recorder.record(batch)?;
        for case in &recorded.cases {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let key = format!("{} {}", text(&case.request["proto"]), text(&case.expect["decision"]));
            *decisions.entry(key).or_default() += 1;
        }
        comparison.compare(out, batch, &recorded, &recorder)?;
    }
    for (decision, count) in decisions {
        writeln!(out, "{count:6} {decision}")?;
    }
    comparison.close(out)
}

/// Asks an Envoy about the probes of a file and writes its answers into it.
///
/// # Errors
/// When there is no Envoy, it cannot be talked to, or the file holds no probes.
pub fn record(out: &mut dyn Write, file: &Path) -> io::Result<()> {
    probes::record(out, file)
}

fn set(rng: &mut Rng, name: String) -> Set {
    let mut policies = generate::policies(rng);
    if rng.u8(..40) == 0 {
        policies.push(generate::refused_policy(rng));
    }
    let wanted = Wanted::new(&policies);
    let modes = ["base", "base", "base", "base", "none", "merge", "decode", "gateway"];
    let listener = modes[rng.usize(..modes.len())];
    let domains: &[&str] =
        if rng.u8(..4) == 0 { &["old.mesh", "cluster.local", "new.mesh"] } else { &["cluster.local"] };
    let (http, tcp) = REQUESTS;
    let requests = (0..http + tcp).map(|at| request(rng, &wanted, at >= http, listener)).collect();
    let trust_domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
    Set { name, policies, trust_domains, listener, requests }
}

fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_brings_the_same_sets_back() {
        let text = |seed| {
            let mut rng = Rng::with_seed(seed);
            let sets: Vec<Set> = (0..5).map(|at| set(&mut rng, at.to_string())).collect();
            sets.iter().map(|set| format!("{:?} {:?}", set.policies, set.requests)).collect::<String>()
        };
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
    }
}
