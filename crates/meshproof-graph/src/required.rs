//! Tokens that rules ask for by refusing whoever has none: `action: DENY` with `notRequestPrincipals: ["*"]`.

use foldhash::{HashMap, HashMapExt};
use meshproof_space::{Clause, RequestBox, Variable};

use crate::chain::{Alternative, Chain, Refusing, without_repeats};
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
        let alternatives = &mut self.alternatives;
        let mut is_changed = false;
        for (refusing, one) in of_all {
            if alternatives.len() * one.ways.len() <= MOST {
                let with = |alternative: &Alternative| one.with_token(alternative, refusing);
                *alternatives = alternatives.iter().flat_map(with).collect();
                is_changed = true;
            }
        }
        let count = alternatives.len();
        for (refusing, one) in of_some {
            if alternatives.len() + count * one.ways.len() <= MOST {
                let with = |alternative: &Alternative| one.with_token(alternative, refusing);
                let more: Vec<Alternative> = alternatives[..count].iter().flat_map(with).collect();
                alternatives.extend(more);
                is_changed = true;
            }
        }
        if is_changed {
            self.alternatives = merged(std::mem::take(alternatives).into_iter());
        }
    }
}

/// One alternative for callers that meet the same tests.
pub(crate) fn merged(alternatives: impl Iterator<Item = Alternative>) -> Vec<Alternative> {
    let mut of_peers: HashMap<Peers, usize> = HashMap::new();
    let mut merged: Vec<Alternative> = Vec::new();
    for one in alternatives {
        let next = merged.len();
        match *of_peers.entry(one.peers.clone()).or_insert(next) {
            at if at == next => merged.push(one),
            at => {
                merged[at].boxes.extend(one.boxes);
                merged[at].rules.extend(one.rules);
            }
        }
    }
    for one in &mut merged {
        without_repeats(&mut one.boxes);
        without_repeats(&mut one.rules);
    }
    merged
}

#[cfg(test)]
mod tests {
    use meshproof_ir::ResourceId;
    use meshproof_space::Test;

    use super::*;
    use crate::chain::RuleRef;
    use crate::peers::exactly;

    #[test]
    fn alternatives_of_the_same_peers_are_one() {
        let peers = |name| Peers { clauses: vec![exactly(Some(name))] };
        let at = |port| RequestBox::of(vec![Clause::any(Variable::DestinationPort, vec![Test::Port(port)])]);
        let rule = |rule| RuleRef { policy: ResourceId(0), rule };
        let one = |name, ports: &[u16], rules: &[usize]| Alternative {
            peers: peers(name),
            boxes: ports.iter().copied().map(at).collect(),
            rules: rules.iter().copied().map(rule).collect(),
        };
        let found = merged(
            [
                one("a", &[1, 2], &[0, 1]),
                one("b", &[1], &[2]),
                one("a", &[2, 3, 1, 3], &[1, 0, 4]),
                one("b", &[1], &[2]),
            ]
            .into_iter(),
        );
        assert_eq!(found, [one("a", &[1, 2, 3], &[0, 1, 4]), one("b", &[1], &[2])]);
    }
}
