//! `meshproof lint`: which lints there are, and what one of them means.

use std::fmt::Write as _;
use std::io::{self, Write};

use meshproof::lints;

use super::args::LintArgs;
use super::{CLEAN, FAILED, output};

/// Runs the command and gives the exit code.
pub(crate) fn run(args: &LintArgs) -> u8 {
    let text = match &args.id {
        None => list(),
        Some(id) => match lints::describe(id) {
            Some(lint) => lint.doc.to_owned(),
            None => {
                let hint = match lints::closest(id) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => "`meshproof lint` lists them".to_owned(),
                };
                output::complain(&format!("there is no lint `{id}`; {hint}"));
                return FAILED;
            }
        },
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            output::complain(&format!("standard output: {error}"));
            FAILED
        }
        _ => CLEAN,
    }
}

/// One line for each lint.
fn list() -> String {
    let width = lints::ids().map(str::len).max().unwrap_or(0);
    let mut text = String::new();
    for lint in lints::ids().filter_map(lints::describe) {
        let level = format!("{:?}", lint.level).to_lowercase();
        let _ = writeln!(text, "{:width$}  {level:7}  {}", lint.id, lint.summary);
    }
    text
}
