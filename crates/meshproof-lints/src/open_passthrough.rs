//! `open-passthrough`: east-west gateways that pass calls to every service of the mesh (mutual-TLS reference §7,
//! §11.3 ST23).

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::{ClusterId, Mesh, Workload, WorkloadPort};
use meshproof_resources::{MtlsMode, Server, ServerTlsMode, Spec, Text};

use crate::Context;
use crate::hash::Map;
use crate::peers::is_protected;

const ID: &str = "open-passthrough";
/// Hosts that stand for every service.
const EVERY: [&str; 3] = ["*", "*.local", "*.svc.cluster.local"];

/// Runs the lint: one finding per server, where any workload relies on nothing but the address of its callers.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut open: Map<ClusterId, Option<&Workload>> = Map::default();
    let gateways = ctx.mesh.resources.iter().enumerate().filter_map(|(at, resource)| match &resource.spec {
        Spec::Gateway(gateway) => Some((at, resource, gateway)),
        _ => None,
    });
    let servers = gateways
        .flat_map(|(at, resource, gateway)| gateway.servers.iter().map(move |server| (at, resource, server)));
    servers.filter_map(|(at, resource, server)| {
        let host = every_host(server)?;
        let cluster = ctx.mesh.placement[at].0;
        let open = (*open.entry(cluster).or_insert_with(|| unguarded(ctx.mesh, cluster)))?;
        let name = resource.meta.resource_name();
        let message = format!(
            "{name} passes calls from other networks to every service; no policy restricts {}, for one",
            ctx.workload_name(open)
        );
        Some(Finding::new(ID, Level::Info, Category::Hole, message, Label::new(host.span, "every service of the mesh"))
            .with_resource(name)
            .with_confidence(Confidence::Low)
            .with_related(ctx.workload_span(open), "whoever has an identity of the mesh gets in")
            .with_help("list the hosts that other networks need, or close namespaces by default and name the callers of each workload"))
    })
    .collect()
}

fn every_host(server: &Server) -> Option<&Text> {
    let mode = server.tls.as_ref()?.mode.as_ref()?;
    let host = |host: &&Text| EVERY.contains(&host.value.rsplit('/').next().unwrap_or_default());
    server.hosts.iter().find(host).filter(|_| mode.value == ServerTlsMode::AutoPassthrough)
}

/// A workload that mesh identities reach without a policy.
fn unguarded(mesh: &Mesh, cluster: ClusterId) -> Option<&Workload> {
    let takes_mtls = |port: &WorkloadPort| {
        !port.bindings.is_empty() && port.mode.mode.known().is_some_and(|mode| *mode != MtlsMode::Disable)
    };
    mesh.workloads.iter().find(|workload| {
        mesh.namespace(workload.namespace).cluster == cluster
            && is_protected(workload)
            && workload.policies.is_empty()
            && workload.ports.iter().any(takes_mtls)
    })
}
