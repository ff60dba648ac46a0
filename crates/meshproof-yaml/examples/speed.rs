//! Measures the readers on files: `cargo run --release -p meshproof-yaml --example speed -- FOLDER…`.
//!
//! Prints megabytes per second for the fast reader with fallback, the general reader alone, and `serde_yaml` into a
//! `Value`, on the documents of all YAML and JSON files below the folders, and how many documents the fast reader
//! takes and how many differ.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people at a terminal")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use meshproof_source::{SourceId, split_documents};
use meshproof_yaml::{NodeRef, Reader, Relevance, Shape, may_matter, parse_with};

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    if folder.is_file() {
        out.push(folder.to_owned());
        return;
    }
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let known = path
            .extension()
            .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known));
        if path.is_dir() || known {
            files(&path, out);
        }
    }
}

fn facts(node: NodeRef<'_>, out: &mut Vec<String>) {
    let span = node.span();
    out.push(format!("{:?} {:?} {}..{}", node.shape(), node.text(), span.start, span.end));
    match node.shape() {
        Shape::Mapping => {
            for (key, value) in node.entries() {
                facts(key, out);
                facts(value, out);
            }
        }
        Shape::Sequence => node.items().for_each(|item| facts(item, out)),
        Shape::Scalar => {}
    }
}

fn measure(name: &str, bytes: usize, mut work: impl FnMut() -> usize) {
    let mut best = f64::MAX;
    let mut count = 0;
    for _ in 0..3 {
        let start = Instant::now();
        count = work();
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{name:<34} {:>8.1} MB/s {:>8.1} ms   {count}", bytes as f64 / best / 1e6, best * 1e3);
}

fn main() {
    let mut paths = Vec::new();
    for folder in std::env::args().skip(1) {
        files(Path::new(&folder), &mut paths);
    }
    paths.sort();
    let texts: Vec<(PathBuf, String)> = paths
        .into_iter()
        .filter_map(|path| Some((path.clone(), std::fs::read_to_string(path).ok()?)))
        .collect();
    let documents: Vec<(&Path, &str, std::ops::Range<usize>)> = texts
        .iter()
        .flat_map(|(path, text)| {
            split_documents(text).into_iter().map(|document| (path.as_path(), text.as_str(), document.range))
        })
        .collect();
    let bytes = documents.iter().map(|(_, _, range)| range.len()).sum();
    println!("{} files, {} documents, {bytes} bytes", texts.len(), documents.len());

    let run = |reader: Reader| {
        let trees =
            documents.iter().map(|(_, text, range)| parse_with(SourceId(0), text, range.clone(), reader));
        trees.filter(|parsed| parsed.tree.is_some()).count()
    };
    measure("split", bytes, || texts.iter().map(|(_, text)| split_documents(text).len()).sum());
    measure("prefilter (documents to parse)", bytes, || {
        documents
            .iter()
            .filter(|(_, text, range)| may_matter(&text[range.clone()]) == Relevance::Parse)
            .count()
    });
    measure("template_marker (templates)", bytes, || {
        documents
            .iter()
            .filter(|(_, text, range)| meshproof_yaml::template_marker(&text[range.clone()]).is_some())
            .count()
    });
    measure("fast or general", bytes, || run(Reader::Any));
    measure("fast only", bytes, || run(Reader::FastOnly));
    measure("general", bytes, || run(Reader::General));
    measure("serde_yaml Value", bytes, || {
        let values = documents
            .iter()
            .map(|(_, text, range)| serde_yaml::from_str::<serde_yaml::Value>(&text[range.clone()]));
        values.filter(Result::is_ok).count()
    });

    let mut differing = 0;
    for (path, text, range) in &documents {
        let fast = parse_with(SourceId(0), text, range.clone(), Reader::FastOnly);
        let Some(tree) = fast.tree else { continue };
        let general = parse_with(SourceId(0), text, range.clone(), Reader::General);
        let (mut left, mut right) = (Vec::new(), Vec::new());
        facts(tree.root(), &mut left);
        if let Some(tree) = &general.tree {
            facts(tree.root(), &mut right);
        }
        let json = text[range.clone()].trim_start().starts_with(['{', '[']);
        if left != right || (!json && fast.problems != general.problems) {
            differing += 1;
            let at = left.iter().zip(&right).find(|(left, right)| left != right);
            println!("{} {range:?}: {at:?} {:?}", path.display(), general.problems);
        }
    }
    println!("{differing} documents differ");
}
