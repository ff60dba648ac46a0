//! Some of the roster: parts by number, kind by kind.

/// Some of the roster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientSet {
    /// By kind, sorted.
    pub(super) members: Vec<Members>,
}

/// Some clients of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Members {
    pub(super) kind: u32,
    /// All parts but those that are named; or those alone.
    pub(super) all_but: bool,
    /// Sorted.
    pub(super) parts: Vec<u32>,
    /// Somebody who is no workload is one of them.
    pub(super) outsider: bool,
}

impl Members {
    pub(super) fn of_parts(kind: u32, parts: Vec<u32>) -> Members {
        Members { kind, all_but: false, parts, outsider: false }
    }
}

impl ClientSet {
    /// Adds the clients of another set, none of which is in this one.
    pub fn join(&mut self, more: ClientSet) {
        more.members.into_iter().for_each(|members| self.add(members));
    }

    /// Adds clients that are not in the set yet.
    pub(super) fn add(&mut self, more: Members) {
        let at = self.members.partition_point(|own| own.kind < more.kind);
        let Some(own) = self.members.get_mut(at).filter(|own| own.kind == more.kind) else {
            self.members.insert(at, more);
            return;
        };
        own.outsider |= more.outsider;
        let (but, named) = match (own.all_but, more.all_but) {
            (false, false) => {
                own.parts.extend(more.parts);
                own.parts.sort_unstable();
                return;
            }
            (true, _) => (&own.parts, &more.parts),
            (false, true) => (&more.parts, &own.parts),
        };
        let left = but.iter().filter(|at| named.binary_search(at).is_err()).copied().collect();
        *own = Members { kind: own.kind, all_but: true, parts: left, outsider: own.outsider };
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = u32> {
        self.members.iter().map(|members| members.kind)
    }
}
