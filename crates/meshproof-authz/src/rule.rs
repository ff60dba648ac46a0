//! One rule, its fields told by what they look at, and what an Envoy chain cannot test of it.

use meshproof_resources::{Attribute as Field, Match, Operation, Rule, Source, Text};
use meshproof_source::Span;

use crate::attribute::{Attribute, field_name};
use crate::matchers;
use crate::trace::{Dropped, Ignored, Part, Reason};

/// One list pair of an item.
#[derive(Clone)]
pub(crate) struct FieldTest<'a> {
    pub attribute: Attribute,
    pub lists: &'a Match,
    name: Name<'a>,
}

/// How the lists are called.
#[derive(Clone, Copy)]
enum Name<'a> {
    Field(Field),
    /// The key of a condition.
    Key(&'a str),
}

impl<'a> Name<'a> {
    fn of(self, negated: bool) -> &'a str {
        match self {
            Name::Field(field) => field_name(field, negated),
            Name::Key(key) => key,
        }
    }
}

impl<'a> FieldTest<'a> {
    /// The field, if it is written.
    fn of_field((field, lists): (Field, &'a Match)) -> Option<FieldTest<'a>> {
        (!lists.is_empty()).then(|| FieldTest {
            attribute: Attribute::of_field(field),
            lists,
            name: Name::Field(field),
        })
    }

    /// The lists with their names; the second is the `not` list.
    pub fn halves(&self) -> [(bool, &'a str, &'a [Text]); 2] {
        [(false, self.name.of(false), &self.lists.values), (true, self.name.of(true), &self.lists.not_values)]
    }
}

/// One item of `from`, `to` or `when`: all of its tests must hold.
pub(crate) struct Item<'a> {
    pub part: Part,
    pub span: Span,
    pub tests: Vec<FieldTest<'a>>,
}

impl Item<'_> {
    /// Whether it is one of `when`.
    pub fn is_condition(&self) -> bool {
        matches!(self.part, Part::When(_))
    }
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
        let from = rule.from.iter().enumerate().map(|(at, source)| Item {
            part: Part::From(at),
            span: source.span,
            tests: tests_of_source(source).collect(),
        });
        let to = rule.to.iter().enumerate().map(|(at, operation)| Item {
            part: Part::To(at),
            span: operation.span,
            tests: tests_of_operation(operation).collect(),
        });
        let conditions = tests_of_conditions(rule)?.into_iter().zip(rule.when.iter()).enumerate();
        let when = conditions.map(|(at, (test, condition))| Item {
            part: Part::When(at),
            span: condition.span,
            tests: vec![test],
        });
        Ok(ReadRule { from: from.collect(), to: to.collect(), when: when.collect() })
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

/// The written fields of a source.
pub(crate) fn tests_of_source(source: &Source) -> impl Iterator<Item = FieldTest<'_>> {
    source.fields().into_iter().filter_map(FieldTest::of_field)
}

/// The written fields of an operation.
pub(crate) fn tests_of_operation(operation: &Operation) -> impl Iterator<Item = FieldTest<'_>> {
    operation.fields().into_iter().filter_map(FieldTest::of_field)
}

/// The conditions of a rule, each one test.
///
/// # Errors
/// A condition with an unknown key, which drops the rule.
pub(crate) fn tests_of_conditions(rule: &Rule) -> Result<Vec<FieldTest<'_>>, Dropped> {
    let tests = rule.when.iter().map(|condition| {
        let key = condition.key.value.as_str();
        let attribute = Attribute::of_key(key).map_err(|_| Dropped {
            reason: Reason::UnknownKey,
            field: key.to_owned(),
            span: condition.key.span,
        })?;
        Ok(FieldTest { attribute, lists: &condition.values, name: Name::Key(key) })
    });
    tests.collect()
}

/// Values of the test that a chain cannot test.
pub(crate) fn unusable_values(test: &FieldTest<'_>, is_tcp: bool) -> impl Iterator<Item = Ignored> {
    test.halves().into_iter().flat_map(move |(_, name, values)| {
        values.iter().filter_map(move |value| {
            let reason = cannot_test(&test.attribute, &value.value, is_tcp)?;
            Some(Ignored { reason, field: name.to_owned(), span: value.span })
        })
    })
}

/// Values that a chain cannot test, in the order of the rule.
pub(crate) fn unusable(rule: &ReadRule<'_>, is_tcp: bool) -> Vec<Ignored> {
    let tests = rule.items().flat_map(|item| &item.tests);
    tests.flat_map(|test| unusable_values(test, is_tcp)).collect()
}

/// Whether there are values of the attribute that a chain cannot test.
pub(crate) fn may_be_untestable(attribute: &Attribute, is_tcp: bool) -> bool {
    is_tcp && attribute.is_http_only() || matchers::may_be_unusable(attribute)
}

/// Why the chain cannot test the value, if so.
pub(crate) fn cannot_test(attribute: &Attribute, value: &str, is_tcp: bool) -> Option<Reason> {
    if is_tcp && attribute.is_http_only() {
        return Some(Reason::HttpOnly);
    }
    matchers::unusable(attribute, value)
}
