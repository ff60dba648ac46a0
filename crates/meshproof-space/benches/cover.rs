//! Questions about large sets of rules, on one thread: three shapes of policies, as services, gateways and adversaries
//! write them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use meshproof_authz::{Context, Engine, Policy};
use meshproof_space::{Among, Comparison, Domain, Outcome, RuleState, Space, Variable};

mod shapes;

use shapes::{Shape, policies};

/// That of the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
            let id = BenchmarkId::new(format!("{shape:?}, {templates} % templates"), rules);
            group.bench_function(id, |bencher| {
                let policies = policies(shape, rules, templates, "ALLOW", 1);
                let list = policies.list();
                let context = context();
                let space = Space::new(&list, &context, &Domain::default());
                let states = space.rule_states(Among::SameEffect);
                let count = |wanted: fn(&RuleState) -> bool| states.iter().filter(|it| wanted(&it.1)).count();
                let covered = count(|state| matches!(state, RuleState::CoveredBy(_)));
                let unknown = count(|state| matches!(state, RuleState::Unknown(_)));
                eprintln!(
                    "{shape:?} {templates} % templates, {rules} rules: {covered} covered, {unknown} unknown"
                );
                bencher.iter(|| {
                    let space = Space::new(black_box(&list), &context, &Domain::default());
                    space.rule_states(Among::SameEffect)
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

/// Workloads with three small policies each, a quarter of them refusing: what a whole mesh asks, set by set.
fn many_sets(criterion: &mut Criterion) {
    const SETS: u64 = 1000;
    let mut group = criterion.benchmark_group("1000 different sets of 6 rules");
    group.sample_size(10);
    let small: Vec<_> = (0..SETS)
        .map(|seed| {
            let action = if seed % 4 == 0 { "DENY" } else { "ALLOW" };
            [(seed, "ALLOW"), (seed + SETS, "ALLOW"), (seed + 2 * SETS, action)]
                .map(|(seed, action)| policies(Shape::Service, 2, 0, action, seed))
        })
        .collect();
    let lists: Vec<Vec<Policy<'_>>> =
        small.iter().map(|set| set.iter().flat_map(shapes::Policies::list).collect()).collect();
    let context = context();
    let domain = Domain::default();
    group.bench_function("boxes", |bencher| {
        bencher.iter(|| {
            lists.iter().for_each(|list| drop(black_box(Space::new(list, &context, &domain))));
        });
    });
    group.bench_function("boxes and shadowing", |bencher| {
        bencher.iter(|| {
            for list in &lists {
                black_box(Space::new(list, &context, &domain).rule_states(Among::SameEffect));
            }
        });
    });
    group.bench_function("boxes, shadowing, allowed set", |bencher| {
        bencher.iter(|| {
            for list in &lists {
                let space = Space::new(list, &context, &domain);
                black_box(space.rule_states(Among::SameEffect));
                black_box(space.diagram().expect("small").of_outcome(Outcome::Allowed).expect("small"));
            }
        });
    });
    group.bench_function("boxes, allowed set, identities", |bencher| {
        bencher.iter(|| {
            for list in &lists {
                let space = Space::new(list, &context, &domain);
                let mut diagram = space.diagram().expect("small");
                let allowed = diagram.of_outcome(Outcome::Allowed).expect("small");
                black_box(diagram.project(allowed, &Variable::Peer).expect("small"));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, shadowing, others, many_sets);
criterion_main!(benches);
