//! What of some requests passes a chain: many questions are put together, and none is put twice.

use std::sync::{Mutex, PoisonError};

use foldhash::{HashMap, HashSet, HashSetExt};
use meshproof_space::{Admitted, Answer, Clause, RequestBox, Test, Variable, passing_beside};

use crate::chain::{Chain, Refusing};

/// Answers by the boxes that were asked about.
#[derive(Default)]
pub(crate) struct Answers {
    known: Mutex<HashMap<Vec<RequestBox>, Answer>>,
}

impl Answers {
    fn get(&self, boxes: &[RequestBox]) -> Option<Answer> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(boxes).cloned()
    }
}

impl Chain<'_> {
    /// A request that passes.
    pub fn passing(&self, asked: Admitted) -> Answer {
        self.answers.get(&asked.boxes).unwrap_or_else(|| {
            let answer = self.ask(std::slice::from_ref(&asked)).pop().unwrap_or(Ok(None));
            let mut known = self.answers.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(asked.boxes, answer.clone());
            answer
        })
    }

    /// Asks what will be asked by [`Chain::passing`], all of it together.
    pub fn foresee(&self, mut lists: Vec<Admitted>) {
        let mut new = HashSet::with_capacity(lists.len());
        lists.retain(|asked| self.answers.get(&asked.boxes).is_none() && new.insert(asked.boxes.clone()));
        let answers = self.ask(&lists);
        let mut known = self.answers.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(lists.into_iter().map(|asked| asked.boxes).zip(answers));
    }

    /// For each list of boxes a request of one of them that passes.
    pub fn ask(&self, lists: &[Admitted]) -> Vec<Answer> {
        if lists.is_empty() {
            return Vec::new();
        }
        // Boxes of the chain do not say the port any more, and the evaluator asks all the same.
        let port = self.domain.ports.iter().filter(|_| !self.at_port.is_empty());
        let port: Vec<Clause> =
            port.map(|port| Clause::any(Variable::DestinationPort, vec![Test::Port(*port)])).collect();
        let there = |one: &RequestBox| RequestBox::of([one.clauses.as_slice(), &port].concat());
        let there =
            |list: &Admitted| Admitted { boxes: list.boxes.iter().map(there).collect(), by: list.by.clone() };
        let lists: Vec<Admitted> = lists.iter().map(there).collect();
        let refused: Vec<RequestBox> = self.refusing.iter().map(Refusing::whole).collect();
        passing_beside(&lists, &refused, (&self.policies, &self.context), &self.domain)
    }
}
