//! From texts to findings, the way the program does it.

#![allow(dead_code, reason = "each test file uses its own part")]

use meshproof_diagnostics::Finding;
use meshproof_ir::{BuildOptions, Mesh, ResourceInput};
use meshproof_lints::{Context, World, run_wanted};
use meshproof_resources::{Decoded, decode};
use meshproof_source::{Origin, SourceMap, split_documents};

/// Findings and the texts they point into.
pub struct Analysed {
    pub sources: SourceMap,
    pub mesh: Mesh,
    pub findings: Vec<Finding>,
    pub took: std::time::Duration,
}

/// Runs every lint over texts, each with a file name.
pub fn analyse<N: AsRef<str>, T: AsRef<str>>(files: &[(N, T)], world: &World) -> Analysed {
    analyse_for(files, world, |_| true)
}

/// As [`analyse`], for the lints that are wanted.
pub fn analyse_for<N: AsRef<str>, T: AsRef<str>>(
    files: &[(N, T)],
    world: &World,
    wanted: impl Fn(&str) -> bool + Sync,
) -> Analysed {
    let mut sources = SourceMap::new();
    let mut inputs: Vec<ResourceInput> = Vec::new();
    for (name, text) in files {
        let text = text.as_ref();
        let id = sources.add(name.as_ref(), text, Origin::File);
        for document in split_documents(text) {
            let document_range = document.range;
            let parsed = meshproof_yaml::parse(id, text, document_range.clone());
            if meshproof_yaml::template_marker(&text[document_range.clone()]).is_some() {
                continue;
            }
            let mut out = Decoded::default();
            if let Some(tree) = &parsed.tree {
                decode(tree.root(), &mut out);
            }
            inputs.extend(out.resources.into_iter().map(ResourceInput::from));
        }
    }
    let mesh = Mesh::build(inputs, &BuildOptions::for_sources(&sources));
    let start = std::time::Instant::now();
    let ctx = Context::new(&mesh, &sources, world);
    let findings = run_wanted(&ctx, wanted);
    let took = start.elapsed();
    Analysed { sources, mesh, findings, took }
}

/// Findings as `lint@line`, with `?` for warnings and `.` for info, sorted.
pub fn short(analysed: &Analysed) -> Vec<String> {
    use meshproof_diagnostics::Level;
    let mut lines: Vec<String> = analysed
        .findings
        .iter()
        .map(|finding| {
            let line = analysed.sources.position(finding.primary.span).line;
            let mark = match finding.level {
                Level::Error => "",
                Level::Warning => "?",
                Level::Info => ".",
            };
            format!("{}{mark}@{line}", finding.lint)
        })
        .collect();
    lines.sort();
    lines
}

/// Ids of everything that is wrong with a text: reading, decoding, admission, lints.
pub fn ids(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let id = meshproof_source::SourceId(0);
    for document in split_documents(text) {
        let parsed = meshproof_yaml::parse(id, text, document.range);
        found.extend(parsed.problems.iter().map(|problem| {
            use meshproof_yaml::ProblemKind;
            let id = match problem.kind {
                ProblemKind::Syntax => "yaml-syntax",
                ProblemKind::DuplicateKey => "duplicate-key",
                ProblemKind::InvisibleCharacter => "invisible-character",
                ProblemKind::AliasBomb => "alias-bomb",
                ProblemKind::TooLarge => "document-too-large",
                ProblemKind::AmbiguousSeparator => "ambiguous-separator",
            };
            id.to_owned()
        }));
        let Some(tree) = &parsed.tree else { continue };
        let mut out = Decoded::default();
        decode(tree.root(), &mut out);
        found.extend(out.issues.iter().map(|issue| issue.lint.to_owned()));
        if !out.resources.is_empty() {
            let issues = meshproof_resources::admission::admit(tree.root());
            let mistakes = meshproof_resources::admission::mistakes::find(tree.root());
            found.extend(issues.iter().chain(&mistakes).map(|issue| issue.lint.to_owned()));
        }
    }
    let analysed = analyse(&[("example.yaml", text)], &World::default());
    found.extend(analysed.findings.iter().map(|finding| finding.lint.to_owned()));
    found.sort();
    found.dedup();
    found
}
