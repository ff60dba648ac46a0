//! Pods by the image that they run: by it, well-known programs are recognised.

use meshproof_ir::{ClusterId, WorkloadId};
use meshproof_resources::Spec;

use crate::Context;
use crate::hash::Map;

/// Workloads by the name of an image of theirs, without registry and tag.
#[derive(Default)]
pub(crate) struct Images<'c> {
    by_last: Map<&'c str, Vec<(WorkloadId, &'c str)>>,
}

impl<'c> Images<'c> {
    pub(crate) fn new(ctx: &Context<'c>) -> Self {
        let mut images = Images::default();
        for (id, workload) in ctx.mesh.workloads_with_ids() {
            let Spec::Workload(spec) = &ctx.resource(workload.resource).spec else { continue };
            let containers = spec.template.iter().flat_map(|template| &template.containers);
            for image in containers.filter_map(|container| container.image.as_ref()) {
                let path = without_tag(&image.value);
                let last = path.rsplit('/').next().unwrap_or(path);
                images.by_last.entry(last).or_default().push((id, path));
            }
        }
        images
    }

    /// Workloads of a cluster that run an image whose path ends in one of `names`.
    pub(crate) fn of(&self, ctx: &Context<'_>, cluster: ClusterId, names: &[&str]) -> Vec<WorkloadId> {
        let mut found: Vec<WorkloadId> = Vec::new();
        for name in names {
            let last = name.rsplit('/').next().unwrap_or(name);
            let ends = |path: &str| {
                path.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('/'))
            };
            let running = self.by_last.get(last).into_iter().flatten();
            found.extend(running.filter(|(_, path)| ends(path)).map(|(id, _)| *id));
        }
        found.retain(|id| ctx.mesh.namespace(ctx.mesh.workload(*id).namespace).cluster == cluster);
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// `registry:5000/a/b:v1@sha256:…` without what follows the path.
fn without_tag(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let from = image.rfind('/').map_or(0, |at| at + 1);
    match image[from..].find(':') {
        Some(at) => &image[..from + at],
        None => image,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_digests_go() {
        for (image, path) in [
            ("prom/prometheus:v2", "prom/prometheus"),
            ("registry:5000/a/b@sha256:00", "registry:5000/a/b"),
            ("nginx", "nginx"),
            ("a/b:1@sha256:0", "a/b"),
        ] {
            assert_eq!(without_tag(image), path);
        }
    }
}
