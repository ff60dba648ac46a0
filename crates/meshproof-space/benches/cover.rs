//! Questions about large sets of rules, on one thread: three shapes of policies, as services, gateways and adversaries
//! write them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use meshproof_authz::{Context, Engine, Policy};
use meshproof_space::{Among, Comparison, Domain, RuleState, Space};

mod shapes;

use shapes::{Shape, policies};

fn context() -> Context {
    Context::new(Engine::EnvoyHttp)
}

fn shadowing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("shadowing of all rules");
    group.sample_size(10);
    let cases = [
        (Shape::Service, 0),
        (Shape::Gateway, 0),
        (Shape::Adversarial, 0),
        (Shape::Service, 40),
        (Shape::Gateway, 40),
    ];
    for (shape, templates) in cases {
        for rules in [100, 500, 2000] {
            let policies = policies(shape, rules, templates, "ALLOW", 1);
            let list = policies.list();
            let context = context();
            let space = Space::new(&list, &context, &Domain::default());
            let states = space.rule_states(Among::SameEffect);
            let covered = states.iter().filter(|(_, state)| matches!(state, RuleState::CoveredBy(_))).count();
            let unknown = states.iter().filter(|(_, state)| matches!(state, RuleState::Unknown(_))).count();
            eprintln!(
                "{shape:?} {templates} % templates, {rules} rules: {covered} covered, {unknown} unknown"
            );
            let id = BenchmarkId::new(format!("{shape:?}, {templates} % templates"), rules);
            group.bench_with_input(id, &list, |bencher, list| {
                bencher.iter(|| {
                    Space::new(black_box(list), &context, &Domain::default()).rule_states(Among::SameEffect)
                });
            });
        }
    }
    group.finish();
}

fn others(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("2000 rules");
    group.sample_size(10);
    for shape in [Shape::Service, Shape::Gateway, Shape::Adversarial] {
        let context = context();
        let old = policies(shape, 2000, 0, "ALLOW", 1);
        let new = policies(shape, 10, 0, "ALLOW", 2);
        let old = old.list();
        let new: Vec<Policy<'_>> = new.list().into_iter().chain(old.iter().skip(1).copied()).collect();
        group.bench_function(
            BenchmarkId::new("change of 10 rules, first", format!("{shape:?}")),
            |bencher| {
                bencher.iter(|| {
                    let comparison = Comparison::new((&old, &context), (&new, &context), &Domain::default());
                    (comparison.gained(), comparison.lost())
                });
            },
        );
        group.bench_function(BenchmarkId::new("change of 10 rules", format!("{shape:?}")), |bencher| {
            bencher.iter(|| {
                let comparison = Comparison::new((&old, &context), (&new, &context), &Domain::default());
                (comparison.gained_each(1000), comparison.lost_each(1000))
            });
        });
        let space = Space::new(&old, &context, &Domain::default());
        group.bench_function(BenchmarkId::new("contained pairs", format!("{shape:?}")), |bencher| {
            bencher.iter(|| space.contained_rules().pairs.len());
        });
        group.bench_function(BenchmarkId::new("lowering", format!("{shape:?}")), |bencher| {
            bencher.iter(|| Space::new(&old, &context, &Domain::default()));
        });
    }
    group.finish();
}

criterion_group!(benches, shadowing, others);
criterion_main!(benches);
