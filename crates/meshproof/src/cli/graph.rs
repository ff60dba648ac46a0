//! `meshproof graph`: who can reach what, as a picture.

use std::io::Write;
use std::str::FromStr;

use meshproof::{Outcome, Session};
use meshproof_explain::Unclear;
use meshproof_graph::{Graph, Picture, Scope};
use meshproof_report::{Style, graph as report};

use super::args::{Color, GraphArgs};
use super::output;
use super::{CLEAN, exit, nothing, read, tls};

/// With more edges no request is searched for each of them.
const WITNESSES: usize = 5_000;

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Dot,
    Mermaid,
    Json,
    Svg,
    Html,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        match written {
            "dot" => Ok(Format::Dot),
            "mermaid" => Ok(Format::Mermaid),
            "json" => Ok(Format::Json),
            "svg" => Ok(Format::Svg),
            "html" => Ok(Format::Html),
            _ => Err(format!("there is no format `{written}`; known are dot, mermaid, json, svg and html")),
        }
    }
}

/// Runs the command and gives the exit code.
pub(crate) fn run(args: &GraphArgs) -> u8 {
    exit(draw(args))
}

fn draw(args: &GraphArgs) -> Result<u8, String> {
    output::one_on_stdout(&args.output)?;
    let options = read::options(&args.read).map_err(|error| error.to_string())?;
    let options = read::presuming(options, args.scope.ask.assume);
    let outcome = Session::new(options).load(&read::inputs(&args.read)).map_err(|error| error.to_string())?;
    if outcome.meshes.is_empty() {
        return Ok(nothing(&outcome));
    }
    let picture = picture(&outcome, &args.scope.scope()).map_err(|unclear| unclear.to_string())?;
    let one = |out: &mut dyn Write, format: Format, _: Style| match format {
        Format::Dot => report::write_dot(out, &picture),
        Format::Mermaid => report::write_mermaid(out, &picture),
        Format::Json => report::write_json(out, &picture, &outcome.sources),
        Format::Svg => report::write_svg(out, &picture),
        Format::Html => report::write_html(out, &picture, &outcome.sources),
    };
    args.output.iter().try_for_each(|output| output::write_to(output, Color::Never, false, one))?;
    if let Some(what) = &outcome.incomplete {
        output::complain(&format!("not everything was read: {what}"));
    }
    std::mem::forget((picture, outcome));
    Ok(CLEAN)
}

/// One picture of every set-up of the input that knows the names.
fn picture(outcome: &Outcome, scope: &Scope) -> Result<Picture, Unclear> {
    let mut pictures: Vec<(Option<String>, Picture)> = Vec::new();
    let mut unclear: Option<Unclear> = None;
    for (mesh, name) in outcome.meshes.iter().zip(tls::folders(outcome)) {
        let graph = Graph::new(mesh);
        match graph.picture(scope, graph.edges.len() <= WITNESSES) {
            Ok(picture) => pictures.push((name, picture)),
            Err(problem) => {
                unclear.get_or_insert(problem);
            }
        }
        // Giving a large graph back piece by piece would take longer than the picture.
        std::mem::forget(graph);
    }
    match unclear {
        Some(unclear) if pictures.is_empty() => Err(unclear),
        _ => Ok(Picture::joined(pictures)),
    }
}
