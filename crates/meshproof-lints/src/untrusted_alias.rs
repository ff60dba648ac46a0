//! `untrusted-alias`: trust domain aliases where ztunnel, which takes its own trust domain only, lets callers in
//! (ambient reference, behaviour 16; mutual-TLS reference §7).

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::{Capture, ClusterId, Workload};
use meshproof_resources::Text;

use crate::Context;
use crate::hash::{Map, Set};

const ID: &str = "untrusted-alias";

/// Runs the lint: one finding per value that names a trust domain which ztunnel refuses.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let aliased = ctx.mesh.clusters.iter().enumerate().filter_map(|(at, _)| {
        let cluster = ClusterId(at as u32);
        let settings = ctx.mesh.settings_of(cluster);
        let own = settings.trust_domain.known()?;
        let aliases: Set<&str> = settings.trust_domain_aliases.iter().map(String::as_str).collect();
        (!aliases.is_empty()).then_some((cluster, (own.as_str(), aliases)))
    });
    let aliased: Map<ClusterId, (&str, Set<&str>)> = aliased.collect();
    if aliased.is_empty() {
        return Vec::new();
    }
    let mut seen = Set::default();
    let mut told = Set::default();
    let mut findings = Vec::new();
    for workload in ctx.mesh.workloads.iter().filter(|workload| workload.capture.is(&Capture::Ambient)) {
        let Some((own, aliases)) = aliased.get(&ctx.mesh.namespace(workload.namespace).cluster) else {
            continue;
        };
        if !seen.insert((workload.namespace, workload.policies.sharing_key())) {
            continue;
        }
        for attachment in workload.policies.iter() {
            let Some(policy) = ctx.policies.get(attachment.policy).filter(|policy| told.insert(policy.id))
            else {
                continue;
            };
            let sources = policy.spec.rules.iter().flat_map(|rule| rule.from.iter());
            let values = sources.flat_map(|source| source.principals.values.iter());
            let of_alias = |value: &&Text| {
                let domain = value.value.split('/').next().unwrap_or_default();
                domain != *own && aliases.contains(domain)
            };
            findings.extend(values.filter(of_alias).map(|value| finding(ctx, policy, value, own, workload)));
        }
    }
    findings
}

fn finding(
    ctx: &Context<'_>,
    policy: &crate::policies::Policy<'_>,
    value: &Text,
    own: &str,
    workload: &Workload,
) -> Finding {
    let name = policy.meta.resource_name();
    let domain = value.value.split('/').next().unwrap_or_default();
    let message = format!(
        "`{}` in {name} matches nobody at {}: ztunnel refuses peers of trust domain {domain}",
        value.value,
        ctx.workload_name(workload)
    );
    Finding::new(
        ID,
        Level::Warning,
        Category::Outage,
        message,
        Label::new(value.span, "an alias, which only sidecars and waypoints take"),
    )
    .with_resource(name)
    .with_confidence(Confidence::High)
    .with_related(ctx.workload_span(workload), "captured by ztunnel")
    .with_help(format!(
        "name the caller in the trust domain {own}, and finish its move there before it calls ambient pods"
    ))
}
