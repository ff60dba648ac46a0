//! The table while it is made: each class of clients is asked what becomes of its calls to a port of a host.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use meshproof_ir::{Called, Fact, Layer, NamespaceId, ResourceId};
use meshproof_resources::Spec;

use super::Wanted;
use super::client_kind::ClientKind;
use super::client_set::Members;
use super::imports::Importers;
use super::receptions::{nothing_sent, receptions, unknown_sender};
use super::roster::{Callers, Roster};
use super::row::{Reception, Row, Via};
use super::rows::{Place, Rows};
use super::way::Way;
use crate::{Call, Client, Target, Transport};

/// The table while it is made.
pub(super) struct Asking<'a, 'm> {
    pub(super) transport: &'a Transport<'m>,
    pub(super) roster: &'a Roster,
    pub(super) callers: &'a Callers<'a>,
    pub(super) rows: Rows,
    /// Namespaces without a known name, which every host tells apart.
    pub(super) unnamed: Vec<NamespaceId>,
    pub(super) importers: Importers,
    /// Where sidecars know the address of the pods, by a headless Service.
    pub(super) known_addresses: HashSet<Place, RandomState>,
}

/// A port of a host, and the places behind it that have rows.
pub(super) struct HostPort<'h> {
    pub(super) host: &'h str,
    pub(super) number: u16,
    /// The object that clients without a namespace of their own are taken to mean.
    pub(super) called: Called,
    /// Sorted.
    pub(super) behind: Vec<Place>,
    /// VirtualServices may send calls on.
    pub(super) is_routed: bool,
}

impl<'a, 'm> Asking<'a, 'm> {
    pub(super) fn new(
        transport: &'a Transport<'m>,
        roster: &'a Roster,
        callers: &'a Callers<'a>,
        wanted: Wanted<'_>,
    ) -> Self {
        let mesh = transport.mesh();
        let unnamed = mesh.namespaces.iter().enumerate().filter(|(_, namespace)| namespace.name.is_none());
        let unnamed = unnamed.map(|(at, _)| NamespaceId(at as u32)).collect();
        let rows = Rows::new(mesh, wanted);
        let importers = Importers::new(transport, roster);
        Asking { transport, roster, callers, rows, unnamed, importers, known_addresses: HashSet::default() }
    }

    pub(super) fn finish(self) -> Vec<Row> {
        self.rows.finish(self.transport.mesh(), self.roster)
    }

    pub(super) fn ask(&mut self, port: &HostPort<'_>, kind: ClientKind, members: Members) {
        let via = Via::Host(port.host.to_owned(), port.number);
        if let Some(reception) = unknown_sender(kind) {
            for place in &port.behind {
                self.note(*place, &via, &members, reception.clone());
            }
            return;
        }
        let Some(asker) = self.roster.asker(&members, self.callers) else { return };
        if port.is_routed && kind == ClientKind::Sidecar && self.follow_routes(port, asker, &members) {
            return;
        }
        let (client, through) = match self.way(kind, port.called) {
            Way::Straight => (asker, None),
            Way::Through(id, span) => (Client::Waypoint(id), Some((id, span))),
            Way::Nowhere(reason) | Way::Unknown(reason) => {
                for place in &port.behind {
                    let reception = nothing_sent(Fact::Unknown(reason.clone()), Vec::new());
                    self.note(*place, &via, &members, reception);
                }
                return;
            }
        };
        let target = Target::Host(port.host);
        let call = Call { client, target, port: port.number, subset: None, speaks: Layer::Http };
        let outcome = self.transport.call(&call);
        let undated = self.undated(client, (port.host, port.number), None);
        for (place, mut reception) in receptions(outcome, &port.behind) {
            reception.unknown.extend(undated.clone());
            if let Some((id, span)) = through {
                self.send_through(&mut reception, id, span);
            }
            self.note(place, &via, &members, reception);
        }
    }

    /// Notes what becomes of calls that VirtualServices send on; nothing where they leave calls to the host as they are.
    fn follow_routes(&mut self, port: &HostPort<'_>, client: Client<'_>, members: &Members) -> bool {
        let Client::Workload(id) = client else { return false };
        let transport = self.transport;
        let profile = transport.clients.profile(id);
        let routed = transport.routed_for(profile, None, (port.host, port.number), Layer::Http);
        for to in &routed.destinations {
            let is_itself = (to.host.as_str(), to.port, &to.subset) == (port.host, port.number, &None);
            let called = (port.host.to_owned(), port.number);
            let via = match is_itself {
                true => Via::Host(called.0, called.1),
                false => Via::Routed { called, to: (to.host.clone(), to.port), subset: to.subset.clone() },
            };
            let objects = transport.registry.of_host(profile.scope.cluster, &to.host);
            let behind = self.leading(objects).remove(&to.port).unwrap_or_default();
            let subset = to.subset.as_deref();
            let call =
                Call { client, target: Target::Host(&to.host), port: to.port, subset, speaks: Layer::Http };
            let undated = self.undated(client, (&to.host, to.port), subset);
            for (place, mut reception) in receptions(transport.call(&call), &behind) {
                reception.unknown.extend(undated.clone());
                reception.client.insert(0, to.evidence.clone());
                self.note(place, &via, members, reception);
            }
        }
        !routed.destinations.is_empty() || routed.lost.is_some()
    }

    fn undated(&self, client: Client<'_>, at: (&str, u16), subset: Option<&str>) -> Option<String> {
        match client {
            Client::Workload(id) => self.transport.undated_rules(id, at, subset),
            _ => None,
        }
    }

    /// Notes an answer for clients of whom one was asked.
    pub(super) fn note(&mut self, place: Place, via: &Via, members: &Members, reception: Reception) {
        let names_sidecar = reception.client.iter().any(|evidence| self.is_sidecar(evidence.object));
        let and_alike = names_sidecar && self.roster.follows_several(self.transport, members);
        self.rows.add(place, via, members.clone(), (reception, and_alike));
    }

    /// Whether an object is a Sidecar, of which each namespace may have its own.
    pub(super) fn is_sidecar(&self, object: Option<ResourceId>) -> bool {
        object.is_some_and(|id| matches!(self.transport.mesh().resource(id).spec, Spec::Sidecar(_)))
    }
}
