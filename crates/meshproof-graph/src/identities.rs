//! From tests of identities to the workloads that have them, without looking at every workload for every test.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_grammar::pattern::Pattern;
use meshproof_ir::{Mesh, WorkloadId};
use meshproof_space::Test;
use meshproof_transport::Roster;

use crate::clients::{Clients, Places};
use crate::peers::{Peers, namespace_of};

/// Clients that are looked at before it counts as not known who meets the tests.
const MOST: usize = 4_096;

/// The identities of workloads.
#[derive(Debug)]
pub(crate) struct Identities {
    /// The principal of each workload, without scheme.
    principals: Vec<Option<String>>,
    /// Workloads by principal, sorted.
    sorted: Vec<WorkloadId>,
    /// Those whose account is not known.
    without: Vec<WorkloadId>,
    /// Those of them that are gateways whose pods are not in the input, with the namespaces where they are taken to run.
    presumed: HashMap<WorkloadId, String, RandomState>,
    of_namespace: HashMap<String, Vec<WorkloadId>, RandomState>,
    of_account: HashMap<(String, String), Vec<WorkloadId>, RandomState>,
}

/// Some clients that meet the tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub workloads: Vec<WorkloadId>,
    /// There are no others.
    pub complete: bool,
    /// The account of some client is not known, who may meet them.
    pub unnamed: bool,
}

impl Identities {
    pub fn new(mesh: &Mesh) -> Identities {
        let principals: Vec<Option<String>> = mesh
            .workloads_with_ids()
            .map(|(id, _)| mesh.identity_of(id).and_then(meshproof_ir::Identity::principal))
            .collect();
        let ids = mesh.workloads_with_ids().map(|(id, _)| id);
        let (mut sorted, without): (Vec<WorkloadId>, Vec<WorkloadId>) =
            ids.partition(|id| principals[id.index()].is_some());
        sorted.sort_by(|one, other| principals[one.index()].cmp(&principals[other.index()]));
        let mut of_namespace: HashMap<String, Vec<WorkloadId>, RandomState> = HashMap::default();
        let mut of_account: HashMap<(String, String), Vec<WorkloadId>, RandomState> = HashMap::default();
        for id in &sorted {
            let Some(principal) = &principals[id.index()] else { continue };
            let Some(namespace) = namespace_of(principal) else { continue };
            of_namespace.entry(namespace.to_owned()).or_default().push(*id);
            if let Some((_, account)) = principal.rsplit_once('/') {
                of_account.entry((namespace.to_owned(), account.to_owned())).or_default().push(*id);
            }
        }
        let presumed = without.iter().copied().filter(|id| mesh.is_presumed(*id));
        let home = |id: WorkloadId| mesh.namespace_display(mesh.workload(id).namespace).to_owned();
        let presumed = presumed.map(|id| (id, home(id))).collect();
        Identities { principals, sorted, without, presumed, of_namespace, of_account }
    }

    /// What a workload proves to be.
    pub fn principal(&self, id: WorkloadId) -> Option<&str> {
        self.principals.get(id.index())?.as_deref()
    }

    /// Clients of the group that meet the tests of identities, up to `most`, each with another list of answers to
    /// `told_apart`; without such tests the first `most`.
    pub fn meeting(
        &self,
        peers: &Peers,
        (clients, roster, places): (&Clients, &Roster, &Places),
        told_apart: &[&Peers],
        most: usize,
    ) -> Found {
        let mut found = Found { complete: true, ..Found::default() };
        let mut signatures: Vec<Vec<Vec<bool>>> = Vec::new();
        let mut looked_at = 0;
        let mut look = |id: WorkloadId| {
            looked_at += 1;
            let Some(principal) = self.principal(id) else {
                let is_anybody = told_apart.is_empty() && !peers.asks_for_identity();
                if is_anybody {
                    found.workloads.push(id);
                } else {
                    found.unnamed |= self.may_meet(id, peers);
                }
                return found.workloads.len() < most;
            };
            if !peers.admits(Some(principal)) {
                return looked_at < MOST;
            }
            if !told_apart.is_empty() {
                let signature: Vec<Vec<bool>> =
                    told_apart.iter().map(|peers| peers.signature(Some(principal))).collect();
                if signatures.contains(&signature) {
                    return looked_at < MOST;
                }
                signatures.push(signature);
            }
            found.workloads.push(id);
            found.workloads.len() < most && looked_at < MOST
        };
        let is_there = |id: &WorkloadId| places.part(*id).is_some_and(|part| clients.has_part(part));
        let ended = match peers.wanted().and_then(|tests| self.candidates(tests)) {
            Some(candidates) => candidates.into_iter().chain(self.unnamed()).filter(is_there).all(&mut look),
            None => clients.workloads(roster).all(&mut look),
        };
        found.complete = ended;
        found
    }

    /// Whether a workload meets the tests of identities, or may: nobody knows the account of a gateway whose pods are not in the
    /// input, which is taken for none that a workload of the input runs as.
    pub fn may_meet(&self, id: WorkloadId, peers: &Peers) -> bool {
        let principal = self.principal(id);
        let (None, Some(home)) = (principal, self.presumed.get(&id)) else {
            return principal.is_none() || peers.admits(principal);
        };
        let may_be = |test: &Test| self.is_of_nobody(test, Some(home)).unwrap_or(true);
        peers.wanted().is_none_or(|tests| tests.iter().any(may_be))
    }

    /// Whether the tests name somebody who is no workload of the input.
    pub fn names_others(&self, peers: &Peers) -> bool {
        let is_free = |test: &Test| match test {
            Test::Principal(Pattern::Prefix(text)) => self.starting_with(text, false).next().is_none(),
            _ => self.is_of_nobody(test, None).unwrap_or(self.sorted.is_empty()),
        };
        peers.wanted().map_or(self.sorted.is_empty(), |tests| tests.iter().any(is_free))
    }

    /// Whether a test names somebody whom no workload of the input runs as, or all of a namespace where none does or that is
    /// `home`; nothing where it names neither.
    fn is_of_nobody(&self, test: &Test, home: Option<&str>) -> Option<bool> {
        let is_empty = |name: &String| Some(name.as_str()) == home || !self.of_namespace.contains_key(name);
        Some(match test {
            Test::Absent => false,
            Test::Principal(Pattern::Exact(text)) => self.starting_with(text, true).next().is_none(),
            Test::ServiceAccount { namespace, name } => {
                !self.of_account.contains_key(&(namespace.clone(), name.clone()))
            }
            Test::NamespaceName(Pattern::Exact(name)) => is_empty(name),
            Test::Namespace(pattern) if !pattern.text.contains(['*', '/']) => is_empty(&pattern.text),
            _ => return None,
        })
    }

    /// The workloads that can meet one of the tests, in the order of the tests; nothing when these do not narrow it.
    fn candidates(&self, tests: &[Test]) -> Option<Vec<WorkloadId>> {
        let mut found: Vec<WorkloadId> = Vec::new();
        for test in tests {
            match test {
                Test::Absent => {}
                Test::Principal(Pattern::Exact(text)) => found.extend(self.starting_with(text, true)),
                Test::Principal(Pattern::Prefix(text)) => found.extend(self.starting_with(text, false)),
                Test::ServiceAccount { namespace, name } => {
                    let key = (namespace.clone(), name.clone());
                    found.extend(self.of_account.get(&key).into_iter().flatten());
                }
                Test::NamespaceName(Pattern::Exact(name)) => found.extend(self.of(name)),
                // Whatever the trust domain; the oddities of the name `ns` are looked for by everybody's name.
                Test::Namespace(pattern) if !pattern.text.contains(['*', '/']) && self.is_plain() => {
                    found.extend(self.of(&pattern.text));
                }
                _ => return None,
            }
        }
        Some(found)
    }

    /// Whether no namespace is called `ns`, in whose identities Envoy finds `/ns/` twice.
    fn is_plain(&self) -> bool {
        !self.of_namespace.contains_key("ns") && !self.of_namespace.contains_key("sa")
    }

    /// Workloads whose account is not known.
    fn unnamed(&self) -> impl Iterator<Item = WorkloadId> + '_ {
        self.without.iter().copied()
    }

    fn of(&self, namespace: &str) -> impl Iterator<Item = WorkloadId> + '_ {
        self.of_namespace.get(namespace).into_iter().flatten().copied()
    }

    fn starting_with(&self, text: &str, whole: bool) -> impl Iterator<Item = WorkloadId> + '_ {
        let name = |id: &WorkloadId| self.principals[id.index()].as_deref().unwrap_or_default();
        let start = self.sorted.partition_point(|id| name(id) < text);
        let fits = {
            let text = text.to_owned();
            move |id: &&WorkloadId| {
                let own = name(id);
                if whole { own == text } else { own.starts_with(&text) }
            }
        };
        self.sorted[start..].iter().take_while(fits).copied()
    }
}
