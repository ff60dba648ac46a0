//! Values of one text in parts.

use std::sync::Arc;

use foldhash::{HashSet, HashSetExt};

use super::MOST_VALUES;
use crate::alphabet::{Form, TextDomain};
use crate::kind::Shape;
use crate::limit::Limit;
use crate::part::{Demand, Part};
use crate::value::Value;
use crate::vocabulary::{Column, TestId, Vocabulary};

/// So many demands are compared with each other one by one.
const FEW: usize = 16;

/// What is asked of each part.
type Demands = Vec<Demand>;

/// The least values of everything that the column and the refused tests can ask together.
pub(super) fn values(
    domains: &[TextDomain],
    together: bool,
    column: &Column,
    refused: &[TestId],
    vocabulary: &Vocabulary,
) -> Result<Vec<Value>, Limit> {
    if let Some(list) = names(column, vocabulary) {
        return Ok(of_names(list, domains, column, vocabulary));
    }
    let mut demands: Vec<Demands> = vec![vec![Demand::Free; domains.len()]];
    for list in &column.any_of {
        let forms: Vec<&[Part]> = list.iter().flat_map(|test| forms(*test, vocabulary)).collect();
        demands = met(&demands, &forms)?;
    }
    // What the column refuses anyway leads to no value that it takes.
    let own: Vec<&[Part]> = column.none_of.iter().flat_map(|test| forms(*test, vocabulary)).collect();
    let is_own = |form: &&[Part]| own.iter().any(|own| own.iter().zip(*form).all(|(a, b)| a.holds_all_of(b)));
    let of_others = refused.iter().flat_map(|test| forms(*test, vocabulary)).filter(|form| !is_own(form));
    let mut more: Vec<Vec<Part>> = of_others.map(<[Part]>::to_vec).collect();
    more.extend(odd_point(domains));
    let mut known: HashSet<Demands> = HashSet::new();
    if !more.is_empty() {
        known.extend(demands.iter().cloned());
    }
    for form in &more {
        for at in 0..demands.len() {
            let joined = and(&demands[at], form).filter(|joined| !known.contains(joined));
            if let Some(joined) = joined {
                known.insert(joined.clone());
                demands.push(joined);
            }
        }
        if demands.len() > MOST_VALUES {
            return Err(Limit::Values);
        }
    }
    let mut found = Vec::new();
    for demand in &demands {
        for value in least(demand, domains, together)? {
            if vocabulary.takes(column, &value) {
                found.push(value);
            }
        }
    }
    Ok(found)
}

/// A list that names whole values, so that no others come into question. Lists before it do not change their order.
fn names<'c>(column: &'c Column, vocabulary: &Vocabulary) -> Option<&'c [TestId]> {
    let names_all = |list: &&Vec<TestId>| {
        let mut forms = list.iter().flat_map(|test| forms(*test, vocabulary)).flatten();
        forms.all(|part| matches!(part, Part::Exact(_)))
    };
    let is_single = |list: &Vec<TestId>| list.iter().flat_map(|test| forms(*test, vocabulary)).count() == 1;
    let at = column.any_of.iter().position(|list| names_all(&list))?;
    column.any_of[..at].iter().all(is_single).then(|| column.any_of[at].as_slice())
}

/// The named values that the column takes.
fn of_names(list: &[TestId], domains: &[TextDomain], column: &Column, vocabulary: &Vocabulary) -> Vec<Value> {
    let mut known: HashSet<&[Part]> = HashSet::new();
    let mut found = Vec::new();
    for form in list.iter().flat_map(|test| forms(*test, vocabulary)) {
        let named = || {
            let parts = form.iter().zip(domains).map(|(part, domain)| match part {
                Part::Exact(text) if domain.is_legal(text) => Some(Some(Arc::clone(text))),
                _ => None,
            });
            parts.collect::<Option<Arc<[_]>>>().map(Value::Parts)
        };
        if (list.len() == 1 || known.insert(form))
            && let Some(value) = named()
            && vocabulary.takes(column, &value)
        {
            found.push(value);
        }
    }
    found
}

fn forms(test: TestId, vocabulary: &Vocabulary) -> impl Iterator<Item = &[Part]> {
    let forms = match vocabulary.shape(test) {
        Shape::Forms(forms) => forms.as_slice(),
        _ => &[],
    };
    forms.iter().map(Vec::as_slice)
}

/// The path `//` is the only one with two slashes where slashes are merged.
fn odd_point(domains: &[TextDomain]) -> Option<Vec<Part>> {
    let [domain] = domains else { return None };
    let merges = matches!(domain.form, Form::Path(_)) && domain.is_legal("//") && !domain.is_legal("//x");
    merges.then(|| vec![Part::Exact(Arc::from("//"))])
}

/// Each demand with one of the forms.
fn met(demands: &[Demands], forms: &[&[Part]]) -> Result<Vec<Demands>, Limit> {
    if demands.len() * forms.len() <= FEW {
        let mut joined: Vec<Demands> = Vec::with_capacity(demands.len() * forms.len());
        for both in demands.iter().flat_map(|demand| forms.iter().filter_map(|form| and(demand, form))) {
            if !joined.contains(&both) {
                joined.push(both);
            }
        }
        return Ok(joined);
    }
    let mut known: HashSet<Demands> = HashSet::new();
    let mut joined = Vec::new();
    for demand in demands {
        for form in forms {
            if let Some(both) = and(demand, form)
                && known.insert(both.clone())
            {
                joined.push(both);
            }
        }
        if joined.len() > MOST_VALUES {
            return Err(Limit::Values);
        }
    }
    Ok(joined)
}

fn and(demands: &Demands, form: &[Part]) -> Option<Demands> {
    demands.iter().zip(form).map(|(demand, part)| demand.and(part)).collect()
}

/// The only value, where all parts are named.
fn named(demands: &Demands) -> Option<Value> {
    let text = |demand: &Demand| match demand {
        Demand::Exact(text) => Some(Some(Arc::clone(text))),
        _ => None,
    };
    demands.iter().map(text).collect::<Option<Arc<[_]>>>().map(Value::Parts)
}

fn least(demands: &Demands, domains: &[TextDomain], together: bool) -> Result<Vec<Value>, Limit> {
    if let Some(named) = named(demands) {
        let are_legal = demands.iter().zip(domains).all(|(demand, domain)| match demand {
            Demand::Exact(text) => domain.is_legal(text),
            _ => false,
        });
        return Ok(if are_legal { vec![named] } else { Vec::new() });
    }
    let nothing_asked = demands.iter().all(|demand| matches!(demand, Demand::Free | Demand::Absent));
    let may_be_absent = domains.iter().all(|domain| domain.absent);
    let mut values = Vec::new();
    if together && nothing_asked {
        let absent_matters = domains.iter().any(|domain| domain.absent_matters);
        if may_be_absent {
            values.push(Value::Parts(vec![None; demands.len()].into()));
        }
        if demands.contains(&Demand::Absent) || (may_be_absent && !absent_matters) {
            return Ok(values);
        }
    }
    let mut found: Vec<Vec<Option<Arc<str>>>> = vec![Vec::new()];
    for (demand, domain) in demands.iter().zip(domains) {
        let texts = match demand {
            // All parts are there, whatever is asked of this one.
            Demand::Free if together => Demand::there().least(domain)?,
            Demand::Absent if together => Vec::new(),
            demand => demand.least(domain)?,
        };
        let longer = found.iter().flat_map(|start| {
            texts.iter().map(move |text| {
                let mut parts = start.clone();
                parts.push(text.clone());
                parts
            })
        });
        found = longer.collect();
    }
    values.extend(found.into_iter().map(|parts| Value::Parts(parts.into())));
    Ok(values)
}

/// The least texts that meet all of the simple tests.
pub(super) fn texts(tests: &[Part], domain: &TextDomain) -> Result<Vec<Arc<str>>, Limit> {
    let demand = tests.iter().try_fold(Demand::Free, |demand, part| demand.and(part));
    let least = demand.map_or(Ok(Vec::new()), |demand| demand.least(domain))?;
    Ok(least.into_iter().flatten().collect())
}
