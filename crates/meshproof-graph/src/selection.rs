//! Whom and what a question is about.

use meshproof_explain::{Asked, Destination, Subject, Unclear, in_cluster, workloads_named};
use meshproof_ir::{Identity, Mesh, WorkloadId};

use crate::graph::{Edge, Graph};
use crate::party::Party;
use crate::place::{Member, Place};
use crate::principal::Principal;
use crate::tokens::Bearer;

/// Whose calls are meant, and to what; all of it where nothing is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// What this client reaches, or whoever holds this token.
    pub from: Option<Principal>,
    /// The cluster of the client.
    pub from_cluster: Option<String>,
    /// Who reaches this workload, or this port of it.
    pub to: Option<Destination>,
    /// The cluster of the workload.
    pub to_cluster: Option<String>,
    /// Only where rules ask for a token that this one meets.
    pub token: Option<Bearer>,
}

impl Scope {
    /// Whether everything is meant.
    pub fn is_everything(&self) -> bool {
        self.from.is_none() && self.to.is_none() && self.token.is_none()
    }

    /// Who sends, where that is asked.
    pub(crate) fn sender(&self) -> Option<&Subject> {
        self.from.as_ref().and_then(|from| match from {
            Principal::Sender(subject) => Some(subject),
            Principal::Bearer(_) => None,
        })
    }

    /// Whose token is asked about.
    fn bearer(&self) -> Result<Option<&Bearer>, Unclear> {
        let named = self.from.as_ref().and_then(|from| match from {
            Principal::Sender(_) => None,
            Principal::Bearer(bearer) => Some(bearer),
        });
        let unclear =
            |what: &str, hint: &str| Err(Unclear { what: what.to_owned(), hint: Some(hint.to_owned()) });
        match (named, &self.token) {
            (Some(_), Some(_)) => unclear("two tokens are named", "a request carries one"),
            (Some(_), None) if self.from_cluster.is_some() => {
                unclear("a token is of no cluster", "name a service account or a workload:NAMESPACE/NAME")
            }
            (named, token) => Ok(named.or(token.as_ref())),
        }
    }
}

/// A scope as the mesh knows it.
pub(crate) struct Selection {
    callers: Option<Callers>,
    goal: Option<(Vec<WorkloadId>, Option<u16>)>,
    token: Option<Bearer>,
}

enum Callers {
    Workloads(Vec<WorkloadId>),
    Outsiders,
    /// An account that no workload of the input runs as; nothing where its trust domain is not known.
    Identity(Option<String>),
}

impl Selection {
    /// Looks the names up. What was taken for granted goes to `notes`.
    pub fn of(mesh: &Mesh, scope: &Scope, notes: &mut Vec<String>) -> Result<Selection, Unclear> {
        let token = scope.bearer()?.cloned();
        let callers = match scope.sender() {
            None => None,
            Some(from) => Some(match Asked::of(mesh, from, scope.from_cluster.as_deref(), notes)? {
                Asked::Workloads(ids) => Callers::Workloads(ids),
                Asked::Plaintext => Callers::Outsiders,
                Asked::Identity(identity) => Callers::Identity(Identity::principal(&identity)),
            }),
        };
        if let Some(Subject::Plaintext(Some(_))) = scope.sender() {
            notes.push("network policies are asked about an unknown address; explain takes one".to_owned());
        }
        let goal = |to: &Destination| {
            let found = workloads_named(mesh, &to.namespace, &to.name)?;
            let ids = in_cluster(mesh, found, scope.to_cluster.as_deref(), &to.to_string())?;
            Ok((ids, to.port))
        };
        Ok(Selection { callers, goal: scope.to.as_ref().map(goal).transpose()?, token })
    }

    /// Those who call; nothing where everybody is meant.
    pub fn parties(&self) -> Option<Vec<Party<'_>>> {
        self.callers.as_ref().map(|callers| match callers {
            Callers::Workloads(ids) => ids.iter().copied().map(Party::Workload).collect(),
            Callers::Outsiders => vec![Party::Outsider, Party::Internet],
            Callers::Identity(identity) => identity.as_deref().map(Party::Identity).into_iter().collect(),
        })
    }

    /// The token that the question names.
    pub fn bearer(&self) -> Option<&Bearer> {
        self.token.as_ref()
    }

    /// Whether a member of a class is asked about.
    pub fn is_wanted(&self, member: &Member) -> bool {
        let Some((ids, port)) = &self.goal else { return true };
        let (Member::Workload(id, own) | Member::Gateway(id, own)) = member else { return false };
        ids.contains(id) && port.is_none_or(|port| port == *own)
    }

    /// Whether a proxy sends on to what is asked about.
    pub fn leads_there(&self, place: &Place) -> bool {
        let Some((ids, port)) = &self.goal else { return true };
        place.leads.iter().any(|lead| ids.contains(&lead.to.0) && port.is_none_or(|port| port == lead.to.1))
    }
}

impl Graph<'_> {
    /// Whether the rules of an edge ask for a token that the question names; true where it names none.
    pub(crate) fn is_borne(&self, edge: &Edge, selection: &Selection) -> bool {
        selection
            .bearer()
            .is_none_or(|bearer| edge.tokens.iter().any(|token| bearer.is_one_of(self.token(*token))))
    }

    /// Looks up what a scope names, and whether the port that is asked about is there.
    pub(crate) fn select(&self, scope: &Scope, notes: &mut Vec<String>) -> Result<Selection, Unclear> {
        let selection = Selection::of(self.mesh, scope, notes)?;
        if let (Some((ids, Some(port))), Some(to)) = (&selection.goal, &scope.to)
            && !ids.iter().any(|id| !self.places_of(*id, *port).is_empty())
        {
            let declared = |id: &WorkloadId| self.mesh.workload(*id).ports.iter().map(|port| port.number);
            let mut ports: Vec<String> = ids.iter().flat_map(declared).map(|port| port.to_string()).collect();
            ports.dedup();
            let hint = match ports.as_slice() {
                [] => "it declares no port".to_owned(),
                ports => format!("it has {}", ports.join(", ")),
            };
            let what = match ids.iter().flat_map(declared).any(|own| own == *port) {
                true => {
                    format!("nothing listens on the declared port {port} of {}/{}", to.namespace, to.name)
                }
                false => format!("{}/{} declares no port {port}", to.namespace, to.name),
            };
            return Err(Unclear { what, hint: Some(hint) });
        }
        Ok(selection)
    }

    /// The first of these who is among the callers of an edge.
    pub(crate) fn calling<'p, 'a>(
        &'p self,
        edge: &'p Edge,
        parties: &'p [Party<'a>],
    ) -> impl Iterator<Item = Party<'a>> {
        parties.iter().copied().filter(|party| self.calls(edge, *party))
    }
}
