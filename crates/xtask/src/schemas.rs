//! `cargo xtask schemas`: runs the generator of the schema tables.

use std::io;
use std::path::Path;
use std::process::Command;

/// Runs the Go program under `schemas/`, which writes the tables into the crate that embeds them.
pub fn run() -> io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = here.join("../meshproof-resources/schemas");
    let status = Command::new("go").args(["run", "."]).arg(output).current_dir(here.join("schemas")).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            Err(io::Error::other(format!("the generator in crates/xtask/schemas ended with {status}")))
        }
        Err(error) => Err(io::Error::other(format!(
            "Go is needed to write the schemas, and `go` did not start: {error}"
        ))),
    }
}
