//! What rules refuse of those whom others let in, in words.

use foldhash::{HashMap, HashMapExt};
use meshproof_grammar::pattern::Pattern;
use meshproof_space::{Clause, RequestBox, Test, Variable, words};

use crate::boxes::are_apart;
use crate::chain::{Chain, Refusing};
use crate::peers::Peers;

/// Requests and refusals that are looked at in pairs, to leave out what is refused of others; beyond that all is said.
const MOST_PAIRS: usize = 1 << 20;

/// What a chain refuses, each text once.
pub(crate) struct Said {
    texts: Vec<String>,
    /// Callers that rules refuse something, each with the texts in order.
    of: Vec<(Peers, Vec<Refused>)>,
}

/// What a rule refuses, by the numbers of its texts.
#[derive(Clone, Copy)]
struct Refused {
    /// Where the rule stands among those that refuse.
    at: usize,
    /// With the identities that are refused.
    of_callers: usize,
    /// Without them.
    of_all: usize,
}

impl Said {
    fn new(refusing: &[Refusing], is_http: bool) -> Said {
        let mut said = Said { texts: Vec::new(), of: Vec::new() };
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut groups: HashMap<&Peers, usize> = HashMap::new();
        for (at, one) in refusing.iter().enumerate() {
            let requests = words::requests(&one.requests, is_http);
            let mut number = |peers: &Peers| {
                let text = match words::callers(&peers.clauses) {
                    None => requests.clone(),
                    Some(who) if who.starts_with("with") => format!("{requests} {who}"),
                    Some(who) => format!("{requests} from {who}"),
                };
                *numbers.entry(text).or_insert_with_key(|text| {
                    said.texts.push(text.clone());
                    said.texts.len() - 1
                })
            };
            let of_callers = number(&one.peers);
            let refused = Refused { at, of_callers, of_all: number(&one.peers.without_identity()) };
            let next = said.of.len();
            match *groups.entry(&one.peers).or_insert(next) {
                group if group == next => said.of.push((one.peers.clone(), vec![refused])),
                group => said.of[group].1.push(refused),
            }
        }
        said
    }
}

impl Chain<'_> {
    /// What rules refuse of these requests, of callers of whom `callers` is asked: the first `most` texts, and how many more
    /// there are. `one`: the only caller, with the identity that is seen.
    pub fn exceptions(
        &self,
        (callers, requests): (&Peers, &[&RequestBox]),
        is_identified: bool,
        one: Option<Option<&str>>,
        most: usize,
    ) -> Vec<String> {
        let said = self.said.get_or_init(|| Said::new(&self.refusing, self.is_http()));
        let concerns = |refused: &Peers| match (is_identified, one) {
            (false, _) => refused.admits(None),
            (true, Some(principal)) => refused.admits(principal),
            (true, None) => may_concern(callers, refused),
        };
        let of = said.of.iter().filter(|(peers, _)| concerns(peers) && !has_asked_token(callers, peers));
        let mut found: Vec<Refused> = of.flat_map(|(_, refused)| refused).copied().collect();
        if found.len().saturating_mul(requests.len()) <= MOST_PAIRS {
            let meets = |refused: &RequestBox| requests.iter().any(|own| !are_apart(own, refused));
            found.retain(|refused| meets(&self.refusing[refused.at].requests));
        }
        found.sort_unstable_by_key(|refused| refused.at);
        let mut is_said = vec![false; said.texts.len()];
        let numbers = found.into_iter().map(|refused| match is_identified && one.is_none() {
            true => refused.of_callers,
            false => refused.of_all,
        });
        let numbers: Vec<usize> =
            numbers.filter(|number| !std::mem::replace(&mut is_said[*number], true)).collect();
        let mut texts: Vec<String> =
            numbers.iter().take(most).map(|number| said.texts[*number].clone()).collect();
        if numbers.len() > most {
            texts.push(format!("and {} more", numbers.len() - most));
        }
        texts
    }
}

/// Whether callers have the token for want of which others are refused.
fn has_asked_token(callers: &Peers, refused: &Peers) -> bool {
    let of_token = |clause: &&Clause| clause.variable == Variable::Token;
    refused.clauses.iter().filter(of_token).any(|refused| {
        refused.any_of.is_empty()
            && callers.clauses.iter().filter(of_token).any(|own| own.any_of == refused.none_of)
    })
}

/// Whether callers that are named one by one can be refused; of others it is taken to be so.
fn may_concern(callers: &Peers, refused: &Peers) -> bool {
    let Some(tests) = callers.wanted() else { return true };
    tests.iter().any(|test| match test {
        Test::Principal(Pattern::Exact(principal)) => refused.admits(Some(principal)),
        _ => true,
    })
}
