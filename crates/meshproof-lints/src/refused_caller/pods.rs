//! Pods without a proxy, or with ztunnel in front of a sidecar without tunnels, whose settings name a Service.

use meshproof_diagnostics::{Finding, Level};
use meshproof_ir::Capture;
use meshproof_transport::Client;

use super::{Said, lost};
use crate::Context;
use crate::calls::first_line;
use crate::clients::is_settled_client;

pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for call in ctx.written_calls() {
        let client = ctx.mesh.workload(call.client);
        let why = match client.capture.known() {
            Some(Capture::None) => "its pods have no proxy, so they send plaintext",
            Some(Capture::Ambient) => "its ztunnel has no tunnel to this sidecar, and sends plaintext",
            _ => continue,
        };
        let host = &ctx.clients().hosts[call.host as usize];
        let Some(lost) = lost(ctx, Client::Workload(call.client), host, call.port) else { continue };
        // Operators may put a proxy there, and a program with TLS of its own may have a certificate of the mesh.
        let is_sure = is_settled_client(ctx, client) && !call.is_tls && !ctx.has_operators(client.namespace);
        let said = Said {
            level: if is_sure { Level::Error } else { Level::Warning },
            place: first_line(ctx, ctx.inner(call.text.span)),
            label: format!("names {}, which takes only mTLS", host.name),
            resource: ctx.resource(client.resource).meta.resource_name(),
            who: ctx.workload_name(client),
            from: ctx.workload_name(client),
            why: why.to_owned(),
            help: "bring the caller into the mesh, or make the port PERMISSIVE with a PeerAuthentication for this one workload",
        };
        findings.extend(lost.finding(ctx, said));
    }
    findings
}
