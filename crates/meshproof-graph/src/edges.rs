//! From a place and those who arrive there to edges: who is let in by which rules.

use std::borrow::Cow;

use meshproof_authz::unknown_settings;
use meshproof_explain::Outcome;
use meshproof_ir::{Mesh, WorkloadId};
use meshproof_network::{Deciding, Passage};
use meshproof_transport::{Roster, Transport};

use crate::chain::{Alternative, Chain, RuleRef};
use crate::clients::{Clients, Places};
use crate::effect::Effect;
use crate::identities::Identities;
use crate::memo::{ChainKey, Memo};
use crate::packets::{Packets, Share};
use crate::peers::Peers;
use crate::place::Place;
use crate::required::merged;
use crate::verdicts::{Verdict, without_identity};

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
        let known = self.memo.of(ChainKey::of(chain, place, effect, certain_only));
        let alternatives: Cow<'_, [Alternative]> = match effect.identified {
            true => Cow::Borrowed(&chain.alternatives),
            // Nobody has an identity here, so the tests of it hold for all or for none.
            false => Cow::Owned(merged(chain.alternatives.iter().filter_map(Alternative::of_nobody))),
        };
        let verdicts = match effect.identified {
            true => self.by_identity((chain, &known), &alternatives, &share.clients),
            false => without_identity((chain, &known), &alternatives),
        };
        for (alternative, verdict) in alternatives.iter().zip(verdicts) {
            let mut may = may.to_vec();
            may.extend(chain.limits.iter().cloned());
            may.extend(chain.doubt_of_headers(alternative));
            if !share.clients.internet {
                may.extend(chain.doubts_of_mesh(alternative).map(str::to_owned));
            }
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
                peers: alternative.peers.clone(),
                effect: *effect,
                rules: alternative.rules.clone(),
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
}
