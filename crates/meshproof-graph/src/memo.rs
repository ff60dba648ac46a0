//! Answers that places share: the same policies let the same callers in, wherever they stand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use meshproof_explain::PointKind;
use meshproof_ir::ClusterId;
use meshproof_space::{Admitted, Limit, RequestBox, Test};

use crate::chain::{Alternative, Chain};
use crate::effect::Effect;
use crate::place::Place;
use crate::probes::{probes, probes_of_somebody};

/// What makes chains equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChainKey {
    lists: (u32, u32),
    kind: PointKind,
    cluster: ClusterId,
    is_http: Option<bool>,
    identified: bool,
    tunnelled: bool,
    /// Which tests of ports it meets.
    at_port: Vec<bool>,
    /// Only policies that apply for certain.
    certain: bool,
}

impl ChainKey {
    pub fn of(chain: &Chain<'_>, place: &Place, effect: &Effect, certain: bool) -> ChainKey {
        ChainKey {
            lists: place.lists,
            kind: place.kind,
            cluster: place.cluster,
            is_http: effect.is_http,
            identified: effect.identified,
            tunnelled: effect.tunnelled,
            at_port: chain.at_port.clone(),
            certain,
        }
    }
}

/// Of whom it is asked whether something passes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// With this identity, or without one.
    Named(Option<String>),
    /// With any identity.
    Somebody,
}

/// An alternative of a chain, and callers of whom it is asked whether they get something through, in this order.
pub(crate) struct Asked<'c> {
    pub alternative: &'c Alternative,
    /// Its place among the alternatives.
    pub at: usize,
    pub callers: Vec<Caller>,
}

/// Whether something passes, or which limit was hit.
type Passes = Result<bool, Limit>;

/// What was answered before.
#[derive(Default)]
pub(crate) struct Memo {
    chains: Mutex<HashMap<ChainKey, Arc<Known>, RandomState>>,
}

/// What was answered of equal chains.
#[derive(Default)]
pub(crate) struct Known {
    passes: Mutex<HashMap<(usize, Caller), Passes, RandomState>>,
}

impl Memo {
    /// What is known of chains with such a key.
    pub fn of(&self, key: ChainKey) -> Arc<Known> {
        self.chains.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone()
    }
}

impl Known {
    /// For each alternative the first of its callers that gets something through; nothing where none does; else the limit
    /// that was hit. Costs two searches of the chain, however many alternatives there are.
    pub fn first_through(&self, chain: &Chain<'_>, all: &[Asked<'_>]) -> Vec<Result<Option<usize>, Limit>> {
        // The first caller usually gets through; of the others it is asked where he does not.
        self.learn(chain, all.iter().flat_map(|asked| asked.callers.first().map(|first| (asked, first))));
        let is_open = |asked: &&Asked<'_>| {
            asked.callers.first().is_some_and(|first| self.get(asked, first) != Some(Ok(true)))
        };
        let others = all.iter().filter(is_open);
        self.learn(chain, others.flat_map(|asked| asked.callers[1..].iter().map(move |one| (asked, one))));
        let first = |asked: &Asked<'_>| {
            let mut limit = None;
            for (at, caller) in asked.callers.iter().enumerate() {
                match self.get(asked, caller) {
                    Some(Ok(true)) => return Ok(Some(at)),
                    Some(Err(hit)) => limit = Some(hit),
                    Some(Ok(false)) | None => {}
                }
            }
            limit.map_or(Ok(None), Err)
        };
        all.iter().map(first).collect()
    }

    fn get(&self, asked: &Asked<'_>, caller: &Caller) -> Option<Passes> {
        let passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        passes.get(&(asked.at, caller.clone())).copied()
    }

    /// Asks what is not known.
    fn learn<'c>(&self, chain: &Chain<'_>, questions: impl Iterator<Item = (&'c Asked<'c>, &'c Caller)>) {
        let is_new = |(asked, caller): &(&Asked<'_>, &Caller)| self.get(asked, caller).is_none();
        let new: Vec<(&Asked<'_>, &Caller)> = questions.filter(is_new).collect();
        let admitted = |(asked, caller): &(&Asked<'_>, &Caller)| {
            let boxes = boxes(asked.alternative, caller, &chain.trusted);
            chain.admitted(boxes, &asked.alternative.rules)
        };
        let admitted: Vec<Admitted> = new.iter().map(admitted).collect();
        let passes = chain.ask(&admitted).into_iter().map(|answer| answer.map(|request| request.is_some()));
        let keys = new.into_iter().map(|(asked, caller)| (asked.at, caller.clone()));
        self.passes.lock().unwrap_or_else(PoisonError::into_inner).extend(keys.zip(passes));
    }
}

fn boxes(alternative: &Alternative, caller: &Caller, trusted: &[Test]) -> Vec<RequestBox> {
    match caller {
        Caller::Named(principal) => probes(alternative, principal.as_deref()),
        Caller::Somebody => probes_of_somebody(alternative, trusted),
    }
}
