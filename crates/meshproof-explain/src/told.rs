//! From a trace to words: which rule matched, which test of which rule failed, and what it saw.

use meshproof_authz::{Attribute, FailedTest, Part, PolicyTrace, RuleTrace, RuleVerdict, Standing, Trace};
use meshproof_grammar::spiffe::{SCHEME, SpiffeId};
use meshproof_resources::{Action, Rule, Text};
use meshproof_source::Span;

use crate::answer::{Evidence, Fate, Miss, Phase, PolicyTold, RuleTold};

/// Values that a message lists before it counts the rest.
const LISTED: usize = 3;

/// What a policy of a trace is in the manifests.
pub(crate) struct Known<'a> {
    /// The object.
    pub span: Span,
    /// What it does.
    pub action: Action,
    /// Why it is not certain that it applies.
    pub doubt: Option<&'a str>,
}

/// Tells a trace; `known` has an entry for each policy that was handed in.
pub(crate) fn phases(trace: &Trace, known: &[Known<'_>], letting_in: Option<&Rule>) -> Vec<Phase> {
    let phase = |of: &meshproof_authz::PhaseTrace| {
        let policies: Vec<PolicyTold> = of
            .policies
            .iter()
            .filter_map(|policy| Some(told(policy, known.get(policy.policy)?, letting_in)))
            .collect();
        let action = known.get(of.policies.first()?.policy)?.action;
        Some(Phase { action, policies })
    };
    trace.phases.iter().filter_map(phase).collect()
}

fn told(policy: &PolicyTrace, known: &Known<'_>, letting_in: Option<&Rule>) -> PolicyTold {
    let aside = match policy.standing {
        Standing::Enforced => None,
        Standing::DryRun => Some("dry run: it only reports what it would do"),
        Standing::NotSent => Some("not enforced here: this kind of proxy does not get it"),
        Standing::Skipped => Some("not enforced here: its provider cannot be asked about TCP"),
    };
    PolicyTold {
        id: policy.id.clone(),
        span: known.span,
        aside,
        doubt: known.doubt.map(str::to_owned),
        rules: policy.rules.iter().map(|trace| rule(trace, letting_in)).collect(),
    }
}

fn rule(rule: &RuleTrace, letting_in: Option<&Rule>) -> RuleTold {
    let fate = match &rule.verdict {
        RuleVerdict::Matched => Fate::Matched,
        RuleVerdict::Failed(failed) => failed.first().map_or(Fate::Matched, |test| Fate::Failed(miss(test))),
        RuleVerdict::Dropped(dropped) => {
            let text = format!("left out because of `{}`: {}", dropped.field, dropped.reason.explanation());
            Fate::Dropped(Evidence::at(text, dropped.span))
        }
    };
    let ignored = rule.ignored.iter().map(|ignored| {
        let text = format!("`{}` does not count: {}", ignored.field, ignored.reason.explanation());
        Evidence::at(text, ignored.span)
    });
    let mut ignored: Vec<Evidence> = ignored.collect();
    ignored.dedup_by(|a, b| a.text == b.text);
    RuleTold {
        number: rule.rule + 1,
        span: rule.span,
        fate,
        tests_short: rule.verdict.tests_short(),
        restricts: letting_in.is_some_and(|other| restricts(&rule.verdict, other)),
        ignored,
    }
}

/// Whether the rule is for this operation and fails at a client or condition of which the rule that lets the request in
/// asks nothing at all.
fn restricts(verdict: &RuleVerdict, letting_in: &Rule) -> bool {
    let RuleVerdict::Failed(failed) = verdict else { return false };
    failed.iter().all(|test| match test.part {
        Part::From(_) => letting_in.from.is_empty(),
        Part::To(_) => false,
        Part::When(_) => letting_in.when.is_empty(),
    })
}

/// One failed test in words.
pub(crate) fn miss(test: &FailedTest) -> Miss {
    let span = test.wanted.first().map_or(test.span, |value| value.span);
    if test.wanted.is_empty() {
        return Miss {
            field: "this item".to_owned(),
            wants: "has no test that ztunnel knows, so it never matches".to_owned(),
            has: String::new(),
            span: test.span,
        };
    }
    let wants = if test.negated {
        format!("must not be {}", list(&matching(test)))
    } else {
        format!("wants {}", list(&test.wanted.iter().map(|text| text.value.as_str()).collect::<Vec<_>>()))
    };
    Miss { field: test.field.clone(), wants, has: has(test), span }
}

/// Of a list that must not match, the values that do are not told apart by the trace; all are named.
fn matching(test: &FailedTest) -> Vec<&str> {
    test.wanted.iter().map(|text: &Text| text.value.as_str()).collect()
}

fn list(values: &[&str]) -> String {
    let shown: Vec<String> = values.iter().take(LISTED).map(|value| format!("`{value}`")).collect();
    match (shown.as_slice(), values.len() - shown.len()) {
        ([one], 0) => one.clone(),
        (_, 0) => format!("one of {}", shown.join(", ")),
        (_, rest) => format!("one of {} and {rest} more", shown.join(", ")),
    }
}

/// What the request has there, in words that fit the property.
fn has(test: &FailedTest) -> String {
    let attribute = &test.attribute;
    let values: Vec<&str> = test.has.iter().map(String::as_str).collect();
    let shown = list_plain(&values);
    let none = values.is_empty();
    match attribute {
        Some(
            attribute @ (Attribute::Principal
            | Attribute::Namespace
            | Attribute::ServiceAccount
            | Attribute::TrustDomain),
        ) => caller(attribute, &values),
        Some(Attribute::RequestPrincipal | Attribute::Claim(_)) if none => {
            "the request has no such token or claim".to_owned()
        }
        Some(Attribute::SourceIp) => match values.first() {
            None | Some(&"0.0.0.0") => "the client's address is not given (--source-ip)".to_owned(),
            _ => format!("the connection comes from {shown}"),
        },
        Some(Attribute::RemoteIp) => match values.first() {
            None | Some(&"0.0.0.0") => "the client's address is not given (--remote-ip)".to_owned(),
            _ => format!("the client is {shown}"),
        },
        Some(Attribute::DestinationIp) => "the address of the pod is not known".to_owned(),
        Some(Attribute::DestinationPort) => format!("the port is {shown}"),
        Some(Attribute::Method) => format!("the request is {shown}"),
        _ if none => "the request has none".to_owned(),
        _ => format!("the request has {shown}"),
    }
}

/// The view of an identity that the test has.
fn caller(attribute: &Attribute, names: &[&str]) -> String {
    let Some(name) = names.first() else { return "the caller has no identity".to_owned() };
    let principal = name.strip_prefix(SCHEME).unwrap_or(name);
    match (attribute, SpiffeId::parse(name)) {
        (Attribute::Namespace, Ok(id)) => format!("the caller is in `{}`", id.namespace),
        (Attribute::ServiceAccount, Ok(id)) => {
            format!("the caller is `{}/{}`", id.namespace, id.service_account)
        }
        (Attribute::TrustDomain, Ok(id)) => format!("the caller is of `{}`", id.trust_domain),
        _ => format!("the caller is `{principal}`"),
    }
}

fn list_plain(values: &[&str]) -> String {
    let shown = values.iter().take(LISTED).map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
    match values.len().saturating_sub(LISTED) {
        0 => shown,
        rest => format!("{shown} and {rest} more"),
    }
}
