//! From a row of the table to words.

use meshproof_ir::{ClusterId, Fact, Mesh, NoWaypoint, ResourceId};
use meshproof_network::Passage;
use meshproof_resources::Spec;
use meshproof_transport::{
    ClientKind, Delivery, Group, Reception, Roster, Row, ServedBy, ServerMode, Transport, Via, Wire,
};

use super::answer::{Because, TlsClients, TlsRow};
use super::clients::{Naming, Who};
use super::packets::{Packets, Passing, Share};
use crate::answer::{Evidence, Outcome};
use crate::server;

/// How a pod is called without a Service.
pub(super) const ADDRESS: &str = "address";
/// The port of tunnels.
const HBONE_PORT: u16 = 15008;

/// Everything that it takes to tell a row.
pub(super) struct Telling<'a> {
    pub(super) transport: &'a Transport<'a>,
    pub(super) roster: &'a Roster,
    pub(super) packets: Packets<'a>,
    pub(super) who: Naming<'a>,
}

impl Telling<'_> {
    /// One row.
    pub(super) fn row(&mut self, row: &Row) -> TlsRow {
        let mesh = self.transport.mesh();
        let is_ruled = matches!(row.server.mode, ServerMode::Mutual(_));
        let mut notes: Vec<Evidence> = row.served_by.iter().map(|served| waypoint(mesh, served)).collect();
        if let ServerMode::Unknown(reason) = &row.server.mode {
            notes.push(Evidence::new(reason.clone()));
        }
        if let Some(doubt) = &row.server.doubt {
            notes.push(Evidence::new(format!("it is not known whether a proxy stands before it: {doubt}")));
        }
        let mut clients: Vec<TlsClients> = Vec::new();
        for group in &row.groups {
            self.group(row, group, &mut clients);
        }
        // Ways in their order, and of each the largest group first.
        let mut ways: Vec<Vec<String>> = Vec::new();
        for group in &clients {
            if !ways.contains(&group.via) {
                ways.push(group.via.clone());
            }
        }
        clients.sort_by_key(|group| {
            (ways.iter().position(|via| *via == group.via), std::cmp::Reverse(group.count))
        });
        notes.extend(server::doubts(mesh, row.workload, row.port).map(Evidence::new));
        for filter in &mesh.workload(row.workload).envoy_filters {
            let text = format!("{} may change what the port takes", object(mesh, *filter));
            notes.push(Evidence::at(text, mesh.resource(*filter).meta.name_span()));
        }
        TlsRow {
            to: mesh.workload_display(row.workload),
            cluster: cluster(mesh, mesh.namespace(mesh.workload(row.workload).namespace).cluster),
            port: row.port,
            mode: row.server.mode.as_str().to_owned(),
            decided_by: row.server.decided_by.filter(|_| is_ruled).map(|id| object(mesh, id)),
            place: row.server.span,
            clients,
            notes,
            alike: Vec::new(),
        }
    }

    /// A group, or several where network policies tell its clients apart.
    fn group(&mut self, row: &Row, group: &Group, out: &mut Vec<TlsClients>) {
        let mesh = self.transport.mesh();
        let reception = &group.reception;
        let on_wire = |wire: Option<Wire>| match wire {
            Some(Wire::Hbone | Wire::HboneTls) => HBONE_PORT,
            _ => row.port,
        };
        let wire = reception.sends.as_ref().and_then(Fact::known).copied();
        let mut shares: Option<Vec<Share>> = None;
        if reception.sends.is_some() {
            let pods = reception.through.map(|id| mesh.gateway_pods(id).next());
            match pods {
                None => shares = self.packets.split(self.roster, &group.clients, row.workload, on_wire(wire)),
                // To the waypoint, and then on from it.
                Some(Some(pods)) => {
                    let on = self.packets.between(pods, row.workload, on_wire(wire));
                    if on.passage == Passage::Allowed {
                        shares = self.packets.split(self.roster, &group.clients, pods, HBONE_PORT);
                    } else {
                        let who = self.who.of_set(&group.clients);
                        out.push(self.clients(group, &who, Some(&on)));
                        return;
                    }
                }
                Some(None) => {}
            }
        }
        let Some(shares) = shares else {
            let who = self.who.of_set(&group.clients);
            out.push(self.clients(group, &who, None));
            return;
        };
        for share in shares {
            let who = self.who.of_share(&share.clients);
            let mut clients = self.clients(group, &who, Some(&share.passing));
            clients.and_alike |= share.and_alike;
            out.push(clients);
        }
    }

    fn clients(&self, group: &Group, who: &Who, passing: Option<&Passing>) -> TlsClients {
        let mesh = self.transport.mesh();
        let reception = &group.reception;
        let (mut outcome, mut reason) = outcome(reception);
        let mut because: Vec<Because> = reception.client.iter().map(|one| because_of(mesh, one)).collect();
        let mut unknown = reception.unknown.clone();
        if let Some(passing) = passing {
            let policies: Vec<Because> = passing
                .deciding
                .iter()
                .map(|deciding| Because {
                    text: match passing.passage {
                        Passage::Denied => "drops the packets".to_owned(),
                        _ => "has a say whether the packets pass".to_owned(),
                    },
                    object: Some(object(mesh, deciding.object)),
                    span: Some(deciding.span),
                })
                .collect();
            match passing.passage {
                Passage::Allowed => {}
                Passage::Denied => {
                    let names: Vec<&str> =
                        policies.iter().filter_map(|policy| policy.object.as_deref()).collect();
                    outcome = Outcome::Refused;
                    reason = Some(match names.as_slice() {
                        [] => passing.reason.clone(),
                        names => format!("dropped by {}", names.join(", ")),
                    });
                }
                Passage::Unknown => unknown.push(passing.reason.clone()),
            }
            because.extend(policies);
        }
        because.extend(reception.server.iter().map(|one| because_of(mesh, one)));
        let is_seen = reception.identified && outcome != Outcome::Refused;
        let identity = is_seen.then(|| match reception.through {
            Some(id) => self.transport.gateway_identity(id),
            None => Some(who.identity.clone().unwrap_or_else(|| "own".to_owned())),
        });
        TlsClients {
            who: who.in_words(),
            count: who.count(),
            names: who.listed(),
            via: group.via.iter().map(via).collect(),
            wire: reception.sends.as_ref().and_then(Fact::known).map(|wire| wire.as_str()),
            sends: sends(mesh, reception, who),
            outcome,
            reason,
            identity: identity.flatten(),
            because,
            and_alike: group.and_alike,
            unknown,
        }
    }
}

/// What becomes of it, and why where that is to be told.
fn outcome(reception: &Reception) -> (Outcome, Option<String>) {
    let wire = reception.sends.as_ref().and_then(Fact::known).copied();
    match &reception.result {
        Fact::Unknown(reason) => (Outcome::Unknown, Some(reason.clone())),
        Fact::Known(Delivery::Mutual(_), _) => (Outcome::Mtls, None),
        Fact::Known(Delivery::Unopened, _) => (Outcome::Tls, None),
        Fact::Known(Delivery::Plaintext(_) | Delivery::Application, _) => (Outcome::Plaintext, None),
        Fact::Known(Delivery::Refused(by), _) => (Outcome::Refused, Some(by.explanation(wire).to_owned())),
    }
}

/// What is sent and by whose decision, in few words.
fn sends(mesh: &Mesh, reception: &Reception, who: &Who) -> String {
    let rule = reception.client.iter().rev().find_map(|one| {
        let id = one.object?;
        matches!(mesh.resource(id).spec, Spec::DestinationRule(_)).then(|| object(mesh, id))
    });
    let by = |what: &str, otherwise: &str| match &rule {
        Some(rule) => format!("{what}, {rule}"),
        None => otherwise.to_owned(),
    };
    if let Some(id) = reception.through {
        return format!("through waypoint {}", mesh.gateway_display(id));
    }
    let Some(wire) = &reception.sends else { return "nothing".to_owned() };
    match wire.known() {
        None => "not known".to_owned(),
        Some(Wire::Plain) if who.is_all(ClientKind::NoProxy) => "plaintext, no proxy".to_owned(),
        Some(Wire::Plain) if who.is_all(ClientKind::Ambient) => "plaintext by ztunnel".to_owned(),
        Some(Wire::Plain) => by("plaintext", "plaintext"),
        Some(Wire::IstioMtls) => by("mTLS", "auto mTLS"),
        Some(Wire::Mtls) => by("TLS with a certificate of its own", "TLS with a certificate of its own"),
        Some(Wire::Tls) => by("TLS without client certificate", "TLS without client certificate"),
        Some(Wire::Hbone) => "HBONE".to_owned(),
        Some(Wire::HboneTls) => by("HBONE with TLS inside", "HBONE with TLS inside"),
    }
}

fn because_of(mesh: &Mesh, evidence: &meshproof_transport::Evidence) -> Because {
    Because {
        text: evidence.text.clone(),
        object: evidence.object.map(|id| object(mesh, id)),
        span: evidence.span,
    }
}

fn via(via: &Via) -> String {
    match via {
        Via::Host(host, port) => format!("{host}:{port}"),
        Via::Routed { called: (host, port), to, subset } => {
            let there = match (to.0 == *host, to.1 == *port) {
                (true, true) => String::new(),
                (true, false) => format!(" port {}", to.1),
                (false, _) => format!(" {}:{}", to.0, to.1),
            };
            let subset = subset.as_ref().map_or(String::new(), |subset| format!(" subset {subset}"));
            format!("{host}:{port} →{there}{subset}")
        }
        Via::Address => ADDRESS.to_owned(),
    }
}

/// The name of a cluster, where several are read together.
pub(super) fn cluster(mesh: &Mesh, id: ClusterId) -> Option<String> {
    let name = mesh.clusters.get(id.index())?.name.clone();
    name.filter(|_| mesh.clusters.len() > 1)
}

/// `Kind namespace/name`.
pub(super) fn object(mesh: &Mesh, id: ResourceId) -> String {
    let meta = &mesh.resource(id).meta;
    match mesh.placement[id.index()].1 {
        Some(namespace) => {
            format!("{} {}/{}", meta.kind.value, mesh.namespace_display(namespace), meta.name())
        }
        None => format!("{} {}", meta.kind.value, meta.name()),
    }
}

/// What a waypoint in front means for callers.
fn waypoint(mesh: &Mesh, served: &ServedBy) -> Evidence {
    let ServedBy { host, waypoint, for_ingress, span } = served;
    let text = match waypoint {
        Ok(id) => {
            let name = mesh.gateway_display(*id);
            let others = match for_ingress {
                true => "ambient clients and ingress gateways; sidecars go around it",
                false => "ambient clients; sidecars and ingress gateways go around it",
            };
            format!("{host} has waypoint {name} for {others}")
        }
        Err(NoWaypoint::NoSuchGateway { namespace, name }) => {
            let namespace = namespace.as_deref().unwrap_or(meshproof_ir::UNNAMED);
            format!(
                "{host} asks for waypoint {namespace}/{name}, which is not in the input: calls go past it"
            )
        }
        Err(NoWaypoint::AttachmentDenied(id)) => {
            let name = mesh.gateway_display(*id);
            format!(
                "waypoint {name} does not admit the namespace of {host} (allowedRoutes): calls go past it"
            )
        }
        Err(_) => format!("{host} asks for a waypoint in vain: calls go past it"),
    };
    Evidence { text, span: *span }
}
