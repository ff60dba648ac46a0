//! Groups of clients by name.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use meshproof_ir::{Identity, Mesh, WorkloadId};
use meshproof_transport::{ClientKind, ClientSet, Part, Roster};

use super::rows::cluster;

/// The name of somebody without a proxy.
const OUTSIDER: &str = "plaintext";
/// Groups of up to so many workloads are called by their names.
const FEW: usize = 2;

/// A group of clients.
#[derive(Clone, Debug, Default)]
pub(super) struct Who {
    pub(super) kinds: BTreeMap<ClientKind, usize>,
    /// Somebody who is no workload is one of them, with this name.
    pub(super) outsider: Option<String>,
    /// The first workloads.
    pub(super) names: Vec<String>,
    /// The identity that all of them have; nothing where they differ, or have none that is known.
    pub(super) identity: Option<String>,
}

impl Who {
    /// How many they are.
    pub(super) fn count(&self) -> usize {
        self.kinds.values().sum::<usize>() + usize::from(self.outsider.is_some())
    }

    /// Whether they are of one kind.
    pub(super) fn is_all(&self, kind: ClientKind) -> bool {
        self.kinds.keys().all(|own| *own == kind)
    }

    /// Names for reports, that of the outsider first.
    pub(super) fn listed(&self) -> Vec<String> {
        self.outsider.iter().chain(&self.names).cloned().collect()
    }

    /// The group in few words.
    pub(super) fn in_words(&self) -> String {
        let workloads: usize = self.kinds.values().sum();
        let whoever = match self.outsider.as_deref() {
            None => None,
            Some(OUTSIDER) => Some("whoever has no proxy"),
            Some(identity) => Some(identity),
        };
        let inside = match workloads {
            0 => None,
            few if few <= FEW && self.names.len() == few => Some(self.names.join(", ")),
            _ => Some(self.counted()),
        };
        match (inside, whoever) {
            (Some(inside), Some(whoever)) => format!("{inside} and {whoever}"),
            (Some(only), None) => only,
            (None, whoever) => whoever.unwrap_or("nobody").to_owned(),
        }
    }

    fn counted(&self) -> String {
        let present = || self.kinds.iter().filter(|(_, count)| **count > 0);
        let mut kinds = present();
        match (kinds.next(), kinds.next()) {
            (Some((kind, count)), None) => format!("{count} {}", kind.noun(*count)),
            _ => {
                let all: usize = self.kinds.values().sum();
                let each: Vec<String> =
                    present().map(|(kind, count)| format!("{count} {}", adjective(*kind))).collect();
                format!("{all} workloads ({})", each.join(", "))
            }
        }
    }
}

fn adjective(kind: ClientKind) -> &'static str {
    match kind {
        ClientKind::Sidecar => "sidecar",
        ClientKind::Ambient => "ambient",
        ClientKind::Gateway => "gateway",
        ClientKind::Waypoint => "waypoint",
        ClientKind::NoProxy => "without a proxy",
        ClientKind::Unknown => "not known",
        ClientKind::Identity => "by identity",
    }
}

/// Names groups; each set of the roster once.
pub(super) struct Naming<'a> {
    mesh: &'a Mesh,
    roster: &'a Roster,
    limit: usize,
    /// The identity that is asked about, where it is no workload's.
    identity: Option<String>,
    known: HashMap<*const ClientSet, Rc<Who>>,
}

impl<'a> Naming<'a> {
    pub(super) fn new(mesh: &'a Mesh, roster: &'a Roster, limit: usize, identity: Option<String>) -> Self {
        Naming { mesh, roster, limit, identity, known: HashMap::new() }
    }

    /// The clients of a set.
    pub(super) fn of_set(&mut self, set: &Arc<ClientSet>) -> Rc<Who> {
        let key = Arc::as_ptr(set);
        if let Some(known) = self.known.get(&key) {
            return Rc::clone(known);
        }
        let who = Rc::new(self.of_share(set));
        self.known.insert(key, Rc::clone(&who));
        who
    }

    /// The clients of a set that is not kept.
    pub(super) fn of_share(&self, set: &ClientSet) -> Who {
        let parts = || self.roster.parts(set).map(|(_, part)| part);
        let outsider = self.outsider(self.roster.has_outsider(set));
        self.who(self.roster.kinds(set), outsider, parts)
    }

    fn outsider(&self, is_there: bool) -> Option<String> {
        is_there.then(|| self.identity.clone().unwrap_or_else(|| OUTSIDER.to_owned()))
    }

    fn who<'p, I: Iterator<Item = &'p Part>>(
        &self,
        mut kinds: BTreeMap<ClientKind, usize>,
        outsider: Option<String>,
        parts: impl Fn() -> I,
    ) -> Who {
        kinds.retain(|_, count| *count > 0);
        let workloads = || parts().flat_map(|part| &part.workloads).copied();
        let mut names: Vec<String> =
            workloads().take(self.limit.max(FEW)).map(|id| display(self.mesh, id)).collect();
        names.sort();
        let own = |id: WorkloadId| self.mesh.identity_of(id).and_then(Identity::spiffe_id);
        let first = workloads().next().map_or_else(|| self.identity.clone(), own);
        let identity = first.filter(|first| workloads().skip(1).all(|id| own(id).as_ref() == Some(first)));
        Who { kinds, outsider, names, identity }
    }
}

/// `namespace/name`, with the cluster where several are read together.
fn display(mesh: &Mesh, id: WorkloadId) -> String {
    let name = mesh.workload_display(id);
    match cluster(mesh, mesh.namespace(mesh.workload(id).namespace).cluster) {
        Some(cluster) => format!("{name} ({cluster})"),
        None => name,
    }
}
