//! From a place and those who arrive there to edges: who is let in by which rules.

use meshproof_authz::unknown_settings;
use meshproof_explain::Outcome;
use meshproof_ir::{Mesh, WorkloadId};
use meshproof_network::{Deciding, Passage};
use meshproof_space::RequestBox;
use meshproof_transport::{Roster, Transport};

use crate::chain::{Alternative, Chain, RuleRef};
use crate::clients::{Clients, Places};
use crate::effect::Effect;
use crate::identities::{Found, Identities};
use crate::memo::{Asked, Caller, ChainKey, Memo};
use crate::packets::{Packets, Share};
use crate::peers::{Peers, exactly};
use crate::place::Place;

/// Callers of one edge that are tried one by one, each another one to the rules that refuse.
const TRIED: usize = 16;

/// An edge before its ends have numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Draft {
    pub clients: Clients,
    pub peers: Peers,
    pub effect: Effect,
    pub rules: Vec<RuleRef>,
    pub network: Vec<Deciding>,
    pub may: Vec<String>,
    pub notes: Vec<String>,
    /// A workload among the callers that gets through.
    pub example: Option<WorkloadId>,
    /// The policies that only may apply are left out.
    pub certain_only: bool,
    /// Nobody of the input and nobody whom a rule names uses it.
    pub foreign: bool,
    /// Rules refuse some requests there.
    pub refuses: bool,
}

/// What it takes to draw the edges of a place.
pub(crate) struct Drawing<'a, 'm> {
    pub mesh: &'m Mesh,
    pub transport: &'a Transport<'m>,
    pub roster: &'a Roster,
    pub standing: &'a Places,
    pub identities: &'a Identities,
    pub packets: Packets<'a, 'm>,
    pub memo: Memo,
}

/// What is known of the callers of one alternative.
enum Verdict {
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
    /// The edges into a place.
    pub fn edges(&self, place: &Place, clients: &[Clients]) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for (effect, id) in &place.arrivals {
            let arriving = &clients[id.0 as usize];
            for share in self.packets.shares(arriving, place.pods, effect.wire_port(place.port)) {
                self.of_share(place, effect, &share, &mut drafts);
            }
        }
        drafts
    }

    fn of_share(&self, place: &Place, effect: &Effect, share: &Share, drafts: &mut Vec<Draft>) {
        let mut may = place.doubts.clone();
        if effect.is_open {
            may.push(match effect.outcome {
                Outcome::Unknown => "it is not known how the connection arrives".to_owned(),
                _ => "it is not known whether the connection arrives like this".to_owned(),
            });
        }
        if share.passage == Passage::Unknown {
            may.push(format!("whether the network lets it pass: {}", share.reason));
        }
        let Some(chain) = Chain::of(self.mesh, place, effect, false) else {
            drafts.push(Draft {
                clients: share.clients.clone(),
                peers: Peers::default(),
                effect: *effect,
                rules: Vec::new(),
                network: share.deciding.clone(),
                may,
                notes: Vec::new(),
                example: share.clients.workloads(self.roster).next(),
                foreign: false,
                refuses: false,
                certain_only: false,
            });
            return;
        };
        if !chain.policies.is_empty() {
            may.extend(unknown_settings(self.mesh.settings_of(place.cluster)).map(str::to_owned));
        }
        let doubt = place.policies.iter().find_map(|attached| attached.certain.as_ref().err());
        let Some(doubt) = doubt else {
            self.of_chain((&chain, place), effect, share, &may, false, drafts);
            return;
        };
        may.push(format!("which policies apply: {doubt}"));
        self.of_chain((&chain, place), effect, share, &may, false, drafts);
        let first = drafts.len();
        if let Some(certain) = Chain::of(self.mesh, place, effect, true) {
            self.of_chain((&certain, place), effect, share, &may, true, drafts);
        }
        // What holds with those policies and without them is told once.
        let (known, more) = drafts.split_at(first);
        let is_new = |draft: &&Draft| {
            !known.iter().any(|known| {
                (&known.peers, &known.rules, known.effect, &known.clients)
                    == (&draft.peers, &draft.rules, draft.effect, &draft.clients)
            })
        };
        let kept: Vec<Draft> = more.iter().filter(is_new).cloned().collect();
        drafts.truncate(first);
        drafts.extend(kept);
    }

    fn of_chain(
        &self,
        (chain, place): (&Chain<'m>, &Place),
        effect: &Effect,
        share: &Share,
        may: &[String],
        certain_only: bool,
        drafts: &mut Vec<Draft>,
    ) {
        if chain.refuses_everybody() || !effect.identified && chain.refuses_all_of(None) {
            return;
        }
        let mut alternatives: Vec<Alternative> = Vec::new();
        for alternative in &chain.alternatives {
            if effect.identified {
                alternatives.push(alternative.clone());
                continue;
            }
            // Nobody has an identity here, so the tests of it hold for all or for none.
            if !alternative.peers.admits(None) {
                continue;
            }
            let peers = alternative.peers.without_identity();
            match alternatives.iter_mut().find(|known| known.peers == peers) {
                Some(known) => {
                    known.boxes.extend(alternative.boxes.iter().cloned());
                    known.rules.extend(alternative.rules.iter().copied());
                }
                None => alternatives.push(Alternative { peers, ..alternative.clone() }),
            }
        }
        let key = ChainKey::of(chain, place, effect, certain_only);
        for (at, alternative) in alternatives.into_iter().enumerate() {
            let asked = Asked { chain, key: &key, alternative: &alternative, at };
            let verdict = match effect.identified {
                true => self.by_identity(&asked, &share.clients),
                false => without_identity(&asked, &self.memo),
            };
            let mut may = may.to_vec();
            may.extend(chain.limits.iter().cloned());
            may.extend(chain.doubt_of_headers(&alternative));
            let mut notes = Vec::new();
            let mut foreign = false;
            let example = match verdict {
                Verdict::Nobody => continue,
                Verdict::Somebody(example) => example,
                Verdict::Elsewhere => {
                    foreign = !self.identities.names_others(&alternative.peers);
                    notes.push("no workload of the input has such an identity".to_owned());
                    None
                }
                Verdict::Perhaps(reason) => {
                    may.push(reason);
                    None
                }
            };
            for provider in &chain.asked {
                notes.push(format!("if the provider {provider} says yes"));
            }
            drafts.push(Draft {
                clients: share.clients.clone(),
                peers: alternative.peers,
                effect: *effect,
                rules: alternative.rules,
                network: share.deciding.clone(),
                may,
                notes,
                example: example
                    .or_else(|| share.clients.workloads(self.roster).next().filter(|_| !effect.identified)),
                foreign,
                refuses: !chain.refusing.is_empty(),
                certain_only,
            });
        }
    }

    /// Whether somebody with an identity gets through.
    fn by_identity(&self, asked: &Asked<'_, 'm>, clients: &Clients) -> Verdict {
        let (chain, alternative) = (asked.chain, asked.alternative);
        let peers = &alternative.peers;
        let among = (clients, self.roster, self.standing);
        let is_free = chain.refusing.is_empty() && alternative.boxes.iter().any(|one| chain.is_plain(one));
        let is_free = is_free && !peers.asks_for_token() && peers.is_simple();
        if is_free {
            let found = self.identities.meeting(peers, among, &[], 1);
            if let Some(first) = found.workloads.first() {
                return Verdict::Somebody(Some(*first));
            }
            return self.nobody_known(asked, clients, &found);
        }
        let refusing: Vec<&Peers> = chain.refusing.iter().map(|refusing| &refusing.peers).collect();
        let told_apart: &[&Peers] = if refusing.is_empty() { &[peers] } else { &refusing };
        let found = self.identities.meeting(peers, among, told_apart, TRIED);
        let principal = |id: WorkloadId| self.identities.principal(id);
        let tried = found.workloads.iter().copied().filter(|id| !chain.refuses_all_of(principal(*id)));
        let tried: Vec<WorkloadId> = tried.collect();
        let callers: Vec<Caller> =
            tried.iter().map(|id| Caller::Named(principal(*id).map(str::to_owned))).collect();
        match self.memo.first_through(asked, &callers) {
            Ok(Some(at)) => return Verdict::Somebody(Some(tried[at])),
            Ok(None) => {}
            Err(limit) => return Verdict::Perhaps(format!("whether anything passes: {limit}")),
        }
        self.nobody_known(asked, clients, &found)
    }

    /// No workload of the input is known to get through: others may, whose account or workload is not in the input.
    fn nobody_known(&self, asked: &Asked<'_, 'm>, clients: &Clients, found: &Found) -> Verdict {
        let (chain, alternative) = (asked.chain, asked.alternative);
        for id in &clients.waypoints {
            let identity = self.transport.gateway_identity(*id);
            let principal = identity.as_deref().map(|id| id.trim_start_matches("spiffe://"));
            if principal.is_some_and(|own| !alternative.peers.admits(Some(own))) {
                continue;
            }
            match self.memo.first_through(asked, &[Caller::Named(principal.map(str::to_owned))]) {
                Ok(Some(_)) => return Verdict::Somebody(None),
                Ok(None) => {}
                Err(limit) => return Verdict::Perhaps(format!("whether anything passes: {limit}")),
            }
        }
        let is_open = found.unnamed || !found.complete;
        if !is_open && !clients.elsewhere && !clients.internet {
            return Verdict::Nobody;
        }
        let asks = alternative.peers.asks_for_identity()
            || chain.refusing.iter().any(|refusing| refusing.peers.asks_for_identity());
        match self.memo.first_through(asked, &[Caller::Somebody]) {
            Ok(Some(_)) if is_open => {
                Verdict::Perhaps("which clients have an identity that passes".to_owned())
            }
            Ok(Some(_)) if clients.internet => match asks {
                true => Verdict::Perhaps("which identities client certificates have".to_owned()),
                false => Verdict::Somebody(None),
            },
            // All workloads that meet the tests were tried; it takes an account that runs elsewhere.
            Ok(Some(_)) => Verdict::Elsewhere,
            Ok(None) => Verdict::Nobody,
            Err(limit) => Verdict::Perhaps(format!("whether anything passes: {limit}")),
        }
    }
}

/// Whether somebody without an identity gets through.
fn without_identity(asked: &Asked<'_, '_>, memo: &Memo) -> Verdict {
    let (chain, alternative) = (asked.chain, asked.alternative);
    let is_refused = chain.refusing.iter().any(|refusing| refusing.peers.admits(None));
    let is_plain = alternative.boxes.iter().any(|one| chain.is_plain(one));
    if !is_refused && is_plain && !alternative.peers.asks_for_token() {
        return Verdict::Somebody(None);
    }
    match memo.first_through(asked, &[Caller::Named(None)]) {
        Ok(Some(_)) => Verdict::Somebody(None),
        Ok(None) => Verdict::Nobody,
        Err(limit) => Verdict::Perhaps(format!("whether anything passes: {limit}")),
    }
}

/// The boxes of an alternative for one caller.
pub(crate) fn probes(alternative: &Alternative, principal: Option<&str>) -> Vec<RequestBox> {
    let peers = &alternative.peers.clauses;
    let own = [exactly(principal)];
    let of = |one: &RequestBox| RequestBox::of([peers.as_slice(), &own, &one.clauses].concat());
    alternative.boxes.iter().map(of).collect()
}

/// The boxes of an alternative for somebody with an identity that is not known.
pub(crate) fn probes_of_somebody(alternative: &Alternative) -> Vec<RequestBox> {
    let peers = &alternative.peers.clauses;
    let own = [exactly_identified()];
    let of = |one: &RequestBox| RequestBox::of([peers.as_slice(), &own, &one.clauses].concat());
    alternative.boxes.iter().map(of).collect()
}

/// Any identity at all.
fn exactly_identified() -> meshproof_space::Clause {
    use meshproof_grammar::pattern::Pattern;
    use meshproof_space::{Clause, Test, Variable};
    Clause::any(Variable::Peer, vec![Test::Principal(Pattern::Present)])
}
