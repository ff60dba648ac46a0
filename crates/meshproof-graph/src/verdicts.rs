//! Whether somebody gets through with what rules let in.

use meshproof_grammar::spiffe::SCHEME;
use meshproof_ir::{GatewayId, WorkloadId};
use meshproof_space::Limit;

use crate::chain::{Alternative, Chain, without_repeats};
use crate::clients::Clients;
use crate::edges::Drawing;
use crate::identities::Found;
use crate::memo::{Asked, Caller, Known};
use crate::peers::Peers;

/// Callers of one edge that are tried one by one, each another one to the rules that refuse.
const TRIED: usize = 16;

/// What is known of the callers of one alternative.
pub(crate) enum Verdict {
    /// Nobody gets through.
    Nobody,
    /// Somebody does; a workload of the input where there is one.
    Somebody(Option<WorkloadId>),
    /// Only an account of which the input has no workload.
    Elsewhere,
    /// Perhaps somebody does.
    Perhaps(String),
}

impl<'m> Drawing<'_, 'm> {
    /// Whether somebody with an identity gets through, for each alternative.
    pub fn by_identity(
        &self,
        (chain, known): (&Chain<'m>, &Known),
        alternatives: &[Alternative],
        clients: &Clients,
    ) -> Vec<Verdict> {
        let mut refusing: Vec<&Peers> = chain.refusing.iter().map(|refusing| &refusing.peers).collect();
        without_repeats(&mut refusing);
        let met: Vec<Met> = alternatives.iter().map(|one| self.met(chain, one, &refusing, clients)).collect();
        let asked = |callers: &dyn Fn(usize) -> Vec<Caller>| {
            let of = |(at, alternative)| Asked { alternative, at, callers: callers(at) };
            let asked: Vec<Asked<'_>> = alternatives.iter().enumerate().map(of).collect();
            known.first_through(chain, &asked)
        };
        let through = asked(&|at| met[at].callers.clone());
        // Nobody of the input gets through: others may, whose account or workload is not in the input.
        let somebody = asked(&|at| {
            let is_left = met[at].free.is_none() && through[at] == Ok(None);
            let is_left = is_left && (met[at].is_open() || clients.elsewhere || clients.internet);
            if is_left { vec![Caller::Somebody] } else { Vec::new() }
        });
        let verdict = |(at, one): (usize, &Met)| match (one.free, &through[at], &somebody[at]) {
            (Some(free), ..) => Verdict::Somebody(Some(free)),
            (None, Ok(Some(first)), _)
                if one.callers[*first] == Caller::Somebody && asks_for_identity(chain, &alternatives[at]) =>
            {
                Verdict::Perhaps("which identity the waypoint has".to_owned())
            }
            (None, Ok(Some(first)), _) => Verdict::Somebody(one.tried.get(*first).copied()),
            (None, Err(limit), _) | (None, Ok(None), Err(limit)) => Verdict::hit(*limit),
            (None, Ok(None), Ok(None)) => Verdict::Nobody,
            (None, Ok(None), Ok(Some(_))) => self.of_others(chain, &alternatives[at], one, clients),
        };
        met.iter().enumerate().map(verdict).collect()
    }

    /// The callers of an alternative.
    fn met(
        &self,
        chain: &Chain<'m>,
        alternative: &Alternative,
        refusing: &[&Peers],
        clients: &Clients,
    ) -> Met {
        let peers = &alternative.peers;
        let among = (clients, self.roster, self.standing);
        let waypoints = || {
            let identity = |id: &GatewayId| self.transport.gateway_identity(*id);
            let principals = clients
                .waypoints
                .iter()
                .map(identity)
                .map(|identity| identity.map(|identity| identity.trim_start_matches(SCHEME).to_owned()));
            let admitted = principals.filter(|own| own.is_none() || peers.admits(own.as_deref()));
            // Which identity it has is not always known.
            let caller = |own: Option<String>| own.map_or(Caller::Somebody, |own| Caller::Named(Some(own)));
            admitted.map(caller).collect::<Vec<Caller>>()
        };
        let is_free = chain.refusing.is_empty() && alternative.boxes.iter().any(|one| chain.is_plain(one));
        if is_free && !peers.asks_for_token() && peers.is_simple() {
            let found = self.identities.meeting(peers, among, &[], 1);
            let free = found.workloads.first().copied();
            let callers = if free.is_none() { waypoints() } else { Vec::new() };
            return Met { found, free, tried: Vec::new(), callers };
        }
        let told_apart: &[&Peers] = if refusing.is_empty() { &[peers] } else { refusing };
        let found = self.identities.meeting(peers, among, told_apart, TRIED);
        let principal = |id: WorkloadId| self.identities.principal(id);
        let tried = found.workloads.iter().copied().filter(|id| !chain.refuses_all_of(principal(*id)));
        let tried: Vec<WorkloadId> = tried.collect();
        let named = tried.iter().map(|id| Caller::Named(principal(*id).map(str::to_owned)));
        let callers = named.chain(waypoints()).collect();
        Met { found, free: None, tried, callers }
    }

    /// Only somebody gets through whose account or workload is not in the input.
    fn of_others(
        &self,
        chain: &Chain<'m>,
        alternative: &Alternative,
        met: &Met,
        clients: &Clients,
    ) -> Verdict {
        if met.is_open() {
            return Verdict::Perhaps("which clients have an identity that passes".to_owned());
        }
        if !clients.internet {
            // All workloads that meet the tests were tried; it takes an account that runs elsewhere.
            return Verdict::Elsewhere;
        }
        match asks_for_identity(chain, alternative) {
            true => Verdict::Perhaps("which identities client certificates have".to_owned()),
            false => Verdict::Somebody(None),
        }
    }
}

/// Whether it matters for what passes which identity somebody has.
fn asks_for_identity(chain: &Chain<'_>, alternative: &Alternative) -> bool {
    alternative.peers.asks_for_identity()
        || chain.refusing.iter().any(|refusing| refusing.peers.asks_for_identity())
}

/// Who gets something through first, of some callers.
type Through = Result<Option<usize>, Limit>;

/// The callers of an alternative who are asked about.
struct Met {
    found: Found,
    /// A workload of which nothing has to be asked: it plainly gets through.
    free: Option<WorkloadId>,
    /// The workloads that the first of the callers are; the others are waypoints.
    tried: Vec<WorkloadId>,
    callers: Vec<Caller>,
}

impl Met {
    /// Whether not all workloads are known that meet the tests.
    fn is_open(&self) -> bool {
        self.found.unnamed || !self.found.complete
    }
}

impl Verdict {
    fn hit(limit: Limit) -> Verdict {
        Verdict::Perhaps(format!("whether anything passes: {limit}"))
    }
}

/// Whether somebody without an identity gets through, for each alternative.
pub(crate) fn without_identity(
    (chain, known): (&Chain<'_>, &Known),
    alternatives: &[Alternative],
) -> Vec<Verdict> {
    let is_refused = chain.refusing.iter().any(|refusing| refusing.peers.admits(None));
    let is_free = |alternative: &Alternative| {
        let is_plain = alternative.boxes.iter().any(|one| chain.is_plain(one));
        !is_refused && is_plain && !alternative.peers.asks_for_token()
    };
    let asked = |(at, alternative)| {
        let callers = if is_free(alternative) { Vec::new() } else { vec![Caller::Named(None)] };
        Asked { alternative, at, callers }
    };
    let asked: Vec<Asked<'_>> = alternatives.iter().enumerate().map(asked).collect();
    let through = known.first_through(chain, &asked);
    let verdict = |(asked, through): (&Asked<'_>, Through)| match through {
        _ if asked.callers.is_empty() => Verdict::Somebody(None),
        Ok(Some(_)) => Verdict::Somebody(None),
        Ok(None) => Verdict::Nobody,
        Err(limit) => Verdict::hit(limit),
    };
    asked.iter().zip(through).map(verdict).collect()
}
