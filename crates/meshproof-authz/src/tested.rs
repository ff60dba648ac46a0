//! What an engine keeps of the rules: which policies take part, which tests it knows, and what a match leads to.
//!
//! [`evaluate`](crate::evaluate) asks one request; whoever reasons about all requests at once starts here, so that both
//! leave out the same things.

use meshproof_resources::{Action, Match, Rule, Text};

use crate::attribute::Attribute;
use crate::context::{Context, Engine, ProviderAnswer};
use crate::custom;
use crate::policy::Policy;
use crate::rule::{
    FieldTest, cannot_test, may_be_untestable, tests_of_conditions, tests_of_operation, tests_of_source,
    unusable_values,
};
use crate::trace::{Dropped, Ignored, Reason, Standing};
use crate::{grpc, ztunnel};

/// One pair of lists: (nothing in `any_of`, or one of them matches) and none of `none_of` does. Values that the engine
/// cannot test count as not written.
#[derive(Clone, Debug)]
pub struct TestedField<'a> {
    /// What is looked at.
    pub attribute: Attribute,
    lists: &'a Match,
    /// Set where values have to be left out: whether it is a TCP chain that has the rule.
    left_out: Option<bool>,
}

impl<'a> TestedField<'a> {
    /// The lists as they are written, of any value: `any_of` and `none_of`. What is left of equal lists of one attribute
    /// in one engine is equal too.
    pub fn written(&self) -> [&'a [Text]; 2] {
        [&self.lists.values, &self.lists.not_values]
    }

    /// Values of the field; none when none is written, or none is left.
    pub fn any_of(&self) -> impl Iterator<Item = &'a str> {
        self.usable(&self.lists.values)
    }

    /// Values of its `not` twin.
    pub fn none_of(&self) -> impl Iterator<Item = &'a str> {
        self.usable(&self.lists.not_values)
    }

    fn usable(&self, values: &'a [Text]) -> impl Iterator<Item = &'a str> {
        let can_test = |value: &&'a str| {
            self.left_out.is_none_or(|is_tcp| cannot_test(&self.attribute, value, is_tcp).is_none())
        };
        values.iter().map(|value| value.value.as_str()).filter(can_test)
    }
}

/// A rule as an engine has it: one of `from`, one of `to`, and `when`. Its items are read as they are asked for.
pub struct TestedRule<'a> {
    rule: &'a Rule,
    /// The conditions, their keys read.
    when: Vec<FieldTest<'a>>,
    engine: Engine,
    /// The engine can test every value.
    is_whole: bool,
}

impl<'a> TestedRule<'a> {
    /// The alternatives of `from`, each with all its fields; no field at all always holds. Nothing when the rule is for
    /// every source. No alternative at all: nothing matches.
    pub fn from(&self) -> Option<impl Iterator<Item = impl Iterator<Item = TestedField<'a>>>> {
        let sources = &self.rule.from;
        (!sources.is_empty()).then(|| sources.iter().filter_map(|source| self.item(tests_of_source(source))))
    }

    /// As [`TestedRule::from`], of `to`.
    pub fn to(&self) -> Option<impl Iterator<Item = impl Iterator<Item = TestedField<'a>>>> {
        let operations = &self.rule.to;
        (!operations.is_empty())
            .then(|| operations.iter().filter_map(|operation| self.item(tests_of_operation(operation))))
    }

    /// The fields of all conditions. Nothing when one of them can never hold.
    pub fn when(&self) -> Option<impl Iterator<Item = TestedField<'a>>> {
        let tests = || self.when.iter().map(|test| self.field(test.clone(), true));
        let never = self.engine == Engine::Ztunnel && tests().any(|field| field.is_none());
        (!never).then(|| tests().flatten())
    }

    /// Nothing when the item can never hold: ztunnel wants a test in it.
    fn item(
        &self,
        tests: impl Iterator<Item = FieldTest<'a>>,
    ) -> Option<impl Iterator<Item = TestedField<'a>>> {
        let mut fields = tests.filter_map(|test| self.field(test, false)).peekable();
        (self.engine != Engine::Ztunnel || fields.peek().is_some()).then_some(fields)
    }

    /// The field, if the engine can test something of it.
    fn field(&self, test: FieldTest<'a>, in_condition: bool) -> Option<TestedField<'a>> {
        if self.engine == Engine::Ztunnel && !ztunnel::is_known(&test.attribute, in_condition) {
            return None;
        }
        let is_tcp = self.engine == Engine::EnvoyTcp;
        let left_out = (!self.is_whole && may_be_untestable(&test.attribute, is_tcp)).then_some(is_tcp);
        let field = TestedField { attribute: test.attribute, lists: test.lists, left_out };
        let is_left = field.any_of().next().is_some() || field.none_of().next().is_some();
        is_left.then_some(field)
    }
}

/// What a match of an enforced CUSTOM policy leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CustomOutcome<'a> {
    /// The request is refused: the provider is missing, or several meet.
    Unusable,
    /// The request is refused: istiod puts a policy on trial among those that refuse.
    OnTrial,
    /// The provider is asked.
    Asked {
        /// Its name.
        provider: &'a str,
        /// What it is taken to answer.
        answer: ProviderAnswer,
        /// Whether the request is then refused. A provider whose answer is not known counts as willing.
        refuses: bool,
    },
}

/// Whether and how each policy takes part. `policies` are all that apply.
pub fn standings(policies: &[Policy<'_>], context: &Context) -> Vec<Standing> {
    let too_many = custom::has_too_many_providers(policies, context);
    let standing = |policy: &Policy<'_>| match context.engine {
        Engine::EnvoyHttp | Engine::EnvoyTcp => custom::standing(policy, context, too_many),
        Engine::Ztunnel => ztunnel::standing(policy, context),
        Engine::Grpc if matches!(policy.action(), Action::Allow | Action::Deny) => Standing::Enforced,
        Engine::Grpc => Standing::NotSent,
    };
    policies.iter().map(standing).collect()
}

/// Whether requests that nothing denies need an ALLOW rule that matches.
pub fn needs_allow(policies: &[Policy<'_>], context: &Context) -> bool {
    let standings = standings(policies, context);
    let mut enforced = policies
        .iter()
        .zip(standings)
        .filter(|(policy, standing)| policy.action() == Action::Allow && *standing == Standing::Enforced);
    match context.engine {
        // A filter is built for rules only, and rules with an unknown key are passed over.
        Engine::Grpc => enforced.any(|(policy, _)| policy.spec.rules.iter().any(grpc::has_entry)),
        _ => enforced.next().is_some(),
    }
}

/// What becomes of requests that the CUSTOM policy matches. `policies` are all that apply.
pub fn custom_outcome<'a>(
    policies: &[Policy<'_>],
    policy: &Policy<'a>,
    context: &Context,
) -> CustomOutcome<'a> {
    custom::custom_outcome(custom::has_too_many_providers(policies, context), policy, context)
}

/// What becomes of requests that CUSTOM policies match, policy by policy. `policies` are all that apply.
pub fn custom_outcomes<'a>(
    policies: &[Policy<'_>],
    context: &Context,
) -> impl Fn(&Policy<'a>) -> CustomOutcome<'a> {
    let too_many = custom::has_too_many_providers(policies, context);
    move |policy| custom::custom_outcome(too_many, policy, context)
}

/// The rule with what the engine of the context can test of it.
///
/// # Errors
/// Why the engine does not have the rule at all.
pub fn tested<'a>(rule: &'a Rule, policy: &Policy<'a>, context: &Context) -> Result<TestedRule<'a>, Dropped> {
    let engine = context.engine;
    let when = tests_of_conditions(rule).map_err(|dropped| match engine {
        Engine::Ztunnel => Dropped { reason: Reason::NotInZtunnel, ..dropped },
        _ => dropped,
    })?;
    let is_allow = policy.action() == Action::Allow;
    if is_allow && let Some(Ignored { reason, field, span }) = first_unusable(rule, &when, engine) {
        return Err(Dropped { reason, field, span });
    }
    // ztunnel passes over addresses and ports that are none.
    Ok(TestedRule { rule, when, engine, is_whole: is_allow && engine != Engine::Ztunnel })
}

/// The first value that the engine cannot test and that drops a rule of an ALLOW policy.
fn first_unusable(rule: &Rule, when: &[FieldTest<'_>], engine: Engine) -> Option<Ignored> {
    let unusable = |test: &FieldTest<'_>, in_condition: bool| match engine {
        Engine::Ztunnel => ztunnel::layer_seven(test, in_condition),
        engine => {
            let is_tcp = engine == Engine::EnvoyTcp;
            may_be_untestable(&test.attribute, is_tcp).then(|| unusable_values(test, is_tcp).next())?
        }
    };
    // Of what stands in fields, HTTP chains can test all but malformed addresses and ports.
    let is_http = matches!(engine, Engine::EnvoyHttp | Engine::Grpc);
    let sources = rule
        .from
        .iter()
        .filter(|source| !is_http || !source.ip_blocks.is_empty() || !source.remote_ip_blocks.is_empty());
    let operations = rule.to.iter().filter(|operation| !is_http || !operation.ports.is_empty());
    let mut fields = sources.flat_map(tests_of_source).chain(operations.flat_map(tests_of_operation));
    fields
        .find_map(|test| unusable(&test, false))
        .or_else(|| when.iter().find_map(|test| unusable(test, true)))
}
