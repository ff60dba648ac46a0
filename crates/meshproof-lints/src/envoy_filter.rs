//! `envoy-filter`: EnvoyFilters that change what guarded workloads receive, so that nothing said of them is verified
//! (mutual-TLS reference §11.3 ST33).

use std::collections::BTreeMap;

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::{ResourceId, Workload};

use crate::Context;

const ID: &str = "envoy-filter";

/// Runs the lint: one finding per EnvoyFilter.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut touched: BTreeMap<ResourceId, (&Workload, usize)> = BTreeMap::new();
    for workload in ctx.mesh.workloads.iter().filter(|workload| !workload.policies.is_empty()) {
        for filter in &workload.envoy_filters {
            touched.entry(*filter).or_insert((workload, 0)).1 += 1;
        }
    }
    touched.into_iter().map(|(id, (first, count))| finding(ctx, id, first, count)).collect()
}

fn finding(ctx: &Context<'_>, id: ResourceId, first: &Workload, count: usize) -> Finding {
    let meta = &ctx.resource(id).meta;
    let name = meta.resource_name();
    let rest = match count - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!(
        "{name} changes what {}{rest} receives: whether its policies hold is not verified",
        ctx.workload_name(first)
    );
    let label = Label::new(meta.name_span(), "may change listeners, TLS or the order of filters");
    Finding::new(ID, Level::Info, Category::Hygiene, message, label)
        .with_resource(name)
        .with_confidence(Confidence::High)
        .with_related(ctx.workload_span(first), "has policies, and gets the patches")
        .with_help("narrow the filter to the workloads and the context that it is for, and test there that the policies still refuse")
}
