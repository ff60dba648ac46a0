//! Boxes of requests in relation to each other, as far as it is plain: what is not plain is kept.

use meshproof_grammar::pattern::Pattern;
use meshproof_space::{Clause, RequestBox, Test};

/// Whether plainly no request lies in both.
pub(crate) fn are_apart(takes: &RequestBox, other: &RequestBox) -> bool {
    other.clauses.iter().filter(|clause| !clause.any_of.is_empty()).any(|clause| {
        let own = takes.clauses.iter().find(|own| own.variable == clause.variable);
        own.is_some_and(|own| {
            let is_wanted = |test: &Test| own.any_of.iter().any(|own| may_meet(own, test));
            let is_refused = |test: &Test| own.none_of.contains(test);
            let meets = |test: &Test| (own.any_of.is_empty() || is_wanted(test)) && !is_refused(test);
            !clause.any_of.iter().any(meets)
        })
    })
}

/// The requests of a box that do not lie in another one: for each of its clauses those that do not meet it.
pub(crate) fn without(takes: &RequestBox, other: &RequestBox) -> Vec<RequestBox> {
    let one = |clause: &Clause| {
        let mut left = takes.clone();
        without_clause(&mut left, clause);
        left
    };
    let mut left: Vec<RequestBox> = other.clauses.iter().map(one).collect();
    left.dedup();
    // Some clause that none of them meets leaves them all.
    match left.contains(takes) {
        true => vec![takes.clone()],
        false => left,
    }
}

/// Takes requests that meet the clause out of a box.
pub(crate) fn without_clause(takes: &mut RequestBox, clause: &Clause) {
    let clause = Clause::new(clause.variable.clone(), clause.none_of.clone(), clause.any_of.clone());
    let own = takes.clauses.iter_mut().find(|own| own.variable == clause.variable);
    match own {
        Some(own) if clause.any_of.is_empty() => {
            let wanted = &own.any_of;
            let meets = |test: &Test| wanted.is_empty() || wanted.iter().any(|own| may_meet(own, test));
            let is_new = |test: &&Test| meets(test) && !own.none_of.contains(test);
            let refused: Vec<Test> = clause.none_of.iter().filter(is_new).cloned().collect();
            own.none_of.extend(refused);
        }
        _ => takes.clauses.push(clause),
    }
}

/// Whether some value passes both tests; true where that is not obvious.
fn may_meet(one: &Test, other: &Test) -> bool {
    fn pattern(test: &Test) -> Option<&Pattern> {
        match test {
            Test::Path(pattern) | Test::Header(pattern) => Some(pattern),
            _ => None,
        }
    }
    match (pattern(one), pattern(other)) {
        (Some(Pattern::Exact(text)), Some(pattern)) | (Some(pattern), Some(Pattern::Exact(text))) => {
            pattern.matches(text)
        }
        (Some(Pattern::Prefix(one)), Some(Pattern::Prefix(other))) => {
            one.starts_with(other.as_str()) || other.starts_with(one.as_str())
        }
        _ => true,
    }
}

/// Requests that lie in both; nothing where none obviously do.
pub(crate) fn both(one: &RequestBox, other: &RequestBox) -> Option<RequestBox> {
    let mut joined = one.clone();
    for clause in &other.clauses {
        let own = joined.clauses.iter_mut().find(|own| own.variable == clause.variable);
        let Some(own) = own else {
            joined.clauses.push(clause.clone());
            continue;
        };
        let is_asked = !own.any_of.is_empty() || !clause.any_of.is_empty();
        let wanted: Option<Vec<Test>> = match (own.any_of.as_slice(), clause.any_of.as_slice()) {
            ([], other) => Some(other.to_vec()),
            (own, []) => Some(own.to_vec()),
            (own, other) => narrower(own, other),
        };
        match wanted {
            Some(any_of) => {
                if any_of.is_empty() && is_asked {
                    return None;
                }
                own.any_of = any_of;
                let more = clause.none_of.iter().filter(|test| !own.none_of.contains(test));
                let more: Vec<Test> = more.cloned().collect();
                own.none_of.extend(more);
            }
            None => joined.clauses.push(clause.clone()),
        }
    }
    Some(joined)
}

/// One of each list, as one list; nothing where that takes more than tests.
fn narrower(own: &[Test], other: &[Test]) -> Option<Vec<Test>> {
    let mut found: Vec<Test> = Vec::new();
    for one in own {
        for two in other {
            let both = match (takes_all_of(one, two), takes_all_of(two, one)) {
                (true, _) => two,
                (_, true) => one,
                _ if !may_meet(one, two) => continue,
                _ => return None,
            };
            if !found.contains(both) {
                found.push(both.clone());
            }
        }
    }
    Some(found)
}

/// Whether every value that passes the other test obviously passes this one.
fn takes_all_of(one: &Test, other: &Test) -> bool {
    if one == other {
        return true;
    }
    let (Test::Path(wide), Test::Path(narrow)) = (one, other) else { return false };
    match narrow {
        Pattern::Exact(text) => wide.matches(text),
        Pattern::Prefix(text) => match wide {
            Pattern::Prefix(start) => text.starts_with(start.as_str()),
            Pattern::Present => !text.is_empty(),
            _ => false,
        },
        Pattern::Suffix(text) => match wide {
            Pattern::Suffix(end) => text.ends_with(end.as_str()),
            Pattern::Present => !text.is_empty(),
            _ => false,
        },
        Pattern::Present => false,
    }
}
