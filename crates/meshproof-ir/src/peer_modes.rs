//! PeerAuthentication modes of what is no workload: of namespaces as a whole, and of endpoints that ServiceEntries write
//! themselves. Clients ask for both (mutual-TLS reference §2.6).

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use meshproof_resources::{Resource, Spec, TextMap};

use crate::labels::LabelSet;
use crate::peer_authentication::{InForce, PeerAuthentications};
use crate::placement::Placement;
use crate::scopes::Scopes;
use crate::{EffectiveMode, Mesh, NamespaceId, ResourceId};

static NO_LABELS: TextMap = TextMap { key: None, entries: Vec::new() };

/// The mode of an endpoint, and those of ports with an entry of their own.
type Modes = (EffectiveMode, BTreeMap<u16, EffectiveMode>);

/// The modes by namespace, and by ServiceEntry and place in its `endpoints`.
#[derive(Debug, Default)]
pub(crate) struct PeerModes {
    namespaces: Vec<EffectiveMode>,
    endpoints: HashMap<(ResourceId, u32), Modes, RandomState>,
}

impl PeerModes {
    pub(crate) fn new<'a>(
        peers: &PeerAuthentications<'a>,
        resources: &'a [Resource],
        placement: &Placement,
        scopes: &Scopes,
    ) -> Self {
        let in_force = |place, labels: &'a TextMap| -> InForce {
            peers.in_force(place, scopes, &LabelSet::new(labels), &mut 0)
        };
        let ids = (0..placement.namespaces.len() as u32).map(NamespaceId);
        let of_namespace = |id: NamespaceId| {
            let cluster = placement.namespaces[id.index()].cluster;
            in_force((cluster, id), &NO_LABELS).mode
        };
        let mut modes =
            PeerModes { namespaces: ids.map(of_namespace).collect(), endpoints: HashMap::default() };
        for (id, cluster, namespace, resource) in
            placement.placed(&placement.kinds.service_entries, resources)
        {
            let Spec::ServiceEntry(entry) = &resource.spec else { continue };
            for (at, endpoint) in entry.endpoints.iter().enumerate() {
                let found = in_force((cluster, namespace), &endpoint.labels);
                modes.endpoints.insert((id, at as u32), (found.mode, found.ports));
            }
        }
        modes
    }
}

impl Mesh {
    /// The mode of a namespace for workloads that no PeerAuthentication selects.
    pub fn namespace_mode(&self, id: NamespaceId) -> Option<&EffectiveMode> {
        self.peer_modes.namespaces.get(id.index())
    }

    /// The mode of a port of an endpoint that a ServiceEntry writes, by its place in `endpoints`.
    pub fn endpoint_mode(&self, entry: ResourceId, endpoint: usize, port: u16) -> Option<&EffectiveMode> {
        let (mode, ports) = self.peer_modes.endpoints.get(&(entry, endpoint as u32))?;
        Some(ports.get(&port).unwrap_or(mode))
    }
}
