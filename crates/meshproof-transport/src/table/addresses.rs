//! Asks about calls to the addresses of pods, around every Service.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_ir::{Called, ClusterId, Fact, Layer};

use super::asking::Asking;
use super::client_kind::ClientKind;
use super::client_set::Members;
use super::receptions::receptions;
use crate::{Call, Client, Target};

/// Clients that get the same answers at the address of any pod.
struct AddressClass {
    cluster: ClusterId,
    kind: ClientKind,
    asker: Members,
    kinds: Vec<u32>,
}

/// What tells them apart: how they send, and whether their proxies pass through what they do not know; with annotations
/// about what goes around the proxy, a kind stands for itself.
type Key = (ClusterId, ClientKind, Option<bool>, Option<u32>);

impl Asking<'_, '_> {
    /// Asks about the addresses of the pods of every row. Gateways and waypoints do not call there by themselves.
    pub(super) fn addresses(&mut self) {
        let classes = self.address_classes();
        let mesh = self.transport.mesh();
        for (id, port) in self.rows.places() {
            let cluster = mesh.namespace(mesh.workload(id).namespace).cluster;
            let waypoint = match mesh.waypoint_of(Called::Workload(id)) {
                Fact::Known(binding, origin) => {
                    binding.waypoint.ok().map(|waypoint| (waypoint, origin.span()))
                }
                Fact::Unknown(_) => None,
            };
            for class in classes.iter().filter(|class| class.cluster == cluster) {
                let is_known = self.known_addresses.contains(&(id, port));
                if class.kind == ClientKind::Sidecar && is_known {
                    continue;
                }
                let Some(asker) = self.roster.asker(&class.asker, self.callers) else { continue };
                let through = waypoint.filter(|_| class.kind == ClientKind::Ambient);
                let client = through.map_or(asker, |(waypoint, _)| Client::Waypoint(waypoint));
                let target = Target::Workload(id);
                let outcome =
                    self.transport.call(&Call { client, target, port, subset: None, speaks: Layer::Http });
                let Some((place, mut reception)) = receptions(outcome, &[(id, port)]).pop() else { continue };
                if let Some((waypoint, span)) = through {
                    self.send_through(&mut reception, waypoint, span);
                }
                let mut and_alike = false;
                if class.kinds.len() > 1 || self.roster.follows_several(self.transport, &class.asker) {
                    // The default says it for all of them, not the Sidecar object of the one that was asked.
                    for evidence in &mut reception.client {
                        evidence.object = evidence.object.filter(|_| evidence.span.is_some());
                        and_alike |= self.is_sidecar(evidence.object);
                    }
                }
                self.rows.add_address(place, &class.kinds, (reception, and_alike));
            }
        }
    }

    fn address_classes(&self) -> Vec<AddressClass> {
        let mut known: HashMap<Key, usize, RandomState> = HashMap::default();
        let mut classes: Vec<AddressClass> = Vec::new();
        for (at, kind) in self.roster.kinds.iter().enumerate() {
            if matches!(kind.kind, ClientKind::Gateway | ClientKind::Waypoint | ClientKind::Unknown) {
                continue;
            }
            let at = at as u32;
            let members = self.roster.everybody(at);
            let mut key: Key = (kind.cluster, kind.kind, None, None);
            if let (ClientKind::Sidecar, Some(Client::Workload(id))) =
                (kind.kind, self.roster.asker(&members, self.callers))
            {
                let profile = self.transport.clients.profile(id);
                key.2 = self.transport.passes_unknown(profile).known().copied();
                key.3 = (!profile.outbound.takes_everything()).then_some(at);
            }
            let next = classes.len();
            let class = *known.entry(key).or_insert(next);
            if class == next {
                let cluster = kind.cluster;
                classes.push(AddressClass { cluster, kind: kind.kind, asker: members, kinds: Vec::new() });
            }
            classes[class].kinds.push(at);
        }
        classes
    }
}
