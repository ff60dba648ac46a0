//! `ignored-listener-tls`: TLS of a Sidecar's own for a port where PeerAuthentication decides (mutual-TLS reference
//! §1.6, §11.3 ST32).

use std::collections::BTreeMap;

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_grammar::dry_run::DryRun;
use meshproof_ir::{ClusterId, ResourceId, Workload};
use meshproof_resources::{IngressListener, MtlsMode, ServerTls, Spec};

use crate::Context;
use crate::proof::cluster_of;

const ID: &str = "ignored-listener-tls";
/// Without it istiod never reads this TLS (Istio 1.32, pilot/pkg/features).
const FLAG: &str = "ENABLE_TLS_ON_SIDECAR_INGRESS";

/// Why the TLS is not read.
#[derive(Clone, Copy)]
enum Why {
    /// The port has a mode other than DISABLE.
    Mode(MtlsMode),
    /// The feature is off, as it is by default.
    Feature,
}

/// Runs the lint: one finding per listener.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut found: BTreeMap<(ResourceId, usize), Finding> = BTreeMap::new();
    for workload in &ctx.mesh.workloads {
        let Some(id) = workload.sidecar else { continue };
        let Spec::Sidecar(sidecar) = &ctx.resource(id).spec else { continue };
        for (at, listener) in sidecar.ingress.iter().enumerate() {
            if let Some(tls) = &listener.tls
                && !found.contains_key(&(id, at))
                && let Some(finding) = at_listener(ctx, workload, id, (listener, tls))
            {
                found.insert((id, at), finding);
            }
        }
    }
    found.into_values().collect()
}

fn at_listener(
    ctx: &Context<'_>,
    workload: &Workload,
    id: ResourceId,
    (listener, tls): (&IngressListener, &ServerTls),
) -> Option<Finding> {
    let number = listener.port.as_ref()?.number.as_ref()?.value;
    let port = workload.ports.iter().find(|port| port.number == number);
    let mode = port.map_or(&workload.mode, |port| &port.mode);
    let why = match mode.mode.known()? {
        MtlsMode::Disable if is_on(ctx, cluster_of(ctx, workload)) => return None,
        MtlsMode::Disable => Why::Feature,
        mode => Why::Mode(*mode),
    };
    let name = ctx.resource(id).meta.resource_name();
    let pods = ctx.workload_name(workload);
    let (message, category, help) = match why {
        Why::Mode(mode) => (
            format!(
                "{name} ends no TLS of its own at {pods}:{number}: the port is {}, and then proxies speak TLS of the mesh only",
                mode.as_str()
            ),
            Category::Dead,
            "set the port to DISABLE in a PeerAuthentication with `portLevelMtls`, and turn on ENABLE_TLS_ON_SIDECAR_INGRESS in istiod; or leave `tls` out",
        ),
        Why::Feature => (
            format!(
                "{pods}:{number} takes plaintext: istiod does not read `tls` of {name}, as ENABLE_TLS_ON_SIDECAR_INGRESS is not on"
            ),
            Category::Hole,
            "turn on ENABLE_TLS_ON_SIDECAR_INGRESS in istiod, or take DISABLE away from the port",
        ),
    };
    let place = tls.mode.as_ref().map_or(tls.span, |mode| mode.span);
    let mut finding =
        Finding::new(ID, Level::Warning, category, message, Label::new(place, "this is not read"))
            .with_resource(name)
            .with_confidence(Confidence::Medium)
            .with_related(ctx.workload_span(workload), "these pods, for one")
            .with_help(help);
    if let Some(span) = mode.mode.span() {
        finding = finding.with_related(span, "the mode of the port");
    }
    Some(finding)
}

fn is_on(ctx: &Context<'_>, cluster: ClusterId) -> bool {
    match ctx.mesh.settings_of(cluster).feature(FLAG).map(|flag| flag.known()) {
        None => false,
        // Where the input contradicts itself it may be on.
        Some(None) => true,
        Some(Some(value)) => DryRun::parse(value).is_ok_and(|flag| flag.0),
    }
}
