//! STRICT in a namespace of which not all pods are in the mesh yet.

use std::collections::BTreeMap;

use meshproof_diagnostics::{Finding, Level};
use meshproof_ir::{Capture, NamespaceId, ResourceId, Workload, WorkloadId};
use meshproof_resources::MtlsMode;
use meshproof_transport::Client;

use super::{Said, lost};
use crate::Context;
use crate::context::captured_ports;
use crate::hash::Map;

/// Labels by which pods say what they are part of.
const APPS: &[&str] = &["app", "app.kubernetes.io/name"];

/// One finding per namespace and object that makes it STRICT.
pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut strict: BTreeMap<(NamespaceId, ResourceId), Vec<WorkloadId>> = BTreeMap::new();
    for (id, workload) in ctx.mesh.workloads_with_ids() {
        let is_strict = workload.mode.mode.is(&MtlsMode::Strict)
            && matches!(
                workload.capture.known(),
                Some(Capture::Sidecar | Capture::SidecarHbone | Capture::Ambient)
            );
        if let Some(by) = workload.mode.decided_by.filter(|_| is_strict) {
            strict.entry((workload.namespace, by)).or_default().push(id);
        }
    }
    let mut told = None;
    for ((namespace, by), servers) in &strict {
        // The object for the namespace as a whole says it; exceptions for single workloads do not say it again.
        if told == Some(*namespace) {
            continue;
        }
        if let Some(finding) = finding(ctx, *namespace, *by, servers) {
            told = Some(*namespace);
            findings.push(finding);
        }
    }
    findings
}

fn finding(
    ctx: &Context<'_>,
    namespace: NamespaceId,
    by: ResourceId,
    servers: &[WorkloadId],
) -> Option<Finding> {
    let members = &ctx.mesh.namespace(namespace).workloads;
    let outsiders: Vec<WorkloadId> =
        members.iter().copied().filter(|id| ctx.mesh.workload(*id).capture.is(&Capture::None)).collect();
    let first = *outsiders.first()?;
    let parts = Parts::new(ctx, servers);
    // Pods of one application that differ are a migration half done; others may have nothing to do with each other.
    let mixed = outsiders.iter().find_map(|id| Some((*id, parts.shared(ctx, *id)?)));
    let (outsider, level, server) = match mixed {
        Some((outsider, server)) => (outsider, Level::Warning, Some(server)),
        None => (first, Level::Info, None),
    };
    let callable =
        |id: &&WorkloadId| captured_ports(ctx.mesh.workload(**id)).any(|port| !port.bindings.is_empty());
    let candidates = server.iter().chain(servers.iter().filter(callable).take(4));
    let clients = ctx.clients();
    let lost = candidates.filter_map(|id| {
        let server = ctx.mesh.workload(*id);
        let binding = captured_ports(server).find_map(|port| port.bindings.first())?;
        let name = ctx.mesh.services[binding.service.index()].fqdn.as_deref()?;
        let host =
            &clients.hosts[clients.named(ctx.mesh.namespace(namespace).cluster, name).next()? as usize];
        let number = ctx.mesh.service_spec(binding.service)?.ports.get(binding.port)?.port.value;
        let port = host.ports.iter().find(|port| port.number == number)?;
        lost(ctx, Client::Workload(outsider), host, *port)
    });
    let lost = lost.into_iter().next()?;
    let mode = ctx.mesh.peer_authentication(by)?.mode.as_ref()?;
    let who = ctx.workload_name(ctx.mesh.workload(outsider));
    let rest = match outsiders.len() - 1 {
        0 => String::new(),
        1 => " (and one more of the namespace)".to_owned(),
        more => format!(" (and {more} more of the namespace)"),
    };
    let why = match level {
        Level::Warning => "its pods have no proxy, while others of the same application have one",
        _ => "its pods have no proxy, while others of the namespace have one",
    };
    let said = Said {
        level,
        place: mode.span,
        label: "refuses whoever is not in the mesh".to_owned(),
        resource: ctx.resource(by).meta.resource_name(),
        from: who.clone(),
        who: format!("{who}{rest}"),
        why: why.to_owned(),
        help: "use PERMISSIVE until every caller is in the mesh; if these pods call nobody here, suppress this with a reason",
    };
    let finding = lost.finding(ctx, said)?;
    Some(finding.with_related(ctx.workload_span(ctx.mesh.workload(outsider)), "not in the mesh"))
}

/// What servers are part of.
struct Parts<'c> {
    by_label: Map<(&'c str, &'c str), WorkloadId>,
    by_service: Map<ResourceId, WorkloadId>,
}

impl<'c> Parts<'c> {
    fn new(ctx: &Context<'c>, servers: &[WorkloadId]) -> Self {
        let mut parts = Parts { by_label: Map::default(), by_service: Map::default() };
        for id in servers {
            let workload: &'c Workload = ctx.mesh.workload(*id);
            for key in APPS {
                if let Some(app) = workload.labels.get(key) {
                    parts.by_label.entry((*key, app.value.as_str())).or_insert(*id);
                }
            }
            for service in
                workload.ports.iter().flat_map(|port| &port.bindings).map(|binding| binding.service)
            {
                parts.by_service.entry(ctx.mesh.services[service.index()].resource).or_insert(*id);
            }
        }
        parts
    }

    /// A server of the same application as a workload.
    fn shared(&self, ctx: &Context<'_>, id: WorkloadId) -> Option<WorkloadId> {
        let workload = ctx.mesh.workload(id);
        let by_label = APPS.iter().find_map(|key| {
            let app = workload.labels.get(key)?;
            self.by_label.get(&(*key, app.value.as_str())).copied()
        });
        by_label.or_else(|| {
            let bindings = workload.ports.iter().flat_map(|port| &port.bindings);
            bindings.into_iter().find_map(|binding| {
                self.by_service.get(&ctx.mesh.services[binding.service.index()].resource).copied()
            })
        })
    }
}
