//! Proxyless gRPC: a server library with a filter per action.
//!
//! Rules: Istio 1.32, `grpcgen/lds.go`: only DENY and ALLOW, no dry run, no trust domain aliases; a filter without rules
//! is not built, so an ALLOW policy that allows nothing refuses nothing.

use meshproof_resources::{Action, Rule};

use crate::attribute::Attribute;
use crate::context::Context;
use crate::evaluate::{By, Decision, Evaluation, Matched, Note, refused, rule_traces, unreliable};
use crate::matchers::Surroundings;
use crate::policy::Policy;
use crate::request::Request;
use crate::rule::{ReadRule, Setting, judge};
use crate::trace::{Phase, PhaseTrace, PolicyTrace, Reason, RuleTrace, RuleVerdict, Standing};
use crate::view::View;

/// Decides one call.
pub(crate) fn evaluate(policies: &[Policy<'_>], request: &Request, context: &Context) -> Evaluation {
    let mut context = context.clone();
    // There is no proxy, so nothing normalizes paths.
    context.semantics.normalization = crate::semantics::PathNormalization::None;
    let mut view = match View::before_tokens(request, &context) {
        Ok(view) => view,
        Err(refusal) => return refused(refusal),
    };
    // Neither is known to a gRPC server: the client is whoever is at the other end.
    (view.sni, view.remote) = (None, view.source);
    let mut evaluation = Evaluation::new(Decision::Allow, By::NoAllowPolicy);
    evaluation.notes = notes(policies);
    let mut matched: Vec<(Phase, Matched)> = Vec::new();
    let mut has_allow_filter = false;
    for phase in [Phase::Custom, Phase::Audit, Phase::Deny, Phase::Allow] {
        let mut traces = Vec::new();
        for (at, policy) in
            policies.iter().enumerate().filter(|(_, policy)| Phase::of(policy.action()) == phase)
        {
            let is_sent = matches!(phase, Phase::Deny | Phase::Allow);
            let standing = if is_sent { Standing::Enforced } else { Standing::NotSent };
            let near = Surroundings { policy_namespace: policy.namespace, trust_domains: None };
            let setting = Setting { view: &view, near, action: policy.action(), is_tcp: false };
            let rules = match is_sent {
                true => rule_traces(policy, |rule| judge(rule, setting)),
                false => Vec::new(),
            };
            for rule in rules.iter().filter(|rule| rule.verdict == RuleVerdict::Matched) {
                let id = format!("{}-{}-{}", policy.namespace, policy.name, rule.rule);
                matched.push((phase, Matched { id, policy: at, rule: rule.rule }));
            }
            has_allow_filter |= phase == Phase::Allow && rules.iter().any(is_in_filter);
            traces.push(PolicyTrace { policy: at, id: policy.id(), standing, rules });
        }
        if !traces.is_empty() {
            evaluation.trace.phases.push(PhaseTrace { phase, policies: traces });
        }
    }
    let found = |wanted| {
        let mut list: Vec<Matched> = matched
            .iter()
            .filter(|(phase, _)| *phase == wanted)
            .map(|(_, matched)| matched.clone())
            .collect();
        list.sort();
        list
    };
    evaluation.conclude(found(Phase::Deny), has_allow_filter, found(Phase::Allow));
    evaluation
}

/// Whether the filter gets an entry for the rule.
pub(crate) fn has_entry(rule: &Rule) -> bool {
    ReadRule::new(rule).is_ok()
}

/// A rule with an unknown key is passed over; one that fails to translate still has its (empty) entry.
fn is_in_filter(rule: &RuleTrace) -> bool {
    !matches!(&rule.verdict, RuleVerdict::Dropped(dropped) if dropped.reason == Reason::UnknownKey)
}

/// What gRPC libraries do not test, or not reliably. Here such a test finds nothing, as if the request had none.
fn notes(policies: &[Policy<'_>]) -> Vec<Note> {
    let mut notes = Vec::new();
    let sent = policies.iter().filter(|policy| matches!(policy.action(), Action::Allow | Action::Deny));
    for rule in sent.flat_map(|policy| policy.spec.rules.iter()) {
        let Ok(read) = ReadRule::new(rule) else { continue };
        for test in read.items().flat_map(|item| &item.tests) {
            for (_, name, values) in test.halves() {
                let Some(first) = values.first() else { continue };
                let message = match &test.attribute {
                    attribute if unreliable(attribute) => {
                        format!(
                            "gRPC servers do not know `{name}`; what they make of it depends on the library"
                        )
                    }
                    Attribute::Header(header) if header.chars().any(|c| c.is_ascii_uppercase()) => format!(
                        "older gRPC libraries never find the header `{header}`, because they compare its name in lower \
                         case only (GHSA-qc2q-p7wx-3px3)"
                    ),
                    _ => continue,
                };
                notes.push(Note { message, span: first.span });
            }
        }
    }
    notes
}
