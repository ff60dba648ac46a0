//! Where reports go, and in which format.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::str::FromStr;

use meshproof::Outcome;
use meshproof_report::{Style, concise, json, text};

use super::args::Color;

/// One report that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output<F = Format> {
    pub format: F,
    /// Standard output if not given.
    pub file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Concise,
    Json,
}

impl Format {
    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Concise => "concise",
            Format::Json => "json",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        match written {
            "text" => Ok(Format::Text),
            "concise" => Ok(Format::Concise),
            "json" => Ok(Format::Json),
            _ => Err(format!("there is no format `{written}`; known are text, concise and json")),
        }
    }
}

/// `json` or `json=report.json`; `json=-` is standard output, as for inputs.
pub(crate) fn parse_output(written: &str) -> Result<Output, String> {
    parse_as(written)
}

/// The same for other formats.
pub(crate) fn parse_as<F: FromStr<Err = String>>(written: &str) -> Result<Output<F>, String> {
    let (format, file) = match written.split_once('=') {
        Some((_, "")) => return Err("a file name is missing after `=`".to_owned()),
        Some((format, "-")) => (format, None),
        Some((format, file)) => (format, Some(PathBuf::from(file))),
        None => (written, None),
    };
    Ok(Output { format: format.parse()?, file })
}

/// The reports to write: text if nothing else is asked for.
///
/// # Errors
/// Two on standard output, which could not be told apart.
pub(crate) fn chosen(asked: &[Output]) -> Result<Vec<Output>, String> {
    if asked.is_empty() {
        return Ok(vec![Output { format: Format::Text, file: None }]);
    }
    one_on_stdout(asked)?;
    Ok(asked.to_vec())
}

/// Whether at most one report goes to standard output.
///
/// # Errors
/// Two do, which could not be told apart.
pub(crate) fn one_on_stdout<F>(asked: &[Output<F>]) -> Result<(), String> {
    if asked.iter().filter(|output| output.file.is_none()).count() > 1 {
        return Err(
            "only one report can go to standard output; give the others a file: --output json=report.json"
                .to_owned(),
        );
    }
    Ok(())
}

/// Writes every report.
pub(crate) fn write(
    outputs: &[Output],
    outcome: &Outcome,
    color: Color,
    verbose: bool,
    quiet: bool,
) -> Result<(), String> {
    outputs.iter().try_for_each(|output| {
        let quiet = quiet && output.file.is_none();
        write_to(output, color, verbose, |out, format, style| write_one(out, format, outcome, style, quiet))
    })
}

/// Writes one report to where it belongs. Whoever reads standard output may stop reading; that is no failure.
pub(crate) fn write_to<F: Copy>(
    output: &Output<F>,
    color: Color,
    verbose: bool,
    write: impl Fn(&mut dyn Write, F, Style) -> io::Result<()>,
) -> Result<(), String> {
    let Some(path) = &output.file else {
        let stdout = io::stdout();
        let style = Style::for_stdout(colored(color, stdout.is_terminal()), verbose);
        let mut out = BufWriter::new(stdout.lock());
        let written = write(&mut out, output.format, style).and_then(|()| out.flush());
        return match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|error| format!("standard output: {error}")),
        };
    };
    let style = Style { color: color == Color::Always, verbose, ..Style::default() };
    let written = File::create(path).and_then(|file| {
        let mut out = BufWriter::new(file);
        write(&mut out, output.format, style)?;
        out.flush()
    });
    written.map_err(|error| format!("{}: cannot be written: {error}", path.display()))
}

fn write_one(
    out: &mut dyn Write,
    format: Format,
    outcome: &Outcome,
    style: Style,
    quiet: bool,
) -> io::Result<()> {
    let Outcome { findings, sources, summary, .. } = outcome;
    match format {
        Format::Json => json::write(out, findings, sources, summary),
        _ if quiet && findings.is_empty() => Ok(()),
        Format::Text => text::write(out, findings, sources, summary, style),
        Format::Concise => concise::write(out, findings, sources, summary, style),
    }
}

/// `auto` follows the terminal and the environment (NO_COLOR, CLICOLOR_FORCE, TERM).
fn colored(color: Color, terminal: bool) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => match anstream::AutoStream::choice(&io::stdout()) {
            anstream::ColorChoice::Always | anstream::ColorChoice::AlwaysAnsi => true,
            anstream::ColorChoice::Never => false,
            anstream::ColorChoice::Auto => terminal,
        },
    }
}

/// Tells the user what is wrong with the run itself.
pub(crate) fn complain(message: &str) {
    // Names come from outside, and a terminal is not to act on them.
    let shown: String = message
        .chars()
        .flat_map(|character| match character.is_control() && character != '\n' {
            true => character.escape_default().collect::<Vec<_>>(),
            false => vec![character],
        })
        .collect();
    // Nothing is left to be done when even that fails.
    let _ = writeln!(io::stderr(), "error: {shown}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_may_go_to_files() {
        let json = Output { format: Format::Json, file: Some("a=b.json".into()) };
        assert_eq!(parse_output("json=a=b.json"), Ok(json));
        assert_eq!(parse_output("text"), Ok(Output { format: Format::Text, file: None }));
        assert_eq!(parse_output("json=-"), Ok(Output { format: Format::Json, file: None }));
        assert!(parse_output("sarif").is_err());
        assert!(parse_output("json=").is_err());
    }
}
