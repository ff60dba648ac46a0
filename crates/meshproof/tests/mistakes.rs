//! Mistakes that people really made, each written anew in its simplest form under `testdata/mistakes`: every finding stands
//! as a comment on its line (`lint` an error, `lint?` a warning, `lint.` information), and nothing else is found.

#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use support::{Project, text};

#[test]
fn mistakes_of_real_repositories_are_found() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/mistakes");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 15, "the mistakes are there");
    let mut wrong = Vec::new();
    for path in files {
        let content = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut expected: Vec<String> = Vec::new();
        for (at, line) in content.lines().enumerate() {
            let Some((_, list)) = line.split_once("# expect: ") else { continue };
            expected.extend(list.split(", ").map(|id| format!("{}@{}", id.trim(), at + 1)));
        }
        expected.sort();
        let report = Project::new(&[(name, &content)]).check(&[]).json();
        let mut found: Vec<String> = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|finding| {
                let mark = match text(&finding["level"]).as_str() {
                    "error" => "",
                    "warning" => "?",
                    _ => ".",
                };
                format!("{}{mark}@{}", text(&finding["lint"]), finding["line"])
            })
            .collect();
        found.sort();
        if found != expected || expected.is_empty() {
            wrong.push(format!("{name}\n  expected {expected:?}\n  found    {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
