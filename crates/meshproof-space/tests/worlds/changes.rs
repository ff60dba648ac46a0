//! Two versions of policies: what one lets through and the other does not.

use fastrand::Rng;
use meshproof_authz::{Context, Decision, Engine, Policy, evaluate};
use meshproof_space::{Comparison, Domain, Limit};

use crate::common::{Policies, context};
use crate::pool::Pool;
use crate::world::{SOURCES, TEXTS, World};
use crate::{DECIDING, SAMPLE, http, times};

fn passing(list: &[Policy<'_>], context: &Context, pool: &Pool) -> Vec<bool> {
    let passes = |request| evaluate(list, request, context).decision == Decision::Allow;
    pool.requests.iter().map(passes).collect()
}

/// One document more or less, or another in its place.
fn changed(text: &str, world: &World, rng: &mut Rng) -> String {
    let mut documents: Vec<String> = text.split("---\n").map(str::to_owned).collect();
    let at = rng.usize(0..documents.len());
    let new = world.text(rng).split("---\n").next().unwrap().to_owned();
    match rng.usize(0..3) {
        0 if documents.len() > 1 => {
            documents.remove(at);
        }
        1 => documents.push(new),
        _ => documents[at] = new,
    }
    documents.join("---\n")
}

fn compare(world: &World, context: &Context, pool: &Pool, rounds: usize, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut unknown = 0;
    for _ in 0..rounds * times() {
        let old = world.text(&mut rng);
        let new = changed(&old, world, &mut rng);
        let sample = pool.sample(&mut rng, SAMPLE);
        let (before, after) = (Policies::read(&old), Policies::read(&new));
        let (before, after) = (before.list(), after.list());
        let comparison = Comparison::new((&before, context), (&after, context), &Domain::default());
        let passed = passing(&before, context, &sample);
        let passes = passing(&after, context, &sample);
        let shown =
            |gained: bool| (0..passed.len()).find(|at| passed[*at] != gained && passes[*at] == gained);
        for (answer, shown) in [(comparison.gained(), shown(true)), (comparison.lost(), shown(false))] {
            assert!(answer.as_ref().is_ok_and(Option::is_none) || comparison.is_same() != Ok(true));
            match answer {
                Ok(None) => {
                    assert!(shown.is_none(), "{:?}\n{old}\n=====\n{new}", sample.requests[shown.unwrap()]);
                }
                Ok(Some(_)) => {}
                Err(Limit::Unconfirmed) => panic!("the evaluator disagrees\n{old}\n=====\n{new}"),
                Err(_) => unknown += 1,
            }
        }
    }
    assert_eq!(unknown, 0);
}

#[test]
fn changes_of_texts() {
    let world = World { from: None, to: Some(&TEXTS), when: &[], actions: DECIDING };
    compare(&world, &http(), &Pool::texts(), 60, 21);
}

#[test]
fn changes_of_sources() {
    let world = World { from: Some(&SOURCES), to: None, when: &[], actions: DECIDING };
    compare(&world, &context(Engine::EnvoyTcp), &Pool::peers(false), 60, 22);
    compare(&world, &context(Engine::Ztunnel), &Pool::peers(false), 30, 23);
}

#[test]
fn points_that_read_paths_differently_are_not_compared() {
    let other = Context {
        semantics: meshproof_authz::Semantics {
            normalization: meshproof_authz::PathNormalization::None,
            ..Default::default()
        },
        ..http()
    };
    let comparison = Comparison::new((&[], &http()), (&[], &other), &Domain::default()).gained();
    assert_eq!(comparison, Err(Limit::Incomparable));
}
