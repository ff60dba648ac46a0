//! From workload ports to classes of equal places.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;
use meshproof_explain::{PointKind, mode_doubt, point_kind};
use meshproof_ir::{Called, Identity, Layer, Mesh, WorkloadId};
use meshproof_network::{Class, Network};
use meshproof_transport::{
    Call, Client, EndpointAddress, Reception, Row, ServerClass, Table, Target, Transport,
};

use crate::classes::{Key, Lists};
use crate::clients::{Clients, ClientsId, Draft, Groups, Places};
use crate::effect::Effect;
use crate::place::{Member, Place, PlaceId};
use crate::waypoints::{Behind, WaypointKey, routed};

/// The classes while they are made.
pub(crate) struct Sorting<'a, 'm> {
    pub(crate) mesh: &'m Mesh,
    transport: &'a Transport<'m>,
    network: &'a Network<'m>,
    pub(crate) table: &'a Table,
    pub groups: Groups,
    pub standing: Places,
    pub places: Vec<Place>,
    classes: HashMap<Key, PlaceId, RandomState>,
    policies: Lists,
    requests: Lists,
    /// What somebody who is known by identity alone meets at a class of servers.
    bare: HashMap<ServerClass, Option<Effect>, RandomState>,
    /// Calls to waypoints: who goes there, and what is behind.
    pub(crate) waypoints: Vec<(WaypointKey, Behind)>,
    pub(crate) waypoint_at: HashMap<WaypointKey, usize, RandomState>,
    pub(crate) hosts: HashMap<&'m str, Called, RandomState>,
    /// Names that routes inside of the mesh are for, as they are written.
    pub(crate) routed: BTreeSet<&'m str>,
}

impl<'a, 'm> Sorting<'a, 'm> {
    pub fn new(transport: &'a Transport<'m>, network: &'a Network<'m>, table: &'a Table) -> Self {
        let mesh = transport.mesh();
        let mut hosts: HashMap<&'m str, Called, RandomState> = HashMap::default();
        for called in mesh.callable() {
            match called {
                Called::Service(id) => {
                    if let Some(host) = mesh.services[id.index()].fqdn.as_deref() {
                        hosts.entry(host).or_insert(called);
                    }
                }
                Called::ServiceEntry(id) => {
                    for host in mesh.service_entry(id).into_iter().flat_map(|entry| entry.hosts.iter()) {
                        hosts.entry(&host.value).or_insert(called);
                    }
                }
                _ => {}
            }
        }
        let mut standing = Places::new(&table.roster, mesh.workloads.len());
        let mut known: HashMap<usize, (), RandomState> = HashMap::default();
        for group in table.rows.iter().flat_map(|row| &row.groups) {
            let address = std::sync::Arc::as_ptr(&group.clients).addr();
            if known.insert(address, ()).is_none() {
                standing.learn(&table.roster, &group.clients);
            }
        }
        Sorting {
            mesh,
            transport,
            network,
            table,
            groups: Groups::default(),
            standing,
            places: Vec::new(),
            classes: HashMap::default(),
            policies: Lists::default(),
            requests: Lists::default(),
            bare: HashMap::default(),
            waypoints: Vec::new(),
            waypoint_at: HashMap::default(),
            hosts,
            routed: routed(mesh),
        }
    }

    /// Every row of the table, then the chains of waypoints.
    pub fn rows(&mut self) {
        for (at, row) in self.table.rows.iter().enumerate() {
            self.row(at, row);
        }
        for (key, (draft, behind)) in std::mem::take(&mut self.waypoints) {
            self.waypoint(key, draft, behind);
        }
    }

    fn row(&mut self, at: usize, row: &'a Row) {
        let (id, port) = (row.workload, row.port);
        let workload = self.mesh.workload(id);
        let kind = point_kind(self.mesh, id, port);
        let mut drafts: Vec<(Effect, Draft)> = Vec::new();
        for group in &row.groups {
            let reception = &group.reception;
            if let Some(waypoint) = reception.through {
                self.through(waypoint, group, (id, port), &mut drafts);
                continue;
            }
            let Some(effect) = self.effect(reception, kind) else { continue };
            draft(&mut drafts, effect).sets.push(group.clients.clone());
        }
        if let Some(effect) = self.bare(id, port, kind) {
            draft(&mut drafts, effect).more.elsewhere = true;
        }
        let mut doubts: Vec<String> = row.server.doubt.iter().cloned().collect();
        doubts.extend(mode_doubt(self.mesh, id, port));
        for filter in &workload.envoy_filters {
            let name = self.mesh.resource(*filter).meta.name();
            doubts.push(format!("EnvoyFilter {name} may change what the port takes"));
        }
        let place = Place {
            kind,
            members: vec![Member::Workload(id, port)],
            port,
            cluster: self.mesh.namespace(workload.namespace).cluster,
            policies: workload.policies.clone(),
            request_authentications: workload.request_authentications.clone(),
            arrivals: self.arrivals(drafts),
            doubts,
            row: Some(at),
            pods: Some(id),
            leads: Vec::new(),
            lists: (0, 0),
        };
        let network = (!self.network.is_empty()).then(|| self.network.class(id));
        self.add(place, network, None);
    }

    pub(crate) fn effect(&self, reception: &Reception, kind: PointKind) -> Option<Effect> {
        let effect = Effect::of(reception)?;
        Some(match kind {
            // No proxy looks inside.
            PointKind::NoProxy => Effect { is_http: None, ..effect },
            _ => effect,
        })
    }

    /// What a port takes from somebody who is known by identity alone.
    fn bare(&mut self, id: WorkloadId, port: u16, kind: PointKind) -> Option<Effect> {
        let class = self.transport.server_class(id, port);
        if let Some(known) = self.bare.get(&class) {
            return *known;
        }
        let cluster = self.mesh.namespace(self.mesh.workload(id).namespace).cluster;
        let domain = self.mesh.settings_of(cluster).trust_domain.known();
        let identity = Identity {
            trust_domain: Some(domain.cloned().unwrap_or_else(|| "cluster.local".to_owned())),
            namespace: Some("elsewhere".to_owned()),
            account: "somebody".to_owned(),
            namespaces: Vec::new(),
            objects: Vec::new(),
            workloads: Vec::new(),
        };
        let call = Call {
            client: Client::Identity(cluster, &identity),
            target: Target::Workload(id),
            port,
            subset: None,
            speaks: Layer::Http,
        };
        let outcome = self.transport.call(&call);
        let here = |endpoint: &meshproof_transport::EndpointOutcome| {
            endpoint.endpoint == EndpointAddress::Workload(id)
        };
        let effect = outcome.endpoints.into_iter().find(here).and_then(|endpoint| {
            let identified = endpoint.identity.is_some();
            let reception = Reception {
                sends: Some(endpoint.wire),
                result: endpoint.result,
                identified,
                through: None,
                client: Vec::new(),
                server: Vec::new(),
                unknown: Vec::new(),
            };
            self.effect(&reception, kind)
        });
        self.bare.insert(class, effect);
        effect
    }

    fn arrivals(&mut self, drafts: Vec<(Effect, Draft)>) -> Vec<(Effect, ClientsId)> {
        let mut arrivals: Vec<(Effect, ClientsId)> = drafts
            .into_iter()
            .map(|(effect, draft)| (effect, self.groups.of_draft(draft, &self.table.roster)))
            .collect();
        arrivals.sort_unstable();
        arrivals
    }

    /// Adds a place to its class.
    pub fn add(&mut self, mut place: Place, network: Option<Class>, own: Option<(bool, u32)>) -> PlaceId {
        let policies = self.policies.number(&place.policies);
        let request_authentications = self.requests.number(&place.request_authentications);
        place.lists = (policies, request_authentications);
        let key = Key {
            kind: place.kind,
            port: place.port,
            cluster: place.cluster,
            policies,
            request_authentications,
            network,
            doubts: place.doubts.clone(),
            arrivals: place.arrivals.clone(),
            own,
        };
        let next = PlaceId(self.places.len() as u32);
        let id = *self.classes.entry(key).or_insert(next);
        if id == next {
            self.places.push(place);
            return id;
        }
        let known = &mut self.places[id.0 as usize];
        known.members.extend(place.members);
        known.leads.extend(place.leads);
        id
    }

    /// What a host name means.
    pub fn called(&self, host: &str) -> Option<Called> {
        self.hosts.get(host).copied()
    }

    /// The group of these clients.
    pub fn group(&mut self, clients: Clients) -> ClientsId {
        self.groups.intern(clients)
    }
}

/// The draft of those who arrive in this way.
pub(crate) fn draft(drafts: &mut Vec<(Effect, Draft)>, effect: Effect) -> &mut Draft {
    let known = drafts.iter().position(|(known, _)| *known == effect);
    let at = known.unwrap_or_else(|| {
        drafts.push((effect, Draft::default()));
        drafts.len() - 1
    });
    &mut drafts[at].1
}
