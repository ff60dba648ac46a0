//! What is particular to Envoy chains.
//!
//! A rule is (one of `from`) and (one of `to`) and (all of `when`). What a chain cannot test is left out of the rule, or
//! takes the whole rule with it: Istio 1.32, `model.go` (`Generate`, `checkError`).

use meshproof_resources::{Action, Rule, Text};

use crate::attribute::Attribute;
use crate::context::{Context, Engine};
use crate::evaluate::Note;
use crate::matchers::{self, Surroundings, Wanted};
use crate::policy::Policy;
use crate::ready::{Keep, ReadyRule};
use crate::rule::{Item, ReadRule, cannot_test, unusable};
use crate::trace::{Dropped, Ignored};

/// The rule as chains have it, those of gRPC servers included.
///
/// # Errors
/// Why the chain does not have it.
pub(crate) fn ready<'a>(
    rule: &'a Rule,
    policy: &Policy<'a>,
    context: &'a Context,
) -> Result<ReadyRule<'a>, Dropped> {
    let is_tcp = context.engine == Engine::EnvoyTcp;
    let read = ReadRule::new(rule)?;
    let ignored = unusable(&read, is_tcp);
    // ALLOW does not go without a restriction: one untranslatable value takes the whole rule, the other items of its
    // `from` and `to` included. For the other actions only the value goes, which widens the rule.
    if policy.action() == Action::Allow
        && let Some(Ignored { reason, field, span }) = ignored.first()
    {
        return Err(Dropped { reason: *reason, field: field.clone(), span: *span });
    }
    let is_envoy = context.engine != Engine::Grpc;
    let trust_domains = is_envoy.then_some(context.trust_domains.as_slice());
    let near = Surroundings { policy_namespace: policy.namespace, trust_domains };
    let keep = Keep {
        can_test: |_: &Item<'a>, attribute: &Attribute, value: &str| {
            cannot_test(attribute, value, is_tcp).is_none()
        },
        read: |attribute: &Attribute, values: &[&'a Text]| {
            Wanted::new(attribute, values.iter().map(|value| value.value.as_str()), near)
        },
        wants_tests: false,
    };
    Ok(ReadyRule::new(&read, &keep, ignored))
}

/// Values that make Envoy refuse what istiod sends.
pub(crate) fn notes(policies: &[Policy<'_>]) -> Vec<Note> {
    let operations =
        policies.iter().flat_map(|policy| policy.spec.rules.iter()).flat_map(|rule| rule.to.iter());
    operations
        .flat_map(|operation| operation.paths.values.iter().chain(operation.paths.not_values.iter()))
        .filter(|value: &&Text| matchers::template_is_refused(&value.value))
        .map(|value| Note {
            message: format!(
                "Envoy refuses the path template `{}` and with it the whole listener; what it then does depends on the \
                 configuration it had before",
                value.value
            ),
            span: value.span,
        })
        .collect()
}
