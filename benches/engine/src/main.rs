//! Prints the figures of `docs/engine.md`: percentiles per request, in nanoseconds.

use std::hint::black_box;
use std::time::{Duration, Instant};

use engine_bench::shapes::{SHAPES, documents};
use engine_bench::workload::{Case, Rules};
use engine_bench::{Decodes, connection, context, request, scan};
use fastrand::Rng;
use meshproof_authz::{Decision, Policy, evaluate};
use meshproof_compiler::table::{Lowered, ReportOrder, table};
use meshproof_engine::{Context, Table};

/// Requests of one measurement, and how often each is repeated for the least time.
const REQUESTS: usize = 4_096;
const ROUNDS: usize = 30;
/// How often a table is made for the least time.
const MADE: usize = 7;
/// How often where nothing else is measured.
const MADE_OFTEN: usize = 40;
/// Requests of which instructions are counted.
const COUNTED: usize = 1_024;

/// The least time of each request over the rounds, sorted: noise is filtered, and the caches are as warm as a stream of
/// different requests leaves them.
///
/// `read` is what happens before the clock starts: whoever asks has just read the request, so it is at hand.
fn times(requests: usize, rounds: usize, read: impl Fn(usize), mut one: impl FnMut(usize)) -> Vec<u64> {
    let mut least = vec![u64::MAX; requests];
    for _ in 0..rounds {
        for (at, least) in least.iter_mut().enumerate() {
            read(at);
            let start = Instant::now();
            one(at);
            *least = (*least).min(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
    }
    least.sort_unstable();
    least
}

/// What reading the clock costs.
fn clock() -> u64 {
    times(1_000, 20, |_| {}, |_| {})[500]
}

fn percentiles(times: &[u64], clock: u64) -> String {
    let at = |part: usize| times[(times.len() - 1) * part / 100].saturating_sub(clock);
    format!("{:>9} / {:<9}", at(50), at(99))
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => figures(),
        ["compile", rules, file] => {
            let bytes = made(&rules_of(rules));
            println!("{}", bytes.len());
            std::fs::write(file, bytes).expect("written");
        }
        ["count", rules, file] => {
            counted(&rules_of(rules), &std::fs::read(file).expect("a table"));
        }
        ["make", shape, count] if let Some(decodes) = decodes(shape, count.parse().expect("a number")) => {
            let bytes = making(&decodes.policies());
            let hash = Table::open(&bytes).expect("opens").hash();
            let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            println!("{} bytes, {hash}", bytes.len());
        }
        ["time", shape, count] if let Some(decodes) = decodes(shape, count.parse().expect("a number")) => {
            let policies = decodes.policies();
            let least = times(
                1,
                MADE_OFTEN,
                |_| {},
                |_| {
                    black_box(making(&policies));
                },
            );
            println!("{:.2} ms", least[0] as f64 / 1e6);
        }
        _ => println!(
            "engine-bench [compile RULES FILE | count RULES FILE | make SHAPE RULES | time SHAPE RULES]; shapes: usual {}",
            SHAPES.join(" ")
        ),
    }
}

/// So many usual rules, or the worst that were found.
fn rules_of(told: &str) -> Rules {
    let rng = &mut Rng::with_seed(1);
    if told == "worst" {
        Rules::worst(10_000, rng)
    } else {
        Rules::random(told.parse().expect("a number"), rng)
    }
}

fn made(rules: &Rules) -> Vec<u8> {
    table(&Decodes::new(rules).policies(), &context(), ReportOrder::Name).expect("a table")
}

/// The policies of a shape, or of the usual mixture.
fn decodes(shape: &str, count: usize) -> Option<Decodes> {
    if shape == "usual" {
        return Some(Decodes::new(&Rules::random(count, &mut Rng::with_seed(1))));
    }
    SHAPES.contains(&shape).then(|| Decodes::of(&documents(shape, count)))
}

/// What callgrind counts when a table is made.
#[inline(never)]
fn making(policies: &[Policy<'_>]) -> Vec<u8> {
    table(policies, &context(), ReportOrder::Name).expect("a table")
}

/// What callgrind counts, by the names of the functions.
fn counted(rules: &Rules, bytes: &[u8]) {
    let table = opened(bytes);
    let cases = rules.cases(COUNTED, &mut Rng::with_seed(2));
    let mut context = Context::for_table(&table);
    for (at, case) in cases.iter().enumerate() {
        prepared(&table, case, &mut context);
        black_box(decided(&table, case, &context));
        // A scan of all rules takes long where instructions are counted; `.ci/engine-counts` counts with this.
        if at % 64 == 0 {
            black_box(scanned(rules, case));
        }
    }
}

#[inline(never)]
fn opened(bytes: &[u8]) -> Table<'_> {
    Table::open(bytes).expect("opens")
}

#[inline(never)]
fn prepared(table: &Table<'_>, case: &Case, context: &mut Context) {
    table.prepare(&connection(case, &[case.name.as_bytes()]), context);
}

#[inline(never)]
fn decided(table: &Table<'_>, case: &Case, context: &Context) -> bool {
    table.decide(context, case).is_allowed()
}

#[inline(never)]
fn scanned(rules: &Rules, case: &Case) -> bool {
    scan::allows(rules, case)
}

fn figures() {
    let clock = clock();
    println!("the clock costs {clock} ns, which is taken off; p50 / p99 in ns per request\n");
    println!(
        "rules   rows    left        bytes/rule  lower ms  made in ms  open ms   prepare             decide              both                plain scan          evaluate"
    );
    for count in [10, 100, 1_000, 10_000] {
        line(&Rules::random(count, &mut Rng::with_seed(1)), clock);
    }
    println!("\nno sources, no paths: every row is left to the end");
    line(&Rules::worst(10_000, &mut Rng::with_seed(1)), clock);
    println!(
        "\nno sources, paths that no quick look tells apart: as many tests as are asked one after the other"
    );
    line(&Rules::alike(&mut Rng::with_seed(1)), clock);
    many(clock);
}

/// Every byte of a request, as a proxy that has just read it.
fn read(case: &Case) {
    let texts = [&case.name, &case.method, &case.path, &case.host];
    let headers = case.headers.iter().flat_map(|(name, value)| [name, value]);
    let sum: u64 = texts.into_iter().chain(headers).flat_map(|text| text.bytes()).map(u64::from).sum();
    black_box(sum);
}

fn line(rules: &Rules, clock: u64) {
    let cases = rules.cases(REQUESTS, &mut Rng::with_seed(2));
    let decodes = Decodes::new(rules);
    let policies = decodes.policies();
    let context_of = context();
    let (mut lowered, mut compiled) = (Duration::MAX, Duration::MAX);
    let mut bytes = Vec::new();
    for _ in 0..MADE {
        let start = Instant::now();
        black_box(Lowered::new(&policies, &context_of));
        lowered = lowered.min(start.elapsed());
        let start = Instant::now();
        bytes = table(&policies, &context_of, ReportOrder::Name).expect("a table");
        compiled = compiled.min(start.elapsed());
    }
    let start = Instant::now();
    let table = Table::open(&bytes).expect("opens");
    let opened = start.elapsed();
    let names: Vec<[&[u8]; 1]> = cases.iter().map(|case| [case.name.as_bytes()]).collect();
    let mut contexts: Vec<Context> = Vec::new();
    for (case, names) in cases.iter().zip(&names) {
        let mut context = Context::new();
        table.prepare(&connection(case, names), &mut context);
        contexts.push(context);
    }
    let mut left: Vec<usize> = contexts.iter().map(Context::left).collect();
    left.sort_unstable();
    let left = format!("{}/{} of {}", left[left.len() / 2], left[left.len() * 99 / 100], table.row_words());
    check(rules, &cases, &table, &contexts);
    let mut context = Context::for_table(&table);
    let reading = |at: usize| read(&cases[at]);
    let prepare = times(REQUESTS, ROUNDS, reading, |at| {
        table.prepare(&connection(&cases[at], &names[at]), black_box(&mut context));
    });
    let decide = times(REQUESTS, ROUNDS, reading, |at| {
        black_box(table.decide(&contexts[at], &cases[at]));
    });
    let both = times(REQUESTS, ROUNDS, reading, |at| {
        table.prepare(&connection(&cases[at], &names[at]), black_box(&mut context));
        black_box(table.decide(&context, &cases[at]));
    });
    let few = if rules.0.len() > 1_000 { 256 } else { REQUESTS };
    let scan = times(few, 5, reading, |at| {
        black_box(scan::allows(rules, &cases[at]));
    });
    let requests: Vec<_> =
        cases.iter().take(if rules.0.len() > 1_000 { 8 } else { 128 }).map(request).collect();
    let slow = times(
        requests.len(),
        2,
        |_| {},
        |at| {
            black_box(evaluate(&policies, &requests[at], &context_of));
        },
    );
    println!(
        "{:<7} {:<7} {:<11} {:<11} {:<9.2} {:<11.2} {:<9.2} {} {} {} {} {}",
        rules.0.len(),
        table.row_count(),
        left,
        bytes.len() / rules.0.len(),
        lowered.as_secs_f64() * 1e3,
        compiled.as_secs_f64() * 1e3,
        opened.as_secs_f64() * 1e3,
        percentiles(&prepare, clock),
        percentiles(&decide, clock),
        percentiles(&both, clock),
        percentiles(&scan, clock),
        percentiles(&slow, clock),
    );
}

/// What is measured has to be right.
fn check(rules: &Rules, cases: &[Case], table: &Table<'_>, contexts: &[Context]) {
    let mut allowed = 0;
    for (case, context) in cases.iter().zip(contexts) {
        let decision = table.decide(context, case);
        assert_eq!(decision.is_allowed(), scan::allows(rules, case), "{case:?}");
        allowed += usize::from(decision.is_allowed());
    }
    assert!(allowed > 0);
    if rules.0.len() <= 100 {
        let decodes = Decodes::new(rules);
        for (case, context) in cases.iter().zip(contexts).take(200) {
            let evaluation = evaluate(&decodes.policies(), &request(case), &engine_bench::context());
            assert_eq!(table.decide(context, case).is_allowed(), evaluation.decision == Decision::Allow);
        }
    }
}

/// 400 workloads of 25 rules, visited at random.
fn many(clock: u64) {
    let sets: Vec<Rules> = (0..400).map(|seed| Rules::random(25, &mut Rng::with_seed(100 + seed))).collect();
    let tables: Vec<Vec<u8>> = sets
        .iter()
        .map(|rules| table(&Decodes::new(rules).policies(), &context(), ReportOrder::Name).expect("a table"))
        .collect();
    let opened: Vec<Table<'_>> = tables.iter().map(|bytes| Table::open(bytes).expect("opens")).collect();
    let mut rng = Rng::with_seed(3);
    let visits: Vec<(usize, Case)> = (0..REQUESTS)
        .map(|_| {
            let at = rng.usize(0..sets.len());
            (at, sets[at].cases(1, &mut rng).remove(0))
        })
        .collect();
    let contexts: Vec<Context> = visits
        .iter()
        .map(|(at, case)| {
            let mut context = Context::new();
            opened[*at].prepare(&connection(case, &[case.name.as_bytes()]), &mut context);
            context
        })
        .collect();
    let reading = |at: usize| read(&visits[at].1);
    let decide = times(REQUESTS, ROUNDS, reading, |at| {
        let (table, case) = &visits[at];
        black_box(opened[*table].decide(&contexts[at], case));
    });
    let scan = times(REQUESTS, ROUNDS, reading, |at| {
        let (table, case) = &visits[at];
        black_box(scan::allows(&sets[*table], case));
    });
    let size: usize = tables.iter().map(Vec::len).sum();
    println!(
        "\n400 workloads of 25 rules at random, {size} bytes: decide {} plain scan {}",
        percentiles(&decide, clock),
        percentiles(&scan, clock)
    );
}
