//! What an engine keeps of the rules: which policies take part, which tests it knows, and what a match leads to.
//!
//! [`evaluate`](crate::evaluate) asks one request; whoever reasons about all requests at once starts here, so that both
//! leave out the same things.

use meshproof_resources::{Action, Rule};

use crate::attribute::Attribute;
use crate::context::{Context, Engine, ProviderAnswer};
use crate::custom;
use crate::policy::Policy;
use crate::rule::{Item, ReadRule, cannot_test, unusable};
use crate::trace::{Dropped, Ignored, Reason, Standing};
use crate::{grpc, ztunnel};

/// One pair of lists whose values the engine can test: (nothing in `any_of`, or one of them matches) and none of
/// `none_of` does.
#[derive(Clone, Debug, PartialEq)]
pub struct TestedField<'a> {
    /// What is looked at.
    pub attribute: Attribute,
    /// Values of the field; empty when none is written, or none is left.
    pub any_of: Vec<&'a str>,
    /// Values of its `not` twin.
    pub none_of: Vec<&'a str>,
}

/// One item of `from` or `to`, or all of `when`: every field has to hold. No field at all always holds.
pub type TestedItem<'a> = Vec<TestedField<'a>>;

/// A rule as an engine has it: one of `from`, one of `to`, and `when`.
#[derive(Clone, Debug, PartialEq)]
pub struct TestedRule<'a> {
    /// The alternatives; a rule without `from` has one that always holds, and none at all means that nothing matches.
    pub from: Vec<TestedItem<'a>>,
    /// As `from`.
    pub to: Vec<TestedItem<'a>>,
    /// All conditions.
    pub when: TestedItem<'a>,
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

/// The rule with what the engine of the context can test of it.
///
/// # Errors
/// Why the engine does not have the rule at all.
pub fn tested<'a>(rule: &'a Rule, policy: &Policy<'a>, context: &Context) -> Result<TestedRule<'a>, Dropped> {
    match context.engine {
        Engine::Ztunnel => of_ztunnel(rule, policy),
        engine => of_chain(rule, policy, engine == Engine::EnvoyTcp),
    }
}

fn of_chain<'a>(rule: &'a Rule, policy: &Policy<'a>, is_tcp: bool) -> Result<TestedRule<'a>, Dropped> {
    let read = ReadRule::new(rule)?;
    if policy.action() == Action::Allow
        && let Some(Ignored { reason, field, span }) = unusable(&read, is_tcp).into_iter().next()
    {
        return Err(Dropped { reason, field, span });
    }
    let keep = |item: &Item<'a>| {
        let usable = |attribute: &Attribute, value: &'a str| cannot_test(attribute, value, is_tcp).is_none();
        Some(fields(item, |_| true, usable))
    };
    Ok(assemble(&read, keep))
}

fn of_ztunnel<'a>(rule: &'a Rule, policy: &Policy<'a>) -> Result<TestedRule<'a>, Dropped> {
    let read = ReadRule::new(rule).map_err(|dropped| Dropped { reason: Reason::NotInZtunnel, ..dropped })?;
    if policy.action() == Action::Allow
        && let Some(Ignored { reason, field, span }) = ztunnel::unusable(&read).0
    {
        return Err(Dropped { reason, field, span });
    }
    let keep = |item: &Item<'a>| {
        let known = |attribute: &Attribute| ztunnel::is_known(attribute, item);
        let usable =
            |attribute: &Attribute, value: &'a str| crate::matchers::unusable(attribute, value).is_none();
        // An item without any test never matches.
        Some(fields(item, known, usable)).filter(|fields| !fields.is_empty())
    };
    Ok(assemble(&read, keep))
}

/// The fields of an item that have a value left.
fn fields<'a>(
    item: &Item<'a>,
    known: impl Fn(&Attribute) -> bool,
    usable: impl Fn(&Attribute, &'a str) -> bool,
) -> TestedItem<'a> {
    let mut kept = Vec::new();
    for test in item.tests.iter().filter(|test| known(&test.attribute)) {
        let [any_of, none_of] = test.halves().map(|(_, _, values)| {
            let values = values.iter().map(|value| value.value.as_str());
            values.filter(|value| usable(&test.attribute, value)).collect::<Vec<&str>>()
        });
        if !any_of.is_empty() || !none_of.is_empty() {
            kept.push(TestedField { attribute: test.attribute.clone(), any_of, none_of });
        }
    }
    kept
}

/// Puts the items together; `keep` gives nothing for an item that never matches.
fn assemble<'a>(rule: &ReadRule<'a>, keep: impl Fn(&Item<'a>) -> Option<TestedItem<'a>>) -> TestedRule<'a> {
    let alternatives = |items: &[Item<'a>]| match items {
        [] => vec![Vec::new()],
        items => items.iter().filter_map(&keep).collect(),
    };
    let conditions: Option<Vec<TestedItem<'a>>> = rule.when.iter().map(&keep).collect();
    match conditions {
        Some(conditions) => TestedRule {
            from: alternatives(&rule.from),
            to: alternatives(&rule.to),
            when: conditions.into_iter().flatten().collect(),
        },
        None => TestedRule { from: Vec::new(), to: Vec::new(), when: Vec::new() },
    }
}
