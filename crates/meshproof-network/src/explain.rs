//! The answer of one end's policies in words.

use meshproof_ir::{Mesh, ResourceId};
use meshproof_resources::Transport;

use crate::endpoint::{Endpoint, Pod};
use crate::evaluate::Applying;
use crate::flow::Direction;
use crate::holds::Holds;
use crate::matching::Packet;
use crate::outcome::{By, Cause, Outcomes};
use crate::tiers::Tiers;
use crate::verdict::{Deciding, Leg, Passage};

/// How many policies are listed as deciding.
const LISTED: usize = 8;
/// How many of them are named in a line.
const NAMED: usize = 2;

/// One end that is asked, with what was found.
pub(crate) struct Asked<'n, 'm> {
    pub(crate) mesh: &'m Mesh,
    pub(crate) packet: &'n Packet<'m>,
    pub(crate) direction: Direction,
    /// The pods whose policies are asked.
    pub(crate) pod: &'n Pod<'m>,
    /// The other end.
    pub(crate) peer: &'n Endpoint<'m>,
    pub(crate) applying: &'n [Applying<'n>],
    /// Whether a policy selects the pods for the other direction alone.
    pub(crate) selected_otherwise: bool,
    pub(crate) tiers: &'n Tiers,
}

impl Asked<'_, '_> {
    /// The leg for what may become of the packet.
    pub(crate) fn leg(&self, outcomes: Outcomes) -> Leg {
        match (outcomes.may_pass(), &outcomes.deny) {
            (true, Some(denied)) => self.unknown(&outcomes, denied),
            (_, None) => self.allowed(&outcomes),
            (false, Some(denied)) => self.denied(denied),
        }
    }

    fn allowed(&self, outcomes: &Outcomes) -> Leg {
        let decided = outcomes.allow.as_ref().filter(|cause| cause.doubt.is_none() || !outcomes.unselected);
        let (reason, deciding) = match (decided.or(outcomes.pass.as_ref()), decided) {
            (Some(cause), Some(_)) => (self.by_rule(cause, "admits", "lets it reach"), self.deciding(cause)),
            (Some(cause), None) => {
                let reason =
                    format!("{} passes it on, and nothing behind that denies it", self.name_of(cause));
                (reason, self.deciding(cause))
            }
            (None, _) => (self.unselected(), Vec::new()),
        };
        Leg { passage: Passage::Allowed, reason, deciding }
    }

    fn unselected(&self) -> String {
        let pod = self.pod.display();
        match (self.applying.is_empty(), self.selected_otherwise, self.direction) {
            (false, ..) => format!("no policy that may select {pod} denies it"),
            (true, false, _) => format!("no NetworkPolicy selects {pod}"),
            (true, true, Direction::Ingress) => format!("no NetworkPolicy restricts what reaches {pod}"),
            (true, true, Direction::Egress) => format!("no NetworkPolicy restricts what {pod} sends"),
        }
    }

    fn denied(&self, cause: &Cause) -> Leg {
        let reason = match cause.by {
            By::Rule(..) | By::Policy(_) => self.by_rule(cause, "denies", "denies it to reach"),
            By::Tier(tier) => {
                let (names, many) = self.names_in(tier);
                let verb = if many { "select" } else { "selects" };
                let pod = self.pod.display();
                match self.direction {
                    Direction::Ingress => {
                        format!("{names} {verb} {pod} and no rule admits {}", self.peer_and_port())
                    }
                    Direction::Egress => {
                        format!("{names} {verb} {pod} and no rule lets it reach {}", self.peer_and_port())
                    }
                }
            }
        };
        if self.peer.pod().is_some_and(|pod| pod.host_network) {
            // Kubernetes documentation, "Network Policies": traffic of a pod with its own node is always allowed.
            let reason = format!(
                "{} runs in the network of its node, and pods always reach their own node",
                display(self.peer)
            );
            return Leg { passage: Passage::Unknown, reason, deciding: self.deciding(cause) };
        }
        Leg { passage: Passage::Denied, reason, deciding: self.deciding(cause) }
    }

    fn unknown(&self, outcomes: &Outcomes, denied: &Cause) -> Leg {
        let allowed = outcomes.allow.as_ref();
        let doubtful = |cause: &&Cause| cause.doubt.is_some();
        let cause = allowed.filter(doubtful).or(Some(denied).filter(doubtful)).or(outcomes.pass.as_ref());
        let cause = cause.unwrap_or(denied);
        let doubted = cause.doubt.as_ref().and_then(|doubt| doubt.policy);
        let reason = cause.doubt.as_ref().map_or("another policy may decide first", |doubt| &doubt.reason);
        let reason = match doubted {
            Some(policy) => format!("{}: {reason}", self.name(policy)),
            None => reason.to_owned(),
        };
        let deciding = match (cause.by, doubted) {
            (By::Tier(_), Some(policy)) => vec![self.whole(policy)],
            _ => self.deciding(cause),
        };
        Leg { passage: Passage::Unknown, reason, deciding }
    }

    fn by_rule(&self, cause: &Cause, of_ingress: &str, of_egress: &str) -> String {
        let verb = match self.direction {
            Direction::Ingress => of_ingress,
            Direction::Egress => of_egress,
        };
        format!("{} {verb} {}", self.name_of(cause), self.peer_and_port())
    }

    fn deciding(&self, cause: &Cause) -> Vec<Deciding> {
        match cause.by {
            By::Rule(object, span) => vec![Deciding { object, span }],
            By::Policy(object) => vec![self.whole(object)],
            By::Tier(tier) => self.in_tier(tier).take(LISTED).map(|one| self.whole(one.policy.id)).collect(),
        }
    }

    fn whole(&self, object: ResourceId) -> Deciding {
        Deciding { object, span: self.mesh.resource(object).meta.name_span() }
    }

    /// Policies of a tier that select the pods; those that only may, when no others do.
    fn in_tier(&self, tier: usize) -> impl Iterator<Item = &Applying<'_>> {
        let of_tier = move |one: &&Applying<'_>| one.policy.tier == tier;
        let any_certain = self.applying.iter().filter(of_tier).any(|one| one.in_force == Holds::Yes);
        let fits = move |one: &&Applying<'_>| !any_certain || one.in_force == Holds::Yes;
        self.applying.iter().filter(of_tier).filter(fits)
    }

    /// The policies of a tier by name, and whether there are several.
    fn names_in(&self, tier: usize) -> (String, bool) {
        let count = self.in_tier(tier).count();
        let mut names: Vec<String> =
            self.in_tier(tier).take(NAMED).map(|one| self.name(one.policy.id)).collect();
        if count > NAMED {
            names.push(format!("{} more", count - NAMED));
        }
        let joined = match names.as_slice() {
            [start @ .., last] if !start.is_empty() => format!("{} and {last}", start.join(", ")),
            _ => names.concat(),
        };
        (joined, count > 1)
    }

    fn name_of(&self, cause: &Cause) -> String {
        match cause.by {
            By::Rule(object, _) | By::Policy(object) => self.name(object),
            By::Tier(tier) => format!("tier {}", self.tiers.get(tier).name),
        }
    }

    /// The name of a policy; those that stand in no namespace say their kind.
    fn name(&self, object: ResourceId) -> String {
        let meta = &self.mesh.resource(object).meta;
        match self.mesh.placement[object.index()].1 {
            Some(_) => meta.name().to_owned(),
            None => format!("{} {}", meta.kind.value, meta.name()),
        }
    }

    fn peer_and_port(&self) -> String {
        let transport = match self.packet.transport {
            Transport::Tcp => "TCP",
            Transport::Udp => "UDP",
            Transport::Sctp => "SCTP",
        };
        format!("{} on {transport} {}", display(self.peer), self.packet.port)
    }
}

/// An end for people.
pub(crate) fn display(end: &Endpoint<'_>) -> String {
    match end {
        Endpoint::Pod(pod) => pod.display(),
        Endpoint::Address(Some(address)) => address.to_string(),
        Endpoint::Address(None) => "an address outside the cluster".to_owned(),
    }
}
