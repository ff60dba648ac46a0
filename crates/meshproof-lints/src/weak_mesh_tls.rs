//! `weak-mesh-tls`: a least TLS version that is asked for everything but the mesh itself (mutual-TLS reference §11.3
//! ST37; mesh/v1alpha1 `MeshConfig.tlsDefaults`, `meshMTLS`).

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::ClusterId;
use meshproof_resources::{MeshConfig, Spec};

use crate::Context;
use crate::hash::Set;

const ID: &str = "weak-mesh-tls";
const NEWEST: &str = "TLSV1_3";

/// Every place with settings of a cluster.
pub(crate) fn mesh_configs<'c>(
    ctx: &'c Context<'_>,
) -> impl Iterator<Item = (ClusterId, &'c meshproof_resources::Resource, &'c MeshConfig)> {
    ctx.mesh.resources.iter().enumerate().filter_map(|(at, resource)| match &resource.spec {
        Spec::MeshConfig(config) => Some((ctx.mesh.placement[at].0, resource, &**config)),
        _ => None,
    })
}

/// Runs the lint: one finding per place that asks for TLS 1.3 outside of the mesh alone.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let asks =
        |config: &MeshConfig| config.mesh_tls_version.as_ref().is_some_and(|version| version.value == NEWEST);
    // The parts of one installation may stand in several places.
    let asked: Set<ClusterId> =
        mesh_configs(ctx).filter(|(.., config)| asks(config)).map(|(cluster, ..)| cluster).collect();
    mesh_configs(ctx)
        .filter(|(cluster, ..)| !asked.contains(cluster))
        .filter_map(|(_, resource, config)| {
            let version = config.default_tls_version.as_ref().filter(|version| version.value == NEWEST)?;
            let message =
                "proxies still agree on TLS 1.2 among themselves: tlsDefaults does not count for mutual TLS of the mesh";
            let mut finding = Finding::new(
                ID,
                Level::Warning,
                Category::Hole,
                message,
                Label::new(version.span, "for gateways and DestinationRules only"),
            )
            .with_resource(resource.meta.resource_name())
            .with_confidence(Confidence::Medium)
            .with_help("set meshMTLS.minProtocolVersion to TLSV1_3 as well");
            if let Some(own) = &config.mesh_tls_version {
                finding = finding.with_related(own.span, "this is what proxies go by among themselves");
            }
            Some(finding)
        })
        .collect()
}
