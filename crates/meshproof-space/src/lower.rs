//! From policies to boxes, engine by engine.
//!
//! What an engine leaves out of a rule is decided in `meshproof_authz::tested`; here values become tests and one
//! alternative of `from` with one of `to` becomes a box.

use std::sync::Arc;

use meshproof_authz::{
    ClientAddress, Context, CustomOutcome, Dropped, Engine, Policy, Standing, TestedItem, custom_outcome,
    needs_allow, standings, tested,
};
use meshproof_resources::{Action, Rule};

use crate::boxes::{Clause, RequestBox};
use crate::limit::Limit;

mod value;

use value::Lowering;
pub(crate) use value::joins_headers;

/// More boxes than this make a rule too large: `from` times `to` of a hostile rule is a quarter of a million.
pub const MOST_BOXES: usize = 10_000;

/// A rule by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId {
    /// The place of its policy in the list that was handed in.
    pub policy: usize,
    /// Its place in the policy.
    pub rule: usize,
}

/// What a match of a rule leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The request is refused: CUSTOM with a provider that cannot be asked or refuses.
    Refuse,
    /// The provider is asked.
    Delegate(String),
    /// The request is marked.
    Audit,
    /// The request is refused.
    Deny,
    /// The request is allowed unless something denies it.
    Allow,
}

/// What became of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleBoxes {
    /// The union of these; none at all: nothing matches.
    Boxes(Vec<RequestBox>),
    /// The engine does not have the rule.
    Dropped(Dropped),
    /// What it matches is not known: it has more than [`MOST_BOXES`], or a pattern that cannot be told.
    Unknown(Limit),
}

/// A rule that takes part.
#[derive(Clone, Debug, PartialEq)]
pub struct LoweredRule {
    /// Which.
    pub id: RuleId,
    /// What a match leads to; a rule that delegates to a provider taken to refuse has an entry for each.
    pub effect: Effect,
    /// What it matches.
    pub boxes: Arc<RuleBoxes>,
}

/// The policies of one enforcement point.
#[derive(Clone, Debug, PartialEq)]
pub struct LoweredPolicies {
    /// The rules of every policy that is enforced, in order.
    pub rules: Vec<LoweredRule>,
    /// Whether a request that nothing denies needs an ALLOW rule.
    pub needs_allow: bool,
}

/// The rules of the policies as boxes.
pub fn lower(policies: &[Policy<'_>], context: &Context) -> LoweredPolicies {
    lower_for(policies, context, Purpose::Reason)
}

/// As [`lower`], for code that decides one request at a time: templates that nobody can reason about are among the tests.
pub fn lower_to_decide(policies: &[Policy<'_>], context: &Context) -> LoweredPolicies {
    lower_for(policies, context, Purpose::Decide)
}

/// What boxes are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// All requests at once.
    Reason,
    /// One request.
    Decide,
}

fn lower_for(policies: &[Policy<'_>], context: &Context, purpose: Purpose) -> LoweredPolicies {
    let mut rules = Vec::new();
    let standings = standings(policies, context);
    let enforced = standings.iter().enumerate().filter(|(_, standing)| **standing == Standing::Enforced);
    for (at, _) in enforced {
        let policy = &policies[at];
        let effects = match policy.action() {
            Action::Allow => vec![Effect::Allow],
            Action::Deny => vec![Effect::Deny],
            Action::Audit => vec![Effect::Audit],
            Action::Custom => match custom_outcome(policies, policy, context) {
                CustomOutcome::Unusable | CustomOutcome::OnTrial => vec![Effect::Refuse],
                CustomOutcome::Asked { provider, refuses: false, .. } => {
                    vec![Effect::Delegate(provider.to_owned())]
                }
                CustomOutcome::Asked { provider, refuses: true, .. } => {
                    vec![Effect::Delegate(provider.to_owned()), Effect::Refuse]
                }
            },
        };
        for (index, rule) in policy.spec.rules.iter().enumerate() {
            let boxes = Arc::new(rule_boxes(rule, policy, context, purpose));
            for effect in &effects {
                let id = RuleId { policy: at, rule: index };
                rules.push(LoweredRule { id, effect: effect.clone(), boxes: Arc::clone(&boxes) });
            }
        }
    }
    LoweredPolicies { rules, needs_allow: needs_allow(policies, context) }
}

/// The rules of the policies on trial, as [`lower_to_decide`], which leaves them out: their effect is what it would be without the trial.
pub fn lower_dry_run(policies: &[Policy<'_>], context: &Context) -> Vec<LoweredRule> {
    let mut rules = Vec::new();
    let standings = standings(policies, context);
    for (at, _) in standings.iter().enumerate().filter(|(_, standing)| **standing == Standing::DryRun) {
        let policy = &policies[at];
        let effect = match policy.action() {
            Action::Allow => Effect::Allow,
            Action::Deny => Effect::Deny,
            // istiod only tries out these two; see `standing`.
            Action::Audit | Action::Custom => continue,
        };
        for (index, rule) in policy.spec.rules.iter().enumerate() {
            let boxes = Arc::new(rule_boxes(rule, policy, context, Purpose::Decide));
            rules.push(LoweredRule { id: RuleId { policy: at, rule: index }, effect: effect.clone(), boxes });
        }
    }
    rules
}

fn rule_boxes(rule: &Rule, policy: &Policy<'_>, context: &Context, purpose: Purpose) -> RuleBoxes {
    match tested(rule, policy, context) {
        Err(dropped) => RuleBoxes::Dropped(dropped),
        Ok(rule) => {
            let lowering = Lowering::new(policy, context, purpose);
            match boxes(&lowering, [&rule.from, &rule.to], &rule.when) {
                Ok(boxes) => RuleBoxes::Boxes(boxes),
                Err(limit) => RuleBoxes::Unknown(limit),
            }
        }
    }
}

/// One box for each pair of alternatives, those that match nothing left out.
fn boxes(
    lowering: &Lowering<'_>,
    [from, to]: [&[TestedItem<'_>]; 2],
    when: &TestedItem<'_>,
) -> Result<Vec<RequestBox>, Limit> {
    let alternatives = |items: &[TestedItem<'_>]| -> Result<Vec<Vec<Clause>>, Limit> {
        let each: Result<Vec<_>, Limit> = items.iter().map(|item| lowering.item(item)).collect();
        Ok(each?.concat())
    };
    let (from, to, when) = (alternatives(from)?, alternatives(to)?, lowering.item(when)?);
    if from.len().saturating_mul(to.len()).saturating_mul(when.len()) > MOST_BOXES {
        return Err(Limit::Boxes);
    }
    let mut boxes = Vec::new();
    for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (from, to))) {
        boxes.extend(when.iter().map(|when| RequestBox::of([from.as_slice(), to, when].concat())));
    }
    Ok(boxes)
}

/// Whether the original client address is always the other end of the connection. `proxy_protocol`: whether another
/// hop may hand over an address below HTTP.
pub(crate) fn remote_is_source(context: &Context, proxy_protocol: bool) -> bool {
    match context.engine {
        Engine::Grpc => true,
        Engine::EnvoyTcp | Engine::Ztunnel => !proxy_protocol,
        Engine::EnvoyHttp => {
            !proxy_protocol && context.semantics.client_address == ClientAddress::TrustedProxies(0)
        }
    }
}
