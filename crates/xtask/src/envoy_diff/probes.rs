//! Has a real Envoy decide about probes that somebody wrote, and writes down what it said.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;

use super::record::Recorder;
use super::{Set, compare, failed, process};

/// Fills in or replaces `expect` in a file of `probe` lines. A probe whose filters Envoy does not take is an error.
///
/// # Errors
/// When there is no Envoy, or the file holds something else.
pub(super) fn record(out: &mut dyn Write, file: &Path) -> io::Result<()> {
    let text = fs::read_to_string(file).map_err(|error| failed(format!("{}: {error}", file.display())))?;
    let probes: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let sets: Vec<Set> = probes.iter().map(set).collect::<io::Result<_>>()?;
    let folder = tempfile::tempdir()?;
    let recorder = Recorder::new(process::find()?, folder.path())?;
    let mut lines = vec![None; sets.len()];
    for (start, batch) in sets.chunks(super::BATCH).enumerate() {
        let start = start * super::BATCH;
        let recorded = recorder.record(batch)?;
        for (at, words) in &recorded.refused {
            writeln!(out, "{}: Envoy does not take the filters: {}", batch[*at].name, words.trim_end())?;
        }
        for case in &recorded.cases {
            lines[start + case.set] = Some(compare::vector(&batch[case.set], case, &batch[case.set].name));
        }
    }
    let lines: Option<Vec<Value>> = lines.into_iter().collect();
    let lines = lines.ok_or_else(|| failed("not every probe got an answer; nothing is written"))?;
    fs::write(file, lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    writeln!(out, "{} probes recorded", lines.len())
}

fn set(probe: &Value) -> io::Result<Set> {
    let (Some(name), Some(policies)) = (probe["name"].as_str(), probe["policies"].as_array()) else {
        return Err(failed(format!("a probe has `name`, `policies` and `request`: {probe}")));
    };
    let listener = probe["request"]["listener"].as_str().unwrap_or("base");
    let known = ["base", "none", "merge", "decode", "gateway"].into_iter().find(|known| *known == listener);
    let domains = probe["trustDomains"].as_array().into_iter().flatten();
    let mut trust_domains: Vec<String> = domains.filter_map(Value::as_str).map(str::to_owned).collect();
    if trust_domains.is_empty() {
        trust_domains.push("cluster.local".to_owned());
    }
    Ok(Set {
        name: name.to_owned(),
        policies: policies.clone(),
        trust_domains,
        listener: known.ok_or_else(|| failed(format!("no listener is called {listener}")))?,
        requests: vec![probe["request"].clone()],
    })
}
