//! Pods without a proxy, or with ztunnel in front of a sidecar without tunnels, whose settings name a Service, and init
//! containers that call before the sidecar of their pod is there (mutual-TLS reference §11.3, ST35).

use meshproof_diagnostics::{Finding, Level};
use meshproof_grammar::dry_run::DryRun;
use meshproof_ir::{Capture, Fact, Workload};
use meshproof_transport::Client;

use super::{Said, lost};
use crate::Context;
use crate::calls::first_line;
use crate::clients::is_settled_client;
use crate::proof::cluster_of;

/// With it istiod starts sidecars before every other init container (Istio 1.32, pilot/pkg/features).
const NATIVE_SIDECARS: &str = "ENABLE_NATIVE_SIDECARS";

pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for call in ctx.written_calls() {
        let client = ctx.mesh.workload(call.client);
        let sidecar = matches!(client.capture.known(), Some(Capture::Sidecar | Capture::SidecarHbone));
        let why = match client.capture.known() {
            _ if sidecar && call.is_early => {
                "an init container runs before the sidecar, unless sidecars are native"
            }
            Some(Capture::None) => "its pods have no proxy, so they send plaintext",
            Some(Capture::Ambient) => "its ztunnel has no tunnel to this sidecar, and sends plaintext",
            _ => continue,
        };
        let host = &ctx.clients().hosts[call.host as usize];
        let caller = match sidecar {
            true => Client::Plaintext(cluster_of(ctx, client)),
            false => Client::Workload(call.client),
        };
        let Some(lost) = lost(ctx, caller, host, call.port) else { continue };
        // Operators may put a proxy there, and a program with TLS of its own may have a certificate of the mesh.
        let is_sure = is_settled_client(ctx, client) && !call.is_tls && !ctx.has_operators(client.namespace);
        let level = match (sidecar, is_sure) {
            (true, _) => match early_level(ctx, client) {
                Some(level) => level,
                None => continue,
            },
            (false, true) => Level::Error,
            (false, false) => Level::Warning,
        };
        let said = Said {
            level,
            place: first_line(ctx, ctx.inner(call.text.span)),
            label: format!("names {}, which takes only mTLS", host.name),
            resource: ctx.resource(client.resource).meta.resource_name(),
            who: ctx.workload_name(client),
            from: ctx.workload_name(client),
            why: why.to_owned(),
            help: match sidecar {
                true => {
                    "let istiod use native sidecars (ENABLE_NATIVE_SIDECARS), or make the call from the main container"
                }
                false => {
                    "bring the caller into the mesh, or make the port PERMISSIVE with a PeerAuthentication for this one workload"
                }
            },
        };
        findings.extend(lost.finding(ctx, said));
    }
    findings
}

/// How grave a call before the sidecar is: nothing where sidecars are native, information where nobody says whether they are.
fn early_level(ctx: &Context<'_>, client: &Workload) -> Option<Level> {
    let settings = ctx.mesh.settings_of(cluster_of(ctx, client));
    match settings.feature(NATIVE_SIDECARS).and_then(Fact::known) {
        Some(value) if DryRun::parse(value).is_ok_and(|is_on| is_on.0) => None,
        Some(_) => Some(Level::Warning),
        None => Some(Level::Info),
    }
}
