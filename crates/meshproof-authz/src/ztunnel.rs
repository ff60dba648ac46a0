//! ztunnel: connections, one identity, clauses instead of rules.
//!
//! Rules: Istio 1.32, `serviceregistry/ambient/authorization.go` (what is sent) and ztunnel, `rbac.rs`, `state.rs` (what
//! is decided).

use meshproof_grammar::namespace_pattern::NamespacePattern;
use meshproof_grammar::principal::PrincipalPattern;
use meshproof_grammar::spiffe::SpiffeId;
use meshproof_resources::{Action, Rule, Text};

use crate::attribute::Attribute;
use crate::context::Context;
use crate::evaluate::{By, Decision, DryRunResult, Evaluation, Matched, refused, rule_traces};
use crate::matchers::{self, identity, network};
use crate::policy::Policy;
use crate::request::Request;
use crate::rule::{Item, ReadRule, judge_parts};
use crate::trace::{
    Dropped, FailedTest, Ignored, Part, Phase, PhaseTrace, PolicyTrace, Reason, RuleVerdict, Standing,
};
use crate::view::View;

/// Decides one connection.
pub(crate) fn evaluate(policies: &[Policy<'_>], request: &Request, context: &Context) -> Evaluation {
    let view = match View::new(request, context) {
        Ok(view) => view,
        Err(refusal) => return refused(refusal),
    };
    let mut evaluation = Evaluation::new(Decision::Allow, By::NoAllowPolicy);
    let mut matched: Vec<(Phase, Standing, Matched)> = Vec::new();
    for phase in [Phase::Custom, Phase::Audit, Phase::Deny, Phase::Allow] {
        let mut traces = Vec::new();
        for (at, policy) in
            policies.iter().enumerate().filter(|(_, policy)| Phase::of(policy.action()) == phase)
        {
            let standing = standing(policy, context);
            let rules = if standing == Standing::NotSent {
                Vec::new()
            } else {
                rule_traces(policy, |rule| judge(rule, policy, &view))
            };
            if let Some(rule) = rules.iter().find(|rule| rule.verdict == RuleVerdict::Matched) {
                matched.push((phase, standing, Matched { id: policy.id(), policy: at, rule: rule.rule }));
            }
            traces.push(PolicyTrace { policy: at, id: policy.id(), standing, rules });
        }
        if !traces.is_empty() {
            evaluation.trace.phases.push(PhaseTrace { phase, policies: traces });
        }
    }
    let found = |wanted: (Phase, Standing)| {
        let mut list: Vec<Matched> = matched
            .iter()
            .filter(|(phase, standing, _)| (*phase, *standing) == wanted)
            .map(|(_, _, matched)| matched.clone())
            .collect();
        list.sort();
        list
    };
    let has_allow = |wanted| {
        policies.iter().any(|policy| policy.action() == Action::Allow && standing(policy, context) == wanted)
    };
    evaluation.dry_run = DryRunResult {
        deny: found((Phase::Deny, Standing::DryRun)).into_iter().next(),
        allow: found((Phase::Allow, Standing::DryRun)).into_iter().next(),
        has_allow: has_allow(Standing::DryRun),
    };
    let denying = found((Phase::Deny, Standing::Enforced));
    let allowing = found((Phase::Allow, Standing::Enforced));
    evaluation.conclude(denying, has_allow(Standing::Enforced), allowing);
    evaluation
}

pub(crate) fn standing(policy: &Policy<'_>, context: &Context) -> Standing {
    let is_sent =
        matches!(policy.action(), Action::Allow | Action::Deny) && policy.spec.target_refs.is_empty();
    match (is_sent, policy.is_dry_run()) {
        (true, false) => Standing::Enforced,
        (true, true) if context.semantics.ztunnel_dry_run => Standing::DryRun,
        _ => Standing::NotSent,
    }
}

/// Judges one rule.
fn judge(rule: &Rule, policy: &Policy<'_>, view: &View<'_>) -> (RuleVerdict, Vec<Ignored>) {
    let peer = view.workload();
    // An unknown key is one more that ztunnel does not know: the condition is there and nothing in it can be tested.
    let read = match ReadRule::new(rule) {
        Ok(read) => read,
        Err(dropped) => {
            let dropped = Dropped { reason: Reason::NotInZtunnel, ..dropped };
            return (RuleVerdict::Dropped(dropped), Vec::new());
        }
    };
    let (layer_seven, ignored) = unusable(&read);
    if policy.action() == Action::Allow
        && let Some(Ignored { reason, field, span }) = layer_seven
    {
        return (RuleVerdict::Dropped(Dropped { reason, field, span }), Vec::new());
    }
    (judge_parts(&read, |item| item_fails(item, policy, view, peer.as_ref())), ignored)
}

/// Whether ztunnel has a test for the property here. Conditions know fewer than fields: `source.serviceAccount` and
/// `source.trustDomain` count as layer 7.
pub(crate) fn is_known(attribute: &Attribute, item: &Item<'_>) -> bool {
    let in_condition = matches!(item.part, Part::When(_));
    match attribute {
        Attribute::Principal
        | Attribute::Namespace
        | Attribute::SourceIp
        | Attribute::DestinationIp
        | Attribute::DestinationPort => true,
        Attribute::ServiceAccount => !in_condition,
        _ => false,
    }
}

/// What ztunnel leaves out; and the first of it that drops a rule of an ALLOW policy. The fields `trustDomains` and
/// `notTrustDomains` are forgotten in the conversion without dropping anything. Bad ports and addresses are skipped.
pub(crate) fn unusable(rule: &ReadRule<'_>) -> (Option<Ignored>, Vec<Ignored>) {
    let mut layer_seven = None;
    let mut ignored = Vec::new();
    for item in rule.items() {
        for test in &item.tests {
            let known = is_known(&test.attribute, item);
            let forgotten = test.attribute == Attribute::TrustDomain && !matches!(item.part, Part::When(_));
            for (_, name, values) in test.halves() {
                for value in values {
                    let reason = match known {
                        true => matchers::unusable(&test.attribute, &value.value),
                        false => Some(Reason::NotInZtunnel),
                    };
                    let Some(reason) = reason else { continue };
                    let entry = Ignored { reason, field: name.to_owned(), span: value.span };
                    if !known && !forgotten {
                        layer_seven.get_or_insert_with(|| entry.clone());
                    }
                    ignored.push(entry);
                }
            }
        }
    }
    (layer_seven, ignored)
}

/// The tests of the item that do not hold. An item without any test never matches.
fn item_fails(
    item: &Item<'_>,
    policy: &Policy<'_>,
    view: &View<'_>,
    peer: Option<&SpiffeId>,
) -> Vec<FailedTest> {
    let mut is_empty = true;
    let mut failed = Vec::new();
    for test in item.tests.iter().filter(|test| is_known(&test.attribute, item)) {
        for (negated, name, values) in test.halves() {
            let usable: Vec<&Text> = values
                .iter()
                .filter(|value| matchers::unusable(&test.attribute, &value.value).is_none())
                .collect();
            is_empty &= usable.is_empty();
            let found = usable.iter().any(|value| matches(&test.attribute, &value.value, policy, view, peer));
            if !usable.is_empty() && found == negated {
                failed.push(FailedTest {
                    part: item.part,
                    span: item.span,
                    field: name.to_owned(),
                    attribute: Some(test.attribute.clone()),
                    negated,
                    wanted: usable.into_iter().cloned().collect(),
                    has: matchers::has(&test.attribute, view),
                });
            }
        }
    }
    if is_empty {
        failed.push(FailedTest {
            part: item.part,
            span: item.span,
            field: String::new(),
            attribute: None,
            negated: false,
            wanted: Vec::new(),
            has: Vec::new(),
        });
    }
    failed
}

/// One value. Identities are compared as written: no alias, no `cluster.local` for the mesh's own trust domain.
fn matches(
    attribute: &Attribute,
    value: &str,
    policy: &Policy<'_>,
    view: &View<'_>,
    peer: Option<&SpiffeId>,
) -> bool {
    match attribute {
        Attribute::Principal => {
            peer.is_some_and(|peer| PrincipalPattern::parse(value).matches_principal(&peer.principal()))
        }
        Attribute::Namespace => {
            peer.is_some_and(|peer| NamespacePattern::parse(value).matches_namespace(&peer.namespace))
        }
        Attribute::ServiceAccount => {
            let account = identity::service_account_ref(value);
            peer.is_some_and(|peer| {
                peer.namespace == account.namespace_in(policy.namespace)
                    && peer.service_account == account.name
            })
        }
        Attribute::SourceIp => network::address(value, view.source),
        Attribute::DestinationIp => network::address(value, view.destination),
        Attribute::DestinationPort => network::port(value, view.port),
        _ => false,
    }
}
