//! `cargo bench`: decisions by tables of each size, the plain scan, and with `--features peers` other engines.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use engine_bench::workload::Rules;
use engine_bench::{Decodes, connection, context, scan};
use fastrand::Rng;
use meshproof_compiler::table::{ReportOrder, table};
use meshproof_engine::{Context, Table};

fn decide(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one request");
    for count in [10, 100, 1_000, 10_000] {
        let rules = Rules::random(count, &mut Rng::with_seed(1));
        let cases = rules.cases(1_024, &mut Rng::with_seed(2));
        let bytes = table(&Decodes::new(&rules).policies(), &context(), ReportOrder::Name).expect("a table");
        let table = Table::open(&bytes).expect("opens");
        let contexts: Vec<Context> = cases
            .iter()
            .map(|case| {
                let mut context = Context::for_table(&table);
                table.prepare(&connection(case, &[case.name.as_bytes()]), &mut context);
                context
            })
            .collect();
        let mut at = 0;
        let mut next = move || {
            at = (at + 1) % 1_024;
            at
        };
        let mut context = Context::for_table(&table);
        group.bench_function(BenchmarkId::new("prepare", count), |bencher| {
            bencher.iter(|| {
                let case = &cases[next()];
                table.prepare(&connection(case, &[case.name.as_bytes()]), &mut context);
            });
        });
        group.bench_function(BenchmarkId::new("decide", count), |bencher| {
            bencher.iter(|| {
                let at = next();
                table.decide(&contexts[at], &cases[at])
            });
        });
        group.bench_function(BenchmarkId::new("plain scan", count), |bencher| {
            bencher.iter(|| scan::allows(&rules, &cases[next()]));
        });
        #[cfg(feature = "peers")]
        if count <= 1_000 {
            let cedar = engine_bench::peers::Cedar::new(&rules);
            group.bench_function(BenchmarkId::new("cedar", count), |bencher| {
                bencher.iter(|| cedar.allows(&cases[next()]));
            });
            let mut rego = engine_bench::peers::Rego::new(&rules);
            group.bench_function(BenchmarkId::new("regorus", count), |bencher| {
                bencher.iter(|| rego.allows(&cases[next()]));
            });
        }
    }
}

criterion_group!(benches, decide);
criterion_main!(benches);
