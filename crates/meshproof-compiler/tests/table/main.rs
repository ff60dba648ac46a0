//! Tables against the evaluator: the same decision, phase, rule, audit mark, providers and trials, request by request.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../meshproof-authz/tests/common/mod.rs"]
mod common;

mod connection;
mod everything;
mod inputs;
mod loader;
mod many;
mod proofs;

use common::Policies;
use fastrand::Rng;
use meshproof_authz::{Context, Policy, Request, evaluate};
use meshproof_compiler::table::{Form, ReportOrder, decide, difference, table_in};
use meshproof_engine::{Context as Prepared, Table};

/// Either form of a table: random policies are few, so left to itself the compiler would always choose the same.
pub fn form(rng: &mut Rng) -> Form {
    if rng.bool() { Form::Best } else { Form::Words }
}

/// Whether both say the same.
pub fn compare(
    policies: &[Policy<'_>],
    table: &Table<'_>,
    prepared: &mut Prepared,
    request: &Request,
    context: &Context,
) -> Result<(), String> {
    let said = decide(table, prepared, request, context);
    match difference(&said, &evaluate(policies, request, context)) {
        None => Ok(()),
        Some(difference) => Err(format!("{difference}\n{request:?}\n{context:?}")),
    }
}

fn worlds(seed: u64, worlds: usize, requests: usize) -> usize {
    let mut decided = 0;
    for at in 0..worlds {
        let mut rng = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(at as u64));
        let most = *rng.choice(&[3, 6, 40]).unwrap();
        let text = everything::policies(&mut rng, most);
        let policies = Policies::read(&text);
        let list = policies.list();
        let context = everything::context(&mut rng);
        let bytes = table_in(form(&mut rng), &list, &context, ReportOrder::Name)
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        let opened = Table::open(&bytes).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut prepared = Prepared::new();
        for _ in 0..requests {
            let request = everything::request(&mut rng);
            if let Err(difference) = compare(&list, &opened, &mut prepared, &request, &context) {
                panic!("seed {seed} world {at}: {difference}\n{text}");
            }
            decided += 1;
        }
    }
    decided
}

#[test]
fn tables_decide_as_the_evaluator() {
    assert_eq!(worlds(1, 200, 60), 12_000);
}

/// The long run whose figure stands in docs/engine.md: `DECISIONS=10000000 cargo test --release -p meshproof-compiler
/// --test table -- --ignored long_run --nocapture`.
#[test]
#[ignore = "takes minutes"]
#[allow(clippy::print_stdout)]
fn long_run() {
    let wanted: usize =
        std::env::var("DECISIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let mut decided = 0;
    let mut seed = 100;
    while decided < wanted {
        decided += worlds(seed, 500, 500);
        seed += 1;
    }
    println!("{decided} decisions of {} worlds are equal", decided / 500);
}
