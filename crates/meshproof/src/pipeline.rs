//! The way from inputs to an outcome.

use std::collections::HashSet;

use meshproof_diagnostics::{Category, Finding, Level};
use meshproof_ir::Mesh;
use meshproof_lints::World;
use meshproof_report::{Skipped, Summary};
use meshproof_resources::Resource;
use meshproof_source::{Source, SourceId, SourceMap, split_documents};
use rayon::prelude::*;

use crate::config::LevelSetting;
use crate::document::{self, Job, skipped};
use crate::gather::{File, gather};
use crate::lints;
use crate::meshes::{self, Material};
use crate::options::{Error, Input, Options, Outcome};
use crate::provenance;
use crate::suppress::{self, Suppression};
use crate::surroundings::{Surroundings, written_namespaces};
use crate::units::{Unit, plan};
use crate::variants;

/// Fewer bytes than this are done sooner by one thread than by several that must be started first.
const SMALL: usize = 64 << 10;

/// Documents that one thread reads in a row.
const BATCH: usize = 64;

/// Everything that documents gave, in the order of sources and offsets.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// Objects, with their source.
    pub resources: Vec<Resource>,
    pub findings: Vec<Finding>,
    pub suppressions: Vec<Suppression>,
    pub skipped: Vec<Skipped>,
    pub documents: usize,
    pub surroundings: Surroundings,
    left_out: Vec<LeftOut>,
}

impl Read {
    fn take_in(&mut self, part: Read) {
        self.resources.extend(part.resources);
        self.findings.extend(part.findings);
        self.suppressions.extend(part.suppressions);
        self.skipped.extend(part.skipped);
        self.documents += part.documents;
        self.surroundings.take_in(part.surroundings);
        self.left_out.extend(part.left_out);
    }
}

/// A document that is not analysed.
#[derive(Debug)]
struct LeftOut {
    source: SourceId,
    code: document::SkipCode,
    start: usize,
    reason: String,
}

/// How far a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Objects are read and joined to meshes; findings are those of reading.
    Meshes,
    /// The lints are asked too.
    Findings,
}

/// Does it all.
pub(crate) fn run(options: &Options, inputs: &[Input], depth: Depth) -> Result<Outcome, Error> {
    let mut sources = SourceMap::new();
    let mut gathered = gather(options, inputs, &mut sources)?;
    let read_files = gathered.files.len();
    let mut plan = plan(options, &mut gathered, &mut sources)?;
    let read = read_documents(options, &plan.files, &sources);
    let namespace = options.namespace.as_deref();
    let folders = variants::find(&plan.files, &plan.units, &read.resources, &sources, namespace);
    plan.units.extend(folders);
    let objects = read.resources.len();
    let mut skipped = gathered.skipped;
    skipped.extend(plan.skipped);
    skipped.extend(read.skipped);
    skipped.sort_by(|a, b| (&a.file, a.line, a.reason_code).cmp(&(&b.file, b.line, b.reason_code)));
    let mut findings = gathered.findings;
    findings.extend(plan.findings);
    findings.extend(read.findings);
    let mut surroundings = read.surroundings;
    surroundings.operator_namespaces.extend(chart_namespaces(&plan.units, &read.resources, &sources));
    let world = world(options, &skipped, &findings, surroundings);
    let incomplete = world.incomplete.clone();
    // A lint that is allowed costs nothing, unless a comment names it: then it is told whether the comment is of use.
    let mut suppressions = read.suppressions;
    let named: HashSet<String> = suppressions.iter().map(|written| written.lint.clone()).collect();
    let wanted = |lint: &str| options.levels.get(lint) != Some(LevelSetting::Allow) || named.contains(lint);
    let material = Material {
        options,
        depth,
        wanted: &wanted,
        sources: &sources,
        files: &plan.files,
        units: &plan.units,
        world: &world,
        unrendered: &plan.unrendered,
        resources: read.resources,
    };
    let (meshes, of_meshes) = meshes::analyse(material);
    findings.extend(of_meshes);
    meshproof_lints::drop_repeated(&mut findings);
    let traced = provenance::trace(options, &mut findings, &plan.units, &sources);
    // Of a lint that did not run nobody knows whether a comment in a template is of use.
    suppressions.extend(traced.suppressions.into_iter().filter(|written| wanted(&written.lint)));
    let (mut kept, mut suppressed) = suppress::apply(&suppressions, findings, &traced.written);
    kept.extend(traced.findings);
    let mut findings: Vec<Finding> =
        kept.into_iter().filter_map(|finding| options.levels.apply(finding)).collect();
    sort(&mut findings, &sources);
    sort(&mut suppressed, &sources);
    let mut summary = Summary {
        other_files: gathered.other_files,
        files: read_files,
        documents: read.documents,
        workloads: count_workloads(&meshes),
        suppressed: suppressed.len(),
        skipped,
        ..Summary::default()
    };
    summary.count(&findings);
    Ok(Outcome { findings, suppressed, summary, objects, incomplete, meshes, sources })
}

/// Workloads of all meshes, those that several meshes share counted once.
fn count_workloads(meshes: &[Mesh]) -> usize {
    match meshes {
        [mesh] => mesh.workloads.len(),
        _ => {
            let span = |mesh: &Mesh, at: usize| mesh.resources[mesh.workloads[at].resource.index()].meta.span;
            let spans = meshes.iter().flat_map(|mesh| (0..mesh.workloads.len()).map(|at| span(mesh, at)));
            spans.collect::<HashSet<_>>().len()
        }
    }
}

/// What of the input was not analysed, for people.
fn incomplete(skipped: &[Skipped], findings: &[Finding]) -> Option<String> {
    let is_template =
        |code: &str| code.ends_with("-template") || code == "placeholder" || code == "template-file";
    let templates = skipped.iter().filter(|skipped| is_template(skipped.reason_code)).count();
    let unread =
        ["yaml-syntax", "alias-bomb", "document-too-large", lints::UNREADABLE_FILE, lints::INTERNAL_ERROR];
    let broken = findings.iter().filter(|finding| unread.contains(&finding.lint)).count();
    match (templates, broken) {
        (0, 0) => None,
        (0, 1) => Some("a file or document could not be read".to_owned()),
        (0, broken) => Some(format!("{broken} files or documents could not be read")),
        (1, _) => Some("a templated file was not analysed".to_owned()),
        (templates, _) => Some(format!("{templates} templated files were not analysed")),
    }
}

/// What the lints are to know about the world outside of what was read.
fn world(options: &Options, skipped: &[Skipped], findings: &[Finding], surroundings: Surroundings) -> World {
    let incomplete = incomplete(skipped, findings);
    let external_accounts = options.external.service_accounts.iter().chain(&surroundings.accounts);
    World {
        incomplete,
        external_namespaces: options.external.namespaces.clone(),
        external_accounts: external_accounts.cloned().collect(),
        external_policies: options.external.policies.clone(),
        operator_namespaces: surroundings.operator_namespaces.into_iter().collect(),
        refused: refused(findings),
    }
}

/// Where objects are at fault so that they never exist, sorted.
fn refused(findings: &[Finding]) -> Vec<(SourceId, u32)> {
    let invalid = findings
        .iter()
        .filter(|finding| finding.category == Category::Invalid && finding.level == Level::Error);
    let mut places: Vec<(SourceId, u32)> =
        invalid.map(|finding| (finding.primary.span.source, finding.primary.span.start)).collect();
    places.sort_unstable();
    places
}

/// Namespaces that rendered charts have a say in: those of the rendered objects, and those that the templates name.
/// A chart is rendered with its default values; with others it may make more there.
fn chart_namespaces(units: &[Unit], resources: &[Resource], sources: &SourceMap) -> HashSet<String> {
    let charts: Vec<&Unit> = units.iter().filter(|unit| unit.is_chart).collect();
    let rendered: HashSet<SourceId> =
        charts.iter().flat_map(|unit| unit.members.iter().map(|(source, _)| *source)).collect();
    let made = resources.iter().filter(|resource| rendered.contains(&resource.meta.span.source));
    let templates = charts.iter().flat_map(|unit| &unit.raw);
    let named = templates.flat_map(|file| written_namespaces(&sources.get(file.source).text));
    let of = |resource: &Resource| Some(resource.meta.namespace.as_ref()?.value.clone());
    made.filter_map(of).chain(named.map(str::to_owned)).collect()
}

/// Reads the documents of files, in parallel when it is worth it.
pub(crate) fn read_documents(options: &Options, files: &[File], sources: &SourceMap) -> Read {
    let mut jobs = Vec::new();
    let mut size = 0;
    for file in files {
        let source = sources.get(file.source);
        size += source.text.len();
        push_jobs(&mut jobs, file.source, source, options.namespace.as_deref());
    }
    let parts: Vec<Read> = if jobs.len() < 2 || size < SMALL {
        vec![read_some(&jobs)]
    } else {
        jobs.par_chunks(BATCH).map(read_some).collect()
    };
    let mut read = Read::default();
    // Asked for at once: a list that grows is copied, and for a moment there twice.
    read.resources.reserve_exact(parts.iter().map(|part| part.resources.len()).sum());
    for part in parts {
        read.take_in(part);
    }
    list_skipped(&mut read, &jobs, sources);
    read
}

/// Reads documents one after the other. What a document gives is moved out of it at once: 40,000 small lists of their
/// own cost more than what is in them.
fn read_some(jobs: &[Job<'_>]) -> Read {
    let mut read = Read::default();
    for job in jobs {
        let outcome = document::look_at(job);
        read.resources.extend(outcome.resources);
        read.findings.extend(outcome.findings);
        read.suppressions.extend(outcome.suppressions);
        read.documents += outcome.objects;
        read.surroundings.take_in(outcome.surroundings);
        if let Some((code, reason)) = outcome.skipped {
            read.left_out.push(LeftOut { source: job.source, code, start: job.range.start, reason });
        }
    }
    read
}

/// One entry for all documents of a file that are left out for one reason; it has a line when the rest was analysed.
fn list_skipped(read: &mut Read, jobs: &[Job<'_>], sources: &SourceMap) {
    let left_out = std::mem::take(&mut read.left_out);
    for group in left_out.chunk_by(|a, b| (a.source, a.code) == (b.source, b.code)) {
        let Some(LeftOut { source: id, code, start, reason }) = group.first() else { continue };
        let source = sources.get(*id);
        let from = jobs.partition_point(|job| job.source < *id);
        let documents = jobs[from..].iter().take_while(|job| job.source == *id).count();
        let line = (group.len() < documents).then(|| source.line_column(*start as u32).line);
        let reason = match group.len() {
            1 => reason.clone(),
            2 => format!("{reason}, and so is another document of the file"),
            all => format!("{reason}, and so are {} more documents of the file", all - 1),
        };
        read.skipped.push(skipped(&source.name, line, code, reason));
    }
}

/// The documents of one text. What holds nothing but comments leads up to the next document.
fn push_jobs<'a>(jobs: &mut Vec<Job<'a>>, id: SourceId, source: &'a Source, namespace: Option<&'a str>) {
    let text = &*source.text;
    let mut words = source.name.split(|c: char| !c.is_ascii_alphanumeric());
    let in_patch_file =
        words.any(|word| word.eq_ignore_ascii_case("patch") || word.eq_ignore_ascii_case("patches"));
    let has_mark = memchr::memmem::find(text.as_bytes(), suppress::MARK.as_bytes()).is_some();
    let mut lead = None;
    for document in split_documents(text) {
        let range = document.range;
        if has_mark && is_comment(&text[range.clone()]) {
            lead.get_or_insert(range.start);
            continue;
        }
        let lead = lead.take().unwrap_or(range.start);
        jobs.push(Job { source: id, text, range, lead, has_mark, namespace, in_patch_file });
    }
}

fn is_comment(document: &str) -> bool {
    document.lines().all(|line| line.trim_start().starts_with('#') || line.trim().is_empty())
}

/// By file and place; what stands at one place by lint and message.
fn sort(findings: &mut Vec<Finding>, sources: &SourceMap) {
    findings.sort_by(|a, b| {
        let key = |finding: &Finding| finding.primary.span;
        let name = |finding: &Finding| sources.get(key(finding).source).name.as_str();
        (name(a), key(a).start, key(a).source, a.lint, &a.message).cmp(&(
            name(b),
            key(b).start,
            key(b).source,
            b.lint,
            &b.message,
        ))
    });
    findings.dedup();
}
