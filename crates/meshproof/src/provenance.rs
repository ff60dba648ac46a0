//! From a rendered text back to the files it was made from.
//!
//! Helm writes `# Source: chart/templates/x.yaml` above each object. Kustomize writes nothing, so the object is looked
//! for by kind and name among the files that went in.

use std::collections::HashMap;
use std::path::PathBuf;

use meshproof_diagnostics::{Finding, ResourceName};
use meshproof_resources::Resource;
use meshproof_source::{Origin, SourceId, SourceMap, Span};

use crate::gather::File;
use crate::kustomization::absolute;
use crate::lints;
use crate::options::Options;
use crate::pipeline::read_documents;
use crate::suppress::{self, Suppression};
use crate::units::Unit;

/// What is known of the files behind rendered texts.
#[derive(Debug, Default)]
pub(crate) struct Traced {
    /// For each finding the place in a file that it comes from, where that is known.
    pub written: Vec<Option<Span>>,
    /// Suppressions in comments of those files: renderers drop comments.
    pub suppressions: Vec<Suppression>,
    /// Comments there that cannot be understood.
    pub findings: Vec<Finding>,
}

/// Looks up where findings in rendered texts come from, and says so in each.
pub(crate) fn trace(
    options: &Options,
    findings: &mut [Finding],
    units: &[Unit],
    sources: &SourceMap,
) -> Traced {
    let mut traced = Traced { written: vec![None; findings.len()], ..Traced::default() };
    let mut by_unit: HashMap<SourceId, Vec<usize>> = HashMap::new();
    for (at, finding) in findings.iter().enumerate() {
        by_unit.entry(finding.primary.span.source).or_default().push(at);
    }
    for unit in units.iter().filter(|unit| !unit.raw.is_empty()) {
        let Some((rendered, _)) = unit.members.first() else { continue };
        let here = by_unit.get(rendered).map_or(&[][..], Vec::as_slice);
        let marked: Vec<File> = unit
            .raw
            .iter()
            .filter(|file| sources.get(file.source).text.contains(suppress::MARK))
            .cloned()
            .collect();
        let is_helm =
            matches!(&sources.get(*rendered).origin, Origin::Rendered { by } if by.starts_with("helm "));
        let raw = if is_helm || here.is_empty() { &marked } else { &unit.raw };
        let read = read_documents(options, raw, sources);
        traced.suppressions.extend(read.suppressions);
        let remarks = read.findings.into_iter().filter(|finding| finding.lint == lints::UNUSED_SUPPRESSION);
        traced.findings.extend(remarks);
        let origins = Origins::new(&read.resources, unit);
        for at in here {
            let finding = &mut findings[*at];
            let place =
                if is_helm { origins.template(finding, unit, sources) } else { origins.object(finding) };
            if let Some(place) = place {
                let text = if is_helm { "this template makes it" } else { "written here" };
                *finding = finding.clone().with_related(place, text);
                traced.written[*at] = Some(place);
            }
        }
    }
    // The same file may go into several folders.
    traced.suppressions.sort_by(|a, b| (a.place, &a.lint).cmp(&(b.place, &b.lint)));
    traced.suppressions.dedup();
    traced
}

/// Objects of the files behind one rendered text.
struct Origins<'a> {
    by_kind: HashMap<&'a str, Vec<&'a Resource>>,
    templates: HashMap<PathBuf, SourceId>,
}

impl<'a> Origins<'a> {
    fn new(resources: &'a [Resource], unit: &Unit) -> Self {
        let mut by_kind: HashMap<&str, Vec<&Resource>> = HashMap::new();
        for resource in resources {
            by_kind.entry(resource.meta.kind.value.as_str()).or_default().push(resource);
        }
        let path = |file: &File| Some((absolute(file.path.as_deref()?), file.source));
        Origins { by_kind, templates: unit.raw.iter().filter_map(path).collect() }
    }

    /// The object with the name, or else the one whose name kustomize gave a prefix or suffix; none if several would
    /// do.
    fn object(&self, finding: &Finding) -> Option<Span> {
        let ResourceName { kind, name, namespace } = finding.resource.as_ref()?;
        let same_kind = self.by_kind.get(kind.as_str())?;
        let unique = |fits: &dyn Fn(&Resource) -> bool| {
            let mut fitting = same_kind.iter().filter(|resource| fits(resource));
            let first = fitting.next()?;
            fitting.next().is_none().then(|| first.meta.name_span())
        };
        let same_namespace = |resource: &Resource| {
            resource.meta.namespace.as_ref().map(|text| &text.value) == namespace.as_ref()
        };
        unique(&|resource| resource.meta.name() == name)
            .or_else(|| unique(&|resource| resource.meta.name() == name && same_namespace(resource)))
            .or_else(|| {
                let own = |resource: &Resource| resource.meta.name().to_owned();
                unique(&|resource| {
                    !own(resource).is_empty()
                        && (name.starts_with(&own(resource)) || name.ends_with(&own(resource)))
                })
            })
    }

    /// The template that helm names above the object.
    fn template(&self, finding: &Finding, unit: &Unit, sources: &SourceMap) -> Option<Span> {
        const MARK: &str = "# Source: ";
        let span = finding.primary.span;
        let text = &*sources.get(span.source).text;
        let before = text.get(..span.start as usize)?;
        let line = before[before.rfind(MARK)? + MARK.len()..].lines().next()?.trim();
        // The first part is the chart's name, which need not be that of its folder.
        let inside = line.split_once('/')?.1;
        let source = self.templates.get(&absolute(&PathBuf::from(&unit.name).join(inside)))?;
        Some(Span::new(*source, 0, 0))
    }
}
