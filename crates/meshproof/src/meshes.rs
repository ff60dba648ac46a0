//! From objects to meshes and their findings. Each mesh holds what can be applied together.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use meshproof_diagnostics::{Confidence, Finding, Level};
use meshproof_ir::{Assumption, BuildOptions, Dataplane as Capturing, Mesh, ResourceInput, SettingsOverride};
use meshproof_lints::World;
use meshproof_resources::{PathNormalization, Resource, Text};
use meshproof_source::{Origin, SourceId, SourceMap, Span};

use crate::config::{Dataplane, Normalization, OutboundMode, RepeatedHeaders};
use crate::document::{internal_error, is_cluster_wide};
use crate::gather::File;
use crate::groups::{Content, Grouping};
use crate::options::Options;
use crate::pipeline::Depth;
use crate::units::Unit;

/// Everything that meshes are made of.
pub(crate) struct Material<'a> {
    pub options: &'a Options,
    pub depth: Depth,
    /// Whether a lint is to be run.
    pub wanted: &'a (dyn Fn(&str) -> bool + Sync),
    pub sources: &'a SourceMap,
    pub files: &'a [File],
    pub units: &'a [Unit],
    pub world: &'a World,
    pub unrendered: &'a HashMap<SourceId, String>,
    /// Objects, sorted by source.
    pub resources: Vec<Resource>,
}

/// Builds the meshes and asks the lints about each, when they are wanted.
pub(crate) fn analyse(material: Material<'_>) -> (Vec<Mesh>, Vec<Finding>) {
    let Material { options, depth, wanted, sources, files, units, world, unrendered, resources } = material;
    if resources.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let build = build_options(options, sources, files, unrendered);
    let clusters: HashMap<SourceId, &str> = files
        .iter()
        .filter_map(|file| Some((file.source, options.clusters.get(file.cluster?)?.name.as_str())))
        .collect();
    let mut pool = Pool::new(resources, units);
    let grouping = Grouping::new(units, |unit| pool.content(unit), || pool.plain_content());
    let groups = &grouping.groups;
    let (mut meshes, mut per_mesh) = (Vec::new(), Vec::new());
    for (at, group) in groups.iter().enumerate() {
        let last = at + 1 == groups.len();
        let inputs: Vec<ResourceInput> = pool
            .take(units, group, last)
            .into_iter()
            .map(|resource| {
                let cluster = clusters.get(&resource.meta.span.source).map(|name| (*name).to_owned());
                ResourceInput { resource, cluster }
            })
            .collect();
        if last {
            pool = Pool::default();
        }
        let first =
            inputs.first().map_or(Span::new(SourceId(0), 0, 0), |input| input.resource.meta.span.part(0, 0));
        let of_mesh = grouping.world(at, world);
        let built = catch_unwind(AssertUnwindSafe(|| {
            let mesh = Mesh::build(inputs, &build);
            let findings = match depth {
                Depth::Meshes => Vec::new(),
                Depth::Findings => {
                    let ctx = meshproof_lints::Context::new(&mesh, sources, &of_mesh);
                    meshproof_lints::run_wanted(&ctx, wanted)
                }
            };
            (mesh, findings)
        }));
        match built {
            Ok((mesh, findings)) => {
                meshes.push(mesh);
                per_mesh.push(findings);
            }
            Err(payload) => {
                per_mesh.push(vec![internal_error(first, "the mesh as a whole", payload.as_ref())])
            }
        }
    }
    (meshes, join(per_mesh, units, groups, sources))
}

/// The objects of a run by source, handed out to one or several meshes.
#[derive(Default)]
struct Pool {
    resources: Vec<Option<Resource>>,
    by_source: HashMap<SourceId, std::ops::Range<usize>>,
    /// Objects of no unit, which belong to every mesh.
    plain: Vec<usize>,
    /// Texts that stand in more than one unit.
    shared: HashSet<SourceId>,
}

impl Pool {
    fn new(resources: Vec<Resource>, units: &[Unit]) -> Self {
        let mut by_source: HashMap<SourceId, std::ops::Range<usize>> = HashMap::new();
        for (at, resource) in resources.iter().enumerate() {
            by_source.entry(resource.meta.span.source).or_insert(at..at).end = at + 1;
        }
        let (mut members, mut shared) = (HashSet::new(), HashSet::new());
        for (source, _) in units.iter().flat_map(|unit| &unit.members) {
            if !members.insert(*source) {
                shared.insert(*source);
            }
        }
        let plain =
            (0..resources.len()).filter(|at| !members.contains(&resources[*at].meta.span.source)).collect();
        Pool { resources: resources.into_iter().map(Some).collect(), by_source, plain, shared }
    }

    /// What there is to know of a unit before its objects are handed out.
    fn content(&self, unit: &Unit) -> Content {
        let mut content = Content::default();
        for (source, namespace) in &unit.members {
            let Some(range) = self.by_source.get(source) else { continue };
            for resource in self.resources[range.clone()].iter().flatten() {
                content.add(resource, namespace.as_ref());
            }
        }
        content
    }

    fn plain_content(&self) -> Content {
        let mut content = Content::default();
        for resource in self.plain.iter().filter_map(|at| self.resources[*at].as_ref()) {
            content.add(resource, None);
        }
        content
    }

    /// The objects of one mesh. In the last one they are moved out, since copies of everything cost memory.
    fn take(&mut self, units: &[Unit], group: &[usize], last: bool) -> Vec<Resource> {
        if units.is_empty() {
            return std::mem::take(&mut self.resources).into_iter().flatten().collect();
        }
        let mut taken = Vec::with_capacity(self.resources.len());
        for at in self.plain.clone() {
            let resource = &mut self.resources[at];
            taken.extend(if last { resource.take() } else { resource.clone() });
        }
        for (source, namespace) in group.iter().flat_map(|unit| &units[*unit].members) {
            let Some(range) = self.by_source.get(source).cloned() else { continue };
            let keep = !last || self.shared.contains(source);
            for resource in &mut self.resources[range] {
                let copy = if keep { resource.clone() } else { resource.take() };
                taken.extend(copy.map(|resource| in_namespace(resource, namespace.as_ref())));
            }
        }
        taken
    }
}

/// A kustomization's namespace replaces what objects say.
fn in_namespace(mut resource: Resource, namespace: Option<&Text>) -> Resource {
    if let Some(namespace) = namespace
        && !is_cluster_wide(&resource)
    {
        resource.meta.namespace = Some(namespace.clone());
    }
    resource
}

/// One list out of the findings of every mesh. What is said of a file that belongs to all of them counts in full only
/// if it holds in all of them; rendered variants say the same thing once.
fn join(
    per_mesh: Vec<Vec<Finding>>,
    units: &[Unit],
    groups: &[Vec<usize>],
    sources: &SourceMap,
) -> Vec<Finding> {
    let meshes = per_mesh.len();
    if meshes == 1 {
        return per_mesh.into_iter().flatten().collect();
    }
    let variant_only: HashSet<SourceId> = units
        .iter()
        .enumerate()
        .filter(|(at, _)| groups.iter().any(|group| !group.contains(at)))
        .flat_map(|(_, unit)| unit.members.iter().map(|(source, _)| *source))
        .collect();
    let mut seen: HashSet<(String, Option<Span>)> = HashSet::new();
    let mut joined: Vec<Finding> = Vec::new();
    // The same thing may be said in other words, where variants call an object by different names.
    let mut holds_in: HashMap<(&'static str, Span), (usize, usize)> = HashMap::new();
    for (mesh, finding) in
        per_mesh.into_iter().enumerate().flat_map(|(mesh, list)| list.into_iter().map(move |one| (mesh, one)))
    {
        let span = finding.primary.span;
        let holds = holds_in.entry((finding.lint, span)).or_insert((mesh, 1));
        if holds.0 != mesh {
            *holds = (mesh, holds.1 + 1);
        }
        let rendered = matches!(sources.get(span.source).origin, Origin::Rendered { .. });
        let key = (finding.fingerprint(), (!rendered).then_some(span));
        if seen.insert(key) {
            joined.push(finding);
        }
    }
    joined
        .into_iter()
        .map(|mut finding| {
            let times = holds_in.get(&(finding.lint, finding.primary.span)).map_or(1, |holds| holds.1);
            if times < meshes && !variant_only.contains(&finding.primary.span.source) {
                finding.level = Level::Info;
                finding.confidence = Confidence::Low;
            }
            finding
        })
        .collect()
}

fn build_options(
    options: &Options,
    sources: &SourceMap,
    files: &[File],
    unrendered: &HashMap<SourceId, String>,
) -> BuildOptions {
    let mut build = BuildOptions::for_sources(sources);
    build.namespace = options.namespace.clone();
    build.settings = settings(options);
    build.presumes_gateways = options.presumes_gateways;
    for file in files {
        // A rendered text is named after its folder, not after a file in it.
        if matches!(sources.get(file.source).origin, Origin::Rendered { .. }) {
            build.folders[file.source.0 as usize] = sources.get(file.source).name.clone();
        }
    }
    let mut folders: Vec<(String, String)> = unrendered
        .iter()
        .filter_map(|(source, reason)| Some((build.folders.get(source.0 as usize)?.clone(), reason.clone())))
        .collect();
    folders.sort();
    folders.dedup_by(|a, b| a.0 == b.0);
    build.unrendered = folders;
    build
}

fn settings(options: &Options) -> SettingsOverride {
    let mesh = &options.mesh;
    let said = options.external.dataplane;
    let assume = |dataplane| Assumption { dataplane, is_certain: said.is_some() };
    SettingsOverride {
        assumed: match said {
            Some(Dataplane::Sidecar) => Some(assume(Capturing::Sidecar)),
            Some(Dataplane::Ambient) => Some(assume(Capturing::Ambient)),
            Some(Dataplane::None) => Some(assume(Capturing::None)),
            Some(Dataplane::Unknown) => None,
            None => options.assumes_sidecars.then(|| assume(Capturing::Sidecar)),
        },
        trust_domain: mesh.trust_domain.clone(),
        trust_domain_aliases: (!mesh.trust_domain_aliases.is_empty())
            .then(|| mesh.trust_domain_aliases.clone()),
        root_namespace: mesh.root_namespace.clone(),
        auto_mtls: mesh.enable_auto_mtls,
        allow_any_outbound: mesh
            .outbound_traffic_policy
            .as_ref()
            .map(|policy| policy.mode == OutboundMode::AllowAny),
        path_normalization: mesh.path_normalization.as_ref().map(|path| match path.normalization {
            Normalization::Default => PathNormalization::Default,
            Normalization::None => PathNormalization::None,
            Normalization::Base => PathNormalization::Base,
            Normalization::MergeSlashes => PathNormalization::MergeSlashes,
            Normalization::DecodeAndMergeSlashes => PathNormalization::DecodeAndMergeSlashes,
        }),
        trusted_proxies: mesh.gateway_topology.as_ref().map(|topology| topology.num_trusted_proxies),
        joins_headers: mesh.repeated_headers.map(|headers| headers == RepeatedHeaders::Joined),
        extension_providers: mesh.extension_providers.iter().map(|provider| provider.name.clone()).collect(),
        revisions: (!mesh.revisions.is_empty()).then(|| mesh.revisions.clone()),
        ..SettingsOverride::default()
    }
}
