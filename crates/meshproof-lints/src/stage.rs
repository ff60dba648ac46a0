//! A place where rules are shown at work, for all findings about it: its sets and its policies are read once.

use std::cell::OnceCell;

use meshproof_authz::Decider;
use meshproof_space::{Domain, Space};

use crate::points::Point;
use crate::rule_worth::At;
use crate::shown::named_first;

/// The chain of a point, with what questions about it need.
pub(crate) struct Stage<'s> {
    pub(crate) point: &'s Point,
    pub(crate) at: &'s At<'s>,
    decider: OnceCell<Decider<'s>>,
    /// Over callers with an identity, and over all.
    spaces: [OnceCell<Space<'s>>; 2],
}

impl<'s> Stage<'s> {
    pub(crate) fn new(point: &'s Point, at: &'s At<'s>) -> Stage<'s> {
        Stage { point, at, decider: OnceCell::new(), spaces: [OnceCell::new(), OnceCell::new()] }
    }

    pub(crate) fn decider(&self) -> &Decider<'s> {
        self.decider.get_or_init(|| Decider::new(&self.at.policies, &self.at.chain))
    }

    /// As [`named_first`], in the sets of this place.
    pub(crate) fn find<T>(&self, find: impl Fn(&Space<'s>) -> Option<T>) -> Option<T> {
        let space = |domain: &Domain| {
            let place = &self.spaces[usize::from(domain.plaintext)];
            place.get_or_init(|| Space::new(&self.at.policies, &self.at.chain, domain))
        };
        named_first(|domain| find(space(domain)))
    }
}
