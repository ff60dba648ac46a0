//! `meshproof graph`: who can reach what, as a picture.

use std::io::Write;
use std::str::FromStr;

use meshproof::Session;
use meshproof_graph::Graph;
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
    let outcome = Session::new(options).load(&read::inputs(&args.read)).map_err(|error| error.to_string())?;
    let [mesh] = outcome.meshes.as_slice() else {
        if outcome.meshes.is_empty() {
            return Ok(nothing(&outcome));
        }
        let names: Vec<String> = tls::folders(&outcome).into_iter().flatten().collect();
        return Err(format!(
            "the input holds {} set-ups (overlays or environments), and a picture shows one; pass the folder of the one you \
             mean: {}",
            outcome.meshes.len(),
            names.join(", ")
        ));
    };
    let graph = Graph::new(mesh);
    let picture = graph.picture(graph.edges.len() <= WITNESSES);
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
    // Giving a large graph back piece by piece would take longer than the picture.
    std::mem::forget(graph);
    std::mem::forget((picture, outcome));
    Ok(CLEAN)
}
