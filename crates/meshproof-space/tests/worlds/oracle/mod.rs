//! A second opinion: rules as formulas over their patterns, one boolean for each, in the decision diagrams of another
//! crate. Which patterns go together is found by trying short values; nothing here knows boxes, classes or searches.

mod attribute;
mod formula;

use std::collections::BTreeSet;

use fastrand::Rng;
use meshproof_space::{Among, Comparison, Domain, Effect, Outcome, RuleId, RuleState, Space};

use crate::common::Policies;
use crate::{http, times};
use attribute::{Attribute, CLAIM, HEADER, METHODS, NAMESPACES, PATHS, PRINCIPALS, SERVER_NAMES, TEMPLATES};
use formula::{Formulas, World};

/// Without CONNECT and `OPTIONS *`, whose methods no short value is.
fn domain() -> Domain {
    Domain { pathless: false, ..Domain::default() }
}

/// Everything that can be asked about the rules of one world, against the formulas.
fn check(world: &World) {
    let formulas = Formulas::new(world);
    let text = world.text();
    let policies = Policies::read(&text);
    let (list, context) = (policies.list(), http());
    let space = Space::new(&list, &context, &domain());
    let mut diagram = space.diagram().unwrap();
    let allowed = formulas.allowed(world);
    for (outcome, formula) in [(Outcome::Allowed, allowed.clone()), (Outcome::Denied, allowed.not())] {
        let exists = formulas.exists(&formula);
        assert_eq!(space.find(outcome).unwrap().is_some(), exists, "{outcome:?}\n{text}");
        let held = diagram.of_outcome(outcome).unwrap();
        assert_eq!(!diagram.is_empty(held), exists, "{outcome:?}\n{text}");
    }
    let rules: Vec<(RuleId, &Effect)> = space.rules().iter().map(|rule| (rule.id, &rule.effect)).collect();
    let formula = |id: RuleId| formulas.rule(&world.policies[id.policy].rules[id.rule]);
    let contained = space.contained_rules();
    assert_eq!(contained.unknown, []);
    let pairs: BTreeSet<(RuleId, RuleId)> = contained.pairs.into_iter().collect();
    for ((rule, state), (_, effect)) in space.rule_states(Among::SameEffect).into_iter().zip(&rules) {
        let own = formula(rule);
        let held = diagram.of_rule(rule).unwrap();
        let exists = formulas.exists(&own);
        assert_eq!(space.find_match(rule).unwrap().is_some(), exists, "{rule:?}\n{text}");
        assert_eq!(!diagram.is_empty(held), exists, "{rule:?}\n{text}");
        let mut others = formulas.nothing();
        for (other, _) in rules.iter().filter(|(other, same)| *other != rule && same == effect) {
            let outer = formula(*other);
            let lies_in = !formulas.exists(&own.and_not(&outer));
            let of_other = diagram.of_rule(*other).unwrap();
            assert_eq!(pairs.contains(&(rule, *other)), exists && lies_in, "{rule:?} {other:?}\n{text}");
            assert_eq!(diagram.includes(of_other, held), lies_in, "{rule:?} {other:?}\n{text}");
            let equal = lies_in && !formulas.exists(&outer.and_not(&own));
            assert_eq!(held == of_other, equal, "{rule:?} {other:?}\n{text}");
            others = others.or(&outer);
        }
        let adds = formulas.exists(&own.and_not(&others));
        match state {
            RuleState::Adds => assert!(adds, "{rule:?}\n{text}"),
            RuleState::NeverMatches => assert!(!exists, "{rule:?}\n{text}"),
            RuleState::CoveredBy(_) => assert!(exists && !adds, "{rule:?}\n{text}"),
            RuleState::Unknown(limit) => panic!("{limit}\n{text}"),
        }
    }
}

/// What passes on one side only, against the formulas of both.
fn check_change(old: &World, new: &World) {
    let formulas = Formulas::new(new);
    let (before, after) = (Policies::read(&old.text()), Policies::read(&new.text()));
    let (before, after) = (before.list(), after.list());
    let context = http();
    let comparison = Comparison::new((&before, &context), (&after, &context), &domain());
    let (was, is) = (formulas.allowed(old), formulas.allowed(new));
    let text = || format!("{}\n=====\n{}", old.text(), new.text());
    let gained = formulas.exists(&is.and_not(&was));
    let lost = formulas.exists(&was.and_not(&is));
    assert_eq!(comparison.gained().unwrap().is_some(), gained, "{}", text());
    assert_eq!(comparison.lost().unwrap().is_some(), lost, "{}", text());
    assert_eq!(comparison.is_same(), Ok(!gained && !lost), "{}", text());
    let mut diagram = comparison.diagram().unwrap();
    let [was, is] = [0, 1].map(|side| diagram.of_outcome_at(side, Outcome::Allowed).unwrap());
    assert_eq!((diagram.includes(was, is), diagram.includes(is, was)), (!gained, !lost), "{}", text());
}

fn run(attributes: &[&'static Attribute], rounds: usize, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    for _ in 0..rounds * times() {
        let world = World::new(attributes, &mut rng);
        check(&world);
        check_change(&world, &world.changed(&mut rng));
    }
}

#[test]
fn formulas_of_texts() {
    run(&[&PATHS, &METHODS, &SERVER_NAMES], 45, 71);
}

#[test]
fn formulas_of_templates() {
    run(&[&TEMPLATES, &METHODS], 30, 72);
}

#[test]
fn formulas_of_identities() {
    run(&[&NAMESPACES, &PRINCIPALS, &SERVER_NAMES], 25, 73);
}

#[test]
fn formulas_of_several_values() {
    run(&[&HEADER, &CLAIM, &METHODS], 45, 74);
}
