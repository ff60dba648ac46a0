//! Finding and reading files of vectors.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::Value;
use walkdir::WalkDir;

/// The files among `paths` and in folders among them, in a stable order.
pub(super) fn list(paths: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        for entry in WalkDir::new(path).sort_by_file_name() {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy();
            let ends = [".jsonl", ".jsonl.gz", ".json", ".json.gz"];
            if entry.file_type().is_file() && ends.iter().any(|end| name.ends_with(end)) {
                files.push(entry.into_path());
            }
        }
    }
    Ok(files)
}

/// The text of a file, unpacked when its bytes are gzip.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let bytes = fs::read(path)?;
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text)?;
    } else {
        (&bytes[..]).read_to_string(&mut text)?;
    }
    Ok(text)
}

/// What a file holds, each value with the number of its line (from 0). A `.json` file is one table; its entries come as
/// lines of a kind named after the file.
pub(super) fn values<'t>(file: &Path, text: &'t str) -> Box<dyn Iterator<Item = (usize, Value)> + 't> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = name.trim_end_matches(".gz");
    if let Some(table) = name.strip_suffix(".json") {
        let kind =
            if table.starts_with("path-normalization") { "path-normalization" } else { table }.to_owned();
        // What is no table counts as one line that nobody takes.
        let Ok(entries) = serde_json::from_str::<serde_json::Map<String, Value>>(text) else {
            return Box::new(std::iter::once((0, Value::Null)));
        };
        return Box::new(entries.into_iter().enumerate().map(move |(at, (key, value))| {
            (at, serde_json::json!({ "kind": kind, "key": key, "value": value }))
        }));
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    Box::new(lines.map(|(at, line)| (at, serde_json::from_str(line).unwrap_or(Value::Null))))
}
