//! `meshproof tls`: which TLS every port takes, and what becomes of each client.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;

use meshproof::{Outcome, Session};
use meshproof_explain::Unclear;
use meshproof_explain::tls::{TlsQuestion, tls};
use meshproof_ir::Mesh;
use meshproof_report::Style;
use meshproof_report::tls::{self as report, SetUp};
use meshproof_source::{Origin, Source, SourceId};

use super::args::TlsArgs;
use super::output::{self, Format};
use super::{CLEAN, exit, nothing, read};

/// Clients of a group that are named unless all are asked for.
const NAMED: usize = 10;
/// So many with -v, unless the question is about one client or one workload.
const MANY: usize = 200;

/// Runs the command and gives the exit code.
pub(crate) fn run(args: &TlsArgs) -> u8 {
    exit(tell(args))
}

fn tell(args: &TlsArgs) -> Result<u8, String> {
    let outputs = output::chosen(&args.reports.output)?;
    if let Some(other) = outputs.iter().find(|output| !matches!(output.format, Format::Text | Format::Json)) {
        return Err(format!("the table has no format `{}`; use text or json", other.format.name()));
    }
    let options = read::options(&args.read).map_err(|error| error.to_string())?;
    let options = read::assuming(options, args.ask.assume);
    let outcome = Session::new(options).load(&read::inputs(&args.read)).map_err(|error| error.to_string())?;
    if outcome.meshes.is_empty() {
        return Ok(nothing(&outcome));
    }
    let names = match args.verbose {
        false => NAMED,
        // Of everybody at everything, all names would be a list of pairs.
        true if args.from.is_none() && args.to.is_none() => MANY,
        true => usize::MAX,
    };
    let question = TlsQuestion {
        from: args.from.clone(),
        from_cluster: args.ask.from_cluster.clone(),
        to: args.to.clone(),
        to_cluster: args.ask.to_cluster.clone(),
        names,
    };
    let set_ups = ask(&outcome, &question).map_err(|unclear| unclear.to_string())?;
    let one = |out: &mut dyn Write, format: Format, style: Style| match format {
        Format::Json => report::write_json(out, &set_ups, &outcome.sources),
        _ => report::write_text(out, &set_ups, &outcome.sources, style),
    };
    outputs.iter().try_for_each(|output| output::write_to(output, args.reports.color, args.verbose, one))?;
    // The process ends here; giving a large mesh back piece by piece would take longer than the table.
    std::mem::forget((outcome, set_ups));
    Ok(CLEAN)
}

/// A table of every set-up of the input that knows the names and has ports.
fn ask(outcome: &Outcome, question: &TlsQuestion) -> Result<Vec<SetUp>, Unclear> {
    let names = folders(outcome);
    let mut found: Vec<SetUp> = Vec::new();
    let mut unclear: Option<Unclear> = None;
    for (mesh, name) in outcome.meshes.iter().zip(names) {
        match tls(mesh, question) {
            Ok(mut table) => {
                let left_out =
                    outcome.incomplete.iter().map(|what| format!("not everything was read: {what}"));
                table.notes.extend(left_out);
                found.push(SetUp { name, table });
            }
            Err(problem) => {
                unclear.get_or_insert(problem);
            }
        }
    }
    if found.len() > 1 {
        let has_ports = |set_up: &SetUp| !set_up.table.rows.is_empty();
        if found.iter().any(has_ports) {
            found.retain(has_ports);
        }
    }
    match unclear {
        Some(unclear) if found.is_empty() => Err(unclear),
        _ => Ok(found),
    }
}

/// The folder of each mesh: what the texts have in common that are not part of all of them. Nothing where there is one.
pub(super) fn folders(outcome: &Outcome) -> Vec<Option<String>> {
    let several = outcome.meshes.len();
    if several < 2 {
        return vec![None; several];
    }
    let sources = |mesh: &Mesh| -> BTreeSet<SourceId> {
        mesh.resources.iter().map(|resource| resource.meta.span.source).collect()
    };
    let of_each: Vec<BTreeSet<SourceId>> = outcome.meshes.iter().map(sources).collect();
    let mut uses: HashMap<SourceId, usize> = HashMap::new();
    for source in of_each.iter().flatten() {
        *uses.entry(*source).or_default() += 1;
    }
    let folder = |(at, own): (usize, &BTreeSet<SourceId>)| {
        let own = own.iter().filter(|source| uses.get(source).is_some_and(|count| *count < several));
        let folders = own.map(|source| folder_of(outcome.sources.get(*source)));
        let common = folders.reduce(shared).filter(|folder| !folder.is_empty());
        Some(common.map_or_else(|| format!("set-up {}", at + 1), |folder| folder.join("/")))
    };
    of_each.iter().enumerate().map(folder).collect()
}

/// Where a text stands; what was rendered goes by its folder.
fn folder_of(source: &Source) -> Vec<&str> {
    let mut parts: Vec<&str> = source.name.split('/').collect();
    if !matches!(source.origin, Origin::Rendered { .. }) {
        parts.pop();
    }
    parts
}

/// The folder that two folders are in.
fn shared<'s>(one: Vec<&'s str>, other: Vec<&'s str>) -> Vec<&'s str> {
    let same = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    one.into_iter().take(same).collect()
}
