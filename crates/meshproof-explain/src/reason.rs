//! Why a hop decides as it does, in one sentence.

use meshproof_authz::{By, Context, Decision, Evaluation, Matched, Policy};
use meshproof_resources::Action;

use crate::answer::{Deciding, Evidence};
use crate::told::Known;

/// The rule that decides.
pub(crate) fn deciding(rule: &Matched, policies: &[Policy<'_>], known: &[Known<'_>]) -> Option<Deciding> {
    let policy = policies.get(rule.policy)?;
    let span = policy.spec.rules.get(rule.rule).map_or(known.get(rule.policy)?.span, |rule| rule.span);
    Some(Deciding { policy: policy.id(), action: policy.action(), rule: Some(rule.rule + 1), span })
}

/// Why it is decided so.
pub(crate) fn sentence(
    evaluation: &Evaluation,
    deciding: Option<&Deciding>,
    policies: &[Policy<'_>],
    context: &Context,
) -> String {
    let rule = deciding.map_or_else(String::new, |deciding| {
        format!("rule {} of {}", deciding.rule.unwrap_or_default(), deciding.policy)
    });
    let allowing =
        policies.iter().filter(|policy| policy.action() == Action::Allow && !policy.is_dry_run()).count();
    match &evaluation.by {
        By::Custom => format!("{rule} {}", custom(evaluation, policies, context)),
        By::Deny => format!("{rule} denies it"),
        By::Allow => format!("{rule} allows it"),
        By::AllowNoneMatched if allowing == 1 => {
            "the one ALLOW policy that applies has no rule for it".to_owned()
        }
        By::AllowNoneMatched => format!("{allowing} ALLOW policies apply and none has a rule for it"),
        By::NoAllowPolicy if policies.is_empty() => "no policy applies".to_owned(),
        By::NoAllowPolicy => "nothing denies it and no ALLOW policy applies".to_owned(),
        By::Proxy(reason) => match evaluation.decision {
            Decision::Reject(400) => {
                format!("refused with 400 before policies are asked: {}", broken(reason))
            }
            _ => reason.clone(),
        },
    }
}

/// What is wrong with a request that no policy ever sees, by Envoy's word for it.
fn broken(detail: &str) -> &str {
    match detail {
        "path_normalization_failed" => "the path cannot be normalized",
        "http1.invalid_url" => "the path is no valid request target",
        "http1.codec_error" => "it is no valid HTTP",
        other => other,
    }
}

/// Why a CUSTOM policy refuses.
fn custom(evaluation: &Evaluation, policies: &[Policy<'_>], context: &Context) -> String {
    let policy = evaluation.rule.as_ref().and_then(|rule| policies.get(rule.policy));
    let name = policy.and_then(|policy| policy.spec.provider.as_ref()).map(|name| name.value.as_str());
    match name {
        None => "names no provider to ask, so it refuses what it matches".to_owned(),
        Some(name) if !context.providers.contains_key(name) => {
            format!("asks the provider {name}, which MeshConfig does not have, so it refuses what it matches")
        }
        Some(name) => format!(
            "asks the provider {name} beside another one, and several providers at one workload refuse everything \
             they match"
        ),
    }
}

/// What policies on trial would have done.
pub(crate) fn dry_run_notes(evaluation: &Evaluation, policies: &[Policy<'_>]) -> Vec<Evidence> {
    let tried = &evaluation.dry_run;
    let told = |rule: &Matched| {
        let policy = policies.get(rule.policy)?;
        Some((format!("rule {} of {}", rule.rule + 1, policy.id()), policy.spec.rules.get(rule.rule)?.span))
    };
    let mut notes = Vec::new();
    match (&tried.deny, &tried.allow) {
        (Some(rule), _) => notes.extend(
            told(rule).map(|(rule, span)| Evidence::at(format!("on trial, {rule} would deny it"), span)),
        ),
        (None, None) if tried.has_allow => {
            notes.push(Evidence::new("on trial, the ALLOW policies in dry run would not allow it"));
        }
        _ => {}
    }
    notes
}
