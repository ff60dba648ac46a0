//! A rule as an engine has it, ready for any number of requests: values are read, and what cannot be tested is left out.
//!
//! Whether a rule matches and why it does not are read off the same tests, so that a decision never differs from its
//! trace.

use meshproof_resources::Text;
use meshproof_source::Span;

use crate::attribute::Attribute;
use crate::matchers::{self, Wanted};
use crate::rule::{Item, ReadRule};
use crate::trace::{FailedTest, Ignored, Part, RuleVerdict};
use crate::view::View;

/// One list of an item, with a value at least.
#[derive(Debug)]
struct ReadyTest<'a> {
    attribute: Attribute,
    name: &'a str,
    negated: bool,
    values: Vec<&'a Text>,
    wanted: Wanted<'a>,
}

impl ReadyTest<'_> {
    fn holds(&self, view: &View<'_>) -> bool {
        self.wanted.is_met(view) != self.negated
    }
}

/// One item of `from`, `to` or `when`.
#[derive(Debug)]
pub(crate) struct ReadyItem<'a> {
    part: Part,
    span: Span,
    tests: Vec<ReadyTest<'a>>,
    /// It holds for no request, since the engine finds nothing in it that it can test.
    never: bool,
}

/// What an engine keeps of items.
pub(crate) struct Keep<T, W> {
    /// Whether it can test the value.
    pub can_test: T,
    /// Reads the values of a list that are left.
    pub read: W,
    /// Whether an item without any test never holds.
    pub wants_tests: bool,
}

impl<'a> ReadyItem<'a> {
    fn new<T, W>(item: &Item<'a>, keep: &Keep<T, W>) -> ReadyItem<'a>
    where
        T: Fn(&Item<'a>, &Attribute, &str) -> bool,
        W: Fn(&Attribute, &[&'a Text]) -> Wanted<'a>,
    {
        let mut tests = Vec::new();
        for test in &item.tests {
            for (negated, name, values) in test.halves() {
                let can_test = |value: &&Text| (keep.can_test)(item, &test.attribute, &value.value);
                let values: Vec<&'a Text> = values.iter().filter(can_test).collect();
                // A list from which every value was left out counts as not written.
                if !values.is_empty() {
                    let wanted = (keep.read)(&test.attribute, &values);
                    tests.push(ReadyTest {
                        attribute: test.attribute.clone(),
                        name,
                        negated,
                        values,
                        wanted,
                    });
                }
            }
        }
        ReadyItem { part: item.part, span: item.span, never: keep.wants_tests && tests.is_empty(), tests }
    }

    fn holds(&self, view: &View<'_>) -> bool {
        !self.never && self.tests.iter().all(|test| test.holds(view))
    }

    /// The tests that do not hold.
    fn failed(&self, view: &View<'_>) -> Vec<FailedTest> {
        let nothing = FailedTest {
            part: self.part,
            span: self.span,
            field: String::new(),
            attribute: None,
            negated: false,
            wanted: Vec::new(),
            has: Vec::new(),
        };
        if self.never {
            return vec![nothing];
        }
        let failed = self.tests.iter().filter(|test| !test.holds(view)).map(|test| FailedTest {
            field: test.name.to_owned(),
            attribute: Some(test.attribute.clone()),
            negated: test.negated,
            wanted: test.values.iter().map(|value| (*value).clone()).collect(),
            has: matchers::has(&test.attribute, view),
            ..nothing.clone()
        });
        failed.collect()
    }
}

/// A rule that the engine has.
#[derive(Debug)]
pub(crate) struct ReadyRule<'a> {
    from: Vec<ReadyItem<'a>>,
    to: Vec<ReadyItem<'a>>,
    when: Vec<ReadyItem<'a>>,
    /// What the engine leaves out of it.
    pub ignored: Vec<Ignored>,
}

impl<'a> ReadyRule<'a> {
    pub fn new<T, W>(rule: &ReadRule<'a>, keep: &Keep<T, W>, ignored: Vec<Ignored>) -> ReadyRule<'a>
    where
        T: Fn(&Item<'a>, &Attribute, &str) -> bool,
        W: Fn(&Attribute, &[&'a Text]) -> Wanted<'a>,
    {
        let items = |items: &[Item<'a>]| items.iter().map(|item| ReadyItem::new(item, keep)).collect();
        ReadyRule { from: items(&rule.from), to: items(&rule.to), when: items(&rule.when), ignored }
    }

    /// Whether the rule matches: one of `from`, one of `to`, all of `when`.
    pub fn matches(&self, view: &View<'_>) -> bool {
        one_holds(&self.from, view)
            && one_holds(&self.to, view)
            && self.when.iter().all(|item| item.holds(view))
    }

    /// The same with the failures of every part that does not hold.
    pub fn verdict(&self, view: &View<'_>) -> RuleVerdict {
        let alternatives = [&self.from, &self.to].into_iter().filter(|items| !one_holds(items, view));
        let failing = alternatives.flatten().chain(&self.when);
        let failures: Vec<FailedTest> = failing.flat_map(|item| item.failed(view)).collect();
        if failures.is_empty() { RuleVerdict::Matched } else { RuleVerdict::Failed(failures) }
    }
}

/// A part that is not written always holds.
fn one_holds(items: &[ReadyItem<'_>], view: &View<'_>) -> bool {
    items.is_empty() || items.iter().any(|item| item.holds(view))
}
