//! `meshproof compile`: policies in the form in which proxies take them.

use std::collections::BTreeMap;
use std::io::{self, Write};

use meshproof::Session;
use meshproof_compiler::{Compiled, TARGET, compile, document, file_names, index};
use meshproof_ir::Mesh;
use serde_json::Value;

use super::args::{CompileArgs, Target};
use super::folder::Folder;
use super::{CLEAN, FAILED, NOTHING, output, read};

/// Doubts that are told on standard error, and workloads that one of them names; the index has them all.
const TOLD: usize = 20;
const NAMED: usize = 3;

/// Runs the command and gives the exit code.
pub(crate) fn run(args: &CompileArgs) -> u8 {
    match emit(args) {
        Ok(code) => code,
        Err(message) => {
            output::complain(&message);
            FAILED
        }
    }
}

fn emit(args: &CompileArgs) -> Result<u8, String> {
    let Some(Target::EnvoyRbac) = args.target else {
        return Err("say for what: --target envoy-rbac is all there is so far".to_owned());
    };
    let options = read::options(&args.read).map_err(|error| error.to_string())?;
    let outcome = Session::new(options).load(&read::inputs(&args.read)).map_err(|error| error.to_string())?;
    let mesh = match outcome.meshes.as_slice() {
        [mesh] if !outcome.has_internal_error() => mesh,
        [] if !outcome.has_internal_error() => {
            output::complain("there was nothing to compile: no manifest of a kind that meshproof knows");
            return Ok(NOTHING);
        }
        [] | [_] => {
            return Err("meshproof failed on a part of the input; `meshproof check` tells on which".into());
        }
        several => {
            return Err(format!(
                "the input holds {} set-ups (overlays or environments) that cannot be applied together; pass the folder \
                 of the one you mean",
                several.len()
            ));
        }
    };
    let compiled = compile(mesh);
    let names = file_names(mesh, &compiled);
    let folder = Folder::open(&args.output, files)?;
    let text = |value: Value| format!("{value:#}\n");
    folder.replace(&text(index(mesh, &compiled, &names)), &names, |at| {
        compiled.proxies.get(at).map(|proxy| text(document(mesh, proxy))).unwrap_or_default()
    })?;
    tell(mesh, &compiled);
    // Whoever reads standard output may stop reading.
    let files = if names.len() == 1 { "1 file".to_owned() } else { format!("{} files", names.len()) };
    let _ = writeln!(io::stdout(), "{files} and index.json written to {}", args.output.display());
    std::mem::forget(outcome);
    Ok(CLEAN)
}

/// The files that an index names; nothing when it is of something else.
fn files(text: &str) -> Option<Vec<String>> {
    let index: Value = serde_json::from_str(text).ok()?;
    if index["target"] != TARGET {
        return None;
    }
    let files = index["proxies"].as_array()?.iter();
    Some(files.filter_map(|proxy| proxy["file"].as_str()).map(str::to_owned).collect())
}

/// Says what is not as sure as it looks, each thing once.
fn tell(mesh: &Mesh, compiled: &Compiled) {
    let mut told: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for proxy in &compiled.proxies {
        for doubt in &proxy.doubts {
            told.entry(doubt).or_default().push(mesh.workload_display(proxy.workload));
        }
    }
    for left in &compiled.not_emitted {
        told.entry(&left.reason).or_default().push(mesh.workload_display(left.workload));
    }
    let mut out = io::stderr().lock();
    for (what, workloads) in told.iter().take(TOLD) {
        let named = workloads.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = workloads.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let _ = writeln!(out, "note: {named}{more}: {what}");
    }
    let more = told.len().saturating_sub(TOLD);
    if more > 0 {
        let _ = writeln!(out, "note: {more} more are in index.json");
    }
}
