//! Whether a table says what the policies say, proven from its bytes.
//!
//! The rows are read back from the table and have to be the boxes of the policies, neither more nor fewer. Then every
//! look-up is tried on a value of each of its classes, and has to lead to just the rows whose tests the value passes by
//! the policies' own reading. A look-up puts together what a whole text, its longest prefix, its longest suffix and its
//! presence lead to, so these classes, one by one, are all there are; of numbers they are the intervals between borders.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use meshproof_authz::{Context, HeaderMatching, Policy, Request};
use meshproof_engine::{self as engine, Attribute, Context as Prepared, OpenError, Table, TestKind};
use meshproof_space::{Domain, Outcome, RuleBoxes, Space, Test, Variable};

use super::demand::read;
use super::dimension::{attribute, is_of_request};
use super::probes::{Value, values};
use super::report::reports;
use super::seen::decide;
use super::test::{Spelled, normal, passes, spelled};
use super::write::{engine_of, has_dry_allow};
use super::{Lowered, ReportOrder, Uncompiled};

/// What was proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Rows that are the boxes of the policies.
    pub rows: usize,
    /// Values on which a look-up was tried.
    pub values: usize,
}

/// A table that does not say what the policies say, or could not be proven to.
#[derive(Clone, Debug, PartialEq)]
pub enum Unproven {
    /// The bytes are no table.
    Open(OpenError),
    /// The policies have no exact form to compare with.
    Policies(Uncompiled),
    /// Both differ.
    Differs {
        /// In what.
        what: String,
        /// A request that both decide differently, where one was found.
        witness: Option<Box<Request>>,
    },
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unproven::Open(error) => error.fmt(f),
            Unproven::Policies(error) => error.fmt(f),
            Unproven::Differs { what, witness: None } => {
                write!(f, "the table differs from the policies: {what}")
            }
            Unproven::Differs { what, witness: Some(request) } => {
                write!(
                    f,
                    "the table differs from the policies: {what}; both decide this differently: {request:?}"
                )
            }
        }
    }
}

impl std::error::Error for Unproven {}

/// Proves that the table decides every request as the policies do.
///
/// # Errors
/// What differs.
pub fn verify(
    bytes: &[u8],
    policies: &[Policy<'_>],
    context: &Context,
    order: ReportOrder,
) -> Result<Proof, Unproven> {
    let table = Table::open(bytes).map_err(Unproven::Open)?;
    let lowered = Lowered::new(policies, context);
    let checked = check(&table, &lowered, policies, context, order)?;
    checked.map_err(|what| Unproven::Differs { what, witness: witness(&table, policies, context) })
}

type Checked<T> = Result<T, String>;

fn check(
    table: &Table<'_>,
    lowered: &Lowered,
    policies: &[Policy<'_>],
    context: &Context,
    order: ReportOrder,
) -> Result<Checked<Proof>, Unproven> {
    let expected = expected(lowered, policies, context).map_err(Unproven::Policies)?;
    Ok(settings(table, lowered, policies, context, order)
        .and_then(|()| rows(table, &expected))
        .and_then(|rows| order_of_rules(table).map(|()| rows))
        .and_then(|rows| Ok(Proof { rows, values: look_ups(table, &expected, context)? })))
}

fn settings(
    table: &Table<'_>,
    lowered: &Lowered,
    policies: &[Policy<'_>],
    context: &Context,
    order: ReportOrder,
) -> Checked<()> {
    let same = [
        (table.engine() == engine_of(context.engine), "the engine"),
        (table.needs_allow() == lowered.enforced.needs_allow, "whether a request needs an ALLOW rule"),
        (
            table.joins_headers() == (context.semantics.headers == HeaderMatching::Joined),
            "how header lines are read",
        ),
        (table.has_dry_allow() == has_dry_allow(policies, context), "whether ALLOW policies are on trial"),
        (table.reports_in_policy_order() == (order == ReportOrder::Policy), "which rule is reported"),
    ];
    same.into_iter().find(|(same, _)| !same).map_or(Ok(()), |(_, what)| Err(what.to_owned()))
}

/// What a row asks of an attribute: one of each list, and none of the last.
type Asked = (BTreeSet<Vec<Told>>, Vec<Told>);
/// A test as a table spells it out.
type Told = (TestKind, Vec<u8>, Vec<u8>);
/// An attribute by its name in a table.
type Key = (Attribute, String);
/// A rule: namespace and name of its policy, its place there, and the name under which it is reported.
type Rule = (String, String, usize, String);
/// A row: what it leads to, the provider, its rule, and what it asks.
type RowContent = (engine::Effect, String, Rule, BTreeMap<Key, Asked>);

/// What the policies ask.
struct Expected {
    /// Each row as often as it occurs.
    rows: BTreeMap<RowContent, usize>,
    /// The tests of each attribute with their meaning.
    tests: BTreeMap<Key, (Variable, BTreeMap<Told, Test>)>,
}

fn expected(lowered: &Lowered, policies: &[Policy<'_>], context: &Context) -> Result<Expected, Uncompiled> {
    let mut expected = Expected { rows: BTreeMap::new(), tests: BTreeMap::new() };
    let report_of = reports(policies, context);
    for (rule, on_trial) in lowered.all() {
        let Some(policy) = policies.get(rule.id.policy) else { continue };
        let boxes = match &*rule.boxes {
            RuleBoxes::Boxes(boxes) => boxes,
            RuleBoxes::Dropped(_) => continue,
            RuleBoxes::Unknown(limit) => {
                return Err(Uncompiled::Rule { policy: policy.id(), rule: rule.id.rule, limit: *limit });
            }
        };
        let report = report_of(rule, on_trial);
        for each in boxes {
            let mut asked: BTreeMap<Key, Asked> = BTreeMap::new();
            for clause in &each.clauses {
                let variable = read(&clause.variable, context);
                let key = attribute(variable);
                let known =
                    expected.tests.entry(key.clone()).or_insert_with(|| (variable.clone(), BTreeMap::new()));
                let mut told = |tests: &[Test]| -> Result<Vec<Told>, Uncompiled> {
                    let mut list = Vec::new();
                    for test in tests.iter().map(|test| normal(test).into_owned()) {
                        let Spelled { kind, first, second } = spelled(variable, &test)?;
                        list.push((kind, first.clone(), second.clone()));
                        known.1.insert((kind, first, second), test);
                    }
                    list.sort();
                    list.dedup();
                    Ok(list)
                };
                let (any_of, mut none_of) = (told(&clause.any_of)?, told(&clause.none_of)?);
                let (lists, refused) = asked.entry(key).or_default();
                lists.extend((!any_of.is_empty()).then_some(any_of));
                refused.append(&mut none_of);
                refused.sort();
                refused.dedup();
            }
            asked.retain(|_, (lists, refused)| !lists.is_empty() || !refused.is_empty());
            let rule =
                (policy.namespace.to_owned(), policy.name.to_owned(), rule.id.rule, report.name.clone());
            let row = (report.effect, report.provider.to_owned(), rule, asked);
            *expected.rows.entry(row).or_default() += 1;
        }
    }
    Ok(expected)
}

/// Whether the rows of the table are those of the policies; gives their number.
fn rows(table: &Table<'_>, expected: &Expected) -> Checked<usize> {
    let stored: Vec<_> = table.stored_rows().collect();
    let place: BTreeMap<u32, usize> = stored.iter().enumerate().map(|(at, row)| (row.row, at)).collect();
    let mut asked: Vec<BTreeMap<Key, Asked>> = vec![BTreeMap::new(); stored.len()];
    // Where names lead to scripts, nobody asks for all of them.
    let attributes = table.stored_attributes();
    let is_led =
        table.is_told_by_rows() && attributes.iter().any(|attribute| attribute.indifferent.is_some());
    if !is_led && !stored.iter().map(|row| row.row).eq(table.stored_everything()) {
        return Err("the set of all rows".to_owned());
    }
    for (at, attribute) in attributes.into_iter().enumerate() {
        let name = format!("{:?} {}", attribute.attribute, attribute.name.replace('\0', "."));
        let key = (attribute.attribute, attribute.name);
        let mut lists: BTreeMap<u32, Vec<Told>> =
            attribute.wanting.iter().map(|row| (*row, Vec::new())).collect();
        let mut refused: BTreeMap<u32, Vec<Told>> =
            attribute.refusing.iter().map(|row| (*row, Vec::new())).collect();
        for test in attribute.tests {
            let told = (test.kind, test.first, test.second);
            for (rows, known) in [(&test.wanted, &mut lists), (&test.refused, &mut refused)] {
                for row in rows {
                    let list =
                        known.get_mut(row).ok_or_else(|| format!("{name}: row {row} is not marked"))?;
                    list.push(told.clone());
                }
            }
        }
        let indifferent = stored.iter().map(|row| row.row).filter(|row| !lists.contains_key(row));
        // The first attribute of connections leads to the rows that are in question, so these must not be lost.
        let leads = at == 0 && !attribute.is_of_request && !table.is_told_by_rows();
        if attribute.indifferent.map_or(leads, |told| !indifferent.eq(told)) {
            return Err(format!("{name}: rows that want nothing of it"));
        }
        for (rows, is_list) in [(lists, true), (refused, false)] {
            for (row, mut tests) in rows {
                let at = place.get(&row).ok_or_else(|| format!("{name}: row {row} does not exist"))?;
                tests.sort();
                tests.dedup();
                let (wanted, none_of) = asked[*at].entry(key.clone()).or_default();
                if is_list {
                    wanted.insert(tests);
                } else {
                    none_of.append(&mut tests);
                }
            }
        }
    }
    let mut found: BTreeMap<RowContent, usize> = BTreeMap::new();
    for (row, asked) in stored.iter().zip(asked) {
        let rule = table.rule(row.rule).ok_or("a row without its rule")?;
        let name = rule.to_string();
        let rule = (rule.namespace.to_owned(), rule.policy.to_owned(), rule.rule as usize, name);
        *found.entry((row.effect, row.provider.to_owned(), rule, asked)).or_default() += 1;
    }
    let differing = expected.rows.iter().find(|(row, count)| found.get(*row) != Some(*count));
    let added = found.iter().find(|(row, count)| expected.rows.get(*row) != Some(*count));
    match differing.or(added) {
        None => Ok(stored.len()),
        Some(((_, _, (namespace, policy, rule, _), _), _)) => {
            Err(format!("rule {rule} of {namespace}/{policy} is not in the table as it is written"))
        }
    }
}

/// Whether the first row that matches in a word is the one to report, and rules stand in the order of reports.
fn order_of_rules(table: &Table<'_>) -> Checked<()> {
    let stored: Vec<_> = table.stored_rows().collect();
    // With scripts it does not matter in which order they are asked.
    let in_words = table.is_told_by_rows()
        || stored.windows(2).all(|pair| pair[0].row / 64 != pair[1].row / 64 || pair[0].rule <= pair[1].rule);
    let mut by_segment: BTreeMap<(engine::Effect, &str), BTreeSet<engine::RuleRef>> = BTreeMap::new();
    for row in &stored {
        by_segment.entry((row.effect, row.provider)).or_default().insert(row.rule);
    }
    let by_name = table.reports_in_policy_order()
        || by_segment.values().all(|rules| {
            let names: Vec<String> =
                rules.iter().filter_map(|rule| table.rule(*rule)).map(|rule| rule.to_string()).collect();
            names.windows(2).all(|pair| pair[0] <= pair[1])
        });
    if in_words && by_name { Ok(()) } else { Err("which rule is reported".to_owned()) }
}

/// Whether every look-up leads to the rows whose tests a value passes; gives the number of values that were tried.
fn look_ups(table: &Table<'_>, expected: &Expected, context: &Context) -> Checked<usize> {
    let mut tried = 0;
    for (at, attribute) in table.stored_attributes().into_iter().enumerate() {
        let key = (attribute.attribute, attribute.name.clone());
        let Some((variable, meanings)) = expected.tests.get(&key) else { continue };
        if attribute.is_of_request != is_of_request(variable, table.engine()) {
            return Err(format!("{:?} {}: when it is asked", key.0, key.1.replace('\0', ".")));
        }
        let tests: Vec<(&Test, &engine::StoredTest)> = attribute
            .tests
            .iter()
            .filter_map(|stored| {
                let told = (stored.kind, stored.first.clone(), stored.second.clone());
                Some((meanings.get(&told)?, stored))
            })
            .collect();
        let probe = table.prober(at);
        for value in values(variable, tests.iter().map(|(test, _)| *test), context) {
            tried += 1;
            let mut rows: [BTreeSet<u32>; 2] = Default::default();
            for (test, stored) in tests.iter().filter(|(test, _)| holds(variable, test, &value, table)) {
                debug_assert!(!matches!(test, Test::Absent));
                rows[0].extend(&stored.wanted);
                rows[1].extend(&stored.refused);
            }
            let found = probe(value.probe());
            let same = rows.iter().zip(&found).all(|(rows, found)| rows.iter().eq(found));
            if !same {
                return Err(format!(
                    "{:?} {}: the value {value} leads to the wrong rows",
                    key.0,
                    key.1.replace('\0', ".")
                ));
            }
        }
    }
    Ok(tried)
}

/// Whether the value passes the test, by the policies' own reading.
fn holds(variable: &Variable, test: &Test, value: &Value, table: &Table<'_>) -> bool {
    match value {
        Value::Port(port) => matches!(test, Test::Port(wanted) if wanted == port),
        Value::Address(address) => matches!(test, Test::Block(block) if block.contains(address)),
        Value::Token(issuer, subject) => match test {
            Test::Token { issuer: first, subject: second } => {
                [(first, issuer), (second, subject)].iter().all(|(half, text)| {
                    let Some(pattern) = half else { return true };
                    let part = Test::Text(pattern.clone());
                    text.as_ref()
                        .is_some_and(|text| passes(&Variable::Claim(Vec::new()), &part, text, table.engine()))
                })
            }
            _ => false,
        },
        // gRPC servers hand no server name over.
        Value::Text(_) if *variable == Variable::Sni && table.engine() == engine::Engine::Grpc => {
            passes(variable, test, "", table.engine())
        }
        Value::Text(text) if *variable == Variable::Peer => {
            let principal = text.strip_prefix("spiffe://").unwrap_or(text);
            passes(variable, test, principal, table.engine())
        }
        Value::Text(text) if *variable == Variable::Path => {
            let is_whole = matches!(test, Test::Header(_));
            let path = if is_whole { text } else { text.split('?').next().unwrap_or_default() };
            passes(variable, test, path, table.engine())
        }
        Value::Text(text) => passes(variable, test, text, table.engine()),
    }
}

/// A request that both decide differently, among those that show a rule or an outcome of the policies.
fn witness(table: &Table<'_>, policies: &[Policy<'_>], context: &Context) -> Option<Box<Request>> {
    let domain = Domain::default();
    let space = Space::new(policies, context, &domain);
    let mut prepared = Prepared::new();
    let outcomes = [Outcome::Allowed, Outcome::Denied, Outcome::Audited].map(|outcome| space.find(outcome));
    let rules =
        space.rules().iter().flat_map(|rule| [space.find_match(rule.id), space.find_decided_by(rule.id)]);
    outcomes.into_iter().chain(rules).filter_map(|answer| answer.ok().flatten()).find(|request| {
        let evaluation = meshproof_authz::evaluate(policies, request, context);
        let told = decide(table, &mut prepared, request, context);
        told.decision != evaluation.decision || told.rule != evaluation.rule.map(|rule| rule.id)
    })
}
