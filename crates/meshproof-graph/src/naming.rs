//! Classes of callers by name.

use std::collections::BTreeMap;

use meshproof_explain::Outcome;
use meshproof_ir::WorkloadId;
use meshproof_space::{Test, Variable, words};
use meshproof_transport::ClientKind;

use crate::clients::Clients;
use crate::effect::Effect;
use crate::graph::{Graph, Who};

/// Groups of up to so many workloads are called by their names.
const FEW: usize = 2;

/// Somebody without an identity, in the cluster or outside; workloads that call around their proxy are no others.
pub(crate) const ANYBODY: &str = "anybody without mTLS";

impl Graph<'_> {
    /// Some of the workloads among the callers, and whether there are no others.
    pub(crate) fn some_callers(&self, who: &Who, most: usize) -> (Vec<WorkloadId>, bool) {
        let among = (self.clients(who.clients), &self.table.roster, &self.standing);
        if asks_for_identity(who) {
            let found = self.identities.meeting(&who.peers, among, &[], most);
            return (found.workloads, found.complete && !found.unnamed);
        }
        let mut workloads = among.0.workloads(&self.table.roster);
        let first: Vec<WorkloadId> = workloads.by_ref().take(most).collect();
        (first, workloads.next().is_none())
    }

    /// The workloads among the callers, the first ones by name, and how many they are, where they can be counted.
    pub fn callers(&self, who: &Who, names: usize) -> (Vec<String>, Option<usize>) {
        let clients = self.clients(who.clients);
        let (found, count) = match asks_for_identity(who) {
            true => {
                let (found, complete) = self.some_callers(who, usize::MAX);
                let count = found.len();
                (found, complete.then_some(count))
            }
            false => {
                let of_part = |at: &u32| self.table.roster.part(*at).workloads.len();
                (self.some_callers(who, names).0, Some(clients.parts.iter().map(of_part).sum()))
            }
        };
        let mut callers: Vec<String> =
            found.iter().take(names).map(|id| self.mesh.workload_display(*id)).collect();
        callers.sort();
        (callers, count)
    }

    /// Who, in words.
    pub fn who_words(&self, who: &Who, effect: &Effect) -> String {
        let clients = self.clients(who.clients);
        match (words::callers(&who.peers.clauses), effect.identified) {
            (Some(words), true) if clients.internet => {
                format!("{}: {words}", self.group_words(clients, effect))
            }
            (Some(words), true) => words,
            (Some(words), false) => format!("{} {words}", self.group_words(clients, effect)),
            (None, _) => self.group_words(clients, effect),
        }
    }

    /// As a command takes it, where there is such a form.
    pub(crate) fn as_subject(&self, who: &Who, effect: &Effect) -> String {
        let clients = self.clients(who.clients);
        if effect.identified
            && !clients.internet
            && let [clause] = who.peers.clauses.as_slice()
            && clause.none_of.is_empty()
            && clause.variable == Variable::Peer
            && clause
                .any_of
                .iter()
                .all(|test| matches!(test, Test::Principal(_) | Test::ServiceAccount { .. }))
            && let Some(words) = words::callers(&who.peers.clauses)
        {
            return words.replace("sa ", "");
        }
        if !effect.identified && clients.outsider && who.peers.is_anybody() {
            return "plaintext".to_owned();
        }
        self.who_words(who, effect)
    }

    /// Clients in words.
    fn group_words(&self, clients: &Clients, effect: &Effect) -> String {
        if clients.internet {
            let with = if effect.outcome == Outcome::Mtls { " with a client certificate" } else { "" };
            return format!("whoever reaches the gateway{with}");
        }
        // Whoever has a proxy can do without it too.
        if clients.outsider && !effect.identified {
            return ANYBODY.to_owned();
        }
        let mut kinds: BTreeMap<ClientKind, usize> = BTreeMap::new();
        for at in &clients.parts {
            let Some(kind) = self.standing.kind(*at) else { continue };
            *kinds.entry(kind).or_default() += self.table.roster.part(*at).workloads.len();
        }
        let mut said: Vec<String> = Vec::new();
        if clients.outsider {
            said.push("whoever has no proxy".to_owned());
        }
        let total: usize = kinds.values().sum();
        if total > 0 && total <= FEW {
            said.extend(clients.workloads(&self.table.roster).map(|id| self.mesh.workload_display(id)));
        } else if total > 0 {
            said.extend(kinds.iter().map(|(kind, count)| format!("{count} {}", kind.noun(*count))));
        }
        for id in &clients.waypoints {
            said.push(format!("waypoint {}", self.mesh.gateway_display(*id)));
        }
        if said.is_empty() {
            said.push(match effect.identified {
                true => "accounts that run elsewhere".to_owned(),
                false => "whoever has no proxy".to_owned(),
            });
        }
        said.join(", ")
    }
}

/// Whether it matters which identity a caller has.
pub(crate) fn asks_for_identity(who: &Who) -> bool {
    who.identified && who.peers.asks_for_identity()
}
