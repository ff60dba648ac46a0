//! Questions that users really ask, answered: each file of `testdata/questions` holds the manifests, and above them the
//! question in words and as commands. The answers stand beside it.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/questions").canonicalize().unwrap()
}

/// The commands of a file with what they print.
fn answers(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    let mut page = String::new();
    let lines: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("# ")).collect();
    for line in lines {
        let Some(arguments) = line.strip_prefix("explain ") else {
            page.push_str(&format!("{line}\n"));
            continue;
        };
        let run = Command::new(env!("CARGO_BIN_EXE_meshproof"))
            .current_dir(folder())
            .arg("explain")
            .args(arguments.split_whitespace())
            .arg(name)
            .output()
            .unwrap();
        let said = String::from_utf8(run.stdout).unwrap();
        let complained = String::from_utf8(run.stderr).unwrap();
        page.push_str(&format!("\n$ meshproof explain {arguments}\n{said}{complained}"));
        assert_eq!(run.status.code(), Some(0), "{name}: {arguments}\n{said}{complained}");
    }
    page
}

#[test]
fn every_question_has_its_answer() {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() >= 10, "the questions are gone");
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(folder());
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, answers(&file)));
    }
}
