//! The alternatives of `from` and `to`, each as the clauses of all its fields.

use meshproof_authz::TestedField;

use super::MOST_BOXES;
use super::known::Known;
use super::value::Values;
use crate::boxes::Clause;
use crate::limit::Limit;

/// Lists of clauses, one for each alternative. They keep their room from one rule to the next.
#[derive(Debug, Default)]
pub(super) struct Alternatives {
    lists: Vec<Vec<Clause>>,
    /// How many of the lists count.
    used: usize,
}

impl Alternatives {
    /// Those of the last rule.
    pub fn list(&self) -> &[Vec<Clause>] {
        &self.lists[..self.used]
    }

    /// The only one, if there is no other.
    pub fn only(&mut self) -> Option<&mut Vec<Clause>> {
        self.lists.first_mut().filter(|_| self.used == 1)
    }

    /// One alternative that asks nothing.
    pub fn take_everything(&mut self) {
        self.used = 0;
        self.push();
    }

    /// The items, without those of which some field can never hold.
    ///
    /// # Errors
    /// They are more than [`MOST_BOXES`].
    pub fn fill<'v>(
        &mut self,
        values: &Values<'_>,
        known: &mut Known<'v>,
        items: impl Iterator<Item = impl Iterator<Item = TestedField<'v>>>,
    ) -> Result<(), Limit> {
        self.used = 0;
        for item in items {
            let start = self.used;
            self.push();
            for field in item {
                self.ask(values, known, &field, start);
                if self.used - start > MOST_BOXES {
                    return Err(Limit::Boxes);
                }
            }
        }
        Ok(())
    }

    fn push(&mut self) -> &mut Vec<Clause> {
        if self.lists.len() == self.used {
            self.lists.push(Vec::new());
        }
        let list = &mut self.lists[self.used];
        list.clear();
        self.used += 1;
        list
    }

    /// Adds what a field asks to the alternatives from `start` on.
    fn ask<'v>(&mut self, values: &Values<'_>, known: &mut Known<'v>, field: &TestedField<'v>, start: usize) {
        let [wanted, refused] = field.written();
        let [wanted, or_wanted] = match wanted {
            [] => [None, None],
            list => known.clauses(&field.attribute, false, list, || {
                values.clauses(&field.attribute, field.any_of(), Clause::any)
            }),
        };
        if wanted.is_none() && field.any_of().next().is_some() {
            self.used = start;
            return;
        }
        let refused = match refused {
            [] => [None, None],
            list => known.clauses(&field.attribute, true, list, || {
                values.clauses(&field.attribute, field.none_of(), Clause::none)
            }),
        };
        let end = self.used;
        if let Some(clause) = or_wanted {
            for at in start..end {
                let known = self.lists[at].clone();
                let list = self.push();
                list.extend(known);
                list.push(clause.clone());
            }
        }
        if let Some(clause) = wanted {
            add(&mut self.lists[start..end], clause);
        }
        for clause in refused.into_iter().flatten() {
            add(&mut self.lists[start..self.used], clause);
        }
    }
}

/// Adds the clause to all lists.
fn add(lists: &mut [Vec<Clause>], clause: Clause) {
    if let Some((last, others)) = lists.split_last_mut() {
        others.iter_mut().for_each(|list| list.push(clause.clone()));
        last.push(clause);
    }
}
