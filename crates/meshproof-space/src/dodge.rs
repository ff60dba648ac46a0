//! Variables of which a target asks nothing, and that have a value which no box with a test of them accepts. Such a value
//! beats all others, so these variables are chosen all at once, however many there are: what remains to be searched are
//! those that the target asks about.

use std::rc::Rc;

use foldhash::{HashMap, HashMapExt};

use crate::bits::Bits;
use crate::limit::Limit;
use crate::prepared::{Prepared, PreparedId};
use crate::value::Value;
use crate::vocabulary::{VariableId, Vocabulary};

/// Of so many variables of a target the boxes are looked up subset by subset; of more, list by list.
const FEW: usize = 6;

/// For one union of boxes, the values that only boxes accept which ask nothing of the variable.
pub(crate) struct Dodges {
    /// Ordered by variable.
    pub values: Rc<[(VariableId, Value)]>,
    /// The variables without such a value, with the column that asks nothing of them.
    pub others: Vec<(VariableId, PreparedId)>,
    /// Boxes by those variables with such a value that they ask about.
    boxes: HashMap<Vec<VariableId>, Vec<usize>>,
}

impl Dodges {
    /// # Errors
    /// A limit was hit.
    pub fn new(prepared: &mut Prepared<'_>, vocabulary: &Vocabulary) -> Result<Dodges, Limit> {
        let (mut values, mut others) = (Vec::new(), Vec::new());
        for (variable, column) in prepared.free.clone() {
            match prepared.dodge(column)? {
                Some(value) => values.push((variable, value)),
                None => others.push((variable, column)),
            }
        }
        let mut boxes: HashMap<Vec<VariableId>, Vec<usize>> = HashMap::new();
        for (at, cube) in prepared.index.cubes.iter().enumerate() {
            let mut asked: Vec<VariableId> =
                vocabulary.columns_of(*cube).map(|column| column.variable).collect();
            asked.sort_unstable();
            asked.dedup();
            asked.retain(|variable| position(&values, *variable).is_ok());
            boxes.entry(asked).or_default().push(at);
        }
        Ok(Dodges { values: values.into(), others, boxes })
    }

    /// Those of the living boxes that ask about none of the variables chosen here, which are all but the `own` ones.
    pub fn left(&self, own: impl Iterator<Item = VariableId>, alive: &Bits, bound: usize) -> Bits {
        let mut own: Vec<VariableId> = own.filter(|at| position(&self.values, *at).is_ok()).collect();
        own.sort_unstable();
        own.dedup();
        let mut left = Bits::none(bound);
        let mut keep = |boxes: &[usize]| {
            boxes.iter().filter(|at| alive.contains(**at)).for_each(|at| left.insert(*at));
        };
        if own.len() > FEW {
            let within = |asked: &[VariableId]| asked.iter().all(|at| own.binary_search(at).is_ok());
            self.boxes.iter().filter(|(asked, _)| within(asked)).for_each(|(_, boxes)| keep(boxes));
            return left;
        }
        for subset in 0..1usize << own.len() {
            let chosen = own.iter().enumerate().filter(|(at, _)| subset & (1 << at) != 0);
            let asked: Vec<VariableId> = chosen.map(|(_, variable)| *variable).collect();
            self.boxes.get(&asked).into_iter().for_each(|boxes| keep(boxes));
        }
        left
    }
}

fn position(values: &[(VariableId, Value)], variable: VariableId) -> Result<usize, usize> {
    values.binary_search_by_key(&variable, |(at, _)| *at)
}

#[cfg(test)]
mod tests {
    use biodivine_lib_bdd::{Bdd, BddVariableSet};
    use fastrand::Rng;
    use meshproof_authz::{Context, Engine};
    use meshproof_grammar::pattern::Pattern;
    use meshproof_grammar::uri_template::{UriTemplate, translate};

    use super::*;
    use crate::boxes::{Clause, RequestBox};
    use crate::cover::Cover;
    use crate::domain::Domain;
    use crate::test::Test;
    use crate::universe::Universe;
    use crate::variable::Variable;

    const HEADERS: u16 = 18;

    fn header(at: usize, is_wanted: bool) -> Clause {
        let tests = vec![Test::Header(Pattern::Exact("1".to_owned()))];
        let variable = Variable::Header(format!("h{at}"));
        if is_wanted { Clause::any(variable, tests) } else { Clause::none(variable, tests) }
    }

    /// A box that asks about some of the first headers, more often about the very first ones, and its diagram.
    fn some_box(rng: &mut Rng, set: &BddVariableSet) -> (RequestBox, Bdd) {
        let variables = set.variables();
        let mut all = set.mk_true();
        let mut clauses = Vec::new();
        for (at, variable) in variables.iter().enumerate() {
            if rng.usize(0..at / 2 + 2) == 0 {
                let is_wanted = at >= 3 || rng.bool();
                clauses.push(header(at, is_wanted));
                all = all.and(&set.mk_literal(*variable, is_wanted));
            }
        }
        (RequestBox::of(clauses), all)
    }

    fn universe(probes: &[RequestBox]) -> Universe {
        Universe::new(Vec::new(), &Context::new(Engine::EnvoyHttp), &Domain::default(), probes)
    }

    fn escapes(universe: &Universe, at: usize, cover: &mut Cover<'_>, alive: Bits) -> bool {
        let target = universe.target(&[universe.probes[at]], 0, cover);
        cover.escape(&target, alive).unwrap_or_default().is_some()
    }

    #[test]
    fn what_is_chosen_at_once_changes_no_answer() {
        let mut rng = Rng::with_seed(11);
        let set = BddVariableSet::new_anonymous(HEADERS);
        let mut told = [0, 0];
        for _ in 0..400 {
            let (boxes, sets): (Vec<_>, Vec<_>) = (0..12).map(|_| some_box(&mut rng, &set)).unzip();
            let universe = universe(&boxes);
            let mut cover = universe.cover(universe.probes.clone());
            for (at, own) in sets.iter().enumerate() {
                let others = universe.probes.iter().enumerate();
                let mut alive = Bits::none(cover.len());
                let mut any = set.mk_false();
                for (other, cube) in others.filter(|(_, cube)| **cube != universe.probes[at]) {
                    if universe.probes.iter().position(|known| known == cube) == Some(other) || rng.bool() {
                        alive.insert(other);
                        any = any.or(&sets[other]);
                    }
                }
                let is_left = !own.and_not(&any).is_false();
                assert_eq!(escapes(&universe, at, &mut cover, alive), is_left, "{boxes:?} {at}");
                told[usize::from(is_left)] += 1;
            }
        }
        assert!(told.iter().all(|count| *count > 200), "{told:?}");
    }

    #[test]
    fn variables_of_others_take_no_steps() {
        const RULES: usize = 300;
        let probes: Vec<RequestBox> = (0..RULES).map(|at| RequestBox::of(vec![header(at, true)])).collect();
        let universe = universe(&probes);
        let mut cover = universe.cover(universe.probes.clone());
        for at in 0..RULES {
            let mut alive = Bits::all(cover.len());
            alive.remove(at);
            assert!(escapes(&universe, at, &mut cover, alive));
        }
        assert!(cover.steps <= 2 * RULES, "{}", cover.steps);
    }

    #[test]
    fn a_text_that_no_box_takes_is_not_held_against_each() {
        const RULES: usize = 100;
        let path = |any: Vec<Test>, none| RequestBox::of(vec![Clause::new(Variable::Path, any, none)]);
        let suffix = |text: String| Test::Path(Pattern::Suffix(text));
        let mut probes: Vec<RequestBox> = (0..RULES)
            .map(|at| {
                let apart = Test::Path(Pattern::Prefix(format!("/a{at}")));
                path(vec![suffix(format!("x{at}"))], vec![apart])
            })
            .collect();
        let template = UriTemplate::parse(&translate("/c/{*}/d"));
        assert!(template.is_ok());
        probes.push(path(template.into_iter().map(Test::Template).collect(), Vec::new()));
        probes.extend((0..RULES).map(|at| path(vec![suffix(format!("b{at}"))], Vec::new())));
        let universe = universe(&probes);
        let mut cover = universe.cover(universe.probes[..RULES].to_vec());
        for at in 0..probes.len() {
            let mut alive = Bits::all(cover.len());
            (at < RULES).then(|| alive.remove(at));
            assert!(escapes(&universe, at, &mut cover, alive), "{at}");
        }
        // Each with what it asks itself, not with what all others refuse.
        let languages = cover.prepared.languages();
        assert!((1..=4 * RULES).contains(&languages), "{languages}");
    }
}
