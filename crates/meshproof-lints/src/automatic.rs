//! Calls that no DestinationRule decides: automatic mutual TLS, where it does not do what one takes it to do.

use meshproof_ir::{Fact, PortCapture, WorkloadId, WorkloadPort};
use meshproof_resources::{MtlsMode, Spec};
use meshproof_source::Span;
use meshproof_transport::{Outcome, Path};

use crate::Context;
use crate::calls::{is_lost, is_unencrypted};
use crate::clients::Host;

/// The label by which pods say whether they take mutual TLS.
pub(crate) const TLS_MODE: &str = "security.istio.io/tlsMode";
/// Clients looked at for a host that rules cover.
const TRIED: usize = 8;

/// A call by a client that follows no rule about TLS, and that fails or goes out as plaintext.
pub(crate) struct AutomaticCall {
    /// Index into the hosts of [`Clients`](crate::clients::Clients).
    pub(crate) host: u32,
    pub(crate) client: WorkloadId,
    pub(crate) outcome: Outcome,
}

/// One client per Service; those of its own namespace first.
pub(crate) fn find(ctx: &Context<'_>) -> Vec<AutomaticCall> {
    let clients = ctx.clients();
    let mut found = Vec::new();
    for (at, host) in clients.hosts.iter().enumerate().filter(|(_, host)| may_differ(ctx, host)) {
        let Some(client) = client(ctx, at, host) else { continue };
        for port in &host.ports {
            let outcome = clients.call(ctx, client, host, *port, None);
            let is_odd = |endpoint| is_lost(endpoint) || is_unencrypted(ctx, endpoint);
            // What a client does not know passes through as it is, whatever it would choose.
            let is_chosen = matches!(outcome.path, Path::Cluster | Path::OriginalDestination);
            if is_chosen && outcome.endpoints.iter().any(is_odd) {
                found.push(AutomaticCall { host: at as u32, client, outcome });
            }
        }
    }
    found
}

/// Where none of this holds, proxies meet each other with mutual TLS.
fn may_differ(ctx: &Context<'_>, host: &Host<'_>) -> bool {
    if host.workloads.is_empty() {
        return false;
    }
    let auto = &ctx.mesh.settings_of(host.cluster).auto_mtls;
    let headless = matches!(&ctx.resource(host.resource).spec, Spec::Service(spec) if spec.headless);
    let is_odd = |id: &WorkloadId| {
        let workload = ctx.mesh.workload(*id);
        let is_off = |mode: &Fact<MtlsMode>| mode.is(&MtlsMode::Disable);
        workload.labels.get(TLS_MODE).is_some()
            || workload.ports.iter().any(|port| is_off(&port.mode.mode) || goes_around(port).is_some())
    };
    let namespace = ctx.mesh.namespace_mode(host.namespace);
    !auto.is(&true)
        || headless
        || namespace.is_some_and(|mode| mode.mode.is(&MtlsMode::Disable))
        || host.workloads.iter().any(is_odd)
}

/// The text that keeps a port from the server's proxy: clients do not see it, and send mutual TLS all the same.
pub(crate) fn goes_around(port: &WorkloadPort) -> Option<Span> {
    match &port.capture {
        PortCapture::Excluded { by } => *by,
        PortCapture::Captured => None,
    }
}

/// Somebody who calls the host without any rule about TLS.
fn client(ctx: &Context<'_>, at: usize, host: &Host<'_>) -> Option<WorkloadId> {
    let clients = ctx.clients();
    let own = clients.samples.get(&host.namespace).into_iter().flatten();
    let others =
        clients.samples_in(host.cluster).iter().filter(|(namespace, _)| *namespace != host.namespace);
    let candidates = own.chain(others.map(|(_, sample)| sample)).filter(|sample| !sample.is_gateway);
    let mut candidates = candidates.filter_map(|sample| sample.other_than(host.workloads)).take(TRIED);
    if clients.rules_of_host[at].is_empty() {
        return candidates.next();
    }
    candidates.find(|client| {
        let followed = ctx.transport().rules_followed(*client, host.name);
        !followed.iter().any(|id| match &ctx.resource(*id).spec {
            Spec::DestinationRule(rule) => crate::calls::sets_tls(rule),
            _ => false,
        })
    })
}
