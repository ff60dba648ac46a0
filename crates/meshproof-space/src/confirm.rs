//! Requests that were found, put to the evaluator before they are handed out.

use std::sync::OnceLock;

use meshproof_authz::{Context, Decider, Decision, Policy, Request};

use crate::lower::RuleId;
use crate::space::Outcome;

/// Policies and where they apply. They are read for the evaluator when it is first asked.
#[derive(Debug)]
pub(crate) struct Confirm<'a> {
    policies: &'a [Policy<'a>],
    context: &'a Context,
    decider: OnceLock<Decider<'a>>,
}

impl<'a> Confirm<'a> {
    pub fn new(policies: &'a [Policy<'a>], context: &'a Context) -> Confirm<'a> {
        Confirm { policies, context, decider: OnceLock::new() }
    }

    fn decider(&self) -> &Decider<'a> {
        self.decider.get_or_init(|| Decider::new(self.policies, self.context))
    }

    /// Whether the request has the outcome.
    pub fn has_outcome(&self, request: &Request, outcome: Outcome) -> bool {
        let decider = self.decider();
        match outcome {
            Outcome::Allowed => decider.decision(request) == Decision::Allow,
            Outcome::Denied => decider.decision(request) == Decision::Deny,
            Outcome::Delegated => decider.is_delegated(request),
            Outcome::Audited => decider.is_audited(request),
        }
    }

    /// Whether the request passes and one of the rules lets it in; where no ALLOW policy applies, whether it passes.
    pub fn is_allowed_by(&self, rules: &[RuleId], request: &Request) -> bool {
        self.decider().is_allowed_by(rules.iter().map(|id| (id.policy, id.rule)), request)
    }

    /// Whether the rule matches the request.
    pub fn matches(&self, rule: RuleId, request: &Request) -> bool {
        self.decider().matches(rule.policy, rule.rule, request)
    }

    /// The rules that match the request.
    pub fn matching(&self, request: &Request) -> Vec<RuleId> {
        let matching = self.decider().matching(request).into_iter();
        matching.map(|(policy, rule)| RuleId { policy, rule }).collect()
    }
}
