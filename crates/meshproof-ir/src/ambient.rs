//! What ztunnel makes of PeerAuthentications (Istio 1.32, serviceregistry/ambient/{policies,authorization,
//! workloads}.go): a DENY on connections without identity, which differs from the sidecar's rule in several stacks.

use std::collections::BTreeSet;

use meshproof_resources::{MtlsMode, PeerAuthentication};

use crate::ResourceId;

/// Where ztunnel refuses plaintext.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AmbientPeerAuthentication {
    /// Plaintext is refused on every port that is not in `open_ports`.
    pub strict: bool,
    /// Ports that take plaintext although `strict`.
    pub open_ports: BTreeSet<u16>,
    /// Ports that refuse plaintext although not `strict`.
    pub strict_ports: BTreeSet<u16>,
    /// The object whose port entries are meant to be converted for ztunnel.
    pub converted: Option<ResourceId>,
    /// The conversion yields nothing, so that the object is referenced and never enforced: every port takes plaintext.
    pub missing: bool,
}

impl AmbientPeerAuthentication {
    /// Whether plaintext to a port is refused.
    pub fn refuses_plaintext(&self, port: u16) -> bool {
        self.strict_ports.contains(&port) || (self.strict && !self.open_ports.contains(&port))
    }

    pub(crate) fn new(stack: Stack<'_>) -> Self {
        let mode = |policy: Option<&PeerAuthentication>| policy.map_or(MtlsMode::Unset, mode_of);
        let workload = stack.workload.map(|(_, policy)| policy);
        let own = mode(workload);
        let effective = [own, mode(stack.namespace), mode(stack.mesh)];
        let strict = effective.into_iter().find(|mode| *mode != MtlsMode::Unset) == Some(MtlsMode::Strict);
        let entries = || workload.into_iter().flat_map(|policy| &policy.port_level);
        let any = |wanted: &[MtlsMode]| entries().any(|(_, mode)| wanted.contains(&mode.value));
        let open = [MtlsMode::Permissive, MtlsMode::Disable];
        let referenced = match own {
            MtlsMode::Strict => any(&open),
            MtlsMode::Permissive | MtlsMode::Disable => any(&[MtlsMode::Strict]),
            MtlsMode::Unset if strict => any(&[MtlsMode::Permissive]),
            MtlsMode::Unset => any(&[MtlsMode::Strict]),
        };
        if !referenced {
            return AmbientPeerAuthentication { strict, ..Self::default() };
        }
        let namespace = stack.namespace_converting.map(mode_of);
        let mesh_strict = stack.mesh_converting.map(mode_of) == Some(MtlsMode::Strict);
        let inherits = matches!(namespace, None | Some(MtlsMode::Unset)) && mesh_strict;
        let namespace_strict = namespace == Some(MtlsMode::Strict);
        let already_strict =
            own == MtlsMode::Strict || (own == MtlsMode::Unset && namespace_strict) || inherits;
        let excepts = own == MtlsMode::Strict
            || (own == MtlsMode::Unset && (namespace_strict || (namespace.is_none() && mesh_strict)));
        let ports = |wanted: &[MtlsMode]| -> BTreeSet<u16> {
            entries().filter(|(_, mode)| wanted.contains(&mode.value)).map(|(port, _)| port.value).collect()
        };
        let strict_ports = if already_strict { BTreeSet::new() } else { ports(&[MtlsMode::Strict]) };
        let open_ports = if excepts { ports(&open) } else { BTreeSet::new() };
        AmbientPeerAuthentication {
            strict: !open_ports.is_empty(),
            missing: open_ports.is_empty() && strict_ports.is_empty(),
            open_ports,
            strict_ports,
            converted: stack.workload.map(|(id, _)| id),
        }
    }
}

/// The objects that decide for one workload. istiod picks the mode and converts port entries in two places, which do
/// not agree on objects with an empty selector.
pub(crate) struct Stack<'a> {
    pub(crate) mesh: Option<&'a PeerAuthentication>,
    pub(crate) mesh_converting: Option<&'a PeerAuthentication>,
    pub(crate) namespace: Option<&'a PeerAuthentication>,
    pub(crate) namespace_converting: Option<&'a PeerAuthentication>,
    pub(crate) workload: Option<(ResourceId, &'a PeerAuthentication)>,
}

fn mode_of(policy: &PeerAuthentication) -> MtlsMode {
    policy.mode.as_ref().map_or(MtlsMode::Unset, |mode| mode.value)
}
