//! Tokens that rules ask for by refusing whoever has none: `action: DENY` with `notRequestPrincipals: ["*"]`.

use meshproof_space::{Clause, RequestBox, Variable};

use crate::chain::{Alternative, Chain, Refusing};
use crate::peers::Peers;

/// More alternatives than this are not told apart by what they need tokens for; then what is refused without one is told
/// as refused.
const MOST: usize = 256;

/// What a refusing rule says of tokens.
struct Required<'r> {
    /// Requests that meet one of these are not refused for want of a token.
    ways: Vec<Clause>,
    /// The callers and requests of which a token is asked.
    of: Vec<&'r Clause>,
}

impl<'r> Required<'r> {
    /// Nothing where somebody without a token is not refused.
    fn by(refusing: &'r Refusing) -> Option<Required<'r>> {
        let all = refusing.peers.clauses.iter().chain(&refusing.requests.clauses);
        let (of_token, of): (Vec<&Clause>, Vec<&Clause>) =
            all.partition(|clause| clause.variable.is_of_token());
        let is_met_without = |clause: &&Clause| clause.any_of.is_empty();
        if of_token.is_empty() || !of_token.iter().all(is_met_without) {
            return None;
        }
        let turned = |clause: &Clause| Clause::any(clause.variable.clone(), clause.none_of.clone());
        Some(Required { ways: of_token.into_iter().map(turned).collect(), of })
    }

    /// What is let in of an alternative with a token that the rule asks for.
    fn with_token(&self, alternative: &Alternative, refusing: &Refusing) -> Vec<Alternative> {
        let with = |way: &Clause| {
            let more = self.of.iter().copied().chain([way]);
            let is_of_caller = |clause: &&Clause| matches!(clause.variable, Variable::Peer | Variable::Token);
            let (of_caller, of_request): (Vec<&Clause>, Vec<&Clause>) = more.partition(is_of_caller);
            let boxes: Vec<RequestBox> = alternative
                .boxes
                .iter()
                .map(|own| RequestBox::of(joined(&own.clauses, &of_request)))
                .collect();
            let peers = Peers { clauses: joined(&alternative.peers.clauses, &of_caller) };
            // All boxes ask for the claims that the rule asks for.
            let peers = boxes.first().map_or(peers.clone(), |one| peers.with_claims_of(one));
            let mut rules = alternative.rules.clone();
            rules.push(refusing.rule);
            Alternative { peers, boxes, rules }
        };
        self.ways.iter().map(with).collect()
    }
}

fn joined(own: &[Clause], more: &[&Clause]) -> Vec<Clause> {
    let new = more.iter().filter(|clause| !own.contains(clause)).map(|clause| (*clause).clone());
    own.iter().cloned().chain(new).collect()
}

impl Chain<'_> {
    /// Tells what is let in with a token that a rule asks for by refusing whoever has none. Where it refuses everything
    /// else, it is all that is let in.
    pub(crate) fn ask_for_tokens(&mut self) {
        let required: Vec<(&Refusing, Required<'_>)> =
            self.refusing.iter().filter_map(|one| Some((one, Required::by(one)?))).collect();
        if required.is_empty() {
            return;
        }
        let (of_all, of_some): (Vec<_>, Vec<_>) = required.iter().partition(|(_, one)| one.of.is_empty());
        let mut alternatives = self.alternatives.clone();
        for (refusing, one) in of_all {
            if alternatives.len() * one.ways.len() <= MOST {
                let with = |alternative: &Alternative| one.with_token(alternative, refusing);
                alternatives = alternatives.iter().flat_map(with).collect();
            }
        }
        let base = alternatives.clone();
        for (refusing, one) in of_some {
            if alternatives.len() + base.len() * one.ways.len() <= MOST {
                alternatives
                    .extend(base.iter().flat_map(|alternative| one.with_token(alternative, refusing)));
            }
        }
        let mut merged: Vec<Alternative> = Vec::with_capacity(alternatives.len());
        for one in alternatives {
            match merged.iter_mut().find(|known| known.peers == one.peers) {
                Some(known) => {
                    let boxes: Vec<RequestBox> =
                        one.boxes.into_iter().filter(|own| !known.boxes.contains(own)).collect();
                    known.boxes.extend(boxes);
                    let rules: Vec<_> =
                        one.rules.into_iter().filter(|rule| !known.rules.contains(rule)).collect();
                    known.rules.extend(rules);
                }
                None => merged.push(one),
            }
        }
        self.alternatives = merged;
    }
}
