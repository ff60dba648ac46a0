//! The `meshproof` command.

mod cli;

use std::process::ExitCode;

/// Reading manifests makes many small things, on all threads at once; this one is a third faster at it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
