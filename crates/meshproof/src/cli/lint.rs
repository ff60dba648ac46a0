//! `meshproof lint`: what the lints are.

use std::io::{self, Write};

use super::args::LintArgs;
use super::{CLEAN, FAILED, output};

/// Runs the command and gives the exit code.
pub(crate) fn run(args: &LintArgs) -> u8 {
    let text = match &args.id {
        None => meshproof::lints::ids().join("\n"),
        Some(id) => id.clone(),
    };
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            output::complain(&error.to_string());
            FAILED
        }
        _ => CLEAN,
    }
}
