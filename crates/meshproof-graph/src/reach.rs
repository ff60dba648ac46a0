//! `reach`: who reaches it, or what somebody reaches, in words.

use meshproof_explain::{Destination, PointKind, Subject, Unclear, account_named, workloads_named};
use meshproof_ir::{Identity, Mesh, WorkloadId};

use crate::graph::{Edge, Graph};
use crate::party::{Party, Told};
use crate::paths::Hop;
use crate::place::{Member, Place, PlaceId};

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReachQuestion {
    /// What this client reaches.
    pub from: Option<Subject>,
    /// Who reaches this workload, or this port of it.
    pub to: Option<Destination>,
    /// Over several hops.
    pub transitive: bool,
    /// How many callers of a class are named.
    pub names: usize,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reach {
    /// By what is reached.
    pub edges: Vec<ReachEdge>,
    /// Ways over several hops; only where they are asked for.
    pub paths: Vec<ReachPath>,
    /// What was asked for and nobody reaches.
    pub closed: Vec<Target>,
    /// What was assumed.
    pub notes: Vec<String>,
}

/// Something that is reached, or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// `namespace/name`.
    pub name: String,
    /// The port that policies see.
    pub port: u16,
    /// The host for which a waypoint is called.
    pub host: Option<String>,
    /// Its cluster, where several are read together.
    pub cluster: Option<String>,
}

/// That somebody reaches something.
#[derive(Clone, Debug, PartialEq)]
pub struct ReachEdge {
    /// What: equal workload ports are one.
    pub to: Vec<Target>,
    /// What stands there.
    pub kind: PointKind,
    /// Who, how, with which requests, and why.
    pub told: Told,
}

/// A way over several hops.
#[derive(Clone, Debug, PartialEq)]
pub struct ReachPath {
    /// From hop to hop.
    pub hops: Vec<ReachEdge>,
}

/// Several things in one display order.
fn targets(mesh: &Mesh, place: &Place, wanted: &dyn Fn(&Member) -> bool) -> Vec<Target> {
    let several = mesh.clusters.len() > 1;
    let cluster = mesh.clusters.get(place.cluster.index()).and_then(|cluster| cluster.name.clone());
    let of = |member: &Member| Target {
        name: member.name(mesh),
        port: member.port(),
        host: member.host().map(str::to_owned),
        cluster: cluster.clone().filter(|_| several),
    };
    let mut found: Vec<Target> = place.members.iter().filter(|member| wanted(member)).map(of).collect();
    found.sort();
    found
}

impl Graph<'_> {
    /// Answers a question.
    ///
    /// # Errors
    /// A name that the mesh does not know, with what was probably meant.
    pub fn reach(&self, question: &ReachQuestion) -> Result<Reach, Unclear> {
        let mut answer = Reach::default();
        let goal = question.to.as_ref().map(|to| self.goal(to)).transpose()?;
        let identity;
        let parties: Option<Vec<Party<'_>>> = match &question.from {
            None => None,
            Some(subject) => {
                identity = identity_of(self.mesh, subject)?;
                Some(self.parties(subject, identity.as_deref(), &mut answer.notes)?)
            }
        };
        let wanted = |member: &Member| {
            let Some((ids, port)) = &goal else { return true };
            let (Member::Workload(id, own) | Member::Gateway(id, own)) = member else { return false };
            ids.contains(id) && port.is_none_or(|port| port == *own)
        };
        let leads_there = |place: &Place| {
            let Some((ids, port)) = &goal else { return true };
            place.leads.iter().any(|(id, own)| ids.contains(id) && port.is_none_or(|port| port == *own))
        };
        let mut goals: Vec<PlaceId> = Vec::new();
        for (at, place) in self.places.iter().enumerate() {
            let id = PlaceId(at as u32);
            let here = targets(self.mesh, place, &wanted);
            let is_goal = !here.is_empty();
            // What sends on to it is told too.
            let here =
                if is_goal || !leads_there(place) { here } else { targets(self.mesh, place, &|_| true) };
            if here.is_empty() {
                continue;
            }
            if is_goal {
                goals.push(id);
            }
            if question.transitive {
                continue;
            }
            let before = answer.edges.len();
            let asked = (question.from.as_ref(), question.names);
            for edge in self.into_place(id) {
                answer.edges.extend(self.told_edge(edge, parties.as_deref(), &here, asked));
            }
            if before == answer.edges.len() && parties.is_none() && is_goal {
                answer.closed.extend(here);
            }
        }
        if question.transitive {
            self.paths(question, parties.as_deref(), &goals, &mut answer);
        }
        answer.closed.sort();
        answer.closed.dedup();
        answer.edges.sort_by(|one, other| one.to.cmp(&other.to));
        Ok(answer)
    }

    fn told_edge(
        &self,
        edge: &Edge,
        parties: Option<&[Party<'_>]>,
        to: &[Target],
        (from, names): (Option<&Subject>, usize),
    ) -> Option<ReachEdge> {
        let kind = self.place(edge.place).kind;
        let told = match parties {
            None if edge.foreign => return None,
            None => self.tell(edge, None, names, true),
            Some(parties) => parties
                .iter()
                .filter(|party| self.calls(edge, **party))
                .find_map(|party| self.tell(edge, Some(*party), names, true))
                .map(|told| as_asked(told, from)),
        };
        Some(ReachEdge { to: to.to_vec(), kind, told: told? })
    }

    fn paths(
        &self,
        question: &ReachQuestion,
        parties: Option<&[Party<'_>]>,
        goals: &[PlaceId],
        answer: &mut Reach,
    ) {
        let ways: Vec<Vec<Hop<'_>>> = match parties {
            Some(parties) => {
                let all = self.ways_from(parties);
                let is_wanted = |way: &Vec<Hop<'_>>| {
                    let last = way.last().map(|hop| self.edges[hop.edge].place);
                    question.to.is_none() || last.is_some_and(|last| goals.contains(&last))
                };
                all.into_iter().filter(is_wanted).collect()
            }
            None => self.ways_to(goals),
        };
        for way in ways {
            let told = |(at, hop): (usize, &Hop<'_>)| {
                let mut told = self.told_hop(hop, question.names)?;
                told.told = match (at, &question.from) {
                    (0, from) => as_asked(told.told, from.as_ref()),
                    _ => self.as_called_on(told.told, hop.by),
                };
                Some(told)
            };
            let hops: Option<Vec<ReachEdge>> = way.iter().enumerate().map(told).collect();
            answer.paths.extend(hops.map(|hops| ReachPath { hops }));
        }
    }

    fn told_hop(&self, hop: &Hop<'_>, names: usize) -> Option<ReachEdge> {
        let edge = &self.edges[hop.edge];
        let to = targets(self.mesh, self.place(edge.place), &|_| true);
        let told = self.tell(edge, Some(hop.by), names, true)?;
        Some(ReachEdge { to, kind: self.kind_at(hop.edge), told })
    }

    /// Behind the first hop it is a workload that calls, or a proxy.
    fn as_called_on(&self, mut told: Told, by: Party<'_>) -> Told {
        let name = match by {
            Party::Workload(id) => self.mesh.workload_display(id),
            Party::Waypoint(id) => self.mesh.gateway_display(id),
            _ => return told,
        };
        told.who.clone_from(&name);
        told.callers = vec![name.clone()];
        told.from = format!("workload:{name}");
        told.count = Some(1);
        told
    }

    fn goal(&self, to: &Destination) -> Result<(Vec<WorkloadId>, Option<u16>), Unclear> {
        let ids = workloads_named(self.mesh, &to.namespace, &to.name)?;
        if let Some(port) = to.port
            && !ids.iter().any(|id| !self.places_of(*id, port).is_empty())
        {
            let declared = |id: &WorkloadId| self.mesh.workload(*id).ports.iter().map(|port| port.number);
            let mut ports: Vec<String> = ids.iter().flat_map(declared).map(|port| port.to_string()).collect();
            ports.dedup();
            let hint = match ports.as_slice() {
                [] => "it declares no port".to_owned(),
                ports => format!("it has {}", ports.join(", ")),
            };
            let what = format!("{}/{} declares no port {port}", to.namespace, to.name);
            return Err(Unclear { what, hint: Some(hint) });
        }
        Ok((ids, to.port))
    }

    fn parties<'a>(
        &self,
        subject: &Subject,
        identity: Option<&'a str>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Party<'a>>, Unclear> {
        Ok(match subject {
            Subject::Workload { namespace, name } => {
                workloads_named(self.mesh, namespace, name)?.into_iter().map(Party::Workload).collect()
            }
            Subject::Account { namespace, account } => {
                let named = self.mesh.accounts_named(namespace, account);
                let workloads: Vec<WorkloadId> =
                    named.flat_map(|own| own.workloads.iter().copied()).collect();
                match (workloads.is_empty(), identity) {
                    (true, Some(identity)) => {
                        notes.push(format!(
                            "no workload of the input runs as {subject}; it is taken for one with a proxy"
                        ));
                        vec![Party::Identity(identity)]
                    }
                    _ => workloads.into_iter().map(Party::Workload).collect(),
                }
            }
            Subject::Identity(_) => identity.map(Party::Identity).into_iter().collect(),
            Subject::Plaintext(address) => {
                if address.is_some() {
                    notes.push(
                        "network policies are asked about an unknown address; explain takes one".to_owned(),
                    );
                }
                vec![Party::Outsider, Party::Internet]
            }
        })
    }
}

/// The caller is called as the question calls it.
fn as_asked(mut told: Told, from: Option<&Subject>) -> Told {
    if let Some(from) = from {
        told.who = from.to_string();
        told.from = from.to_string();
        told.callers = Vec::new();
        told.count = None;
    }
    told
}

/// The identity of a subject that is no workload.
fn identity_of(mesh: &Mesh, subject: &Subject) -> Result<Option<String>, Unclear> {
    Ok(match subject {
        Subject::Identity(principal) => Some(principal.clone()),
        Subject::Account { namespace, account } => {
            account_named(mesh, namespace, account)?;
            mesh.accounts_named(namespace, account).next().and_then(Identity::principal)
        }
        Subject::Workload { .. } | Subject::Plaintext(_) => None,
    })
}
