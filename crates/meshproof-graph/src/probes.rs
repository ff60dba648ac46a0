//! What is asked of an alternative: its requests, of one caller.

use meshproof_grammar::pattern::Pattern;
use meshproof_space::{Clause, RequestBox, Test, Variable};

use crate::chain::Alternative;
use crate::peers::exactly;

/// The boxes of an alternative for one caller.
pub(crate) fn probes(alternative: &Alternative, principal: Option<&str>) -> Vec<RequestBox> {
    let peers = &alternative.peers.clauses;
    let own = [exactly(principal)];
    let of = |one: &RequestBox| RequestBox::of([peers.as_slice(), &own, &one.clauses].concat());
    alternative.boxes.iter().map(of).collect()
}

/// The boxes of an alternative for somebody with an identity that is not known. `trusted`: those that the place takes; any where
/// there is no test.
pub(crate) fn probes_of_somebody(alternative: &Alternative, trusted: &[Test]) -> Vec<RequestBox> {
    let peers = &alternative.peers.clauses;
    let any = || vec![Test::Principal(Pattern::Present)];
    let own = [Clause::any(Variable::Peer, if trusted.is_empty() { any() } else { trusted.to_vec() })];
    let of = |one: &RequestBox| RequestBox::of([peers.as_slice(), &own, &one.clauses].concat());
    alternative.boxes.iter().map(of).collect()
}
