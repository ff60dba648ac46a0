//! Whether the rows of a table are the boxes of the policies, in the order of reports.

use std::collections::{BTreeMap, BTreeSet};

use meshproof_engine::{self as engine, Attribute, Table};
use meshproof_space::{RuleBoxes, Test, Variable};

use super::{Checked, Input};
use crate::table::Uncompiled;
use crate::table::demand::read;
use crate::table::dimension::attribute;
use crate::table::report::reports;
use crate::table::test::{Spelled, normal, spelled};

/// What a row asks of an attribute: one of each list, and none of the last.
type Asked = (BTreeSet<Vec<Spelled>>, Vec<Spelled>);
/// An attribute by its name in a table.
pub(super) type Key = (Attribute, String);
/// A rule: namespace and name of its policy, its place there, and the name under which it is reported.
type Rule = (String, String, usize, String);
/// A row: what it leads to, the provider, its rule, and what it asks.
type RowContent = (engine::Effect, String, Rule, BTreeMap<Key, Asked>);

/// What the policies ask.
pub(super) struct Expected {
    /// Each row as often as it occurs.
    rows: BTreeMap<RowContent, usize>,
    /// The tests of each attribute with their meaning.
    pub tests: BTreeMap<Key, (Variable, BTreeMap<Spelled, Test>)>,
}

pub(super) fn expected(input: &Input<'_>) -> Result<Expected, Uncompiled> {
    let Input { lowered, policies, context, .. } = input;
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
                let mut spell = |tests: &[Test]| -> Result<Vec<Spelled>, Uncompiled> {
                    let mut list = Vec::new();
                    for test in tests.iter().map(|test| Test::clone(&normal(test))) {
                        let spelled = spelled(variable, &test)?;
                        list.push(spelled.clone());
                        known.1.insert(spelled, test);
                    }
                    list.sort();
                    list.dedup();
                    Ok(list)
                };
                let (any_of, mut none_of) = (spell(&clause.any_of)?, spell(&clause.none_of)?);
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
pub(super) fn rows(table: &Table<'_>, expected: &Expected) -> Checked<usize> {
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
        let [mut lists, mut refused] = [&attribute.wanting, &attribute.refusing]
            .map(|rows| rows.iter().map(|row| (*row, Vec::new())).collect::<BTreeMap<u32, Vec<Spelled>>>());
        for test in attribute.tests {
            let spelled = Spelled { kind: test.kind, first: test.first, second: test.second };
            for (rows, known) in [(&test.wanted, &mut lists), (&test.refused, &mut refused)] {
                for row in rows {
                    let list =
                        known.get_mut(row).ok_or_else(|| format!("{name}: row {row} is not marked"))?;
                    list.push(spelled.clone());
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
pub(super) fn order_of_rules(table: &Table<'_>) -> Checked<()> {
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
