//! `disabled-mtls`: a PeerAuthentication that takes mutual TLS away from proxies that could speak it (mutual-TLS reference
//! §2.6, §11.1 PA02).

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::{Capture, ResourceId, Workload};
use meshproof_resources::MtlsMode;

use crate::Context;
use crate::context::captured_ports;
use crate::hash::Map;
use crate::peers::peer_authentications;

const ID: &str = "disabled-mtls";

/// Runs the lint: one finding per object. Entries for single ports are exceptions, of which `permissive-mtls` tells.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut off: Map<ResourceId, (&Workload, usize)> = Map::default();
    for workload in &ctx.mesh.workloads {
        // ztunnel takes DISABLE for PERMISSIVE, which `ambient-mtls-mismatch` tells.
        let has_sidecar = matches!(workload.capture.known(), Some(Capture::Sidecar | Capture::SidecarHbone));
        if !has_sidecar || !workload.mode.mode.is(&MtlsMode::Disable) {
            continue;
        }
        let is_called = captured_ports(workload)
            .any(|port| port.mode.mode.is(&MtlsMode::Disable) && !port.bindings.is_empty());
        if let Some(by) = workload.mode.decided_by.filter(|_| is_called) {
            off.entry(by).or_insert((workload, 0)).1 += 1;
        }
    }
    peer_authentications(ctx)
        .filter_map(|(id, policy)| {
            let (workload, count) = off.get(&id)?;
            let mode = policy.mode.as_ref()?;
            let name = ctx.resource(id).meta.resource_name();
            let rest = match count - 1 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let message = format!(
                "{name} turns mTLS off for {}{rest}: clients in the mesh send plaintext, and no identity arrives",
                ctx.workload_name(workload)
            );
            let label = Label::new(mode.span, "not even proxies that could use mTLS do");
            Some(
                Finding::new(ID, Level::Warning, Category::Hole, message, label)
                    .with_resource(name)
                    .with_confidence(Confidence::High)
                    .with_related(ctx.workload_span(workload), "called in plaintext")
                    .with_help("write PERMISSIVE: it takes the same plaintext, and proxies use mTLS between them"),
            )
        })
        .collect()
}
