//! `meshproof reach`: who can reach what.

use std::io::Write;

use meshproof::{Outcome, Session};
use meshproof_explain::Unclear;
use meshproof_graph::{Graph, ReachQuestion};
use meshproof_report::Style;
use meshproof_report::reach::{self as report, SetUp};

use super::args::ReachArgs;
use super::output::{self, Format};
use super::{CLEAN, exit, nothing, read, tls};

/// Callers of a class that are named unless all are asked for.
const NAMED: usize = 10;

/// Runs the command and gives the exit code.
pub(crate) fn run(args: &ReachArgs) -> u8 {
    exit(tell(args))
}

fn tell(args: &ReachArgs) -> Result<u8, String> {
    let outputs = output::chosen(&args.reports.output)?;
    if let Some(other) = outputs.iter().find(|output| !matches!(output.format, Format::Text | Format::Json)) {
        return Err(format!("reach has no format `{}`; use text or json", other.format.name()));
    }
    if args.transitive && args.scope.from.is_none() && args.scope.to.is_none() {
        return Err("say from where or to where: --transitive goes with --from or --to".to_owned());
    }
    let options = read::options(&args.read).map_err(|error| error.to_string())?;
    let options = read::presuming(options, args.scope.ask.assume);
    let outcome = Session::new(options).load(&read::inputs(&args.read)).map_err(|error| error.to_string())?;
    if outcome.meshes.is_empty() {
        return Ok(nothing(&outcome));
    }
    let question = ReachQuestion {
        scope: args.scope.scope(),
        transitive: args.transitive,
        names: if args.verbose { usize::MAX } else { NAMED },
    };
    let answers = ask(&outcome, &question).map_err(|unclear| unclear.to_string())?;
    let one = |out: &mut dyn Write, format: Format, style: Style| match format {
        Format::Json => report::write_json(out, &answers, &outcome.sources),
        _ => report::write_text(out, &answers, &outcome.sources, style),
    };
    outputs.iter().try_for_each(|output| output::write_to(output, args.reports.color, args.verbose, one))?;
    std::mem::forget((outcome, answers));
    Ok(CLEAN)
}

/// The answer of every set-up of the input that knows the names.
fn ask(outcome: &Outcome, question: &ReachQuestion) -> Result<Vec<SetUp>, Unclear> {
    let names = tls::folders(outcome);
    let mut found: Vec<SetUp> = Vec::new();
    let mut unclear: Option<Unclear> = None;
    for (mesh, name) in outcome.meshes.iter().zip(names) {
        let graph = Graph::new(mesh);
        match graph.reach(question) {
            Ok(mut reach) => {
                let left_out =
                    outcome.incomplete.iter().map(|what| format!("not everything was read: {what}"));
                reach.notes.extend(left_out);
                found.push(SetUp { name, reach });
            }
            Err(problem) => {
                unclear.get_or_insert(problem);
            }
        }
        // Giving a large graph back piece by piece would take longer than the answer.
        std::mem::forget(graph);
    }
    match unclear {
        Some(unclear) if found.is_empty() => Err(unclear),
        _ => Ok(found),
    }
}
