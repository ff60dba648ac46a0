//! `meshproof compile`: policies in the form in which proxies take them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};

use meshproof::Session;
use meshproof_compiler::table::{
    Earlier, MESH_FILE, MeshTables, Proofs, ReportOrder, TABLE_TARGET, mesh_tables,
};
use meshproof_compiler::{Compiled, TARGET, compile, document, file_names, index};
use meshproof_ir::Mesh;
use meshproof_load::Loaded;
use serde_json::Value;

use super::args::{CompileArgs, Report, Target};
use super::folder::{Folder, INDEX};
use super::{CLEAN, NOTHING, exit, output, read};

/// Doubts that are told on standard error, and workloads that one of them names; the index has them all.
const TOLD: usize = 20;
const NAMED: usize = 3;

/// Runs the command and gives the exit code.
pub(crate) fn run(args: &CompileArgs) -> u8 {
    exit(emit(args))
}

fn emit(args: &CompileArgs) -> Result<u8, String> {
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
    let code = match args.target {
        Target::EnvoyRbac => filters(mesh, args).map(|()| CLEAN),
        Target::Table => tables(mesh, args),
    };
    std::mem::forget(outcome);
    code
}

/// Writes Envoy's filters.
fn filters(mesh: &Mesh, args: &CompileArgs) -> Result<(), String> {
    let compiled = compile(mesh);
    let names = file_names(mesh, &compiled, ".json");
    let folder = Folder::open(&args.output, files)?;
    let text = |value: Value| format!("{value:#}\n");
    folder.replace(&text(index(mesh, &compiled, &names)), &names, |at| {
        compiled.proxies.get(at).map(|proxy| text(document(mesh, proxy)).into_bytes()).unwrap_or_default()
    })?;
    tell(mesh, &compiled, BTreeMap::new());
    written(names.len(), args);
    Ok(())
}

fn written(files: usize, args: &CompileArgs) {
    // Whoever reads standard output may stop reading.
    let files = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
    let _ = writeln!(io::stdout(), "{files} and index.json written to {}", args.output.display());
}

/// Writes decision tables: one file for each workload, and one for all of them. Nothing is written unless every proof
/// that was asked for succeeds.
fn tables(mesh: &Mesh, args: &CompileArgs) -> Result<u8, String> {
    let proofs = match (args.verify, args.no_verify) {
        (true, _) => Proofs::All,
        (_, true) => Proofs::None,
        _ => Proofs::Small,
    };
    let order = match args.report {
        Report::Name => ReportOrder::Name,
        Report::Policy => ReportOrder::Policy,
    };
    // What an earlier run left need not be there, nor be of any use.
    let before = fs::read_to_string(args.output.join(INDEX)).ok();
    let index_before = before.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let loaded = index_before.as_ref().and_then(|_| Loaded::read(&args.output.join(MESH_FILE)).ok());
    let earlier = match (&index_before, &loaded) {
        (Some(index), Some(loaded)) => Earlier::new(index, loaded.bundle()),
        _ => Earlier::default(),
    };
    let made = mesh_tables(mesh, order, proofs, &earlier);
    let differing: Vec<&str> = made.unproven().collect();
    if let Some(first) = differing.first() {
        let count = differing.len();
        return Err(format!(
            "{count} of {} tables are not proven, so none is written: {first}",
            made.tables.len()
        ));
    }
    let made_files = made.files(mesh).map_err(|error| error.to_string())?;
    let names: Vec<String> = made_files.iter().map(|(name, _)| name.clone()).collect();
    let folder = Folder::open(&args.output, files)?;
    let index = format!("{:#}\n", made.index(mesh));
    folder.replace(&index, &names, |at| {
        made_files.get(at).map(|(_, bytes)| bytes.clone()).unwrap_or_default()
    })?;
    tell(mesh, &made.compiled, refusing(mesh, &made));
    written(names.len(), args);
    if made.kept() > 0 {
        let (kept, all) = (made.kept(), made.tables.len());
        let _ = writeln!(
            io::stdout(),
            "{kept} of {all} tables are those of the run before: their policies say the same"
        );
    }
    Ok(CLEAN)
}

/// Workloads with a table that refuses everything, by the reason.
fn refusing(mesh: &Mesh, made: &MeshTables) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for proxy in &made.compiled.proxies {
        for chain in &proxy.chains {
            let refuses = made.tables.get(*chain.filters).and_then(|table| table.refuses.as_ref());
            if let Some(reason) = refuses {
                let reason =
                    format!("the table refuses every request, for the policies cannot be compiled: {reason}");
                told.entry(reason).or_default().push(mesh.workload_display(proxy.workload));
            }
        }
    }
    told.values_mut().for_each(Vec::dedup);
    told
}

/// The files that an index names; nothing when it is of something else.
fn files(text: &str) -> Option<Vec<String>> {
    let index: Value = serde_json::from_str(text).ok()?;
    if index["target"] != TARGET && index["target"] != TABLE_TARGET {
        return None;
    }
    let files = index["proxies"].as_array()?.iter().map(|proxy| &proxy["file"]).chain([&index["file"]]);
    Some(files.filter_map(Value::as_str).map(str::to_owned).collect())
}

/// Says what is not as sure as it looks, each thing once.
fn tell<F>(mesh: &Mesh, compiled: &Compiled<F>, more: BTreeMap<String, Vec<String>>) {
    let mut told = more;
    for proxy in &compiled.proxies {
        for doubt in &proxy.doubts {
            told.entry(doubt.clone()).or_default().push(mesh.workload_display(proxy.workload));
        }
    }
    for left in &compiled.not_emitted {
        told.entry(left.reason.clone()).or_default().push(mesh.workload_display(left.workload));
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
