//! An edge in words, with a request that shows it.

use meshproof_explain::PointKind;
use meshproof_ir::{GatewayId, WorkloadId};
use meshproof_space::{Admitted, Answer, Clause, RequestBox, Test, Variable, words};

use crate::chain::{Alternative, Chain};
use crate::graph::{Edge, Graph, Who};
use crate::party::{Party, Told};
use crate::probes::{probes, probes_of_somebody};
use crate::tokens::{Bearer, TokenId};
use crate::witness::connection;

/// Requests of one edge that are said; the rest is counted.
const SAID: usize = 8;
/// Callers of an edge of whom it is asked whether they get through with one token.
const TRIED: usize = 16;
/// Why it is not certain that whoever holds a token gets through.
const UNKNOWN_HOLDER: &str = "which clients get through with the token";
/// Why it is not certain that a workload gets into a gateway.
const FROM_INSIDE: &str = "whether the workload calls the gateway, and how, is not followed";

impl Graph<'_> {
    /// A request of the edge that this caller gets through with; of the given box, where one is given. Nothing when there is
    /// none.
    ///
    /// # Errors
    /// The limit that was hit.
    pub fn passing(&self, edge: &Edge, party: Party<'_>, within: &RequestBox) -> Answer {
        match self.chain(edge) {
            None => Ok(Some(Box::new(connection(edge, party, self)))),
            Some(chain) => {
                let boxes = within_all(self.probes(edge, &chain, party), within);
                chain.passing(chain.admitted(boxes, &edge.rules))
            }
        }
    }

    /// What rules let in of one caller of an edge.
    pub(crate) fn probes(&self, edge: &Edge, chain: &Chain<'_>, party: Party<'_>) -> Vec<RequestBox> {
        let principal = self.seen(edge, party);
        let probes = |alternative| match edge.effect.identified && principal.is_none() {
            // It has an identity, and the input does not tell which.
            true => probes_of_somebody(alternative, &chain.trusted),
            false => probes(alternative, principal.as_deref()),
        };
        self.alternatives(edge, chain).flat_map(probes).collect()
    }

    /// What is asked to show an edge: of one caller where one is given, else of its example; nothing of it is known to pass.
    pub(crate) fn shown_by(
        &self,
        edge: &Edge,
        chain: &Chain<'_>,
        party: Option<Party<'_>>,
        bearer: Option<&Bearer>,
    ) -> Admitted {
        let own = match party.or_else(|| self.example(edge)) {
            Some(one) => self.probes(edge, chain, one),
            None => self.probes_of_anybody(edge, chain),
        };
        let boxes = within_all(own, &bearer.map_or_else(RequestBox::all, Bearer::requests));
        chain.admitted(boxes, &edge.rules)
    }

    /// Whether somebody is one of the callers of an edge.
    pub fn calls(&self, edge: &Edge, party: Party<'_>) -> bool {
        let who = self.who(edge.who);
        let clients = self.clients(who.clients);
        match party {
            Party::Workload(id) => self.is_among(id, who) || self.may_come_in(id, who),
            Party::Identity(principal) => {
                clients.elsewhere && (!who.identified || who.peers.admits(Some(principal)))
            }
            Party::Waypoint(id) => clients.waypoints.contains(&id) && self.admits_waypoint(who, id),
            Party::Outsider => clients.outsider,
            Party::Internet => clients.internet,
        }
    }

    /// Whether a workload may call a gateway as clients from outside do.
    pub(crate) fn may_come_in(&self, id: WorkloadId, who: &Who) -> bool {
        self.clients(who.clients).internet && (!who.identified || self.identities.may_meet(id, &who.peers))
    }

    fn admits_waypoint(&self, who: &Who, id: GatewayId) -> bool {
        !who.identified || who.peers.admits(self.waypoint_principal(id).as_deref())
    }

    fn waypoint_principal(&self, id: GatewayId) -> Option<String> {
        self.transport.gateway_identity(id).map(|id| id.trim_start_matches("spiffe://").to_owned())
    }

    /// The identity that the place sees.
    pub(crate) fn seen(&self, edge: &Edge, party: Party<'_>) -> Option<String> {
        if !edge.effect.identified {
            return None;
        }
        match party {
            Party::Workload(id) => self.identities.principal(id).map(str::to_owned),
            Party::Identity(principal) => Some(principal.to_owned()),
            Party::Waypoint(id) => self.waypoint_principal(id),
            Party::Outsider | Party::Internet => None,
        }
    }

    /// The alternatives of the chain that are the edge's.
    pub(crate) fn alternatives<'c>(
        &self,
        edge: &Edge,
        chain: &'c Chain<'_>,
    ) -> impl Iterator<Item = &'c Alternative> {
        chain.alternatives_of(&self.who(edge.who).peers)
    }

    /// An edge in words; of one caller, or of whoever holds one token, where they are given. Nothing when these get nothing
    /// through. `names`: callers that are named; `with_witness`: a request that shows it is searched for.
    pub fn tell(
        &self,
        edge: &Edge,
        party: Option<Party<'_>>,
        bearer: Option<&Bearer>,
        names: usize,
        with_witness: bool,
    ) -> Option<Told> {
        let who = self.who(edge.who);
        let place = self.place(edge.place);
        let chain = self.chain(edge);
        let chain = chain.as_deref();
        let is_http = match chain {
            Some(chain) => chain.is_http(),
            None => edge.effect.is_http.unwrap_or(place.kind == PointKind::NoProxy),
        };
        let mut one = party.or_else(|| self.example(edge));
        let mut may = edge.may.clone();
        let mut notes = edge.notes.clone();
        let (mut requests, mut except, mut witness) = (Vec::new(), Vec::new(), None);
        match (chain, one) {
            (None, one) => {
                requests.push(words::everything(is_http).to_owned());
                witness = one.map(|one| self.shown(&connection(edge, one, self), one, edge));
            }
            (Some(chain), _) => {
                let own = self.alternatives(edge, chain).flat_map(|alternative| &alternative.boxes);
                let own: Vec<&RequestBox> = own.collect();
                requests.extend(own.iter().map(|one| words::requests(one, is_http)));
                let principal = one.and_then(|one| self.seen(edge, one));
                // Of somebody whose identity is not known everything is told that may concern him.
                let one_only = party.filter(|_| principal.is_some() || !edge.effect.identified);
                let seen = one_only.map(|_| principal.as_deref());
                except = chain.exceptions((&who.peers, &own), edge.effect.identified, seen, SAID);
                let answer = match (one, bearer) {
                    (_, None) if !with_witness => Ok(None),
                    (_, Some(bearer)) if party.is_none() => {
                        let (by, answer) = self.held(edge, chain, bearer);
                        if by.is_none() && edge.effect.identified && edge.example.is_some() {
                            may.push(UNKNOWN_HOLDER.to_owned());
                        }
                        one = by;
                        answer
                    }
                    _ => chain.passing(self.shown_by(edge, chain, party, bearer)),
                };
                match answer {
                    Ok(Some(request)) => {
                        witness = Some(match one {
                            Some(one) => self.shown(&request, one, edge),
                            None => self.shown_of_somebody(&request, edge),
                        });
                    }
                    Ok(None) if bearer.is_some() || party.is_some() && with_witness => return None,
                    Ok(None) => {}
                    Err(limit) => may.push(format!("whether anything passes: {limit}")),
                }
            }
        }
        dedup(&mut requests);
        if requests.len() > 1 && requests.iter().any(|one| one == words::everything(is_http)) {
            requests = vec![words::everything(is_http).to_owned()];
        }
        let left = requests.len().saturating_sub(SAID);
        requests.truncate(SAID);
        if left > 0 {
            requests.push(format!("and {left} more"));
        }
        if let Some(Party::Workload(id)) = one {
            may.extend(self.mesh.presumption(id));
            if self.clients(who.clients).internet {
                may.push(FROM_INSIDE.to_owned());
            }
        }
        dedup(&mut notes);
        dedup(&mut may);
        let (callers, count) = self.callers(who, names);
        Some(Told {
            who: self.who_words(who, &edge.effect),
            from: self.as_subject(who, &edge.effect),
            callers,
            count,
            tokens: edge.tokens.iter().map(|token| self.token(*token).to_string()).collect(),
            transport: edge.effect.outcome,
            requests,
            except,
            because: self.because(edge),
            may,
            notes,
            witness,
        })
    }

    /// Somebody who gets through: the example, or whoever is no workload.
    fn example(&self, edge: &Edge) -> Option<Party<'static>> {
        let clients = self.clients(self.who(edge.who).clients);
        if clients.internet {
            return Some(Party::Internet);
        }
        if !edge.effect.identified && clients.outsider {
            return Some(Party::Outsider);
        }
        edge.example.map(Party::Workload)
    }

    /// The edges whose rules ask for a token, each with somebody who gets through with it.
    pub(crate) fn holders(&self, bearer: &Bearer) -> Vec<(Party<'static>, usize)> {
        let is_one = |token: &TokenId| bearer.is_one_of(self.token(*token));
        let mut holders = Vec::new();
        for (at, edge) in self.edges.iter().enumerate() {
            if edge.foreign || !edge.tokens.iter().any(is_one) {
                continue;
            }
            let Some(chain) = self.chain(edge) else { continue };
            holders.extend(self.held(edge, &chain, bearer).0.map(|by| (by, at)));
        }
        holders
    }

    /// A caller of an edge who gets through with a token, and the request; no caller where it is nobody of the input who was
    /// tried.
    fn held(&self, edge: &Edge, chain: &Chain<'_>, bearer: &Bearer) -> (Option<Party<'static>>, Answer) {
        let within = bearer.requests();
        let (callers, _) = self.some_callers(self.who(edge.who), TRIED);
        for party in self.example(edge).into_iter().chain(callers.into_iter().map(Party::Workload)) {
            let answer = self.passing(edge, party, &within);
            if !matches!(answer, Ok(None)) {
                return (Some(party), answer);
            }
        }
        let boxes = within_all(self.probes_of_anybody(edge, chain), &within);
        (None, chain.passing(chain.admitted(boxes, &edge.rules)))
    }

    /// What rules let in of somebody who is no workload of the input.
    fn probes_of_anybody(&self, edge: &Edge, chain: &Chain<'_>) -> Vec<RequestBox> {
        let clients = self.clients(self.who(edge.who).clients);
        let principal = clients.waypoints.first().and_then(|id| self.waypoint_principal(*id));
        let is_named = principal.is_some() || !edge.effect.identified;
        let own = self.alternatives(edge, chain).flat_map(|one| match is_named {
            true => probes(one, principal.as_deref()),
            false => self.probes_of_unnamed(one, chain),
        });
        own.collect()
    }

    /// What rules let in of whoever it may be, with an identity that the place takes or without one.
    fn probes_of_unnamed(&self, one: &Alternative, chain: &Chain<'_>) -> Vec<RequestBox> {
        let peer = (!chain.trusted.is_empty()).then(|| {
            let tests = chain.trusted.iter().cloned().chain([Test::Absent]).collect();
            Clause::any(Variable::Peer, tests)
        });
        let peer = peer.as_slice();
        let whole = |each: &RequestBox| [one.peers.clauses.as_slice(), peer, &each.clauses].concat();
        one.boxes.iter().map(whole).map(RequestBox::of).collect()
    }
}

/// The requests of the boxes that are of one more box.
fn within_all(mut boxes: Vec<RequestBox>, within: &RequestBox) -> Vec<RequestBox> {
    boxes.iter_mut().for_each(|one| one.clauses.extend(within.clauses.iter().cloned()));
    boxes
}

/// Leaves out what was said before.
pub(crate) fn dedup(words: &mut Vec<String>) {
    let mut known = std::collections::BTreeSet::new();
    words.retain(|word| known.insert(word.clone()));
}
