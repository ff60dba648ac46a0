//! Answers that places share: the same policies let the same callers in, wherever they stand.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use foldhash::fast::RandomState;
use meshproof_explain::PointKind;
use meshproof_ir::ClusterId;
use meshproof_space::RequestBox;

use crate::chain::{Alternative, Chain};
use crate::edges::{probes, probes_of_somebody};
use crate::effect::Effect;
use crate::place::Place;

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

/// An alternative of a chain.
pub(crate) struct Asked<'c, 'm> {
    pub chain: &'c Chain<'m>,
    pub key: &'c ChainKey,
    pub alternative: &'c Alternative,
    /// Its place among the alternatives.
    pub at: usize,
}

/// Whether something passes, or which limit was hit.
type Passes = Result<bool, String>;

/// What was answered before.
#[derive(Default)]
pub(crate) struct Memo {
    known: Mutex<HashMap<(ChainKey, usize, Caller), Passes, RandomState>>,
}

impl Memo {
    /// The first of some callers that gets something through, in the order in which they are asked; else the last limit that
    /// was hit.
    ///
    /// # Errors
    /// The limit.
    pub fn first_through(&self, asked: &Asked<'_, '_>, callers: &[Caller]) -> Result<Option<usize>, String> {
        let before: Vec<Option<Passes>> = callers.iter().map(|caller| self.get(asked, caller)).collect();
        if let Some(at) = before.iter().position(|known| *known == Some(Ok(true))) {
            return Ok(Some(at));
        }
        let mut limit = before.iter().flatten().filter_map(|known| known.clone().err()).next_back();
        let new: Vec<usize> = (0..callers.len()).filter(|at| before[*at].is_none()).collect();
        // The first usually gets through; the others are asked about together.
        let (first, rest) = new.split_at(new.len().min(1));
        for some in [first, rest].into_iter().filter(|some| !some.is_empty()) {
            let lists: Vec<Vec<RequestBox>> =
                some.iter().map(|at| boxes(asked.alternative, &callers[*at])).collect();
            let (mut through, mut next) = (None, some.iter());
            asked.chain.ask(&lists, |answer| {
                let Some(at) = next.next() else { return false };
                let passes = answer.map(|request| request.is_some()).map_err(|limit| limit.to_string());
                match &passes {
                    Ok(true) => through = Some(*at),
                    Ok(false) => {}
                    Err(hit) => limit = Some(hit.clone()),
                }
                self.put(asked, &callers[*at], passes);
                through.is_none()
            });
            if through.is_some() {
                return Ok(through);
            }
        }
        limit.map_or(Ok(None), Err)
    }

    fn get(&self, asked: &Asked<'_, '_>, caller: &Caller) -> Option<Passes> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(asked.key.clone(), asked.at, caller.clone())).cloned()
    }

    fn put(&self, asked: &Asked<'_, '_>, caller: &Caller, passes: Passes) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((asked.key.clone(), asked.at, caller.clone()), passes);
    }
}

fn boxes(alternative: &Alternative, caller: &Caller) -> Vec<RequestBox> {
    match caller {
        Caller::Named(principal) => probes(alternative, principal.as_deref()),
        Caller::Somebody => probes_of_somebody(alternative),
    }
}
