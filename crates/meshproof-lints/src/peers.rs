//! PeerAuthentications: which there are, and what they say of a port.

use meshproof_ir::{Capture, EffectiveMode, ResourceId, Workload, WorkloadPort};
use meshproof_resources::{MtlsMode, PeerAuthentication, Spec};

use crate::Context;

/// Every PeerAuthentication.
pub(crate) fn peer_authentications<'c>(
    ctx: &'c Context<'_>,
) -> impl Iterator<Item = (ResourceId, &'c PeerAuthentication)> {
    ctx.mesh.resources.iter().enumerate().filter_map(|(at, resource)| match &resource.spec {
        Spec::PeerAuthentication(policy) => Some((ResourceId(at as u32), &**policy)),
        _ => None,
    })
}

/// The workloads that a PeerAuthentication names; selectors count nothing in the root namespace.
pub(crate) fn selected<'c>(
    ctx: &'c Context<'_>,
    id: ResourceId,
    policy: &PeerAuthentication,
) -> Vec<&'c Workload> {
    let (Some(namespace), Some(selector)) = (ctx.namespace_of(id), &policy.selector) else {
        return Vec::new();
    };
    if !policy.selects_workloads() || ctx.is_root(namespace) {
        return Vec::new();
    }
    let found = ctx.labels.find(ctx.mesh, namespace, &selector.match_labels);
    found.into_iter().map(|id| &ctx.mesh.workloads[id.index()]).collect()
}

/// The labels that an object selects by, sorted.
pub(crate) fn selector_pairs(policy: &PeerAuthentication) -> Vec<(&str, &str)> {
    let entries = policy.selector.iter().flat_map(|selector| &selector.match_labels.entries);
    let mut pairs: Vec<(&str, &str)> =
        entries.map(|(key, value)| (key.value.as_str(), value.value.as_str())).collect();
    pairs.sort_unstable();
    pairs
}

/// What an object makes of its scope: the mode, and the ports that differ from it.
pub(crate) fn effect(policy: &PeerAuthentication) -> (MtlsMode, Vec<(u16, MtlsMode)>) {
    let mode = policy.mode.as_ref().map_or(MtlsMode::Unset, |mode| mode.value);
    let ports = policy.port_level.iter().map(|(port, entry)| (port.value, entry.value));
    let mut ports: Vec<(u16, MtlsMode)> =
        ports.filter(|(_, entry)| *entry != MtlsMode::Unset && *entry != mode).collect();
    ports.sort_unstable_by_key(|(port, _)| *port);
    (mode, ports)
}

/// Whether an object sets nothing; it still takes the place of others in its scope.
pub(crate) fn is_empty(policy: &PeerAuthentication) -> bool {
    effect(policy) == (MtlsMode::Unset, Vec::new())
}

/// Its ports are subject to PeerAuthentication.
pub(crate) fn is_protected(workload: &Workload) -> bool {
    matches!(workload.capture.known(), Some(Capture::Sidecar | Capture::SidecarHbone | Capture::Ambient))
}

/// Whether a port is known to take plaintext.
pub(crate) fn takes_plaintext(port: &WorkloadPort) -> bool {
    matches!(port.mode.mode.known(), Some(MtlsMode::Permissive | MtlsMode::Disable))
}

/// What the objects say of a port, whatever the proxy in front of it makes of that: ztunnel follows them less closely
/// than sidecars do. None when it is not known.
pub(crate) fn written_mode(ctx: &Context<'_>, port: u16, mode: &EffectiveMode) -> Option<MtlsMode> {
    mode.mode.known()?;
    let Some(policy) = mode.decided_by.and_then(|id| ctx.mesh.peer_authentication(id)) else {
        return Some(MtlsMode::Permissive);
    };
    let entry = policy.port_level.iter().find(|(number, _)| number.value == port);
    let entry = entry.map(|(_, mode)| mode.value).filter(|mode| *mode != MtlsMode::Unset);
    entry.or_else(|| policy.mode.as_ref().map(|mode| mode.value))
}
