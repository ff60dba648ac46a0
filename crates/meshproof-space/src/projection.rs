//! Which values of one variable occur in a set at all, said by the tests that policies make of it.

use std::fmt;

use meshproof_grammar::pattern::Pattern;

use crate::boxes::Clause;
use crate::held::{Diagram, Held};
use crate::limit::Limit;
use crate::nodes::{NONE, NodeId};
use crate::test::Test;
use crate::variable::Variable;
use crate::words;

/// The values of a variable that some request of a set has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// Every value that one of the clauses takes occurs.
    pub clauses: Vec<Clause>,
    /// No other one does. When not, some value occurs that no few tests tell from those that do not.
    pub is_all: bool,
}

impl Projection {
    /// Whether nothing occurs: the set is empty.
    pub fn is_empty(&self) -> bool {
        self.clauses.is_empty() && self.is_all
    }
}

impl fmt::Display for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pieces: Vec<String> = self.clauses.iter().map(piece).collect();
        if !self.is_all {
            pieces.push("others".to_owned());
        }
        f.write_str(&if pieces.is_empty() { "none".to_owned() } else { pieces.join(" or ") })
    }
}

fn piece(clause: &Clause) -> String {
    let listed = |tests: &[Test]| {
        let mut said: Vec<String> = tests.iter().map(|test| words::value(&clause.variable, test)).collect();
        // One account of several trust domains is called by one name.
        said.dedup();
        said.join(" or ")
    };
    let wanted = if clause.any_of.is_empty() { "any".to_owned() } else { listed(&clause.any_of) };
    if clause.none_of.is_empty() { wanted } else { format!("{wanted} except {}", listed(&clause.none_of)) }
}

/// Values that one test takes, or all.
struct Candidate {
    test: Option<Test>,
    values: NodeId,
    /// How many other candidates lie inside.
    holds: usize,
}

impl Diagram<'_> {
    /// Which values of the variable occur in the set. A variable that no policy looks at has any value.
    ///
    /// # Errors
    /// The set is too large.
    pub fn project(&mut self, set: Held, variable: &Variable) -> Result<Projection, Limit> {
        let anything = Clause::none(variable.clone(), Vec::new());
        let Some(place) = self.universe.vocabulary.place_of(variable) else {
            let clauses = if set.0 == NONE { Vec::new() } else { vec![anything] };
            return Ok(Projection { clauses, is_all: true });
        };
        let levels = self.levels[place].first..self.levels[place].first + self.levels[place].len();
        let keep = |level: u32| levels.contains(&level);
        let all = self.nodes.project(self.everything().0, &keep)?;
        let values = self.nodes.project(set.0, &keep)?;
        let candidates = self.candidates(place, variable, all)?;
        // Tests that hold as they stand read best; exceptions are only made where those do not say it all.
        let (mut found, mut covered) = self.covering(variable, &candidates, values, false)?;
        if covered != values {
            (found, covered) = self.covering(variable, &candidates, values, true)?;
        }
        self.leave_out(&mut found)?;
        Ok(Projection { clauses: joined(found), is_all: covered == values })
    }

    /// Clauses that take only values that occur, with those values, and all of what they take.
    fn covering(
        &mut self,
        variable: &Variable,
        candidates: &[Candidate],
        values: NodeId,
        excepting: bool,
    ) -> Result<(Vec<(Clause, NodeId)>, NodeId), Limit> {
        let mut found: Vec<(Clause, NodeId)> = Vec::new();
        let mut covered = NONE;
        for candidate in candidates {
            if values == covered {
                break;
            }
            let others = if excepting { candidates } else { &[] };
            let Some((refused, own)) = self.refused(candidate, others, values)? else { continue };
            if self.nodes.is_subset(own, covered) {
                continue;
            }
            covered = self.nodes.either(covered, own)?;
            let any_of = candidate.test.iter().cloned().collect();
            found.push((Clause::new(variable.clone(), any_of, refused), own));
        }
        Ok((found, covered))
    }

    /// Everything that a clause could ask for, what holds most first.
    fn candidates(
        &mut self,
        place: usize,
        variable: &Variable,
        all: NodeId,
    ) -> Result<Vec<Candidate>, Limit> {
        let vocabulary = &self.universe.vocabulary;
        let tests: Vec<u32> = vocabulary.tests_of(place).collect();
        let mut list: Vec<(Option<Test>, NodeId)> = vec![(None, all)];
        let absent = self.levels[place].absent(&mut self.nodes)?;
        let absent = self.nodes.both(absent, all)?;
        if absent != NONE {
            list.push((Some(Test::Absent), absent));
            if *variable == Variable::Peer {
                let there = self.nodes.without(all, absent)?;
                list.push((Some(Test::Principal(Pattern::Present)), there));
            }
        }
        for test in tests {
            let written = self.universe.vocabulary.tests[test as usize].clone();
            let values = self.test(place, test)?;
            let values = self.nodes.both(values, all)?;
            if values != NONE && !list.iter().any(|(_, known)| *known == values) {
                list.push((Some(written), values));
            }
        }
        let holds = |values: NodeId| {
            list.iter().filter(|(_, other)| *other != values && self.nodes.is_subset(*other, values)).count()
        };
        let counts: Vec<usize> = list.iter().map(|(_, values)| holds(*values)).collect();
        let mut candidates: Vec<Candidate> = list
            .into_iter()
            .zip(counts)
            .map(|((test, values), holds)| Candidate { test, values, holds })
            .collect();
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.holds));
        Ok(candidates)
    }

    /// Tests that lead from the candidate to values that all occur, with those values; nothing when none do.
    fn refused(
        &mut self,
        candidate: &Candidate,
        candidates: &[Candidate],
        values: NodeId,
    ) -> Result<Option<(Vec<Test>, NodeId)>, Limit> {
        let mut own = candidate.values;
        let mut refused: Vec<Test> = Vec::new();
        for other in candidates {
            if self.nodes.is_subset(own, values) {
                break;
            }
            let excess = self.nodes.both(own, other.values)?;
            let Some(test) = other.test.as_ref().filter(|_| excess != NONE && excess != own) else {
                continue;
            };
            if self.nodes.both(excess, values)? == NONE {
                own = self.nodes.without(own, excess)?;
                refused.push(test.clone());
            }
        }
        let fits = own != NONE && self.nodes.is_subset(own, values);
        Ok(fits.then_some((refused, own)))
    }

    /// Leaves out clauses whose values others have too.
    fn leave_out(&mut self, found: &mut Vec<(Clause, NodeId)>) -> Result<(), Limit> {
        let mut at = 0;
        while at < found.len() {
            let others = found.iter().enumerate().filter(|(other, _)| *other != at);
            let others = others.map(|(_, (_, values))| *values).collect();
            let others = self.nodes.any(others)?;
            if found.len() > 1 && self.nodes.is_subset(found[at].1, others) {
                found.remove(at);
            } else {
                at += 1;
            }
        }
        Ok(())
    }
}

/// Clauses that refuse nothing become one.
fn joined(found: Vec<(Clause, NodeId)>) -> Vec<Clause> {
    let mut clauses: Vec<Clause> = Vec::new();
    for (clause, _) in found {
        let plain = |clause: &Clause| clause.none_of.is_empty() && !clause.any_of.is_empty();
        match clauses.iter_mut().find(|known| plain(known) && plain(&clause)) {
            Some(known) => known.any_of.extend(clause.any_of.iter().cloned()),
            None => clauses.push(clause),
        }
    }
    clauses
}
