//! One rule on an Envoy chain.
//!
//! A rule is (one of `from`) and (one of `to`) and (all of `when`). What a chain cannot test is left out of the rule, or
//! takes the whole rule with it: Istio 1.32, `model.go` (`Generate`, `checkError`).

use meshproof_resources::{Action, Match, Rule, Text};
use meshproof_source::Span;

use crate::attribute::{Attribute, field_name};
use crate::matchers::{self, Surroundings};
use crate::trace::{Dropped, FailedTest, Ignored, Part, Reason, RuleVerdict};
use crate::view::View;

/// One list pair of an item.
pub(crate) struct FieldTest<'a> {
    pub attribute: Attribute,
    pub lists: &'a Match,
    name: &'a str,
    not_name: &'a str,
}

impl<'a> FieldTest<'a> {
    /// The lists with their names; the second is the `not` list.
    pub fn halves(&self) -> [(bool, &'a str, &'a [Text]); 2] {
        [(false, self.name, &self.lists.values), (true, self.not_name, &self.lists.not_values)]
    }
}

/// One item of `from`, `to` or `when`: all of its tests must hold.
pub(crate) struct Item<'a> {
    pub part: Part,
    pub span: Span,
    pub tests: Vec<FieldTest<'a>>,
}

/// A rule, its fields told by what they look at.
pub(crate) struct ReadRule<'a> {
    pub from: Vec<Item<'a>>,
    pub to: Vec<Item<'a>>,
    pub when: Vec<Item<'a>>,
}

impl<'a> ReadRule<'a> {
    /// Reads a rule.
    ///
    /// # Errors
    /// A condition with an unknown key, which drops the rule.
    pub fn new(rule: &'a Rule) -> Result<ReadRule<'a>, Dropped> {
        let field = |(field, lists)| FieldTest {
            attribute: Attribute::of_field(field),
            lists,
            name: field_name(field, false),
            not_name: field_name(field, true),
        };
        let from = rule.from.iter().enumerate().map(|(at, source)| Item {
            part: Part::From(at),
            span: source.span,
            tests: source.fields().into_iter().map(field).collect(),
        });
        let to = rule.to.iter().enumerate().map(|(at, operation)| Item {
            part: Part::To(at),
            span: operation.span,
            tests: operation.fields().into_iter().map(field).collect(),
        });
        let mut when = Vec::new();
        for (at, condition) in rule.when.iter().enumerate() {
            let key = condition.key.value.as_str();
            let attribute = Attribute::of_key(key).map_err(|_| Dropped {
                reason: Reason::UnknownKey,
                field: key.to_owned(),
                span: condition.key.span,
            })?;
            let test = FieldTest { attribute, lists: &condition.values, name: key, not_name: key };
            when.push(Item { part: Part::When(at), span: condition.span, tests: vec![test] });
        }
        Ok(ReadRule { from: from.collect(), to: to.collect(), when })
    }

    /// Whether the chain cannot test some value of the rule.
    pub fn has_untestable(&self, is_tcp: bool) -> bool {
        !unusable(self, is_tcp).is_empty()
    }

    /// Every item.
    pub fn items(&self) -> impl Iterator<Item = &Item<'a>> {
        self.from.iter().chain(&self.to).chain(&self.when)
    }
}

/// What the rule looks at, in its order; a condition with an unknown key looks at nothing.
pub fn attributes_of(rule: &Rule) -> impl Iterator<Item = Attribute> {
    let read = ReadRule::new(rule).ok();
    let items = read.into_iter().flat_map(|read| read.from.into_iter().chain(read.to).chain(read.when));
    items.flat_map(|item| item.tests).filter(|test| !test.lists.is_empty()).map(|test| test.attribute)
}

/// What the rules of one policy meet.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub view: &'a View<'a>,
    pub near: Surroundings<'a>,
    pub action: Action,
    /// No property of HTTP can be tested.
    pub is_tcp: bool,
}

/// Judges one rule.
pub(crate) fn judge(rule: &Rule, setting: Setting<'_>) -> (RuleVerdict, Vec<Ignored>) {
    let read = match ReadRule::new(rule) {
        Ok(read) => read,
        Err(dropped) => return (RuleVerdict::Dropped(dropped), Vec::new()),
    };
    let ignored = unusable(&read, setting.is_tcp);
    // ALLOW does not go without a restriction: one untranslatable value takes the whole rule, the other items of its
    // `from` and `to` included. For the other actions only the value goes, which widens the rule.
    if setting.action == Action::Allow
        && let Some(Ignored { reason, field, span }) = ignored.first()
    {
        let dropped = Dropped { reason: *reason, field: field.clone(), span: *span };
        return (RuleVerdict::Dropped(dropped), Vec::new());
    }
    let verdict = judge_parts(&read, |item| item_fails(item, setting));
    (verdict, ignored)
}

/// Puts the parts together: `from` and `to` need one item that holds, `when` needs all. Tells the failures of every part
/// that does not hold.
pub(crate) fn judge_parts(rule: &ReadRule<'_>, fails: impl Fn(&Item<'_>) -> Vec<FailedTest>) -> RuleVerdict {
    let mut failures = Vec::new();
    for alternatives in [&rule.from, &rule.to] {
        let of_items: Vec<Vec<FailedTest>> = alternatives.iter().map(&fails).collect();
        if of_items.iter().all(|failed| !failed.is_empty()) {
            failures.extend(of_items.into_iter().flatten());
        }
    }
    failures.extend(rule.when.iter().flat_map(fails));
    if failures.is_empty() { RuleVerdict::Matched } else { RuleVerdict::Failed(failures) }
}

/// Values that a chain cannot test, in the order of the rule.
pub(crate) fn unusable(rule: &ReadRule<'_>, is_tcp: bool) -> Vec<Ignored> {
    let mut found = Vec::new();
    for test in rule.items().flat_map(|item| &item.tests) {
        for (_, name, values) in test.halves() {
            for value in values {
                if let Some(reason) = cannot_test(&test.attribute, &value.value, is_tcp) {
                    found.push(Ignored { reason, field: name.to_owned(), span: value.span });
                }
            }
        }
    }
    found
}

/// Why the chain cannot test the value, if so.
pub(crate) fn cannot_test(attribute: &Attribute, value: &str, is_tcp: bool) -> Option<Reason> {
    if is_tcp && attribute.is_http_only() {
        return Some(Reason::HttpOnly);
    }
    matchers::unusable(attribute, value)
}

/// The tests of the item that do not hold. A list from which every value was left out counts as not written.
fn item_fails(item: &Item<'_>, setting: Setting<'_>) -> Vec<FailedTest> {
    let mut failed = Vec::new();
    for test in &item.tests {
        for (negated, name, values) in test.halves() {
            let usable: Vec<&Text> = values
                .iter()
                .filter(|value| cannot_test(&test.attribute, &value.value, setting.is_tcp).is_none())
                .collect();
            let found = usable
                .iter()
                .any(|value| matchers::matches(&test.attribute, &value.value, setting.view, setting.near));
            if !usable.is_empty() && found == negated {
                failed.push(FailedTest {
                    part: item.part,
                    span: item.span,
                    field: name.to_owned(),
                    attribute: Some(test.attribute.clone()),
                    negated,
                    wanted: usable.into_iter().cloned().collect(),
                    has: matchers::has(&test.attribute, setting.view),
                });
            }
        }
    }
    failed
}
