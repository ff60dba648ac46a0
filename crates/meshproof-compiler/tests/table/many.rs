//! Tables of about as many rows as two bytes can number, and of more, where numbers of rows take four bytes.

use std::fmt::Write;

use meshproof_authz::{Context, Decider, Decision, Engine, Policy, Request};
use meshproof_compiler::table::{Form, ReportOrder, decide, difference, table, table_in};
use meshproof_engine::{Attribute, Context as Prepared, StoredAttribute, Table};

use crate::common::{Policies, dry_run, http, policy};

/// Sources of all rules together, and of one rule; operations of each.
const SOURCES: usize = 1_024;
const OF_RULE: usize = 128;
const OPERATIONS: usize = 64;

/// In the order of their numbers, so that rows stand in it too.
fn name(source: usize) -> String {
    format!("cluster.local/ns/foo/sa/s{source:04}")
}

fn path(source: usize, operation: usize) -> String {
    format!("/rule{}/{operation}", source / OF_RULE)
}

/// A rule with a row for each of its sources with each of its operations.
fn rule(sources: impl IntoIterator<Item = usize>, paths: impl IntoIterator<Item = String>) -> String {
    let mut text = "{from: [".to_owned();
    sources.into_iter().for_each(|at| write!(text, "{{source: {{principals: [{}]}}}}, ", name(at)).unwrap());
    text += "], to: [";
    paths.into_iter().for_each(|path| write!(text, "{{operation: {{paths: ['{path}']}}}}, ").unwrap());
    text + "]}"
}

/// 65,536 rows that allow.
fn allowing() -> String {
    let rules = (0..SOURCES)
        .step_by(OF_RULE)
        .map(|first| rule(first..first + OF_RULE, (0..OPERATIONS).map(|operation| path(first, operation))));
    policy("foo", "p", &format!("{{action: ALLOW, rules: [{}]}}", rules.collect::<Vec<_>>().join(", ")))
}

/// One row that denies, which is the first, and those on trial, which are the last.
fn around() -> [String; 2] {
    let last = SOURCES - 1;
    let denied = rule([last], [path(last, 1)]);
    let on_trial = rule([0, last], [path(0, 0), path(last, 0), "*/63".to_owned()]);
    [
        policy("foo", "q", &format!("{{action: DENY, rules: [{denied}]}}")),
        dry_run("foo", "t", &format!("{{action: DENY, rules: [{on_trial}]}}")),
    ]
}

/// What a source asks for: its first and last operations, one that is for other sources, and one for nobody's.
fn requests(source: usize) -> [Request; 6] {
    let other = path((source + OF_RULE) % SOURCES, 0);
    let own = [0, 1, 62, 63, 64].map(|operation| path(source, operation));
    let [first, second, last_but_one, last, nobody] = own;
    [first, second, last_but_one, last, nobody, other].map(|path| http(&name(source), "GET", &path))
}

/// Who may do what by a row of a table of names and paths.
fn asked(stored: &[StoredAttribute], row: u32) -> Vec<String> {
    let of = |attribute| stored.iter().filter(move |stored| stored.attribute == attribute);
    let tests = of(Attribute::Peer).chain(of(Attribute::Path)).flat_map(|stored| &stored.tests);
    let wanted = tests.filter(|test| test.wanted.contains(&row));
    wanted.map(|test| String::from_utf8(test.first.clone()).unwrap()).collect()
}

/// What is decided for every source, and all that is said of the first, the last, and one between. Of
/// what sources ask for of their own so much is denied.
fn decides_as_the_evaluator(table: &Table<'_>, list: &[Policy<'_>], context: &Context, denied: usize) {
    let decider = Decider::new(list, context);
    let mut prepared = Prepared::new();
    let mut allowed = 0;
    for source in 0..SOURCES {
        let is_told_in_full = [0, OF_RULE, SOURCES - 1].contains(&source);
        for request in requests(source) {
            let said = decide(table, &mut prepared, &request, context);
            assert_eq!(said.decision, decider.decision(&request), "{request:?}");
            allowed += usize::from(said.decision == Decision::Allow);
            if is_told_in_full {
                assert_eq!(difference(&said, &decider.evaluate(&request)), None, "{request:?}");
            }
        }
    }
    assert_eq!(allowed, SOURCES * 4 - denied);
}

#[test]
fn numbers_of_rows_take_two_bytes_to_the_last() {
    let (policies, context) = (Policies::read(&allowing()), Context::new(Engine::EnvoyHttp));
    let bytes = table(&policies.list(), &context, ReportOrder::Name).unwrap();
    let table = Table::open(&bytes).unwrap();
    assert!(table.is_told_by_rows());
    let stored = table.stored_attributes();
    assert_eq!(table.row_count(), 65_536);
    assert_eq!(asked(&stored, 65_535), [name(SOURCES - 1), path(SOURCES - 1, 63)]);
    decides_as_the_evaluator(&table, &policies.list(), &context, 0);
}

#[test]
fn numbers_of_more_rows_take_four_bytes() {
    let [denying, on_trial] = around();
    let policies = Policies::read(&[allowing(), denying, on_trial].join("---\n"));
    let (list, context) = (policies.list(), Context::new(Engine::EnvoyHttp));
    let bytes = table(&list, &context, ReportOrder::Name).unwrap();
    let table = Table::open(&bytes).unwrap();
    assert!(table.is_told_by_rows());
    let stored = table.stored_attributes();
    assert_eq!(table.row_count(), 65_543);
    assert_eq!(asked(&stored, 0), [name(SOURCES - 1), path(SOURCES - 1, 1)]);
    assert_eq!(asked(&stored, 65_535), [name(SOURCES - 1), path(SOURCES - 1, 62)]);
    assert_eq!(asked(&stored, 65_536), [name(SOURCES - 1), path(SOURCES - 1, 63)]);
    assert_eq!(asked(&stored, 65_537)[0], name(0));
    assert_eq!(asked(&stored, 65_542)[0], name(SOURCES - 1));
    decides_as_the_evaluator(&table, &list, &context, 1);
    let bytes = table_in(Form::Words, &list, &context, ReportOrder::Name).unwrap();
    decides_as_the_evaluator(&Table::open(&bytes).unwrap(), &list, &context, 1);
}
